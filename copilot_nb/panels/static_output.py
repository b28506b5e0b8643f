"""What is left of a panel where there is no kernel: in a notebook that was saved, a page of nbconvert, on GitHub.

A panel is two outputs of its cell. The first is the widget, the second its transcript, static and safe. While the panel
lives the second is hidden; where the widget is gone ("model not found") the first is. Styles in the second see to both,
and where styles are taken away so is the widget, of which a line of text remains. One output with both would not do:
JupyterLab shows the widget's error rather than what lies beside it.

The transcript is there at once, is replaced a moment after a turn has ended, and when a cell has: nbclient takes what
comes during a cell only. But a transcript is a page of turns whole, which a front end must parse for nobody to see. So
in JupyterLab and Notebook it begins as one line, for the panel is to open first; and a page that has the panel's
notebook at hand (it finds the panel by the metadata of both outputs) says so in its hello. It is told the transcript's
``version``. Where the notebook has an older one it has something unsaved; the page asks for the transcript
(``{"do": "keep"}``) after a pause in which nothing happened and nobody typed, or when the notebook is saved before
that, and puts it into the notebook. Then it is in the next save, which JupyterLab makes by itself, and proposes before
it closes the notebook.

A page that does not say so finds a transcript by its display id, which it forgets when it is reloaded: from then on the
notebook keeps the transcript of that time (it says which), until the cell of the panel is run again. So does any page
when the panel is closed: what it has not kept by then is sent by display id.
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
"""How long after a change the transcript is replaced, in seconds: many turns may end together."""

_STYLE = (
    "<style>"
    ".jp-OutputArea-child[data-cnb-panel=living]+.jp-OutputArea-child:has(>*>.cnb-static){display:none}"
    ".jp-OutputArea-child:not([data-cnb-panel]):has(+.jp-OutputArea-child>*>.cnb-static){display:none}"
    "</style>"
)
"""The page marks the place of a panel that lives. A `:has` that looked for it, at any depth, would cost each change in
the panel as much time as the panel is large."""


class Transcript(Protocol):
    """Something that renders, as HTML that is safe and as text."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Static:
    """A transcript that is ready: its safe HTML and its text."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Output:
    """An output of a cell: the transcript when there had been so many changes (`version`)."""

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
        What the page knows the panel by.
    transcript : callable
        Returns what is to be shown; it may wait for the runtime.
    settle : callable
        Returns when the panel has been told all that has happened.
    mark : callable
        Has the page told soon that there is another `version` (from any thread).
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
        self._shown_html = ""  # by display id
        self._handle: DisplayHandle | None = None
        self._unregister: Callable[[], None] | None = None
        self._changing = threading.Lock()
        self._making = threading.Lock()  # one at a time, so that the newest is shown last
        self._timer: threading.Timer | None = None

    @property
    def version(self) -> int:
        """How many changes there have been (count)."""
        return self._changes

    def show(self, bundle: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Display the widget, whose bundle that is, and the transcript as far as it is made (in a cell)."""
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
        """Replace the transcript soon, if the event is the end of a turn, or not about one (on the loop's thread)."""
        if event.turn is None or event.turn.state.is_final:
            self.changed()

    def ask_only(self) -> None:
        """Replace the transcript only when it is asked for (`keep`), from now on (from any thread)."""
        with self._changing:
            if not self._is_closed:
                self._is_asked_for = True
                self._cancel()

    def keep(self) -> dict[str, Any]:
        """Return the transcript as it stands: the ``data`` and ``metadata`` of an output (from any thread).

        Raises
        ------
        CopilotNBError
            If the session cannot be read now; it could before.
        """
        with self._making:
            self._make()
            return {"data": self._made.data, "metadata": self._made.metadata}

    def changed(self) -> None:
        """Replace the transcript soon, or have it asked for (from any thread)."""
        with self._changing:
            self._changes += 1
        if self._is_asked_for:
            self._mark()
        elif self._handle is not None:
            self._replace_soon()

    def close(self) -> None:
        """Replace the transcript a last time, soon: no page will ask for it any more."""
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
            if self._made.version >= 0:  # what could be read then is better than nothing
                raise
            html, text = quiet(str(error)), str(error)
        as_of = f"as of {moment(datetime.now().astimezone())}"
        self._made = _Output(html, text, self._panel_id, changes, as_of)


async def settled() -> None:
    """Return when what has been handed to the loop until now has been done: an event, and what it tells."""
    for _ in range(2):
        await asyncio.sleep(0)
