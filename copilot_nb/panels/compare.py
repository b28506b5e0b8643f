"""The comparison as a panel: one prompt to several sessions, answers side by side, a vote.

A round is shown as it comes: what is told of an answer are the fields of `feed`. What of them a blind round lets
through is decided by `rounds`; in a blind comparison neither the list of names nor the count of wins goes to the page
before the first vote.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import InputError
from copilot_nb.panels import rounds
from copilot_nb.panels.base import Message, Panel, source
from copilot_nb.panels.feed import Fields, LiveTurn
from copilot_nb.panels.frozen import Static
from copilot_nb.panels.rounds import Round
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count
from copilot_nb.sessions.api import shared_manager
from copilot_nb.sessions.session import Session

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.render.table import Table
    from copilot_nb.sessions.manager import Manager
    from copilot_nb.sessions.turn import Turn
    from copilot_nb.sessions.watching import Event

PAGE_ROUNDS = 5
"""Rounds that the page is given at once, the last ones (count)."""
LEAST = 2
"""Sessions without which there is nothing to compare (count)."""


class Column:
    """One answer of a round, and what of it the page has been told. All of it runs on one thread.

    Parameters
    ----------
    turn : Turn
        The answer.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._live = LiveTurn(turn, "")
        self.is_told = False

    def whole(self, asked: Round) -> Fields:
        """Return the answer as far as it has come; it counts as told."""
        self.is_told = self._turn.done
        return {"over": self.is_told, **asked.allowed(self._turn, self._live.whole())}

    def patch(self, asked: Round) -> Fields:
        """Return what has come since; it counts as told. Empty: nothing."""
        was_told, self.is_told = self.is_told, self._turn.done
        fields = asked.allowed(self._turn, self._live.patch())
        return {"over": self.is_told, **fields} if fields or self.is_told != was_told else {}

    def revealed(self, asked: Round) -> Fields:
        """Return what a vote reveals, and what of the answer has not been told."""
        new, known = self.patch(asked), self.whole(asked)
        return {**{name: value for name, value in known.items() if name not in ("answer", "tail")}, **new}


class ComparePanel(Panel):
    """One prompt to several sessions, the answers side by side, and a vote on each round.

    Parameters
    ----------
    sessions : sequence of str or Session
        Two or more, or none where `models` are given.
    models : sequence of str, optional
        Models to compare: each gets a session of its own, called ``NAME@MODEL``.
    name : str, default "compare"
        The first part of those names.
    provider : str, optional
        Where the models come from; ``""``: the default.
    blind : bool, default False
        Hide whose the answers are until they have been voted on.

    Raises
    ------
    InputError
        If that is fewer than two sessions.

    Examples
    --------
    >>> panel = ComparePanel(models=["gpt-5", "claude-sonnet-4.5"], name="test", blind=True)  # doctest: +SKIP
    >>> panel.to_frame()  # doctest: +SKIP
    """

    _esm = source("common.js", "compare.js")

    def __init__(
        self,
        sessions: Sequence[str | Session] = (),
        *,
        models: Sequence[str] = (),
        name: str = "compare",
        provider: str = "",
        blind: bool = False,
        manager: Manager | None = None,
    ) -> None:
        manager = manager or shared_manager()
        self._sessions = _opened(manager, sessions, {f"{name}@{model}": model for model in models}, provider)
        self._lock = threading.Lock()  # held while a round is added or replaced
        self._rounds: list[Round] = []
        self._columns: dict[int, list[Column]] = {}
        self._told: dict[int, Round] = {}
        self._told_frame: Fields = {}
        self._awaited: frozenset[Turn] = frozenset()
        self._is_blind = blind
        super().__init__(manager)

    def __repr__(self) -> str:
        return f"<ComparePanel: {count(len(self._sessions), 'session')}, {count(len(self._rounds), 'round')}>"

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that are compared."""
        return self._sessions

    @property
    def results(self) -> list[Round]:
        """The rounds so far: prompts, answers, votes."""
        return list(self._rounds)

    @property
    def summary(self) -> Table:
        """Who won how often."""
        return rounds.summary(self._rounds, self._sessions)

    @property
    def blind(self) -> bool:
        """Whether names are hidden until the vote, from the next round on."""
        return self._is_blind

    @blind.setter
    def blind(self, blind: bool) -> None:
        self._is_blind = bool(blind)
        self.mark()

    def to_frame(self) -> DataFrame:
        """Return the rounds as a pandas frame with one row for each answer.

        The columns: ``round``, ``prompt``, ``blind``; ``column`` (1 is the left one), ``session``, ``model``,
        ``provider``, ``state``; ``vote`` on the round (``best``, ``tie``, ``none good``) and whether this answer
        ``won`` it; ``text``, ``started_at``, ``ttft_s`` (time to first token, seconds), ``duration_s``,
        ``input_tokens``, ``output_tokens``, ``cost``, ``error``. What is not known is missing.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return rounds.to_frame(self._rounds)

    def ask(self, prompt: str) -> Round:
        """Send a prompt to all and return the round at once.

        Raises
        ------
        InputError
            If the prompt cannot be used, a session is gone, or the round before is still being answered.
        """
        with self._lock:
            if self._rounds and not self._rounds[-1].is_over:
                raise InputError("the round before is still being answered", "wait for the end of it, or stop it")
            asked = rounds.begin(len(self._rounds) + 1, prompt, self._sessions, blind=self._is_blind)
            self._awaited = frozenset(asked.turns)
            self._rounds = [*self._rounds, asked]
        self.mark()
        return asked

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on a round, and return it.

        Parameters
        ----------
        number : int
            Of the round, counted from 1.
        choice : int or str
            The best answer's column, counted from 1; ``"tie"`` or ``"none good"``.

        Raises
        ------
        InputError
            If there is no such round or choice, it is not over, or a blind vote has been given.
        """
        with self._lock:
            if not 1 <= number <= len(self._rounds):
                raise InputError(f"there is no round {number!r}", f"there are {len(self._rounds)}")
            voted = self._rounds[number - 1].voted(choice - 1 if isinstance(choice, int) else choice)
            self._rounds = [voted if each.number == number else each for each in self._rounds]
        self.mark()
        self._frozen.changed()
        self._frozen.changed()
        return voted

    def stop(self) -> None:
        """Stop the answers under way; what has come is kept."""
        for asked in self._rounds:
            for turn in asked.turns:
                turn.stop()

    def whole(self) -> dict[str, Any]:
        """Return the last rounds, and what is above and below them."""
        shown = self._rounds
        first = max(0, len(shown) - PAGE_ROUNDS)
        self._told = {each.number: each for each in shown}
        self._columns = {each.number: [Column(turn) for turn in each.turns] for each in shown[first:]}
        self._told_frame = self._frame(shown)
        told = [_whole(each, self._columns[each.number]) for each in shown[first:]]
        return {"rounds": told, "earlier": first, "frame": self._told_frame}

    def news(self) -> list[dict[str, Any]]:
        """Return new rounds and votes, and what has come of the answers."""
        shown, items = self._rounds, []
        for asked in shown:
            told, self._told[asked.number] = self._told.get(asked.number), asked
            if told is None:
                self._columns[asked.number] = [Column(turn) for turn in asked.turns]
                items.append({"kind": "round", **_whole(asked, self._columns[asked.number])})
            elif told is not asked:
                columns = self._columns.get(asked.number) or [Column(turn) for turn in asked.turns]
                items.append({"kind": "voted", **_facts(asked, [column.revealed(asked) for column in columns])})
            else:
                items += self._came(asked)
        if (frame := self._frame(shown)) != self._told_frame:
            self._told_frame = frame
            items.append({"kind": "frame", "frame": frame})
        return items

    def _came(self, asked: Round) -> list[dict[str, Any]]:
        """Return what has come of the answers of a round."""
        columns = [(at, column) for at, column in enumerate(self._columns.get(asked.number, ())) if not column.is_told]
        return [
            {"kind": "answer", "round": asked.number, "column": at, **patch}
            for at, column in columns
            if (patch := column.patch(asked))
        ]

    def transcript(self) -> Static:
        """Return the last rounds as a saved notebook shows them; a blind one as little as the page."""
        shown = self._rounds
        return rounds.transcript(shown[-PAGE_ROUNDS:], None if self._hides_names(shown) else self.summary)

    def _hides_names(self, shown: Sequence[Round]) -> bool:
        return self._is_blind and not any(each.vote is not None for each in shown)

    def _frame(self, shown: Sequence[Round]) -> Fields:
        """Return what is told beside the rounds; nothing of whom, before the first vote of a blind comparison."""
        is_hidden = self._hides_names(shown)
        table = rounds.summary(shown, self._sessions)
        return {
            "blind": self._is_blind,
            "number": len(self._sessions),
            "names": [] if is_hidden else [well_formed(session.name) for session in self._sessions],
            "heads": list(table.columns),
            "rows": [] if is_hidden else [[well_formed(cell) for cell in row] for row in table.rows],
            "caption": table.caption,
        }

    def wants(self, event: Event) -> bool:
        """Whether an answer of a round has changed, or a session its name."""
        return event.turn in self._awaited or (event.kind == "session" and event.session in self._sessions)

    def noted(self, event: Event) -> None:
        """Have a session's new name shown everywhere."""
        known = self._told_frame.get("names")
        if event.kind == "session" and known and well_formed(event.session.name) not in known:
            self._say_whole()

    def do_send(self, message: Message) -> None:
        """Send a prompt to all."""
        self.ask(message["prompt"])

    def do_stop(self, _message: Message) -> None:
        """Stop the answers under way."""
        self.stop()

    def do_vote(self, message: Message) -> None:
        """Vote on a round."""
        self.vote(message["round"], message["choice"])

    def do_blind(self, message: Message) -> None:
        """Hide names until the vote, or do not, from the next round on."""
        self.blind = message["on"]

    def do_earlier(self, message: Message) -> dict[str, Any]:
        """Return the rounds before one."""
        end = max(0, message["before"] - 1)
        first = max(0, end - PAGE_ROUNDS)
        shown = self._rounds[first:end]
        return {"rounds": [_whole(each, [Column(turn) for turn in each.turns]) for each in shown], "earlier": first}


def _opened(
    manager: Manager, sessions: Sequence[str | Session], by_model: Mapping[str, str], provider: str
) -> tuple[Session, ...]:
    """Return the sessions to compare, each once.

    Raises
    ------
    InputError
        If they are fewer than two.
    """
    if isinstance(sessions, str) or len({*map(_name, sessions), *by_model}) < LEAST:
        hint = 'ComparePanel(["a", "b"]) or ComparePanel(models=["m", "n"])'
        raise InputError("a comparison needs two sessions or models", hint)
    named = [each if isinstance(each, Session) else manager.session(each, provider=provider) for each in sessions]
    made = [manager.session(name, model=model, provider=provider) for name, model in by_model.items()]
    return tuple(dict.fromkeys([*named, *made]))


def _name(session: str | Session) -> str:
    return session.name if isinstance(session, Session) else session


def _facts(asked: Round, columns: Sequence[Fields]) -> dict[str, Any]:
    """Return a round, with what is told of each of its columns."""
    told = [{**asked.heading(at), **fields} for at, fields in enumerate(columns)]
    return {
        "round": asked.number,
        "prompt": well_formed(asked.prompt),
        "blind": asked.is_blind,
        "vote": asked.vote,
        "columns": told,
    }


def _whole(asked: Round, columns: Sequence[Column]) -> dict[str, Any]:
    return _facts(asked, [column.whole(asked) for column in columns])
