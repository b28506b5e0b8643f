"""The panels that each cell shows: when a cell runs again and shows other panels, its earlier ones rest.

A panel that nobody sees would go on rendering each answer. It is not closed, because a variable may hold it and show it
again: it wakes when a page says hello.

Why: docs/decisions/0026-panels-rest.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from copilot_nb.frontend import RunningCell, running_cell, running_shell


class Resting(Protocol):
    """A panel that cells show."""

    def rest(self) -> None:
        """Send nothing until a page says hello."""


@dataclass
class _Place:
    run: str
    panels: WeakSet[Resting] = field(default_factory=WeakSet)


class Places:
    """The cells that show panels, by cell id."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def show(self, panel: Resting, cell: RunningCell | None) -> None:
        """Record that a cell shows a panel; panels of the cell's last run rest unless another cell shows them."""
        if cell is None or not cell.cell_id:
            return
        place = self._places.get(cell.cell_id)
        if place is None or place.run != cell.run:
            self._places[cell.cell_id] = _Place(cell.run)
        self._places[cell.cell_id].panels.add(panel)
        seen = {each for other in self._places.values() for each in other.panels}
        for left in set(place.panels if place else ()) - seen:
            left.rest()


_PLACES = Places()


def shown(panel: Resting) -> None:
    """Record that the running cell shows a panel."""
    shell = running_shell()
    _PLACES.show(panel, running_cell(shell) if shell is not None else None)
