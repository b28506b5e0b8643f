"""Keeps the output of a cell up to date while it waits for its turns.

The thread that waits shows what comes (`waiting.wait`). But the main thread cannot while it runs a model's code, so
then another thread does, in the cell's own context: a front end without a page accepts only what belongs to the cell.

A model's code can itself ask a session. The output of that turn belongs to the code's output, which is captured on the
main thread alone, so no other thread shows it.
"""

from __future__ import annotations

import contextvars
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from copilot_nb.notebook.display import UPDATE_EVERY_S
from copilot_nb.system.main_thread import MAIN_THREAD

if TYPE_CHECKING:
    from copilot_nb.notebook.display import Output


class Streaming:
    """Shows an output until the turns have ended, also while the main thread runs code.

    Parameters
    ----------
    output : Output
        The output.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._showing = threading.Lock()
        self._is_over = threading.Event()
        self._is_captured = bool(MAIN_THREAD.owners)
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._show_meanwhile,), name="copilot-nb-streaming", daemon=True
        )

    def __enter__(self) -> Streaming:
        if not self._is_captured:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        try:
            if not self._is_captured:
                self._thread.join()
        finally:
            self._output.finish()

    def show(self, _turn: object = None) -> None:
        """Show the current state of the turns."""
        with self._showing:
            self._output.show()

    def _show_meanwhile(self) -> None:
        while not self._is_over.wait(UPDATE_EVERY_S):
            if MAIN_THREAD.owners:
                self.show()
