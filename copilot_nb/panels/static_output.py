"""The static transcript of a panel, for readers without a kernel: a saved notebook, an nbconvert page, GitHub.

A panel makes two outputs in its cell: the widget, then its transcript, which is static, safe HTML. While the panel is
alive, styles in the transcript hide the transcript; if the widget is gone ("model not found"), they hide the widget.
Readers that remove styles also remove the widget and show one line of text for it. A single output with both would not
work: JupyterLab shows the widget's error instead of the alternative.

The transcript is shown at once, and replaced a moment after a turn ends and when a cell ends: nbclient records only
outputs that arrive while a cell runs. But a transcript is a whole page of turns, which the front end must parse even
while it is hidden. So in JupyterLab and Notebook it starts as one line, and the panel opens first. A page that can
access the panel's notebook (it finds the panel by the metadata of both outputs) says so in its hello, and receives the
transcript's ``version``. If the notebook holds an older version, it has unsaved changes. The page then requests the
transcript (``{"do": "keep"}``) after a pause without news or typing, or when the notebook is saved before that, and
puts it into the notebook. The next save includes it; JupyterLab saves automatically, and offers to save before it
closes the notebook.

Any other page receives transcripts by display id, which it forgets on reload: from then on the notebook keeps the
transcript of that time (its text says which) until the panel's cell runs again. When a panel is closed, the transcript
that a page has not stored yet is also sent by display id.

Why: docs/decisions/0016-panel-is-two-outputs.md.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from copilot_nb.errors import CopilotNBError
from copilot_nb.frontend import is_page
from copilot_nb.render.document import moment
from copilot_nb.render.turn import quiet

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

    from copilot_nb.named_sessions.session import Event

_TO_COME = "The panel's transcript comes here a moment after it was opened; save the notebook once more."
PAUSE_S = 1.0
"""Seconds from a change to the replacement of the transcript: many turns may end together."""

_AREA = ":is(.jp-OutputArea-child,.output_area)"  # of JupyterLab and what is built with it; of the classic Notebook
_STYLE = (
    "<style>"
    f"{_AREA}[data-cnb-panel=living]+{_AREA}:has(>*>.cnb-static){{display:none}}"
    f"{_AREA}:not([data-cnb-panel]):has(+{_AREA}>*>.cnb-static){{display:none}}"
    "</style>"
)
"""The page marks the place of a live panel. A `:has` that searches for it at any depth would make each change in the
panel take time in proportion to the panel's size."""


class Transcript(Protocol):
    """An object that renders as safe HTML and as text."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Static:
    """A finished transcript: its safe HTML and its text."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Output:
    """A cell's output: the transcript after `version` changes."""

    html: str
    text: str
    panel_id: str
    version: int
    as_of: str = ""

    @property
    def data(self) -> dict[str, str]:
        html = f'{_STYLE}<div class="cnb-static">{self.html}{quiet(self.as_of)}</div>'
        return {"text/html": html, "text/plain": self.text}

    @property
    def metadata(self) -> dict[str, Any]:
        return {"copilot_nb": {"panel": self.panel_id, "version": self.version}}


class StaticOutput:
    """The static transcript of one panel.

    Parameters
    ----------
    panel_id : str
        The panel's id on the page.
    transcript : callable
        Returns the transcript to show; may wait for the runtime.
    settle : callable
        Returns when the panel has received all events so far.
    mark : callable
        Tells the page soon that there is a new `version` (from any thread).
    """

    def __init__(
        self, panel_id: str, transcript: Callable[[], Transcript], settle: Callable[[], None], mark: Callable[[], None]
    ) -> None:
        self._panel_id = panel_id
        self._transcript = transcript
        self._settle = settle
        self._mark = mark
        self._is_asked_for = False
        self._changes = 0
        self._is_closed = False
        self._made = _Output(quiet(_TO_COME), _TO_COME, panel_id, version=-1)
        self._shown_html = ""  # sent by display id
        self._handle: DisplayHandle | None = None
        self._unregister: Callable[[], None] | None = None
        self._changing = threading.Lock()
        self._making = threading.Lock()  # one at a time, so that the newest version is shown last
        self._timer: threading.Timer | None = None

    @property
    def version(self) -> int:
        """The number of changes so far (count)."""
        return self._changes

    def show(self, bundle: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Display the widget, given by its MIME bundle, and the current transcript (in a cell)."""
        from IPython.core.getipython import get_ipython
        from IPython.display import DisplayHandle, display

        shell = get_ipython()
        display(bundle, metadata={**metadata, "copilot_nb": {"panel": self._panel_id}}, raw=True)
        if self._handle is None:
            self._handle = DisplayHandle()
        with self._making:
            if shell is None or not is_page(shell):
                self._watch_cells(shell)
                with suppress(CopilotNBError):
                    self._make()
            self._handle.display(self._made.data, metadata=self._made.metadata, raw=True)
            self._shown_html = self._made.html
        self._replace_soon()

    def noted(self, event: Event) -> None:
        """Replace the transcript soon if the event ends a turn or is not about a turn (on the loop's thread)."""
        if event.turn is None or event.turn.state.is_final:
            self.changed()

    def ask_only(self) -> None:
        """From now on replace the transcript only on request (`keep`) (from any thread)."""
        with self._changing:
            if not self._is_closed:
                self._is_asked_for = True
                self._cancel()

    def keep(self) -> dict[str, Any]:
        """Return the current transcript as the ``data`` and ``metadata`` of an output (from any thread).

        Raises
        ------
        CopilotNBError
            If the session can no longer be read.
        """
        with self._making:
            self._make()
            return {"data": self._made.data, "metadata": self._made.metadata}

    def changed(self) -> None:
        """Replace the transcript soon, or tell the page to request it (from any thread)."""
        with self._changing:
            self._changes += 1
        if self._is_asked_for:
            self._mark()
        elif self._handle is not None:
            self._replace_soon()

    def close(self) -> None:
        """Replace the transcript a last time soon: no page will request it any more."""
        if self._unregister is not None:
            self._unregister()
            self._unregister = None
        with self._changing:
            self._is_closed, self._is_asked_for = True, False
        if self._handle is not None:
            self._replace_soon()

    def _watch_cells(self, shell: InteractiveShell | None) -> None:
        if shell is None or self._unregister is not None:
            return

        def cell_ended(*_result: object) -> None:
            self._settle()
            if not self._is_asked_for:
                self._replace()

        shell.events.register("post_run_cell", cell_ended)
        self._unregister = lambda: shell.events.unregister("post_run_cell", cell_ended)

    def _replace_soon(self) -> None:
        with self._changing:
            if self._timer is None and not self._is_asked_for:
                self._timer = threading.Timer(PAUSE_S, self._replace)
                self._timer.daemon = True
                self._timer.start()

    def _replace(self) -> None:
        with self._making:
            with self._changing:
                self._cancel()
            with suppress(CopilotNBError):
                self._make()
            if self._handle is not None and self._made.html != self._shown_html:
                self._handle.update(self._made.data, metadata=self._made.metadata, raw=True)
                self._shown_html = self._made.html

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _make(self) -> None:
        changes = self._changes
        if self._made.version == changes:
            return
        try:
            shown = self._transcript()
            html, text = shown._repr_html_(), str(shown)
        except CopilotNBError as error:
            if self._made.version >= 0:  # keep the older transcript, which is better than an error
                raise
            html, text = quiet(str(error)), str(error)
        as_of = f"as of {moment(datetime.now().astimezone())}"
        self._made = _Output(html, text, self._panel_id, changes, as_of)


async def settled() -> None:
    """Return when the callbacks now queued on the loop have run, and the callbacks that those schedule."""
    for _ in range(2):
        await asyncio.sleep(0)
