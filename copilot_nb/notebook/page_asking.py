"""Asks by a panel in the cell that waits, so that the main thread goes on, and no box for typing is left open.

A kernel cannot know whether a page has widgets. So the cell shows the panel, and the page says that it shows it: the
first message of a panel arrives within a second, also while the cell waits (`panels.control_channel`). If none comes in
time, the cell asks at a prompt (`asking`), and so do later cells, unless the page was only late.

Why: docs/decisions/0057-a-cell-is-html-with-a-panel-for-questions.md.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from IPython.display import DisplayHandle

from copilot_nb.frontend import is_page
from copilot_nb.notebook.inline_requests import line_bundle, outcome_line, requests_bundle

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.notebook.inline_requests import Asker, OpenAsker

SHOWN_WITHIN_S = 2.0
"""A page shows the panel within this time (seconds; 0.5 s is usual, a page that loads its first widget takes 1 s)."""


class PageAsker:
    """Asks what the turns of a waiting cell ask, where the page can.

    Parameters
    ----------
    shell : InteractiveShell
        Where the cell runs.
    manager : Manager
        Has the requests.
    open_asker : callable
        Opens the panel.
    """

    def __init__(self, shell: InteractiveShell, manager: Manager, open_asker: OpenAsker) -> None:
        self._shell = shell
        self._manager = manager
        self._open_asker = open_asker
        self._changing = threading.Lock()
        self._turns: list[Any] = []
        self._asker: Asker | None = None  # until the turns have ended
        self._handle: DisplayHandle | None = None  # of the output that shows the panel now
        self._asked: list[ApprovalRequest] = []  # there
        self._views_before = 0
        self._until_s = 0.0
        self._has_failed = False
        self._end_watching: Callable[[], None] = lambda: None

    def asks(self, pending: Sequence[ApprovalRequest], turns: Sequence[Any]) -> bool:
        """Ask `turns`' `pending` requests in the cell that runs, and return whether the page does, or may soon."""
        with self._changing:
            if self._has_failed or not is_page(self._shell):
                return False
            asker = self._opened(turns)
            if self._handle is None:
                self._show(pending, asker)
            self._asked += [each for each in pending if each not in self._asked]
            is_shown = asker.views > self._views_before
            self._has_failed = not is_shown and time.monotonic() >= self._until_s
            does_ask = not self._has_failed
        self._settle()  # they may have been decided before this began to watch
        return does_ask

    def give_up(self) -> DisplayHandle | None:
        """Return the output for a prompt to use, if the page did not show the panel in it."""
        with self._changing:
            handle = self._handle
            self._rest()
            return handle

    def _opened(self, turns: Sequence[Any]) -> Asker:
        for turn in turns:
            if turn not in self._turns:
                self._turns.append(turn)
                turn.ended.add_done_callback(lambda _ended: _apart(self._close))
        if self._asker is None:
            self._asker = self._open_asker(self._manager, self._turns)
        return self._asker

    def _show(self, pending: Sequence[ApprovalRequest], asker: Asker) -> None:
        self._views_before, self._until_s = asker.views, time.monotonic() + SHOWN_WITHIN_S
        data, metadata = requests_bundle(pending, asker)
        self._handle = DisplayHandle()
        self._handle.display(data, metadata=metadata, raw=True)
        self._end_watching = self._manager.events.add(self._noted)

    def _noted(self, event: Event) -> None:
        if event.kind == "ask":
            _apart(self._settle)

    def _settle(self) -> None:
        """Replace the panel by one line for each request, once all are decided."""
        with self._changing:
            pending = {each.request_id for each in self._manager.approvals.pending}
            if self._handle is None or any(each.request_id in pending for each in self._asked):
                return
            lines = [outcome_line(self._manager.approvals, each) for each in self._asked]
            self._handle.update(line_bundle(*lines), raw=True)
            self._rest()

    def _rest(self) -> None:
        self._end_watching()
        self._handle = None
        self._asked = []
        if self._asker is not None:
            self._asker.rest()

    def _close(self) -> None:
        """Close the panel once all turns have ended: nothing of it stays in the kernel or in the notebook."""
        self._settle()
        with self._changing:
            if self._asker is None or not all(turn.done for turn in self._turns):
                return
            self._has_failed &= self._asker.views == 0  # a page that was late is asked again
            self._rest()
            self._asker.close()
            self._asker, self._turns = None, []


def _apart(act: Callable[[], None]) -> None:
    """Call `act` in a thread and a context of its own: the caller is on the loop's thread."""
    run = contextvars.Context().run
    threading.Thread(target=run, args=(act,), name="copilot-nb-asked", daemon=True).start()
