"""The answers of a small comparison side by side while they stream, for a front end to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.experiments.grid import Cell, Grid
from copilot_nb.experiments.shown_answers import label_of, record_of
from copilot_nb.experiments.store import Answer
from copilot_nb.render.columns import ShownTurn

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn

MAX_LIVE_CELLS = 8
"""The most answers that are shown while they stream (count)."""
_ENDED = ("done", "failed", "refused")


class LiveAnswers:
    """The answers of a grid so far. Written on the loop thread, read on any.

    Parameters
    ----------
    grid : Grid
        The grid; one of more than `MAX_LIVE_CELLS` cells shows nothing.
    turn_of : callable
        Returns the running turn of a session by its id; ``None``: there is none in this process.
    """

    def __init__(self, grid: Grid, turn_of: Callable[[str], Turn | None]) -> None:
        self._cells = grid.by_row if len(grid.cells) <= MAX_LIVE_CELLS else ()
        self._is_one_prompt, self._is_one_repeat = len(grid.prompts) == 1, grid.repeats == 1
        self._turn_of = turn_of
        self._answers: dict[str, Answer] = {}
        self._sessions: dict[str, str] = {}

    def know(self, answers: Mapping[str, Answer]) -> None:
        """Show these answers, and of cells that failed, why."""
        if self._cells:  # else nothing is shown, and there may be many
            self._answers.update({key: answer for key, answer in answers.items() if answer.state in _ENDED})

    def begin(self, key: str, session_id: str) -> None:
        """Show the turn of a session as the answer of a cell, until `know`."""
        self._answers.pop(key, None)
        self._sessions[key] = session_id

    def shown(self) -> tuple[ShownTurn, ...]:
        """Return the answers from left to right, each as a turn."""
        return tuple(map(self._shown, self._cells))

    def _shown(self, cell: Cell) -> ShownTurn:
        label = dataclasses.replace(label_of(cell), session=self._name(cell))
        if (answer := self._answers.get(cell.key)) is not None:
            return record_of(cell, answer), label
        turn = self._turn_of(self._sessions.get(cell.key, ""))
        if turn is None:
            return TurnRecord("", cell.prompt.turns[-1], state=TurnState.QUEUED), label
        return turn.record, dataclasses.replace(label, note=turn.label.note)

    def _name(self, cell: Cell) -> str:
        parts = [cell.variant.name]
        parts += [] if self._is_one_prompt else [f"prompt {cell.prompt.row + 1}"]
        parts += [] if self._is_one_repeat else [f"repeat {cell.repeat + 1}"]
        return " · ".join(parts)
