"""The queue of cells to run: their order, and which of them may start now."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from copilot_nb.experiments.engines.base import CellEngine
from copilot_nb.experiments.grid import Cell


class WaitingCells:
    """Queues of cells: one for each provider with few concurrent answers, and one for all other providers.

    A model in this kernel gives a few answers concurrently. More prompts would wait there: their measured times would
    include the wait, and they would hold seats that cells of other providers can use.

    Parameters
    ----------
    engine : CellEngine
        Says how many cells may run at the same time.
    """

    def __init__(self, engine: CellEngine) -> None:
        self._engine = engine
        self._lines: dict[str, deque[Cell]] = {}
        self._limits: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, cell: Cell) -> None:
        """Append a cell to its queue."""
        self._lines.setdefault(self._line_of(cell), deque()).append(cell)

    def take(self, under_way: Iterable[Cell]) -> Cell | None:
        """Return a cell that may start while those of `under_way` run; ``None`` if there is no cell or no seat."""
        taken = Counter(map(self._line_of, under_way))
        seats = self._engine.seats
        if taken.total() >= seats:
            return None
        for name, line in sorted(self._lines.items(), reverse=True):  # queues with a limit first: they take longest
            if line and taken[name] < (self._limit(name) or seats):
                return line.popleft()
        return None

    def _line_of(self, cell: Cell) -> str:
        name = cell.variant.options.provider
        return name if self._limit(name) else ""

    def _limit(self, name: str) -> int:
        """Return how many cells of a provider may run concurrently; 0: as many as there are seats."""
        if name not in self._limits:
            self._limits[name] = self._engine.limit_of(name)
        return self._limits[name]
