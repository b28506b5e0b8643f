"""Panels in a page without Jupyter: what most tests of a panel need, at a second each.

The page (`panel_page.html`) is the least of a front end: a panel's own module and styles, a model for its messages, and
JupyterLab's styles and themes. The panel itself lives in the test's process, on the real runtime with a
`ScriptedModel`, so a test asks sessions and looks at the model directly. In between is a WebSocket on the loopback
interface: ipywidgets opens a comm for each widget, and here the comm is a `PageComm`, so nothing of the panel is
replaced.

What depends on a front end (its kernel's connection, its notebook, its keys) is tested in JupyterLab: see `lab`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from jupyterlab_pygments import JupyterStyle
from playwright.sync_api import Error, Locator, Page
from pygments.formatters import HtmlFormatter
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from copilot_nb.named_sessions.manager import Manager
from copilot_nb.panels.base import Panel
from copilot_nb.panels.chat import ChatPanel
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel
from copilot_nb.testing.scripted import Script

from .wire import Content, Wire

JUPYTER = Path(sys.prefix) / "share" / "jupyter"
THEMES = {
    "JupyterLab Light": "theme-light-extension",
    "JupyterLab Dark": "theme-dark-extension",
    "JupyterLab Dark High Contrast": "theme-dark-high-contrast-extension",
}


class PageComm(BaseComm):  # type: ignore[misc]
    """A widget's connection to the pages that show it: each message goes to all of them."""

    def __init__(self, wire: Wire, **options: Any) -> None:
        self.wire = wire
        self.state: dict[str, Any] = {}
        self._pages: list[ServerConnection] = []
        self._joining = threading.Lock()  # no message goes to a page before the state
        super().__init__(**options)

    def publish_msg(self, msg_type: str, data: Any = None, *_args: Any, **_more: Any) -> None:
        """Send what the widget says; nothing comes to a page that is not there."""
        match msg_type, data:
            case "comm_open", {"state": state}:
                self.state = state
            case "comm_msg", {"method": "custom", "content": content}:
                self.wire.got.append(content)
                for _ in range(self.wire.to_page(content)):
                    self._send(content)

    def serve(self, page: ServerConnection) -> None:
        """Hand a page the widget's state, and the widget what the page says, until it goes."""
        with self._joining:
            page.send(json.dumps(self.state))
            self._pages.append(page)
        for text in page:
            content = json.loads(text)
            self.wire.sent.append(content)
            for _ in range(self.wire.to_kernel(content)):
                self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def _send(self, content: Content) -> None:
        text = json.dumps(content)
        with self._joining:
            for page in list(self._pages):
                try:
                    page.send(text)
                except ConnectionClosed:  # it was closed or reloaded
                    self._pages.remove(page)


@dataclass
class PanelPage:
    """A page for panels, and what they are about.

    Attributes
    ----------
    page : Page
        In Chromium.
    manager : Manager
        The sessions, on a runtime of this test's own.
    wire : Wire
        The messages between panels and page, which can be lost or doubled.
    refused : list of str
        The addresses that the page asked for beyond this machine.
    js_errors : list of str
        What scripts of the page have raised.
    """

    page: Page
    manager: Manager
    wire: Wire
    shown: list[str]
    refused: list[str]
    js_errors: list[str] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    def note_error(self, error: Error) -> None:
        """Add what a script has raised to `js_errors`."""
        self.js_errors.append(str(error))

    def answer(self, reply: Script, **options: Any) -> ScriptedModel:
        """Let a `ScriptedModel` of this reply and these options answer from now on, and return it."""
        model = ScriptedModel(reply, **options)
        self.manager.providers.add(InKernel("scripted", lambda: model))
        return model

    def show(self, panel: Panel) -> Locator:
        """Show a panel below those that are shown, and return its place when it has heard from the panel."""
        number = len(self.shown)
        self.shown.append(panel.model_id)
        self.panels.append(panel)
        self.page.evaluate("id => window.show(id)", panel.model_id)
        return self.place(number)

    def chat(self, name: str) -> Locator:
        """Show a chat with the session of a name."""
        return self.show(ChatPanel(self.manager.session(name)))

    def place(self, number: int = 0) -> Locator:
        """Return one of the panels that are shown, when it has heard from the kernel's side."""
        found = self.page.locator("main > .jp-Cell").nth(number)
        found.locator('.jp-OutputArea-child[data-cnb-panel="living"]').wait_for()
        return found.locator(".cnb-panel").first

    def close(self) -> None:
        """Take the panels away."""
        for panel in self.panels:
            panel.close()

    def reload(self) -> None:
        """Reload the page; the panels and their sessions go on, and are shown again."""
        self.page.reload()
        self.page.evaluate("() => window.again")
        for number in range(len(self.shown)):
            self.place(number)

    def theme(self, name: str) -> None:
        """Change the theme, to one of `THEMES`."""
        self.page.evaluate(
            """async ([name, file]) => {
                document.querySelector('#theme').textContent = await (await fetch(file)).text();
                document.body.dataset.jpThemeLight = name.endsWith('Light');
            }""",
            [name, f"/{THEMES[name]}.css"],
        )


@contextmanager
def serving_panels(wire: Wire, shown: list[str]) -> Iterator[str]:
    """Serve the page, and the widgets that are made meanwhile; yield its address."""
    comms: dict[str, PageComm] = {}

    def create_comm(**options: Any) -> PageComm:
        made = PageComm(wire, **options)
        comms[made.comm_id] = made
        return made

    def respond(connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        kind, text = _file(request.path, shown)
        response = connection.respond(200 if text else 404, text)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = f"{kind}; charset=utf-8"
        return response

    def connect(page: ServerConnection) -> None:
        assert page.request
        if made := comms.get(page.request.path.removeprefix("/")):
            made.serve(page)

    with (
        pytest.MonkeyPatch.context() as patch,
        serve(connect, "127.0.0.1", 0, max_size=None, process_request=respond) as server,
    ):
        patch.setattr(comm, "create_comm", create_comm)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()


def _file(path: str, shown: list[str]) -> tuple[str, str]:
    """Return the type and the text of a file of the page; no text: there is none."""
    match path:
        case "/":
            return "text/html", Path(__file__).with_name("panel_page.html").read_text("utf-8")
        case "/shown.json":
            return "application/json", json.dumps(shown)
        case "/jupyterlab.css":
            styles = JUPYTER / "nbconvert" / "templates" / "lab" / "static" / "index.css"  # JupyterLab's, as one file
            return "text/css", styles.read_text("utf-8") + HtmlFormatter(style=JupyterStyle).get_style_defs(
                ".highlight"
            )
        case theme if theme[1:].removesuffix(".css") in THEMES.values():
            file = JUPYTER / "lab" / "themes" / "@jupyterlab" / theme[1:].removesuffix(".css") / "index.css"
            return "text/css", file.read_text("utf-8")
        case _:
            return "text/plain", ""


@contextmanager
def managing(home: Path) -> Iterator[Manager]:
    """Run the sessions of one test, with its own runtime."""
    manager = Manager(CopilotNB(home=str(home), offline=True, provider="scripted"))
    manager.providers.add(InKernel("scripted", ScriptedModel))
    yield manager
    manager.close()
