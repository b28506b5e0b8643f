"""A round of a comparison as the page and a saved notebook show it: the answers in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.experiments.earlier_turns import UNSHARED, Unshared
from copilot_nb.experiments.rounds import Round, anonymous
from copilot_nb.named_sessions.history import History
from copilot_nb.panels.deltas import Fields, LiveTurn, ended_turn_fields
from copilot_nb.panels.static_output import Static
from copilot_nb.render.columns import columns_html, columns_text
from copilot_nb.render.escape import escape, well_formed
from copilot_nb.render.table import Table
from copilot_nb.render.turn import outcome_html

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn


_ANONYMOUS_FIELDS = {"state", "answer", "more", "open", "tail", "text", "draft", "shown", "drawn"}


class Column:
    """One answer of a round, and the fields that the page has received. All of it runs on one thread.

    Parameters
    ----------
    turn : Turn
        The answer.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._live = LiveTurn(turn, "")
        self.is_sent = False

    def whole(self, asked: Round) -> Fields:
        """Return all fields of the answer so far, and record them as sent."""
        self.is_sent = self.turn.done
        return {"over": self.is_sent, **allowed(asked, self.turn, self._live.whole())}

    def patch(self, asked: Round) -> Fields:
        """Return the fields that changed since the last call, and record them as sent; empty if none did."""
        was_sent, self.is_sent = self.is_sent, self.turn.done
        fields = allowed(asked, self.turn, self._live.patch())
        return {"over": self.is_sent, **fields} if fields or self.is_sent != was_sent else {}

    def revealed(self, asked: Round) -> Fields:
        """Return the fields that a vote reveals, and the changes of the answer."""
        new, known = self.patch(asked), self.whole(asked)
        told = {"answer", "open", "tail", "draft"}
        return {**{name: value for name, value in known.items() if name not in told}, **new}


def heading(asked: Round, at: int) -> dict[str, str | bool]:
    """Return the heading of a column: in a hidden round only its letter."""
    letter, turn = chr(ord("A") + at), asked.turns[at]
    best = turn is asked.winner
    if asked.is_hidden:
        return {"letter": letter, "name": "", "best": best}
    return {"letter": letter, "name": well_formed(turn.session.name), "shuffled": asked.is_blind, "best": best}


def allowed(asked: Round, turn: Turn, fields: Fields) -> Fields:
    """Return the fields of an answer (see `deltas`) that the page may see."""
    if not asked.is_hidden:
        return {name: value for name, value in fields.items() if name != "prompt"}
    told = {name: value for name, value in fields.items() if name in _ANONYMOUS_FIELDS}
    if fields.get("outcome"):
        told["outcome"] = outcome_html(anonymous(turn.record))
    return told


def facts(asked: Round, columns: Sequence[Fields]) -> dict[str, Any]:
    """Return a round with the fields of each column."""
    told = [{**heading(asked, at), **fields} for at, fields in enumerate(columns)]
    return {
        "round": asked.number,
        "prompt": well_formed(asked.prompt),
        "blind": asked.is_blind,
        "vote": asked.vote,
        "final": asked.is_final,
        "columns": told,
    }


def whole(asked: Round, columns: Sequence[Column]) -> dict[str, Any]:
    """Return a round with its answers so far."""
    return facts(asked, [column.whole(asked) for column in columns])


def unshared(turns: Unshared, sessions: Sequence[Session]) -> dict[str, Any]:
    """Return turns that not all sessions have, in a column for each session."""
    columns = [
        {"name": well_formed(session.name), "turns": [ended_turn_fields(turn.record, turn.label) for turn in own]}
        for session, own in zip(sessions, turns.turns, strict=True)
    ]
    return {"title": UNSHARED, "before": turns.before, "columns": columns}


def unshared_static(turns: Unshared, sessions: Sequence[Session]) -> Static:
    """Return turns that not all sessions have, as a saved notebook shows them."""
    histories = [
        History(session.name, session.provider, [turn.record for turn in own])
        for session, own in zip(sessions, turns.turns, strict=True)
        if own
    ]
    html = "".join(history._repr_html_() for history in histories)
    return Static(f"<h3>{UNSHARED}</h3>{html}", "\n\n".join([f"# {UNSHARED}", *map(repr, histories)]))


def transcript(rounds: Sequence[Round], wins: Table | None, between: Mapping[int, Static]) -> Static:
    """Return a comparison as a saved notebook shows it.

    Parameters
    ----------
    rounds : sequence of Round
        Consecutive rounds, up to the last.
    wins : Table or None
        The count of wins, shown last; ``None`` while names are hidden.
    between : mapping of int to Static
        The transcript to show before the round of each number, or after the last round.
    """
    parts = [part for each in rounds for part in (between.get(each.number), _static(each)) if part is not None]
    parts += [part for number, part in between.items() if number > (rounds[-1].number if rounds else 0)]
    parts += [Static(wins._repr_html_(), str(wins))] if wins is not None else []
    return Static("".join(part.html for part in parts), "\n\n".join(part.text for part in parts))


def _static(asked: Round) -> Static:
    title, shown, verdict = f"Round {asked.number}", asked.shown(), asked.verdict
    return Static(
        f"<h3>{title}</h3><blockquote>{escape(asked.prompt)}</blockquote>"
        f"{columns_html(shown)}<p><strong>{escape(verdict)}</strong></p>",
        f"# {title}\n\n{well_formed(asked.prompt)}\n\n{columns_text(shown)}\n\n{well_formed(verdict)}",
    )
