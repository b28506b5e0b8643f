"""Streams the outputs of turns whose cell has ended, while other cells run.

An output is replaced by its display id, so the message need not belong to the cell. It must not: ipykernel 7 marks a
message with the cell of the sender's context, and a front end without a page (nbclient, papermill) drops messages of a
cell that has ended. So updates are sent from a separate thread and context. In a run without a page nothing runs in the
background: the cell waits.
"""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.notebook.display import Output

PUMP_EVERY_S = 0.1


class Background:
    """The outputs that stream in the background."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outputs: list[Output] = []
        self._unwaited: list[Turn] = []
        self._thread: threading.Thread | None = None

    def add(self, output: Output) -> None:
        """Show `output` now, in the cell, and keep it up to date until its turns have ended."""
        output.show()
        with self._lock:
            self._outputs.append(output)
            self._unwaited += output.turns
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=contextvars.Context().run, args=(self._pump,), name="copilot-nb-background", daemon=True
                )
                self._thread.start()

    def take_turns(self, names: list[str]) -> list[Turn]:
        """Return, and forget, the turns of the sessions `names` (empty: all) that were not yet waited for."""
        with self._lock:
            taken = [turn for turn in self._unwaited if not names or turn.session.name in names]
            self._unwaited = [turn for turn in self._unwaited if turn not in taken]
        return taken

    @property
    def ready(self) -> list[str]:
        """The sessions with a finished answer that was not yet waited for."""
        with self._lock:
            return list(dict.fromkeys(turn.session.session_id for turn in self._unwaited if turn.done))

    def settle(self) -> None:
        """Update the outputs of ended turns now."""
        contextvars.Context().run(self._refresh)

    def _pump(self) -> None:
        while self._refresh():
            time.sleep(PUMP_EVERY_S)

    def _refresh(self) -> bool:
        """Update all outputs; return whether any is unfinished (if not, the thread ends)."""
        with self._lock:
            for output in list(self._outputs):
                if all(turn.done for turn in output.turns):
                    output.finish()
                    self._outputs.remove(output)
                else:
                    output.show()
            if not self._outputs:
                self._thread = None
            return bool(self._outputs)
