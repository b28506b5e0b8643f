"""What the page of a comparison is told of a round: the answers in their columns, as far as they have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.panels.beforehand import APART, Apart
from copilot_nb.panels.feed import Fields, LiveTurn, told_whole
from copilot_nb.panels.rounds import Round
from copilot_nb.render.escape import well_formed

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn


class Column:
    """One answer of a round, and what of it the page has been told. All of it runs on one thread.

    Parameters
    ----------
    turn : Turn
        The answer.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._live = LiveTurn(turn, "")
        self.is_told = False

    def whole(self, asked: Round) -> Fields:
        """Return the answer as far as it has come; it counts as told."""
        self.is_told = self.turn.done
        return {"over": self.is_told, **asked.allowed(self.turn, self._live.whole())}

    def patch(self, asked: Round) -> Fields:
        """Return what has come since; it counts as told. Empty: nothing."""
        was_told, self.is_told = self.is_told, self.turn.done
        fields = asked.allowed(self.turn, self._live.patch())
        return {"over": self.is_told, **fields} if fields or self.is_told != was_told else {}

    def revealed(self, asked: Round) -> Fields:
        """Return what a vote reveals, and what of the answer has not been told."""
        new, known = self.patch(asked), self.whole(asked)
        told = {"answer", "open", "tail", "draft"}
        return {**{name: value for name, value in known.items() if name not in told}, **new}


def facts(asked: Round, columns: Sequence[Fields]) -> dict[str, Any]:
    """Return a round, with what is told of each of its columns."""
    told = [{**asked.heading(at), **fields} for at, fields in enumerate(columns)]
    return {
        "round": asked.number,
        "prompt": well_formed(asked.prompt),
        "blind": asked.is_blind,
        "vote": asked.vote,
        "columns": told,
    }


def whole(asked: Round, columns: Sequence[Column]) -> dict[str, Any]:
    """Return a round with its answers as far as they have come."""
    return facts(asked, [column.whole(asked) for column in columns])


def apart(turns: Apart, sessions: Sequence[Session]) -> dict[str, Any]:
    """Return turns that the sessions have not in common, a column for each session."""
    columns = [
        {"name": well_formed(session.name), "turns": [told_whole(turn.record, turn.label) for turn in own]}
        for session, own in zip(sessions, turns.turns, strict=True)
    ]
    return {"title": APART, "before": turns.before, "columns": columns}
