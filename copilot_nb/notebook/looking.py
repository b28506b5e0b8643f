"""The notebook as the tools that look at it see it, and what gives a manager these tools.

The kernel knows the code of each cell that ran, and its result; what it printed is with the front end. So printed
output, and cells that have not run, are read from the notebook's file, as it was last saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot_nb.agent.describe import Describer
from copilot_nb.agent.looking import is_readable_name, looking_tools
from copilot_nb.agent.tools import CellRecord
from copilot_nb.foreign_json import parsed
from copilot_nb.frontend import notebook_name
from copilot_nb.notebook.failure_report import report
from copilot_nb.notebook.failures import last_failure

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager

MAX_FILE_BYTES = 20_000_000
MAX_CELLS = 60
"""Cells that are read (count); the tool returns at most 50."""
_OF_IPYTHON = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


def equip(shell: InteractiveShell, manager: Manager) -> None:
    """Offer the tools that look at the notebook of `shell` to the sessions of `manager`."""
    manager.toolbox.offer("read", looking_tools(ShellWorkspace(shell, manager.describer), manager.describer))


class ShellWorkspace:
    """The notebook of a shell; see `agent.tools.Workspace`.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    describer : callable
        Returns what describes values.
    """

    def __init__(self, shell: InteractiveShell, describer: Callable[[], Describer]) -> None:
        self._shell = shell
        self._describer = describer

    def variables(self) -> Mapping[str, object]:
        """Return the user's variables; a copy."""
        hidden = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in dict(self._shell.user_ns).items()
            if is_readable_name(name)
            and not name.startswith("_")
            and name not in _OF_IPYTHON
            and (name not in hidden or hidden[name] is not value)
        }

    def cells(self) -> Sequence[CellRecord]:
        """Return the cells that ran, oldest first, and those that are only in the notebook's file."""
        saved = list(_saved_cells(self._shell))
        outputs = {(cell.number, cell.source): cell.output for cell in saved if cell.output}
        ran = list(self._ran(outputs))
        sources = {cell.source for cell in ran}
        return [*ran, *(cell for cell in saved if cell.source.strip() and cell.source not in sources)][-MAX_CELLS:]

    def _ran(self, outputs: Mapping[tuple[int, str], str]) -> Iterator[CellRecord]:
        history = self._shell.history_manager
        sources = list(history.input_hist_raw) if history is not None else []
        failure, describer = last_failure(self._shell), self._describer()
        for number, source in list(enumerate(sources))[-MAX_CELLS:]:
            if not number or not source.strip():
                continue
            results = dict(history.output_hist) if history is not None else {}
            result = describer.describe(results[number]) if number in results else ""
            is_failed = failure is not None and failure.cell == source
            is_running = number == self._shell.execution_count and number == len(sources) - 1
            state: Any = "failed" if is_failed else "running" if is_running else "ran"
            yield CellRecord(number, source, outputs.get((number, source)) or result, state)

    def last_error(self) -> str:
        """Return the last error with its cell and variables; ``""``: no cell failed."""
        failure = last_failure(self._shell)
        return report(self._shell, failure, self._describer()) if failure is not None else ""


def _saved_cells(shell: InteractiveShell) -> Iterator[CellRecord]:
    """Yield the code cells of the notebook's file; none if it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        path = Path(notebook_name(shell))
        if path.suffix != ".ipynb" or path.stat().st_size > MAX_FILE_BYTES:
            return
        for cell in parsed(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                output = "".join(_output_text(each) for each in cell["outputs"])
                yield CellRecord(int(cell["execution_count"] or 0), "".join(cell["source"]), output, "saved")


def _output_text(output: Mapping[str, Any]) -> str:
    """Return an output as text; a picture is named."""
    if output["output_type"] == "stream":
        return "".join(output["text"])
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}\n"
    data = output["data"]
    kinds = ", ".join(kind for kind in data if kind.startswith("image/"))
    return "".join(data.get("text/plain", "")) + (f"\n({kinds})\n" if kinds else "\n")
