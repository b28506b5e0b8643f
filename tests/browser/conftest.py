"""A real JupyterLab in a real Chromium, for tests; and the fixture `panel_page` for panels alone (`panel_page.py`).

The fixture for JupyterLab is `lab`: ``nb = lab.open("1 + 1", "2 + 2")`` writes a notebook, opens it in a page of its
own and returns a `Notebook` once its kernel is idle. ``lab.open(..., app="notebook")`` does the same in Notebook 7, and
`lab.visit` opens any other page (Voilà, a file of nbconvert) in the same browser. What a `Notebook` can do is
written on its methods.

One server serves all tests, with its home, settings and kernels in a temporary directory; each test finds a browser
that remembers nothing but compiled scripts (`chromium.py`), unless it asks for a `used_page`, and its kernels are shut
down and its Copilot sessions deleted after it. No page gets out of the loopback interface: whatever else it asks for is
refused and listed in `Lab.refused`. Waits are for states (a kernel that is idle, a command that has resolved), never
for times. A failed test leaves a screenshot of each page, whose path is in the report.

Playwright's synchronous API keeps an event loop running in this thread, so the browser lives for this folder's tests,
not for the whole session: tests that run a loop of their own would not start beside it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from copilot_nb.runtime.install.find_runtime import find_runtime
from tests.forked_kernels import FORKED, add_spec

from .chromium import browsing, first_context, look_as_ever, new_context
from .panel_page import PanelPage, managing, serving_panels
from .wire import Wire

ROOT = Path(__file__).parents[2]
# logins, keys and settings of whoever runs the tests must not reach the kernels
PRIVATE_VARIABLES = re.compile(
    r"(COPILOT_(?!NB_|CLI_PATH$)|GH_|GITHUB_|OPENAI_|ANTHROPIC_|AZURE_|JUPYTER|IPYTHON|XDG_)"
)
LABEXTENSION = Path(__file__).parents[2] / "labextension"
LAB_SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page, seen or not
}
FORKING = """import sys
sys.path.insert(0, {root!r})
from tests.forked_kernels import register
register()
"""
"""The server's settings: its kernels can be forked."""
READY = """() => {
    const session = window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session;
    return session?.kernel?.status === 'idle' && session.kernel.connectionStatus === 'connected';
}"""
# opens another notebook in a page of JupyterLab
OPEN = """async path => {
    const opened = await window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await opened.context.ready;
    await opened.sessionContext.ready;
}"""
CLOSE_ALL = "() => [...window.jupyterapp.shell.widgets('main')].forEach(widget => widget.dispose())"
START = """([key, command, cell]) => {
    const app = window.jupyterapp, {content, context} = app.shell.currentWidget;
    if (cell !== null) { content.activeCellIndex = cell; content.deselectAll(); }
    (window.copilotNbRuns ??= {})[key] = '';
    const promise = command ? app.commands.execute(command) : context.sessionContext.restartKernel();
    promise.then(
        () => { window.copilotNbRuns[key] = 'done'; },
        error => { window.copilotNbRuns[key] = String(error); });
}"""


@dataclass(frozen=True)
class Server:
    """The JupyterLab server: `url` without a slash at its end, the `token`, and the directory it writes into."""

    url: str
    token: str
    home: Path

    @property
    def notebooks(self) -> Path:
        """The directory of notebooks."""
        return self.home / "notebooks"

    @property
    def copilot_home(self) -> Path:
        """Where the kernels' sessions are stored."""
        return self.home / "copilot"

    def api(self, path: str, method: str = "GET") -> Any:
        """Call the server's REST interface."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            body = response.read()
        return json.loads(body) if body else None

    def page_url(self, path: str) -> str:
        """Return the address of a page of this server, with the token."""
        return f"{self.url}/{path}{'&' if '?' in path else '?'}token={self.token}"


@dataclass(frozen=True)
class Running:
    """A command that was started in the page."""

    page: Page
    key: str

    def wait(self, timeout_s: float = 60) -> None:
        """Wait for it to end (a cell that raises ends it too)."""
        self.page.wait_for_function("key => window.copilotNbRuns[key]", arg=self.key, timeout=timeout_s * 1000)
        result = self.page.evaluate("key => window.copilotNbRuns[key]", self.key)
        assert result == "done", result


@dataclass
class Notebook:
    """An open notebook with a running kernel; cells are counted from 0."""

    page: Page
    path: Path
    server: Server
    js_errors: list[str] = field(default_factory=list)
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def start(self, cell: int) -> Running:
        """Run a cell and do not wait for it."""
        return self.command("notebook:run-cell", cell)

    def run(self, cell: int, timeout_s: float = 60) -> None:
        """Run a cell and wait for its end."""
        self.start(cell).wait(timeout_s)

    def run_all(self, timeout_s: float = 120) -> None:
        """Run all cells and wait for the last (or for the one that raises)."""
        self.command("notebook:run-all-cells").wait(timeout_s)

    def command(self, name: str, cell: int | None = None) -> Running:
        """Start a command of the front end, on a cell if one is given."""
        return self._start(name, cell)

    def cell(self, cell: int) -> Locator:
        """Return the whole cell in the page."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell)

    def output(self, cell: int) -> Locator:
        """Return the output area of a cell in the page."""
        return self.cell(cell).locator(".jp-Cell-outputArea")

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """Return the outputs of a cell as the front end holds them (nbformat, unsaved)."""
        script = "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs?.toJSON() ?? []"
        found: list[dict[str, Any]] = self.page.evaluate(script, cell)
        return found

    def errors(self, cell: int) -> list[str]:
        """Return what a cell raised, as ``"Name: value"``."""
        return [f"{o['ename']}: {o['evalue']}" for o in self.outputs(cell) if o["output_type"] == "error"]

    def set_source(self, cell: int, source: str) -> None:
        """Replace the source of a cell."""
        script = "([i, s]) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.sharedModel.setSource(s)"
        self.page.evaluate(script, [cell, source])

    def sources(self) -> list[str]:
        """Return the sources of all cells."""
        script = "() => window.jupyterapp.shell.currentWidget.content.widgets.map(w => w.model.sharedModel.source)"
        found: list[str] = self.page.evaluate(script)
        return found

    def wait_idle(self, timeout_s: float = 60) -> None:
        """Wait until the kernel is connected and idle."""
        self.page.wait_for_function(READY, timeout=timeout_s * 1000)

    def interrupt(self) -> None:
        """Interrupt the kernel, as the stop button does."""
        self.command("notebook:interrupt-kernel").wait()

    def restart(self) -> None:
        """Restart the kernel (without the question the button asks) and wait until it is idle."""
        self._start(None).wait()
        self.wait_idle()

    def save(self) -> nbformat.NotebookNode:
        """Save, and return the notebook as it now is on the disk."""
        self.command("docmanager:save").wait()
        return nbformat.read(self.path, as_version=4)

    def reload(self) -> None:
        """Reload the page; the kernel goes on."""
        self.page.reload()
        self.wait_idle()

    def close(self) -> None:
        """Close it and all else that is open in JupyterLab's page, saved or not; its kernel goes on."""
        self.page.evaluate(CLOSE_ALL)

    def theme(self, name: str) -> None:
        """Change the theme: ``"JupyterLab Light"`` or ``"JupyterLab Dark"``."""
        self.page.evaluate("t => { window.jupyterapp.commands.execute('apputils:change-theme', {theme: t}) }", name)
        self.page.wait_for_selector(f'body[data-jp-theme-name="{name}"]', state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def _start(self, command: str | None, cell: int | None = None) -> Running:
        key = str(next(self._keys))
        self.page.evaluate(START, [key, command, cell])
        return Running(self.page, key)


@dataclass
class Lab:
    """A browser on the common server, in which nothing has been visited.

    Attributes
    ----------
    server : Server
        The server.
    context : BrowserContext
        The browser.
    name : str
        How the names of its notebooks begin.
    refused : list of str
        The addresses beyond this machine that its pages have asked for.
    on_page : list of callable
        What is done with each page that is opened from now on, before it goes anywhere.
    kernel : str
        The kernel spec of the notebooks that it writes.
    kept : list of Page, optional
        JupyterLab's page that tests share, none before the first of them opens it.
    """

    server: Server
    context: BrowserContext
    name: str
    refused: list[str] = field(default_factory=list)
    on_page: list[Callable[[Page], None]] = field(default_factory=list)
    kernel: str = "python3"
    kept: list[Page] | None = None

    def open(self, *cells: str, app: str = "lab", metadata: dict[str, Any] | None = None) -> Notebook:
        """Open a new notebook of code cells in JupyterLab, or in Notebook 7 with ``app="notebook"``."""
        return self.open_file(self.write(*cells, metadata=metadata), app=app)

    def open_file(self, path: Path, app: str = "lab") -> Notebook:
        """Open a notebook that is in the server's directory."""
        used = self.kept if app == "lab" and self.kept else ()
        page = used[0] if used else self.context.new_page()
        for prepare in self.on_page:
            prepare(page)
        notebook = Notebook(page, path, self.server)
        page.on("pageerror", lambda error: notebook.js_errors.append(str(error)))
        if used:
            page.evaluate(OPEN, path.name)
        else:
            url = f"lab/tree/{path.name}?reset" if app == "lab" else f"notebooks/{path.name}"
            page.goto(self.server.page_url(url))
            if app == "lab" and self.kept is not None:
                self.kept.append(page)
        notebook.wait_idle()
        return notebook

    def write(self, *cells: str, metadata: dict[str, Any] | None = None) -> Path:
        """Write a notebook of code cells where the server finds it."""
        spec = {"name": self.kernel, "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec, **(metadata or {})})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
        path = self.server.notebooks / f"{self.name}-{secrets.token_hex(3)}.ipynb"
        nbformat.write(notebook, path)
        return path

    def visit(self, url: str) -> Page:
        """Open any page: an address, or the path of a page of the server (``"voila/render/x.ipynb"``)."""
        page = self.context.new_page()
        for prepare in self.on_page:
            prepare(page)
        page.goto(url if "://" in url else self.server.page_url(url))
        return page


def as_web_page(path: Path) -> str:
    """Write what nbconvert makes of a notebook beside it, and return its address."""
    html, _ = HTMLExporter().from_filename(str(path))  # type: ignore[no-untyped-call]
    page = path.with_suffix(".html")
    page.write_text(html, "utf-8")
    return page.as_uri()


def scripted(replies: str, gate: Path | None = None, **options: object) -> str:
    """Return the source of a cell that loads the extension and lets a `ScriptedModel` answer, called ``model``.

    Parameters
    ----------
    replies : str
        Source of its replies; `Reply` and `ChatError` are there: ``'["Hi.", Reply(error=ChatError(400, "no"))]'``.
    gate : Path, optional
        A path to make a gate at: replies that stall go on when the test opens it (`open_gate`).
    options : object
        Further arguments of `ScriptedModel`.
    """
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    lines = [
        "%load_ext copilot_nb",
        "from copilot_nb.testing import ChatError, Reply, ScriptedModel, install",
        f"model = ScriptedModel({replies}{given})",
        "install(model)",
    ]
    return "\n".join(lines) + (GATEKEEPER.format(gate=str(gate)) if gate else "")


def open_gate(gate: Path, replies: int = 1) -> None:
    """Let so many replies go on, which have stalled or are about to; block until that is heard."""
    gate.write_text(str(replies))


GATEKEEPER = """

import os, threading

os.mkfifo({gate!r})

def keep_gate():
    while True:
        with open({gate!r}) as gate:  # waits for the test
            replies = int(gate.read())
        model.wait_for_stalled(replies)
        model.release()

threading.Thread(target=keep_gate, daemon=True).start()"""


@pytest.fixture(scope="session")
def server(forked_kernels: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run the server, with everything it writes in a temporary directory."""
    with serving(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """Run the server, with everything it writes in `home`."""
    (home / "notebooks").mkdir()
    shutil.copytree(LABEXTENSION, home / "data" / "labextensions" / "copilot-nb")  # the installed one may be older
    for name, content in LAB_SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    token = secrets.token_hex(16)
    log = home / "server.log"
    environment = _environment(home)
    (home / "config" / "jupyter_server_config.py").write_text(FORKING.format(root=str(ROOT)))
    add_spec(home / "data")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            _server_command(home, token), env=environment, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        yield _started(process, home, token, log)
    finally:
        _stop(process)


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run Chromium for the tests of this folder."""
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="package")
def kept_pages(browser: Browser) -> list[Page]:
    """JupyterLab's page that tests share; none before the first of them opens it."""
    return []


@pytest.fixture
def lab(server: Server, browser: Browser, kept_pages: list[Page], request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Give a test JupyterLab in a browser, and shut its kernels down after it."""
    refused: list[str] = []
    with first_context(browser, server.url, refused, kept_pages) as context:
        request.node.stash[OPEN_PAGES] = context, server.home / "failures"
        yield Lab(server, context, slug(request.node), refused, kernel=FORKED)
    for kind in ("sessions", "kernels"):  # Voilà's kernels belong to no session
        while running := server.api(kind):  # with one of them others may go
            server.api(f"{kind}/{running[0]['id']}", "DELETE")
    shutil.rmtree(server.copilot_home, ignore_errors=True)  # most tests make none


@pytest.fixture
def used_page(lab: Lab, kept_pages: list[Page], request: pytest.FixtureRequest) -> Iterator[None]:
    """Let `lab` open a test's notebook in the page of JupyterLab that the tests before it have used, of any file.

    That costs half a second of processor time, a new page four. Notebook and kernel are new; what JupyterLab itself and
    the page's ``window`` hold is not. So it is not for tests of scripts that must not run, of themes, or of reloading.
    """
    lab.kept = kept_pages
    yield
    if FAILED in request.node.stash:
        while kept_pages:
            kept_pages.pop().close()
    for page in kept_pages:
        look_as_ever(page)
        page.evaluate(CLOSE_ALL)
        assert page.locator(".jp-Dialog").count() == 0


@pytest.fixture(scope="package")
def panels_page(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page for panels, and what it has asked of other machines; each test loads an address of its own in it."""
    refused: list[str] = []
    with new_context(browser, refused) as context:
        yield context.new_page(), refused


@pytest.fixture
def panel_page(
    panels_page: tuple[Page, list[str]], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[PanelPage]:
    """Give a test a page for panels, without Jupyter; no script of the page may fail, no request leave this machine."""
    page, refused = panels_page
    refused.clear()
    shown: list[str] = []
    wire = Wire()
    request.node.stash[OPEN_PAGES] = page.context, tmp_path
    with managing(tmp_path / "copilot") as manager, serving_panels(wire, shown) as url:
        here = PanelPage(page, manager, wire, shown, refused)
        page.on("pageerror", here.note_error)
        page.goto(url)
        page.evaluate("() => window.again")
        yield here
        page.goto("about:blank")
        here.close()
    page.remove_listener("pageerror", here.note_error)
    look_as_ever(page)
    assert here.js_errors == []
    assert refused == []


def slug(item: pytest.Item) -> str:
    """Return the name of a test as a part of a file's name."""
    return re.sub(r"\W+", "-", item.name)


OPEN_PAGES = pytest.StashKey[tuple[BrowserContext, Path]]()
"""The browser context of a test, and where the pictures of its pages go if it fails."""
FAILED = pytest.StashKey[bool]()
"""Whether a test has failed."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add a screenshot of each page to the report of a failed test."""
    report: Any = yield
    if report.failed:
        item.stash[FAILED] = True
    if report.when == "call" and report.failed and OPEN_PAGES in item.stash:
        context, directory = item.stash[OPEN_PAGES]
        for i, page in enumerate(page for page in context.pages if page.url != "about:blank"):
            picture = directory / f"{slug(item)}-{i}.png"
            page.screenshot(path=picture)
            report.sections.append((f"page {page.url}", f"screenshot: {picture}"))
    return report


def _server_command(home: Path, token: str) -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # if somebody took the port in between, the server tries the next ones and writes down which it got
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.root_dir={home / 'notebooks'}", f"--ServerApp.port={port}", "--ServerApp.port_retries=50"),
        *(f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"),
        # a busy server reads an output later than in the four seconds of Voilà, and makes the page without it
        *("--JupyterNotebookApp.expose_app_in_browser=True", "--VoilaExecutor.iopub_timeout=60"),
    ]


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not PRIVATE_VARIABLES.match(name)}
    own = {
        "HOME": "home",
        "COPILOT_HOME": "copilot",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    for directory in own.values():
        (home / directory).mkdir(exist_ok=True)
    own_first = {"JUPYTER_PREFER_ENV_PATH": "0"}
    runtime = {"COPILOT_CLI_PATH": str(find_runtime().path), "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
    return {**kept, **own_first, **runtime, **{name: str(home / directory) for name, directory in own.items()}}


def _started(process: subprocess.Popen[bytes], home: Path, token: str, log: Path) -> Server:
    info = home / "runtime" / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = json.loads(info.read_text())["url"].rstrip("/")
            server = Server(url, token, home)
            server.api("status")
        except (OSError, ValueError):  # not written, half written, or not listening yet
            time.sleep(0.05)
        else:
            return server
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and everything it has started (kernels are in process groups of their own)."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()  # on SIGTERM the server shuts its kernels down
    _, alive = psutil.wait_procs(family, timeout=15)
    for straggler in alive:
        straggler.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait(5)
