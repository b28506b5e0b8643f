"""The cells that wait to be asked, in order, and which of them may be asked now."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from copilot_nb.experiments.grid import Cell
from copilot_nb.providers.in_kernel import InKernel

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

AHEAD = 2
"""Cells under way for each answer that a model in this kernel gives at the same time, so that none of them idles."""


class WaitingCells:
    """Cells in line, one line for each provider that answers few at a time and one for all others.

    A model in this kernel gives a few answers at the same time. More prompts would wait there: they would count as
    silent after a while, and their times would be those of the line.

    Parameters
    ----------
    manager : Manager
        Knows the providers, and how many turns may be under way.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lines: dict[str, deque[Cell]] = {}
        self._limits: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, cell: Cell) -> None:
        """Let a cell wait, as the last one."""
        self._lines.setdefault(self._line_of(cell), deque()).append(cell)

    def take(self, under_way: Iterable[Cell]) -> Cell | None:
        """Return a cell that may be asked while those of `under_way` are; ``None``: there is none, or no seat."""
        taken = Counter(map(self._line_of, under_way))
        seats = self._manager.settings.max_parallel_turns
        if taken.total() >= seats:
            return None
        for name, line in sorted(self._lines.items(), reverse=True):  # those with a limit first: they take longest
            if line and taken[name] < (self._limit(name) or seats):
                return line.popleft()
        return None

    def _line_of(self, cell: Cell) -> str:
        name = cell.variant.options.provider
        return name if self._limit(name) else ""

    def _limit(self, name: str) -> int:
        """Return how many cells of a provider may be under way; 0: as many as there are seats."""
        if name not in self._limits:
            provider = self._manager.providers[name]
            self._limits[name] = AHEAD * provider.model.parallel if isinstance(provider, InKernel) else 0
        return self._limits[name]
