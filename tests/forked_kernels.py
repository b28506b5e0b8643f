"""Kernels forked from one process that has imported what a kernel imports: each saves two seconds of processor time.

The kernel spec `FORKED` starts them, in the test's process and in the tests' JupyterLab. What they are forked from has
imported modules, and nothing more: it has run no thread and no event loop, and started no runtime. A forked kernel
differs from one of the spec `python3` in this:

* the modules of `IMPORTED`, and those that they import, are in `sys.modules` from the beginning;
* its parent is the process that it was forked from, whose command line and environment `ps` shows for it too;
* nobody learns its exit code.

What depends on one of these is tested with the spec `python3`, and so are the tests that share one kernel. All else is
the same: `tests/kernel/test_forked_kernels.py` compares.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

FORKED = "forked"
ADDRESS = "NB_TEST_KERNELS"
"""The environment variable that holds the address of the process that forks."""
SCRIPTED_ONLY = {"COPILOT_NB_PROVIDER": "scripted"}
"""The environment of kernels in which a `ScriptedModel` answers: they need not load the embedded model."""
IMPORTED = (
    "copilot_nb.named_sessions.manager",
    "copilot_nb.notebook.dispatch",
    "copilot_nb.notebook.extension",
    "copilot_nb.notebook.progress",
    "copilot_nb.notebook.signin",
    "copilot_nb.notebook.status",
    "copilot_nb.providers.local.model",
    "copilot_nb.runtime.client",
    "copilot_nb.testing",
    "httpcore",
    "ipykernel.kernelapp",
    "latex2mathml.converter",
    "pygments.formatters.html",
    "pygments.lexers.python",
)
"""Not ipywidgets, nor what imports it: it looks for a running kernel when it is imported."""
MAX_PID_BYTES = 20


class ForkedProcess:
    """A kernel's process, with as much of `subprocess.Popen` as `LocalProvisioner` uses."""

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        self._has_ended = False
        self._kernel = socket.socket(socket.AF_UNIX)
        self._kernel.connect(os.environ[ADDRESS])
        socket.send_fds(self._kernel, [b"\0"], [1, 2])
        self._kernel.sendall(json.dumps([command, environment, folder]).encode())
        self._kernel.shutdown(socket.SHUT_WR)
        self.pid = int(self._kernel.recv(MAX_PID_BYTES))

    def poll(self) -> int | None:
        """Return None while it runs."""
        with suppress(BlockingIOError):
            return self.wait(socket.MSG_DONTWAIT)
        return None

    def wait(self, flags: int = 0) -> int:
        """Wait for its end: then the last end of the connection closes."""
        if not self._has_ended:
            self._kernel.recv(1, flags)
            self._kernel.close()
            self._has_ended = True
        return 0

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class ForkingProvisioner(LocalProvisioner):
    """Starts kernels by a fork."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        """Start one in the given folder, with the given environment."""
        folder = str(options.get("cwd") or Path.cwd())
        self.process = ForkedProcess(cmd, options["env"], folder)
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info


def register() -> None:
    """Let kernel managers of this process start kernels of the spec `FORKED`."""
    place = f"{__name__}:{ForkingProvisioner.__name__}"
    KernelProvisionerFactory.provisioners[FORKED] = EntryPoint(FORKED, place, KernelProvisionerFactory.GROUP_NAME)


def add_spec(folder: Path) -> None:
    """Add the spec `FORKED` to a folder of Jupyter's data."""
    spec = get_kernel_dict()
    spec["metadata"]["kernel_provisioner"] = {"provisioner_name": FORKED}
    spec["env"] = SCRIPTED_ONLY
    path = folder / "kernels" / FORKED / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(spec), "utf-8")


@contextmanager
def forking() -> Iterator[str]:
    """Run the process that forks, and yield its address."""
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:  # a socket's path has at most 104 characters
        address = f"{folder}/kernels"
        command = [sys.executable, __file__, address]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield address


def main(address: str) -> None:
    """Fork a kernel for each connection to `address`, until standard input closes."""
    del sys.path[0]  # this file's folder; a kernel has its current folder there
    for name in IMPORTED:
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # the collector would write to these objects, and each fork copy them
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a kernel that has ended leaves nothing to wait for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while select.select([listener, 0], [], [])[0] == [listener]:
            kernel, _ = listener.accept()
            if os.fork() == 0:
                break
            kernel.close()
        else:
            return
    _run(kernel)


def _run(kernel: socket.socket) -> None:
    """Run a kernel in this process; `kernel` closes when it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    _, (stdout, stderr), _, _ = socket.recv_fds(kernel, 1, 2)
    with kernel.makefile("rb") as request:
        command, environment, folder = json.loads(request.read())
    for given, own in ((os.open(os.devnull, os.O_RDONLY), 0), (stdout, 1), (stderr, 2)):
        os.dup2(given, own)
        os.close(given)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    launcher = importlib.util.find_spec(command[2])
    assert launcher
    sys.argv = [str(launcher.origin), *command[3:], f"--IPKernelApp.parent_handle={os.getppid()}"]
    kernel.send(b"%d" % os.getpid())
    kernel.detach()  # nothing closes it before the last of this process
    importlib.import_module("ipykernel.kernelapp").launch_new_instance()


if __name__ == "__main__":
    main(sys.argv[1])
