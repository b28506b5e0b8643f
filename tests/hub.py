"""A real JupyterHub on this machine: its proxy, a server for each person, and kernels behind it.

The administrator's files are the blocks of `docs/jupyterhub.md`, with the paths and addresses of the test.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from websockets.sync.client import connect

from tests.conftest import RUN_MARK
from tests.documentation import ROOT, blocks_of
from tests.hub_site import Person, Site

GUIDE = ROOT / "docs" / "jupyterhub.md"
PROXY = ROOT / "tests" / "js" / "node_modules" / ".bin" / "configurable-http-proxy"
INSTALLED = Path("/opt/copilot-nb")
"""Where the guide puts the environment for all."""
START_S = 120
HUB = "jupyterhub_config.py"
FILES = {
    HUB: "c.Spawner",
    "etc/jupyter/jupyter_server_config.py": "c.KernelManager",
    "etc/ipython/ipython_config.py": "c.CopilotNB",
}
"""The administrator's files, and how the block of each begins in the guide."""
SCOPES = ["admin:servers", "admin:users", "access:servers"]
OF_THE_TEST = """
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {names!r}
c.JupyterHub.spawner_class = {spawner!r}
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.start_timeout = c.Spawner.http_timeout = {start_s}
c.Spawner.args = ["--LabApp.expose_app_in_browser=True", "--allow-root"]
c.Spawner.environment |= {environment!r}
c.JupyterHub.load_roles = [{{"name": "test", "services": ["test"], "scopes": {scopes!r}}}]
c.JupyterHub.services = [{{"name": "test", "api_token": {token!r}}}]
"""


@dataclass(frozen=True)
class Hub:
    """The running Hub."""

    url: str
    token: str
    password: str

    def api(self, path: str, method: str = "GET", body: object = None, token: str = "") -> Any:
        """Call the REST interface of the Hub (``"hub/api/..."``) or of somebody's server (``"user/NAME/api/..."``)."""
        headers = {"Authorization": f"token {token or self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=START_S) as response:
            content = response.read()
        return json.loads(content) if content else None

    def start(self, person: Person) -> None:
        """Start somebody's server, and wait for it."""
        self.api(f"hub/api/users/{person.name}/server", "POST", {})
        deadline = time.monotonic() + START_S
        while not self._servers(person).get("", {}).get("ready"):
            assert time.monotonic() < deadline, f"the server of {person.name} did not start"
            time.sleep(0.1)

    def stop(self, person: Person) -> None:
        """Stop somebody's server, and wait until it has ended."""
        self.api(f"hub/api/users/{person.name}/server", "DELETE")
        deadline = time.monotonic() + START_S
        while self._servers(person):
            assert time.monotonic() < deadline, f"the server of {person.name} did not stop"
            time.sleep(0.1)

    def _servers(self, person: Person) -> dict[str, Any]:
        servers: dict[str, Any] = self.api(f"hub/api/users/{person.name}")["servers"]
        return servers

    @contextmanager
    def kernel(self, person: Person) -> Iterator[HubKernel]:
        """Start a kernel on somebody's running server."""
        kernels = f"user/{person.name}/api/kernels"
        number = self.api(kernels, "POST", {"name": "python3"})["id"]
        address = f"{self.url.replace('http', 'ws', 1)}/{kernels}/{number}/channels"
        headers = {"Authorization": f"token {self.token}"}
        with connect(address, additional_headers=headers, max_size=None) as channels:
            yield HubKernel(channels)


class HubKernel:
    """A kernel on somebody's server, reached as a page reaches it."""

    def __init__(self, channels: Any) -> None:
        self._channels = channels

    def run(self, code: str) -> str:
        """Run a cell, and return what it printed and its value, as text; fail if it raises.

        Raises
        ------
        AssertionError
            With the last line of the error.
        """
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.4"}
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._channels.send(json.dumps(message))
        text, error = "", ""
        while True:
            heard = json.loads(self._channels.recv(START_S))
            if heard["parent_header"].get("msg_id") != number:
                continue
            match heard["msg_type"], heard["content"]:
                case "stream", {"text": str(printed)}:
                    text += printed
                case "execute_result" | "display_data" | "update_display_data", {"data": {"text/plain": str(shown)}}:
                    text += shown
                case "error", {"ename": name, "evalue": value}:
                    error = f"{name}: {value}"
                case "status", {"execution_state": "idle"}:
                    assert not error, error
                    return text

    def value(self, expression: str) -> Any:
        """Return the value of an expression that JSON can hold."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))


@contextmanager
def running(site: Site, addresses: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Hub]:
    """Run the Hub.

    Parameters
    ----------
    site : Site
        What is installed.
    addresses : mapping of str to str
        What stands in the guide for an address, and the address that the test has for it.
    environment : mapping of str to str
        The Hub's own environment, as far as the guide reads it.
    """
    ports, token, password = free_ports(3), secrets.token_hex(16), secrets.token_hex(8)
    for file in FILES:
        path = site.environment / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_with_places(block_of(file), {str(INSTALLED): str(site.environment), **addresses}))
    with (site.environment / HUB).open("a") as config:
        config.write(_settings_of_the_test(site, ports, token, password))
    state = site.folder / "hub"
    state.mkdir(mode=0o700)
    log = state / "hub.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(site.environment / HUB)],
            stdout=sink,
            stderr=sink,
            cwd=state,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    hub = Hub(f"http://127.0.0.1:{ports[0]}", token, password)
    try:
        _wait_for(hub, process, log)
        yield hub
    finally:
        _stop(process)


def _settings_of_the_test(site: Site, ports: list[int], token: str, password: str) -> str:
    return OF_THE_TEST.format(
        ports=ports,
        start_s=START_S,
        proxy=str(PROXY),
        token=token,
        scopes=SCOPES,
        password=password,
        names={person.name for person in site.people},
        spawner="localprocess" if site.has_users else "simple",
        homes=str(site.folder / "home" / "{username}"),
        environment={RUN_MARK: os.environ[RUN_MARK], "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"},
    )


def block_of(file: str) -> str:
    """Return the block of the guide that is in a file of the administrator."""
    (code,) = [block.code for block in blocks_of(GUIDE) if block.code.startswith(FILES[file])]
    return code


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _with_places(text: str, places: Mapping[str, str]) -> str:
    for place, there in places.items():
        text = text.replace(place, there)
    return text


def _wait_for(hub: Hub, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            hub.api("hub/api/")
        except (OSError, ValueError):  # not listening yet, or the proxy does not know the Hub yet
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"JupyterHub did not start:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Have the Hub end its servers, its proxy and itself."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=START_S)
    for straggler in alive:
        straggler.kill()
    process.wait(5)
    assert not alive, f"the Hub left {alive}"
