"""Real kernels on the real runtime; a `ScriptedModel` is installed by a cell of the kernel itself."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.forked_kernels import FORKED, SCRIPTED_ONLY

WAIT_S = 60.0
LOAD = "%load_ext copilot_nb"
SCRIPTED = "import copilot_nb.testing as t; model = t.ScriptedModel({}); t.install(model)"


@dataclass
class Ran:
    """The result of a cell."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] in kinds]

    @property
    def error(self) -> str:
        """The one line of the error, ``""`` where there is none."""
        errors = self.of("error")
        assert len(errors) <= 1
        return "\n".join(errors[0]["traceback"]) if errors else ""

    @property
    def printed(self) -> str:
        return "".join(content["text"] for content in self.of("stream"))

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The outputs as a front end ends up with them: each display in its last state."""
        outputs: dict[str, dict[str, Any]] = {}
        for content in self.of("display_data", "update_display_data", "execute_result"):
            key = content.get("transient", {}).get("display_id") or f"own-{len(outputs)}"
            outputs[key] = content
        return list(outputs.values())


class Kernel:
    """A kernel, and the front end that runs cells in it."""

    def __init__(self, home: Path, spec: str) -> None:
        self._env = {"COPILOT_HOME": str(home), **SCRIPTED_ONLY}
        self.home = home
        self.manager = KernelManager(kernel_name=spec)
        self.client: BlockingKernelClient

    def start(self) -> None:
        self.manager.start_kernel(env={**os.environ, **self._env})
        self._connect()

    def _disconnect(self) -> None:
        self.client.stop_channels()
        self.client.context.destroy(linger=0)  # otherwise it is closed when it is collected, with a warning

    def restart(self) -> None:
        self._disconnect()
        self.manager.restart_kernel()
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT_S)

    def send(self, cell: str, cell_id: str = "") -> str:
        """Have a cell run, and return the id of the request; with an id of the cell as JupyterLab sends it."""
        if not cell_id:
            return str(self.client.execute(cell, allow_stdin=False))
        content = {"code": cell, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": True, "stop_on_error": True}
        metadata = {"cellId": cell_id, "deletedCells": [], "recordTiming": False, "trusted": True}
        request = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def result(self, request: str, until: Callable[[dict[str, Any]], bool] | None = None) -> Ran:
        """Collect what comes of a cell until it has ended (or until `until` is true of a message)."""
        ran, deadline = Ran(), time.monotonic() + WAIT_S
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != request and message["msg_type"] != "update_display_data":
                continue
            ran.messages.append(message)
            if until is not None and until(message):
                return ran
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return ran

    def run(self, cell: str, cell_id: str = "") -> Ran:
        return self.result(self.send(cell, cell_id))

    def load(self, script: str = "") -> None:
        for cell in (LOAD, SCRIPTED.format(script)):
            assert not self.run(cell).error

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def runtimes(self) -> list[psutil.Process]:
        """The runtimes of this kernel, found by their home, since their parent may have ended."""
        return [process for process in psutil.process_iter() if self._is_runtime(process)]

    def _is_runtime(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            is_kernel = "ipykernel_launcher" in process.cmdline()
            return not is_kernel and process.environ().get("COPILOT_HOME") == str(self.home)
        return False

    def stop(self) -> None:
        self._disconnect()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=False)
        self.manager.cleanup_resources()


@pytest.fixture
def home(forked_kernels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the kernels of the notebooks that a test executes."""
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def start_kernel(forked_kernels: None, tmp_path: Path) -> Iterator[Callable[[], Kernel]]:
    """Start kernels on one home."""
    started: list[Kernel] = []

    def start() -> Kernel:
        kernel = Kernel(tmp_path / "home", FORKED)
        started.append(kernel)
        kernel.start()
        return kernel

    yield start
    for kernel in started:
        kernel.stop()


@pytest.fixture
def own_kernel(start_kernel: Callable[[], Kernel]) -> Kernel:
    """A kernel to be restarted or killed."""
    return start_kernel()


@pytest.fixture(scope="module")
def running_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel") / "home", "python3")
    kernel.start()
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(running_kernel: Kernel) -> Iterator[Kernel]:
    """A kernel for many tests, each of which finds it without sessions."""
    yield running_kernel
    error = running_kernel.run("import copilot_nb as cp\nfor stored in cp.sessions(): cp.delete(stored.name)").error
    assert not error


@contextlib.contextmanager
def prepared(folder: Path, setup: str) -> Iterator[Kernel]:
    """Start a kernel of the tests' own Python that has run a cell, and has no runtime yet."""
    kernel = Kernel(folder / "home", "python3")
    kernel.start()
    try:
        for cell in (f"%config CopilotNB.warm_start = False\n{LOAD}", setup):
            assert not kernel.run(cell).error
        yield kernel
    finally:
        kernel.stop()
