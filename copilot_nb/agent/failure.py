"""A failed cell as text for a model: the error, the code that failed, and the variables that this code names."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections import ChainMap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import cast

from copilot_nb.agent.bounded import bounded
from copilot_nb.agent.describe import Describer

MAX_ERROR_CHARS, MAX_CODE_CHARS, MAX_VARIABLES_CHARS = 5_000, 8_000, 4_000
MAX_VARIABLES = 25
MAX_NAME_CHARS = 60
FIRST_FRAMES, LAST_FRAMES, LIBRARY_FRAMES = 3, 10, 3
LINES_AROUND = 30
_STANDARD = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
_PACKAGES = {"site-packages", "dist-packages"}
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_OF_IPYTHON = frozenset({"In", "Out", "get_ipython", "exit", "quit", "open"})

CellName = Callable[[str], str]
"""Returns the label of the cell that a code file belongs to (``"Cell In[3]"``); ``""`` if it is not a cell."""

Call = tuple[FrameType, int]
"""A frame of a traceback, and its line number."""


def error_text(error: BaseException, cell_name: CellName) -> str:
    """Return the traceback of an error and its causes: the user's code, and the last calls in libraries."""
    report = traceback.TracebackException.from_exception(error, lookup_lines=False, compact=True)
    files: set[str] = set()
    for each in _chain(report):
        kept = _kept(each.stack, cell_name)
        if hasattr(each, "offset") and not any(is_own(frame.filename, cell_name) for frame in kept):
            kept = []  # a syntax error names its place; its only frames are IPython's compiler
        files |= {frame.filename for frame in kept} | {getattr(each, "filename", None) or ""}
        each.stack = traceback.StackSummary.from_list(kept)
    text = "".join(report.format())
    for file in files:
        if name := cell_name(file):
            text = text.replace(f'File "{file}"', name)
    return text


def _chain(report: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    waiting: list[traceback.TracebackException | None] = [report]
    while waiting:
        if (each := waiting.pop()) is not None:
            yield each
            waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]


def _kept(stack: traceback.StackSummary, cell_name: CellName) -> list[traceback.FrameSummary]:
    """Return the most useful frames: from the first in the user's code on, with few of those in libraries."""
    own = [place for place, frame in enumerate(stack) if is_own(frame.filename, cell_name)]
    first = own[0] if own else max(0, len(stack) - LIBRARY_FRAMES)
    kept = [
        frame
        for place, frame in enumerate(stack)
        if place >= first and (place in own or place >= len(stack) - LIBRARY_FRAMES)
    ]
    return kept if len(kept) <= FIRST_FRAMES + LAST_FRAMES else kept[:FIRST_FRAMES] + kept[-LAST_FRAMES:]


def is_own(file: str, cell_name: CellName) -> bool:
    """Whether a code file is the user's: a cell, or a file outside the standard library and the installed packages.

    Compiled code, for example by Cython, has no absolute path.
    """
    path = Path(file)
    is_of_library = file.startswith(_STANDARD) or bool(_PACKAGES & set(path.parts))
    return bool(cell_name(file)) or (path.is_absolute() and not is_of_library)


def own_frames(error: BaseException, cell_name: CellName) -> list[Call]:
    """Return an error's frames in the user's code with their line numbers, the last one first."""
    calls: list[Call] = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if is_own(trace.tb_frame.f_code.co_filename, cell_name):
            calls.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return calls[::-1]


def source_around(file: str, line: int) -> str:
    """Return the lines of a file around one line; ``""`` if the file does not exist."""
    lines = linecache.getlines(file)
    return "".join(lines[max(0, line - LINES_AROUND) : line + LINES_AROUND]).rstrip("\n")


def variables_text(frames: list[Call], describer: Describer) -> str:
    """Return the variables that the frames' code names, described in one line each; the failed line's first."""
    lines: dict[str, str] = {}
    for frame, number in frames:
        scope = ChainMap(cast("dict[str, object]", frame.f_locals), frame.f_globals)
        for name in _names(frame, number):
            if name in scope and name not in lines and len(lines) < MAX_VARIABLES:
                lines[name] = describer.named(name, scope[name])
    return bounded("\n".join(lines.values()), MAX_VARIABLES_CHARS)


def _names(frame: FrameType, number: int) -> Iterator[str]:
    code = frame.f_code
    named = (*code.co_varnames, *code.co_freevars, *code.co_cellvars, *code.co_names)
    in_line = _IDENTIFIER.findall(linecache.getline(code.co_filename, number))
    for name in dict.fromkeys((*(name for name in in_line if name in named), *named)):
        if len(name) <= MAX_NAME_CHARS and not name.startswith("_") and name not in _OF_IPYTHON:
            yield name
