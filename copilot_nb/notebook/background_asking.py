"""Asks below the output of turns in the background, in a cell that has ended and so cannot ask at a prompt.

The cell gets one more, empty output. While something is asked it shows the request: a panel with buttons where the page
takes one at any time, else the text and what to type. Afterwards it is empty again, and the turn's own output says what
was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.display import DisplayHandle

from copilot_nb.frontend import has_rich_output, is_page
from copilot_nb.named_sessions.approvals import to_answer
from copilot_nb.notebook.inline_requests import EMPTY, requests_bundle
from copilot_nb.render.asking import request_text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.notebook.display import Output
    from copilot_nb.notebook.inline_requests import Asker, OpenAsker


class AskingOutput:
    """The output of turns in the background, and below it what they ask.

    Parameters
    ----------
    output : Output
        Shows the turns.
    shell : InteractiveShell
        Where the cell runs.
    manager : Manager
        Has the requests.
    open_asker : callable
        Returns a panel that shows what turns ask.
    """

    def __init__(self, output: Output, shell: InteractiveShell, manager: Manager, open_asker: OpenAsker) -> None:
        self.turns = output.turns
        self._output = output
        self._manager = manager
        self._open_asker = open_asker if is_page(shell) else None
        self._handle = DisplayHandle() if has_rich_output(shell) else None
        self._asked: tuple[str, ...] | None = None
        self._panel: Asker | None = None

    def show(self) -> None:
        """Show the current state of the turns, and what they ask."""
        self._output.show()
        if self._asked is None and self._handle is not None:
            self._handle.display(EMPTY, raw=True)
        pending = [each for each in self._manager.approvals.pending if any(each.turn is turn for turn in self.turns)]
        asked = tuple(each.request_id for each in pending)
        if asked != (self._asked or ()):
            self._ask(pending)
        self._asked = asked

    def finish(self) -> None:
        """Show the ended turns."""
        self._output.finish()
        if self._asked:
            self._ask([])

    def _ask(self, pending: Sequence[ApprovalRequest]) -> None:
        if self._handle is None:
            for each in pending:
                print(f"\n{request_text(each.title, each.text)}{_to_type(each)}")
        elif not pending:
            self._close()
        elif self._panel is None:  # an open panel shows changes by itself
            self._panel = self._open_asker(self._manager, self.turns) if self._open_asker is not None else None
            data, metadata = requests_bundle(pending, self._panel, _to_type)
            self._handle.update(data, metadata=metadata, raw=True)

    def _close(self) -> None:
        if self._handle is not None:
            self._handle.update(EMPTY, raw=True)
        if self._panel is not None:
            self._panel.close()
            self._panel = None


def _to_type(request: ApprovalRequest) -> str:
    return f"to answer: {to_answer(request)}"
