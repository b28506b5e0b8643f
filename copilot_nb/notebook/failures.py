"""Remembers which cell of a shell failed last, and how, for ``%copilot fix``.

IPython keeps the last error in `sys.last_value`, but not the cell that raised it, and an error of ``%copilot fix``
itself (no login, say) would take its place. A magic such as ``%run`` shows an error without raising it.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import CopilotNBError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

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
    is_proposed : bool
        Whether a corrected cell was inserted.
    """

    error: BaseException
    cell: str = ""
    is_proposed: bool = False


class Failures:
    """The failed cells of a shell; it is called after each cell."""

    def __init__(self) -> None:
        self.last: Failure | None = None
        self._shown = _shown()
        if isinstance(self._shown, Exception):
            self.last = Failure(self._shown)

    def __call__(self, result: Any) -> None:
        """Take note of how a cell ended."""
        raised = result.error_before_exec or result.error_in_exec
        before, self._shown = self._shown, _shown()
        error = raised or (self._shown if self._shown is not before else None)
        cell = str(getattr(result.info, "raw_cell", None) or "")
        is_of_fix = isinstance(error, CopilotNBError) and _FIX.search(cell)
        if isinstance(error, Exception) and not is_of_fix:  # an interrupt needs no correction
            self.last = Failure(error, cell)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Take no note of how cells end meanwhile."""
        before = self.last, self._shown
        try:
            yield
        finally:
            self.last, self._shown = before


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


def _shown() -> object:
    """Return the error that IPython showed last."""
    return getattr(sys, "last_value", None)
