"""The tools that look at the notebook: its variables, its cells, its last error. They change nothing.

They never run code of an object, so they also work in another thread while a cell runs (see `describe`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from copilot_nb.agent.bounded import bounded, fenced
from copilot_nb.agent.describe import Describer
from copilot_nb.agent.failure import MAX_NAME_CHARS
from copilot_nb.agent.summary import summary
from copilot_nb.agent.tools import (
    Arguments,
    CallContext,
    CellRecord,
    ToolFailure,
    ToolSpec,
    Workspace,
    argument,
    schema_of,
)
from copilot_nb.characters import visible

MAX_VARIABLES = 150
MAX_LINE_CHARS = 160
MAX_CELLS, DEFAULT_CELLS = 50, 10
MAX_CELL_CHARS, MAX_OUTPUT_CHARS = 4_000, 2_000
_STATES = {"ran": "", "failed": ", failed", "running": ", running now", "saved": ", not run; as in the saved file"}


def looking_tools(workspace: Workspace, describer: Callable[[], Describer]) -> tuple[ToolSpec, ...]:
    """Return the four tools.

    Parameters
    ----------
    workspace : Workspace
        The notebook.
    describer : callable
        Returns what describes values; called for each call, because the known secrets change.
    """

    def list_variables(arguments: Arguments, _context: CallContext) -> str:
        return variables_text(workspace.variables(), describer(), argument(arguments, "prefix", str, ""))

    def describe(arguments: Arguments, _context: CallContext) -> str:
        name = argument(arguments, "name", str)
        variables = workspace.variables()
        if name not in variables:
            raise ToolFailure(f"there is no variable {visible(name)[:MAX_NAME_CHARS]!r}; list_variables lists them")
        value, described = variables[name], describer()
        return described.named(name, value) if described.is_secret(name, value) else summary(name, value, described)

    def read_cells(arguments: Arguments, _context: CallContext) -> str:
        last = argument(arguments, "last", int, DEFAULT_CELLS)
        cells = workspace.cells()
        shown = cells[-min(max(last, 1), MAX_CELLS) :]
        head = f"{len(shown)} of {len(cells)} cells, the last ones"
        return "\n\n".join([head, *(cell_text(cell, describer()) for cell in shown)]) if cells else "there are no cells"

    def last_error(_arguments: Arguments, _context: CallContext) -> str:
        return workspace.last_error() or "no cell has failed"

    return tuple(map(_tool, (list_variables, describe, read_cells, last_error)))


_DESCRIPTIONS = {
    "list_variables": "List the variables of the user's notebook, with type and size.",
    "describe": "Describe one variable: of a table its columns, sample and missing values; of an array statistics; "
    "of a function or class its source.",
    "read_cells": "Read the last cells of the notebook, with their outputs.",
    "last_error": "Read the last error: its traceback, its cell and the variables it names.",
}
_PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "list_variables": schema_of(
        prefix={"type": "string", "description": "Only names that begin like this", "default": ""}
    ),
    "describe": schema_of(name={"type": "string", "description": "The name of the variable"}),
    "read_cells": schema_of(
        last={"type": "integer", "description": f"How many cells, at most {MAX_CELLS}", "default": DEFAULT_CELLS}
    ),
    "last_error": schema_of(),
}


def _tool(run: Callable[[Arguments, CallContext], str]) -> ToolSpec:
    name = run.__name__
    return ToolSpec(name, _DESCRIPTIONS[name], run, _PARAMETERS[name], kind="look", targets=_targets)


def _targets(arguments: Arguments) -> tuple[str, ...]:
    return (str(arguments["name"]),) if "name" in arguments else ()


def variables_text(variables: Mapping[str, object], describer: Describer, prefix: str = "") -> str:
    """Return the names and types of variables, one a line, as many as are useful."""
    names = [name for name in variables if name.startswith(prefix)]
    if not names:
        return (
            "there are no variables" if not prefix else f"no variable begins with {visible(prefix)[:MAX_NAME_CHARS]!r}"
        )
    lines = [_line(describer.named(name, variables[name])) for name in names[:MAX_VARIABLES]]
    more = len(names) - len(lines)
    return "\n".join([*lines, *([f"… {more:,} more; give a prefix"] if more else [])])


def _line(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}…"


def cell_text(cell: CellRecord, describer: Describer) -> str:
    """Return a cell with its output."""
    head = f"Cell [{cell.number or ' '}]{_STATES[cell.state]}:"
    parts = [head, fenced(bounded(describer.hide(cell.source), MAX_CELL_CHARS))]
    if cell.output:
        parts += ["Output:", fenced(bounded(describer.hide(cell.output), MAX_OUTPUT_CHARS))]
    return "\n".join(parts)


def is_readable_name(name: object) -> bool:
    """Whether the name of a variable can be shown: names are data too, and a namespace takes any text."""
    return type(name) is str and name.isidentifier() and name.isprintable() and len(name) <= MAX_NAME_CHARS
