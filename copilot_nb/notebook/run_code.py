"""Runs a model's code in the user's namespace, like a cell, and returns what it showed.

The code runs as a cell does: magics, ``!`` lines, figures and top-level ``await`` work. Its output and its traceback
are captured, and the user's state is as before: `Out`, `_`, the execution count, the last error (so that ``%debug`` and
``%copilot fix`` are about the user's own cell) and the payload of the cell that waits. Only the main thread's output is
captured: other cells may stream their outputs from other threads. What a subprocess writes to the kernel's own file
descriptors, or a thread of the code prints later, goes to the cell that runs then.

Code cannot ask the user: `input` raises an error.

While it runs, another thread can look at the end of what it has shown (`Shown.live`).

Why: docs/decisions/0058-running-code-shows-its-last-lines.md.
"""

from __future__ import annotations

import asyncio
import base64
import io
import sys
import threading
import time
from asyncio.events import _get_running_loop, _set_running_loop
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import ismethod
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from copilot_nb.agent.tools import ToolImage
from copilot_nb.characters import without_escapes
from copilot_nb.conversation.parts import Image, LiveOutput
from copilot_nb.frontend import input_refused
from copilot_nb.notebook.failures import kept_last_failure
from copilot_nb.system.main_thread import is_main_thread

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")

MAX_PART_CHARS = 64_000
"""So much of the beginning of an output is kept, and so much of its end (characters)."""
MAX_FIGURES = 4
MAX_FIGURE_BYTES = 2_000_000
LIVE_CHARS, LIVE_LINES = 2_000, 20
"""So much of the end of an output is shown while the code runs."""
_IMAGES = ("image/png", "image/jpeg")


@dataclass(frozen=True, slots=True)
class CodeOutput:
    """What a piece of code showed.

    Attributes
    ----------
    text : str
        What it printed, its results and its traceback, in order; of a long text the beginning and the end.
    figures : tuple of ToolImage
        The images it showed.
    error : BaseException or None
        What it raised.
    duration_s : float
        How long it ran (seconds).
    """

    text: str
    figures: tuple[ToolImage, ...]
    error: BaseException | None
    duration_s: float


def run_code(shell: InteractiveShell, code: str, shown: Shown | None = None) -> CodeOutput:
    """Run `code` on this thread, the main thread, and return what it showed.

    Parameters
    ----------
    shell : InteractiveShell
        The user's shell.
    code : str
        A cell.
    shown : Shown, optional
        Collects what the code shows; another thread can look at it meanwhile.
    """
    shown = shown or Shown()
    begun_s = time.monotonic()
    with _unchanged(shell), _captured(shell, shown, code):
        result = shell.run_cell(code, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    return CodeOutput(shown.text(), tuple(shown.figures), error, time.monotonic() - begun_s)


class Shown:
    """Collects what the code shows: the first and the last characters, and the first figures."""

    def __init__(self) -> None:
        self.figures: list[ToolImage] = []
        self._changing = threading.Lock()
        self._lines = 0
        self._head = io.StringIO()
        self._room = MAX_PART_CHARS
        self._tail: list[str] = []
        self._tail_chars = self._left_out = 0
        self._last = "\n"

    def write(self, text: str) -> None:
        """Take a text (on the main thread)."""
        with self._changing:
            self._write(text)

    def _write(self, text: str) -> None:
        self._lines += text.count("\n")
        room = self._room
        if room:
            self._head.write(text[:room])
            self._room = max(0, room - len(text))
        self._last = text[-1:] or self._last
        if rest := text[room:]:
            self._tail.append(rest)
            self._tail_chars += len(rest)
        if self._tail_chars > 2 * MAX_PART_CHARS:  # now and then, not at each write
            self._cut()

    def _cut(self) -> None:
        """Keep only the end of what came after the beginning."""
        tail = "".join(self._tail)
        self._left_out += max(0, len(tail) - MAX_PART_CHARS)
        self._tail = [tail[-MAX_PART_CHARS:]]
        self._tail_chars = len(self._tail[0])

    def line(self, text: str) -> None:
        """Take a text that begins and ends a line of its own."""
        self.write(("" if self._last == "\n" else "\n") + text.rstrip("\n") + "\n")

    def show(self, bundle: Mapping[str, Any]) -> None:
        """Take a result or a display, by its representations."""
        image = next((kind for kind in _IMAGES if kind in bundle), "")
        if image and len(self.figures) < MAX_FIGURES:
            data = bundle[image]
            data = base64.b64decode(data) if isinstance(data, str) else bytes(data)
            if len(data) <= MAX_FIGURE_BYTES:
                self.figures.append(ToolImage(image, data))
        if text := bundle.get("text/plain") or bundle.get("text/markdown") or "":
            self.line(str(text))

    def live(self, hide: Callable[[str], str]) -> LiveOutput:
        """Return what a front end shows while the code runs (from any thread).

        Parameters
        ----------
        hide : callable
            Returns a text with its secrets hidden.
        """
        with self._changing:
            text, lines = self._head.getvalue() + "".join(self._tail), self._lines
        images = tuple(Image("figure", each.mime_type, len(each.data), each.data) for each in self.figures)
        # twice as much as is shown, because a secret at the beginning may be cut in two
        end = hide(without_escapes(text[-2 * LIVE_CHARS :]))[-LIVE_CHARS:]
        last = [line.rstrip("\r").rpartition("\r")[2] for line in end.split("\n")[-LIVE_LINES - 1 :]]
        return LiveOutput("\n".join(last), lines + 1 - len(last), images)

    def text(self) -> str:
        """Return what was shown."""
        with self._changing:
            self._cut()
            left_out = self._left_out
            gap = f"\n… ({left_out:,} characters left out)\n" if left_out else ""
            return without_escapes(self._head.getvalue() + gap + self._tail[0])


class _Stream:
    """A standard stream: what the main thread writes is captured, all else goes to the stream itself."""

    def __init__(self, stream: TextIO, shown: Shown) -> None:
        self._stream = stream
        self._shown = shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not is_main_thread():
            return self._stream.write(text)
        self._shown.write(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)


@contextmanager
def _captured(shell: InteractiveShell, shown: Shown, code: str) -> Iterator[None]:
    """Send all that the code shows to `shown`."""
    publisher, hook = cast(Any, shell.display_pub), cast(Any, shell.displayhook)
    publish, clear = publisher.publish, publisher.clear_output
    show_traceback = shell._showtraceback  # noqa: SLF001 - what it shows cannot be taken in any other way

    def published(data: dict[str, Any], *rest: Any, **more: Any) -> None:
        if is_main_thread():
            shown.show(data)
        else:
            publish(data, *rest, **more)

    def cleared(*rest: Any, **more: Any) -> None:
        if not is_main_thread():
            clear(*rest, **more)

    def has_result(value: object) -> None:
        if not is_main_thread():
            hook(value)
        elif value is not None and not hook.semicolon_at_end_of_expression(code):
            shown.show(cast(Any, shell.display_formatter).format(value)[0])

    def traceback(kind: Any, error: Any, lines: list[str]) -> None:
        if is_main_thread():
            shown.line("\n".join(map(str, lines)))
        else:
            show_traceback(kind, error, lines)

    streams = {name: _Stream(getattr(sys, name), shown) for name in ("stdout", "stderr")}
    with (
        shell.display_trap,  # a cell enters it, too; the outermost cell sets the hook
        _replaced(publisher, publish=published, clear_output=cleared),
        _replaced(shell, _showtraceback=traceback, loop_runner=_run_apart),
        _replaced(sys, displayhook=has_result, **streams),
    ):
        yield


@contextmanager
def _unchanged(shell: InteractiveShell) -> Iterator[None]:
    """Keep what belongs to the user's own cells: the last error and result, and the payload of the cell that waits."""
    payloads = cast(Any, shell.payload_manager)
    written = list(payloads.read_payload())
    payloads.clear_payload()
    with (
        input_refused(),
        kept_last_failure(shell),
        _kept(shell, "last_execution_succeeded", "last_execution_result", "_last_traceback"),
        _kept(shell.displayhook, "exec_result"),
        _kept(sys, "last_type", "last_value", "last_traceback", "last_exc"),
    ):
        yield
    payloads.clear_payload()
    for payload in written:
        payloads.write_payload(payload, single=False)


@contextmanager
def _kept(target: Any, *names: str) -> Iterator[None]:
    """Put attributes back as they were."""
    before = {name: getattr(target, name) for name in names if hasattr(target, name)}
    try:
        yield
    finally:
        for name in names:
            if name in before:
                setattr(target, name, before[name])
            elif hasattr(target, name):
                delattr(target, name)


@contextmanager
def _replaced(target: Any, **values: Any) -> Iterator[None]:
    """Replace attributes, and put them back; a method of the class is only hidden meanwhile."""
    hidden = [name for name in values if ismethod(getattr(target, name)) and name not in vars(target)]
    with _kept(target, *(name for name in values if name not in hidden)):
        try:
            for name, value in values.items():
                setattr(target, name, value)
            yield
        finally:
            for name in hidden:
                delattr(target, name)


def _run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a cell with a top-level ``await`` on a new loop: the kernel's own loop is running already.

    asyncio has no public way to run one loop within another.
    """
    loop = _get_running_loop()
    task = asyncio.current_task(loop) if loop is not None else None
    if loop is not None and task is not None:
        _leave_task(loop, task)
    _set_running_loop(None)
    try:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(coroutine)
    finally:
        _set_running_loop(loop)
        if loop is not None and task is not None:
            _enter_task(loop, task)
