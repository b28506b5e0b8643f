"""What a model needs to know of a failed cell: for ``%copilot fix``, and for the tool ``last_error``."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import TYPE_CHECKING

from copilot_nb.agent import failure as failing
from copilot_nb.agent.bounded import bounded
from copilot_nb.agent.describe import Describer, type_name
from copilot_nb.characters import without_escapes
from copilot_nb.named_sessions.attach import with_text
from copilot_nb.notebook.failures import Failure, SavedFailure

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def report(shell: InteractiveShell, failure: Failure | SavedFailure, describer: Describer) -> str:
    """Return what a model needs to know of a failed cell: the error, the code and, if it ran here, the variables."""
    if isinstance(failure, SavedFailure):
        return "\n".join(_saved_parts(failure, describer))
    return "\n".join(_parts(shell, failure, describer))


def _saved_parts(failure: SavedFailure, describer: Describer) -> Iterator[str]:
    text = describer.hide(without_escapes(failure.traceback))
    yield with_text(failure.name, bounded(text, failing.MAX_ERROR_CHARS), "Error")
    yield with_text("failed", bounded(describer.hide(failure.cell), failing.MAX_CODE_CHARS), "Cell")


def _parts(shell: InteractiveShell, failure: Failure, describer: Describer) -> Iterator[str]:
    """Yield the error, the cell, other code of the user's that failed, and the variables."""
    hide = describer.hide

    def cell_name(file: str) -> str:
        return " ".join(shell.compile.format_code_name(file) or ())

    error = failure.error
    calls = failing.own_frames(error, cell_name)
    cell = failure.cell or _source_of_cell(calls, cell_name)
    report = hide(failing.error_text(error, cell_name))
    yield with_text(type_name(type(error)), bounded(report, failing.MAX_ERROR_CHARS), "Error")
    yield with_text("failed", bounded(hide(cell), failing.MAX_CODE_CHARS), "Cell")
    for frame, line in calls[:1]:
        file = frame.f_code.co_filename
        source = failing.source_around(file, line)
        if source and source.strip() != cell.strip() and linecache.getline(file, line).strip() not in cell:
            yield with_text(cell_name(file) or file, bounded(hide(source), failing.MAX_CODE_CHARS), "Code of")
    if variables := hide(failing.variables_text([*calls[:1], *calls[1:][-1:]], describer)):
        yield with_text("now", variables, "Variables")


def _source_of_cell(calls: list[failing.Call], cell_name: failing.CellName) -> str:
    """Return the code of the first cell among calls: that of the last one is where the error began."""
    files = [frame.f_code.co_filename for frame, _ in calls if cell_name(frame.f_code.co_filename)]
    return "".join(linecache.getlines(files[-1])) if files else ""
