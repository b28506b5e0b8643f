"""Remembers which cells of a shell failed last, and how, for ``%copilot fix``.

IPython keeps the last error in `sys.last_value`, but not the cell that raised it, and an error of ``%copilot fix``
itself (no login, say) would take its place. A magic such as ``%run`` shows an error without raising it.

An error keeps the variables of its calls alive, so only the last few are remembered, and one of each cell.

Of an error that the kernel does not know, because it was restarted, the notebook still shows the text. JupyterLab's
button gives that text to the kernel (`remember_saved`, labextension/scripts/fix.js).

Why: docs/decisions/0059-the-button-brings-the-error.md.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import CopilotNBError
from copilot_nb.foreign_json import parsed

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

KEPT = 5
"""How many failed cells are remembered (count)."""
SHORT_ID_CHARS = 8
"""So many characters of a cell's id name it."""
_FIX = re.compile(r"%copilot\s+fix\b")


@dataclass(slots=True)
class Failure:
    """A cell that failed.

    Attributes
    ----------
    error : BaseException
        What it raised.
    cell : str
        The cell as it was typed; ``""``: it ran before the extension was loaded.
    cell_id : str
        The cell's own id; ``""`` if the front end does not send it.
    number : int
        The number of its run, as the notebook shows it; 0: unknown.
    is_proposed : bool
        Whether a corrected cell was inserted.
    """

    error: BaseException
    cell: str = ""
    cell_id: str = ""
    number: int = 0
    is_proposed: bool = False


@dataclass(slots=True)
class SavedFailure:
    """A cell that failed in an earlier kernel, as the notebook shows it.

    Attributes
    ----------
    name : str
        The name of the error.
    traceback : str
        What is shown of it.
    cell : str
        The cell as it is now.
    cell_id : str
        The cell's own id.
    is_proposed : bool
        Whether a corrected cell was inserted.
    """

    name: str
    traceback: str
    cell: str
    cell_id: str
    is_proposed: bool = field(default=False, compare=False)


class Failures:
    """The failed cells of a shell; it is called after each cell."""

    def __init__(self) -> None:
        self._kept: list[Failure] = []
        self._saved: list[SavedFailure] = []
        self._shown = _shown()
        if isinstance(self._shown, Exception):
            self._kept.append(Failure(self._shown))

    @property
    def last(self) -> Failure | None:
        """The cell that failed last; ``None``: none has."""
        return self._kept[-1] if self._kept else None

    def of(self, cell: str) -> Failure | SavedFailure | None:
        """Return how a cell failed last, by the number of its run or by the first characters of its id."""
        saved = (failure for failure in self._saved if _has_id(failure.cell_id, cell))
        return next((failure for failure in reversed(self._kept) if _is_named(failure, cell)), next(saved, None))

    def add_saved(self, failure: SavedFailure) -> None:
        """Remember an error that the notebook shows, unless it is remembered."""
        if failure not in self._saved:
            others = [each for each in self._saved if each.cell_id != failure.cell_id]
            self._saved = [*others, failure][-KEPT:]

    def __call__(self, result: Any) -> None:
        """Take note of how a cell ended."""
        raised = result.error_before_exec or result.error_in_exec
        before, self._shown = self._shown, _shown()
        error = raised or (self._shown if self._shown is not before else None)
        cell = str(getattr(result.info, "raw_cell", None) or "")
        cell_id = str(getattr(result.info, "cell_id", None) or "")
        is_of_fix = isinstance(error, CopilotNBError) and _FIX.search(cell)
        if isinstance(error, Exception) and not is_of_fix:  # an interrupt needs no correction
            others = [each for each in self._kept if not cell_id or each.cell_id != cell_id]
            self._kept = [*others, Failure(error, cell, cell_id, result.execution_count or 0)][-KEPT:]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Take no note of how cells end meanwhile."""
        before = self._kept, self._shown
        try:
            yield
        finally:
            self._kept, self._shown = before


_of_shells: weakref.WeakKeyDictionary[InteractiveShell, Failures] = weakref.WeakKeyDictionary()


def watch(shell: InteractiveShell) -> None:
    """Remember the failed cells of a shell from now on."""
    _of_shells[shell] = Failures()
    shell.events.register("post_run_cell", _of_shells[shell])


def unwatch(shell: InteractiveShell) -> None:
    """Forget the failed cells of a shell."""
    if (failures := _of_shells.pop(shell, None)) is not None:
        shell.events.unregister("post_run_cell", failures)


def last_failure(shell: InteractiveShell) -> Failure | None:
    """Return the cell that failed last; ``None``: none has."""
    return _of_shells[shell].last if shell in _of_shells else None


def kept_last_failure(shell: InteractiveShell) -> AbstractContextManager[None]:
    """Return a context in which the cells that end are not the user's own, so that their errors do not count."""
    return _of_shells[shell].kept() if shell in _of_shells else nullcontext()


def failure_of(shell: InteractiveShell, cell: str) -> Failure | SavedFailure | None:
    """Return how a cell failed last, by its number or its id; ``None``: not in this kernel, or long ago."""
    return _of_shells[shell].of(cell) if shell in _of_shells else None


def remember_saved(shell: InteractiveShell, saved: str) -> None:
    """Remember an error that the notebook shows: JSON with the fields of `SavedFailure`.

    How the cell failed in this kernel, if it did, is preferred, because its variables are known.
    """
    if shell in _of_shells:
        _of_shells[shell].add_saved(SavedFailure(**parsed(saved)))


def _is_named(failure: Failure, cell: str) -> bool:
    return _has_id(failure.cell_id, cell) or (failure.number > 0 and cell == str(failure.number))


def _has_id(cell_id: str, cell: str) -> bool:
    return cell == cell_id or (len(cell) >= SHORT_ID_CHARS and cell_id.startswith(cell))


def _shown() -> object:
    """Return the error that IPython showed last."""
    return getattr(sys, "last_value", None)
