"""Records which cell sent which turn of a session.

A cell can send any number of prompts, by a magic or from Python (`Session.send`). A prompt is identified by the id of
its cell and by its position (0, 1, 2, …) among the prompts that this run of the cell sends to the session. When the
cell runs again, its first prompt therefore replaces all turns of its last run. In a run without a front end (nbclient,
papermill) cells have no ids; there a prompt is identified by its text and its position among the prompts of the same
text. A prompt from a panel, a widget or a script belongs to no cell.

A mark consists of 12 hexadecimal digits for the cell (4 of them for its notebook) and the first 8 digits of the turn's
id. The last `MAX_MARKS` marks are stored in the session's metadata.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.frontend import is_headless, running_cell, running_shell

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord

MAX_MARKS = 200
NOTEBOOK_DIGITS, CELL_DIGITS, TURN_DIGITS = 4, 8, 8
LEFT = "-"
"""In a mark, in place of the turn: its cell no longer replaces that turn, because other turns were added after it."""


def cell_key(notebook: str, cell: str) -> str:
    """Return the digits that identify a cell of a notebook."""
    return _digits(notebook, NOTEBOOK_DIGITS) + _digits(cell, CELL_DIGITS)


def second_key(cell: str) -> str:
    """Return the digits of the prompt by which `cell` asks for a corrected answer; ``""`` for no cell."""
    return cell and cell[:NOTEBOOK_DIGITS] + _digits(f"again {cell}", CELL_DIGITS)


def _digits(text: str, number: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:number]


@dataclass(frozen=True, slots=True)
class Mark:
    """A turn and the cell that sent it."""

    cell: str
    turn: str


class CellMarks:
    """The marks of one session, oldest first."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._asked: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()

    def key_of(self, text: str, notebook: str) -> str:
        """Return the digits that identify the next prompt of the running cell; ``""`` if no cell sends it."""
        shell = running_shell()
        cell = running_cell(shell) if shell is not None else None
        if shell is None or cell is None or not (cell.cell_id or is_headless(shell)):
            return ""
        asked = (cell.run, cell.cell_id) if cell.cell_id else ("", text)
        with self._counting:
            place = self._asked[asked]
            self._asked[asked] += 1
        return cell_key(notebook, f"{place} {asked[1]}")

    def copied(self) -> CellMarks:
        """Return a copy of the marks, for a copy of the session."""
        copy = CellMarks()
        with self._counting:
            copy._marks, copy._asked = list(self._marks), self._asked.copy()
        return copy

    def read(self, text: str) -> None:
        """Read the marks from the text that `written` returned; invalid ones are skipped."""
        pairs = (word.split(":") for word in text.split())
        self._marks = [Mark(*pair) for pair in pairs if len(pair) == len(("cell", "turn"))]

    def written(self) -> str:
        """Return the marks as text."""
        return " ".join(f"{mark.cell}:{mark.turn}" for mark in self._marks[-MAX_MARKS:])

    def mark(self, cell: str, turn_id: str) -> None:
        """Record that `cell` sent the turn `turn_id`."""
        self._marks = [mark for mark in self._marks if mark.cell != cell] + [Mark(cell, turn_id[:TURN_DIGITS])]

    def forget(self, turns: Sequence[TurnRecord]) -> None:
        """Delete the marks of `turns`, which were removed."""
        gone = {turn.turn_id[:TURN_DIGITS] for turn in turns}
        self._marks = [mark for mark in self._marks if mark.turn not in gone]

    def leave(self, marks: Sequence[Mark]) -> None:
        """Keep the turns of `marks`: their cells no longer replace them."""
        self._marks = [dataclasses.replace(mark, turn=LEFT) if mark in marks else mark for mark in self._marks]

    def has(self, cell: str) -> bool:
        """Whether `cell` has sent a turn to the session before."""
        return bool(cell) and any(mark.cell == cell for mark in self._marks)

    def since(self, cell: str) -> list[Mark]:
        """Return the mark of `cell` and all later ones; empty if the cell has no mark."""
        places = [place for place, mark in enumerate(self._marks) if mark.cell == cell]
        return self._marks[places[0] :] if places else []
