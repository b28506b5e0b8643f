"""Stored answers as turns that have ended, rendered like the turns of a session: in columns, each with its footer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from copilot_nb.conversation.parts import Text, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.experiments.grid import Cell
from copilot_nb.experiments.store import Answer, AnsweredTurn
from copilot_nb.render.columns import ShownTurn, columns_html
from copilot_nb.render.escape import well_formed
from copilot_nb.render.turn import Label, footer_text, turn_text

_STATES = {"failed": TurnState.FAILED, "refused": TurnState.FAILED}


def record_of(cell: Cell, answer: Answer) -> TurnRecord:
    """Return a stored answer as a turn that has ended; of a conversation, its last turn."""
    if answer.turns:
        return _record(cell, answer.turns[-1])
    return TurnRecord(
        "", cell.prompt.turns[-1], state=_STATES.get(answer.state, TurnState.INTERRUPTED), error=answer.error
    )


def _record(cell: Cell, turn: AnsweredTurn) -> TurnRecord:
    began = None if turn.started_s is None else datetime.fromtimestamp(turn.started_s, UTC)
    return TurnRecord(
        turn_id=cell.key,
        prompt=turn.prompt,
        parts=(Text(cell.key, turn.text, complete=True),),
        state=TurnState.DONE,
        model=turn.model,
        usage=Usage(turn.input_tokens or 0, turn.output_tokens or 0, turn.cost),
        started_at=began,
        first_token_at=_later(began, turn.first_token_s),
        finished_at=_later(began, turn.duration_s),
    )


def _later(began: datetime | None, after_s: float | None) -> datetime | None:
    return None if began is None or after_s is None else began + timedelta(seconds=after_s)


def label_of(cell: Cell) -> Label:
    """Return the variant of an answer and its provider, as a rendering needs them."""
    return Label(cell.variant.name, cell.variant.options.provider)


@dataclass(frozen=True, slots=True)
class Columns:
    """Answers side by side if there is room, each with its footer.

    Attributes
    ----------
    answers : tuple of ShownTurn
        The answers, from left to right.
    """

    answers: tuple[ShownTurn, ...]

    @classmethod
    def of(cls, cells: Iterable[tuple[Cell, Answer]]) -> Columns:
        """Return a column for each answer."""
        return cls(tuple((record_of(cell, answer), label_of(cell)) for cell, answer in cells))

    def _repr_html_(self) -> str:
        return columns_html(self.answers)

    def __str__(self) -> str:
        return "\n\n".join(
            f"## {well_formed(label.session)}\n\n{turn_text(turn, label)}\n\n[{footer_text(turn, label)}]"
            for turn, label in self.answers
        )
