"""The rounds of a comparison: one prompt, an answer from each session, and a vote on them.

A blind round shows its columns in random order, as A, B, C, and without anything that identifies the models: names,
models, the line under an answer, notes, the wording of errors. The kernel enforces this: nothing that the vote will
reveal is sent to the page before, so the page holds nothing to find.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from copilot_nb.conversation.parts import Reasoning
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.experiments import round_store
from copilot_nb.experiments.round_store import Part, keep, rounds_of
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.named_sessions.prompt_plan import plan_prompt
from copilot_nb.named_sessions.session import engine_of, own_session, send_planned, state_of
from copilot_nb.named_sessions.turn import Turn, TurnSession
from copilot_nb.render.escape import well_formed
from copilot_nb.render.table import Table
from copilot_nb.render.turn import Label
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session

T = TypeVar("T")

BEST, TIE, NONE_GOOD = "best", "tie", "none good"
_SHUFFLE = random.SystemRandom().shuffle
_HIDDEN_ERROR = "the reason is shown after the vote"


@dataclass(frozen=True)
class Round:
    """One prompt, its answers and the vote.

    Attributes
    ----------
    number : int
        Counted from 1.
    prompt : str
        The prompt that was sent to all sessions.
    turns : tuple of Turn
        The answers, in the order of their columns.
    is_blind : bool
        Whether names are hidden until the vote.
    vote : str or None
        ``"best"``, ``"tie"`` or ``"none good"``; ``None`` until voted.
    winner : Turn or None
        The answer that was voted best.
    key : str
        The round's key in the sessions (see `round_store`).
    is_sealed : bool
        Whether a blind round keeps its names hidden after the vote, too.
    """

    number: int
    prompt: str
    turns: tuple[Turn, ...]
    is_blind: bool = False
    vote: str | None = None
    winner: Turn | None = None
    key: str = ""
    is_sealed: bool = False

    def __repr__(self) -> str:
        vote = self.verdict if self.winner else self.vote or "not voted"
        return f"<Round {self.number}: {count(len(self.turns), 'answer')}, {vote}>"

    @property
    def is_over(self) -> bool:
        """Whether all answers have ended, also by failing."""
        return all(turn.done for turn in self.turns)

    @property
    def is_hidden(self) -> bool:
        """Whether the sessions of the answers are still secret."""
        return self.is_blind and (self.vote is None or self.is_sealed)

    @property
    def is_final(self) -> bool:
        """Whether the vote cannot change any more, because the names were shown after it."""
        return self.is_blind and self.vote is not None and not self.is_sealed

    def voted(self, choice: int | str) -> Round:
        """Return the round with a vote: the index of a column, ``"tie"`` or ``"none good"``.

        Raises
        ------
        InputError
            If there is no such choice, an answer is still running, or the round is blind and already voted on.
        """
        if not self.is_over:
            raise InputError(f"round {self.number} is still being answered", "wait until it ends, or stop it")
        if self.is_final:
            raise InputError(f"the blind vote on round {self.number} is final", "the names have been shown since")
        if choice in (TIE, NONE_GOOD):
            return dataclasses.replace(self, vote=str(choice), winner=None)
        if not isinstance(choice, int) or not 0 <= choice < len(self.turns):
            raise InputError(f"{choice!r} is not a choice", f"give a column's number, {TIE!r} or {NONE_GOOD!r}")
        return dataclasses.replace(self, vote=BEST, winner=self.turns[choice])

    def answered_again(self, at: int, turn: Turn) -> Round:
        """Return the round with another turn in a column."""
        return dataclasses.replace(self, turns=(*self.turns[:at], turn, *self.turns[at + 1 :]))

    @property
    def parts(self) -> Mapping[Session, Part]:
        """The part of the round that each session stores; empty unless all have theirs."""
        if not all(turn.record.turn_id and _is_stored(turn) for turn in self.turns):
            return {}
        votes = [self.vote or "" if self.winner in (None, turn) else "other" for turn in self.turns]
        return {
            own_session(turn.session): Part(turn.record.turn_id, at, len(self.turns), self.is_blind, votes[at])
            for at, turn in enumerate(self.turns)
        }

    def shown(self) -> list[tuple[TurnRecord, Label]]:
        """Return the answers to render, with the facts that may be shown."""
        if not self.is_hidden:
            return [(turn.record, turn.label) for turn in self.turns]
        return [(anonymous(turn.record), Label(self.title(at), "")) for at, turn in enumerate(self.turns)]

    def title(self, at: int) -> str:
        """Return the title of a column; in a hidden round its letter."""
        return f"Answer {chr(ord('A') + at)}" if self.is_hidden else self.turns[at].session.name

    @property
    def verdict(self) -> str:
        """The vote, as text."""
        if self.winner is not None:
            return f"Best: {self.title(self.turns.index(self.winner))}"
        return {None: "Not voted on", TIE: "A tie", NONE_GOOD: "None is good"}[self.vote]


def _is_stored(turn: Turn) -> bool:
    state = state_of(turn.session)
    return state.exists and not state.is_gone


def anonymous(record: TurnRecord) -> TurnRecord:
    """Return an answer without the fields that identify its model."""
    return TurnRecord(
        "",
        record.prompt,
        tuple(part for part in record.parts if not isinstance(part, Reasoning)),
        record.state,
        error=_HIDDEN_ERROR if record.error else "",
    )


def in_columns(each: Iterable[T], *, blind: bool) -> list[T]:
    """Return one item per column in the order of the columns, which is random in a blind round."""
    columns = list(each)
    if blind:
        _SHUFFLE(columns)
    return columns


def begin(number: int, prompt: str, sessions: Sequence[Session], *, blind: bool) -> Round:
    """Send `prompt` to all `sessions` and return the round.

    Raises
    ------
    InputError
        If the prompt cannot be used or a session was deleted; then nothing is sent.
    """
    plan = plan_prompt(engine_of(sessions[0]), prompt)
    for session in sessions:
        if state_of(session).is_gone:
            raise InputError(f"session {session.name!r} has been deleted", "begin a new comparison")
    turns = tuple(send_planned(session, plan, cell="") for session in in_columns(sessions, blind=blind))
    return Round(number, prompt, turns, blind, key=secrets.token_hex(4))


def ask_again(asked: Round, turn: Turn) -> Turn:
    """Send a round's prompt again in place of one of its turns, and return the new turn.

    Raises
    ------
    InputError
        If the session has later turns, or the round is hidden and the session cannot be used.
    """
    try:
        return engine_of(turn.session).loop.blocking(round_store.ask_again(turn))
    except CopilotNBError:
        if not asked.is_hidden:
            raise
        raise InputError("this answer cannot be asked for again", "vote, or ask all of them again") from None


def keep_round(manager: Manager, asked: Round) -> None:
    """Store a round in its sessions, if each has its part of it.

    Raises
    ------
    SessionInUse
        If another process has one of them open.
    """
    if parts := asked.parts:
        manager.loop.blocking(keep(asked.key, parts))


def kept_rounds(manager: Manager, sessions: Sequence[Session]) -> tuple[Round, ...]:
    """Return the rounds stored in these sessions.

    Raises
    ------
    SessionError
        If a session's log cannot be read.
    """
    found = []
    for number, (key, columns) in enumerate(manager.loop.blocking(rounds_of(sessions)), 1):
        turns = tuple(past_turn(session, record) for session, _part, record in columns)
        votes = [part.vote for _session, part, _record in columns]
        winner = next((turn for turn, vote in zip(turns, votes, strict=True) if vote == BEST), None)
        alike = votes[0] if {*votes} in ({TIE}, {NONE_GOOD}) else None  # else not all sessions could keep the vote
        vote = BEST if winner else alike
        found.append(Round(number, turns[0].prompt, turns, columns[0][1].is_blind, vote, winner, key))
    return tuple(found)


def past_turn(session: TurnSession, record: TurnRecord) -> Turn:
    """Return a turn that has ended."""
    turn = Turn(session, record.prompt)
    turn.begin(record)
    turn.finish()
    return turn


def summary(rounds: Sequence[Round], sessions: Sequence[Session]) -> Table:
    """Return how often each session won."""
    voted = [each for each in rounds if each.vote is not None]
    rows = []
    for session in sessions:
        wins = sum(each.winner is not None and each.winner.session is session for each in voted)
        share = f"{wins / len(voted):.0%} of {len(voted)}" if voted else ""
        rows.append((session.name, session.options.label, str(wins), share))
    ties, none = (sum(each.vote == vote for each in voted) for vote in (TIE, NONE_GOOD))
    caption = f"{len(voted)} of {count(len(rounds), 'round')} voted, {count(ties, 'tie')}, {none} with none good"
    return Table(("session", "model", "wins", "of votes"), tuple(rows), caption)


_COLUMNS = {
    "round": "Int64",
    "prompt": "string",
    "blind": "boolean",
    "column": "Int64",
    "session": "string",
    "model": "string",
    "provider": "string",
    "state": "string",
    "vote": "string",
    "won": "boolean",
    "text": "string",
    "started_at": "datetime64[us, UTC]",
    "ttft_s": "Float64",
    "duration_s": "Float64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cost": "Float64",
    "error": "string",
}
_OF_A_HIDDEN_ROUND = ("round", "prompt", "blind", "column", "state", "text")


def to_frame(rounds: Sequence[Round]) -> DataFrame:
    """Return the rounds as a pandas frame, one row for each answer.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    return frame([_row(each, at) for each in rounds for at in range(len(each.turns))], _COLUMNS)


def to_csv(rounds: Sequence[Round]) -> str:
    """Return the rounds as CSV with the columns of `to_frame`; a hidden round reveals no more than on the page."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    for each in rounds:
        told = _OF_A_HIDDEN_ROUND if each.is_hidden else _COLUMNS
        rows = (_row(each, at) for at in range(len(each.turns)))
        writer.writerows({name: row[name] for name in told} for row in rows)
    return well_formed(text.getvalue())


def _row(asked: Round, at: int) -> dict[str, object]:
    turn = asked.turns[at]
    record, usage = turn.record, turn.usage
    return {
        "round": asked.number,
        "prompt": asked.prompt,
        "blind": asked.is_blind,
        "column": at + 1,
        "session": turn.session.name,
        "model": turn.model or turn.session.model,
        "provider": turn.session.provider,
        "state": turn.state.value,
        "vote": asked.vote,
        "won": None if asked.vote is None else turn is asked.winner,
        "text": turn.text,
        "started_at": record.started_at,
        "ttft_s": record.time_to_first_token_s,
        "duration_s": record.duration_s,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost": usage.cost if usage else None,
        "error": record.error or None,
    }
