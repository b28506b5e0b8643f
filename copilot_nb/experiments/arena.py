"""The arena: sessions that receive the same prompts, and their rounds, which are voted on and stored."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.experiments import rounds
from copilot_nb.experiments.earlier_turns import EarlierTurns, earlier_turns
from copilot_nb.experiments.rounds import Round
from copilot_nb.named_sessions.session import own_session

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn


class Arena:
    """Sessions that receive the same prompts.

    Parameters
    ----------
    manager : Manager
        Owns the sessions.
    sessions : sequence of Session
        Two or more; their history is shown from the start.
    blind : bool, default False
        Whether rounds found in their histories are hidden until the vote.

    Attributes
    ----------
    sessions : tuple of Session
        The sessions.
    rounds : tuple of Round
        The rounds, oldest first.
    earlier_turns : EarlierTurns
        The history of the sessions when the arena was made.
    """

    def __init__(self, manager: Manager, sessions: Sequence[Session], *, blind: bool = False) -> None:
        self._manager = manager
        self._lock = threading.Lock()  # held while a round is added or replaced
        self._keeping = threading.Lock()
        self.sessions = tuple(sessions)
        self.earlier_turns = EarlierTurns()
        with suppress(CopilotNBError):  # the history of an unreadable log is not shown
            kept = rounds.kept_rounds(manager, self.sessions)
            self.earlier_turns = EarlierTurns(kept)
            self.earlier_turns = earlier_turns(manager, self.sessions, kept, blind=blind)
        self.rounds = self.earlier_turns.rounds
        self._kept = {each.key: each for each in self.rounds}  # the rounds as last stored

    @property
    def last(self) -> Round | None:
        """The last round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def awaited(self) -> tuple[Turn, ...]:
        """The answers of the last round."""
        return self.last.turns if self.last else ()

    def ask(self, prompt: str, *, blind: bool) -> Round:
        """Send a prompt to all sessions and return the round without waiting for the answers.

        Raises
        ------
        InputError
            If the prompt cannot be used, a session was deleted, or the previous round is still being answered.
        """
        with self._lock:
            if self.last is not None and not self.last.is_over:
                raise InputError("the previous round is still being answered", "wait until it ends, or stop it")
            asked = rounds.begin(len(self.rounds) + 1, prompt, self.sessions, blind=blind)
            self.rounds = (*self.rounds, asked)
        return asked

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on a round, store it, and return it.

        Raises
        ------
        InputError
            If there is no such round or choice, the round is not over, or it is blind and already voted on.
        """
        with self._lock:
            if not 1 <= number <= len(self.rounds):
                raise InputError(f"there is no round {number!r}", f"there are {len(self.rounds)}")
            voted = self.rounds[number - 1].voted(choice - 1 if isinstance(choice, int) else choice)
            self._replace(voted)
        self.keep()
        return voted

    def retry(self, number: int, column: int) -> Round:
        """Ask one session of the last round again, in place of its answer; return the round without waiting.

        Raises
        ------
        InputError
            If it is not the last round, it has been voted on, the answer is incomplete, or the session has later turns.
            In a hidden round also if the session cannot be used: any other error would identify the session.
        """
        with self._lock:
            asked = self.last
            if asked is None or number != asked.number or asked.vote is not None:
                raise InputError("only the last round's answers can be asked for again, before the vote")
            if not 1 <= column <= len(asked.turns):
                raise InputError(f"there is no answer {column!r}", f"there are {len(asked.turns)}")
            turn = asked.turns[column - 1]
            if not turn.done:
                raise InputError("this answer is not complete", "stop it first")
            again = rounds.ask_again(asked, turn)
            self.sessions = tuple(
                own_session(again.session) if each is turn.session else each for each in self.sessions
            )
            asked = asked.answered_again(column - 1, again)
            self._replace(asked)
        return asked

    def stop(self) -> None:
        """Stop the running answers."""
        for turn in self.awaited:
            turn.stop()

    def keep(self) -> None:
        """Store the rounds that are over in their sessions."""
        with self._keeping:
            for asked in self.rounds:
                if asked.is_over and self._kept.get(asked.key) is not asked:
                    with suppress(CopilotNBError):  # open in another process: the round still counts here
                        rounds.keep_round(self._manager, asked)
                        self._kept[asked.key] = asked

    def _replace(self, asked: Round) -> None:
        self.rounds = tuple(asked if each.number == asked.number else each for each in self.rounds)
