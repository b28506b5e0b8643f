"""Rules for every test: its own home, no login, no request off this machine, no process left behind.

The fixtures below are the first to be set up and the last to be taken down. Caches are not moved, so the runtime and
the model that are installed are found.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
FOLDERS = ("unit", "kernel", "browser", "runtime", "shell")  # in the order in which they run
RUN_MARK = "NB_TEST_RUN"  # not COPILOT_…: those are taken out of the environment that the runtime starts with
RUNTIME_PLACES = ("COPILOT_CLI_PATH", "COPILOT_CLI_EXTRACT_DIR")
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
SHUTDOWN_S = 10.0
# jsonschema would import it, which takes a second, to check addresses in a schema; no schema here has any
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
INTERPRETERS_OWN = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # end with the interpreter


def pytest_configure(config: pytest.Config) -> None:
    """Mark the run, so that what it starts is found; its workers inherit the mark, and the interrupt that ends it."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_MARK] = uuid.uuid4().hex
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles what it imports
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what runs in its background ignore it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what fails quickest first, and of the rest the longest files first: the processes end at the same time."""
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(HERE).parts[0]))


def pytest_keyboard_interrupt() -> None:
    """Print no tracebacks of work that an interrupt stopped."""
    logging.disable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the processes that an interrupted run, or worker, could not end."""
    if not hasattr(config, "workerinput"):
        _killed(_started_by(os.environ[RUN_MARK]))


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep the user's sessions, logins, keys and settings out of the tests; return the mark of this run."""
    home = tmp_path_factory.mktemp("home")
    mark = f"{os.environ[RUN_MARK]}-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(_is_private, list(os.environ)):
            patch.delenv(name)
        for name in ("COPILOT_HOME", "IPYTHONDIR", "GH_CONFIG_DIR"):
            patch.setenv(name, str(home / name.lower()))
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # unset, jupyter_core warns
        patch.setenv("COPILOT_OFFLINE", "true")
        patch.setenv("COPILOT_AUTO_UPDATE", "false")
        patch.setenv(RUN_MARK, mark)
        yield mark


@pytest.fixture(scope="session", autouse=True)
def no_process_left(own_home: str) -> Iterator[None]:
    """Fail the run that leaves a process behind: a child, or one that has outlived its parent."""
    before = set(psutil.Process().children(recursive=True))
    yield
    _, left = psutil.wait_procs(set(_started_by(own_home)) - before, timeout=SHUTDOWN_S)
    said = [_described(process) for process in left]
    _killed(left)
    assert not said, f"processes left behind, {SHUTDOWN_S:g} s after the last test:\n" + "\n".join(said)


@pytest.fixture(scope="session")
def forked_kernels(own_home: str) -> Iterator[None]:
    """Let kernels be started by the kernel spec `FORKED`, in this process and those that it starts."""
    from tests.forked_kernels import ADDRESS, add_spec, forking, register

    register()
    add_spec(Path(os.environ["JUPYTER_DATA_DIR"]))
    with forking() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ADDRESS, address)
        yield


def _is_private(name: str) -> bool:
    if name.startswith("COPILOT_"):
        return name not in RUNTIME_PLACES
    if name.startswith(("OPENAI_", "AZURE_OPENAI_", "ANTHROPIC_", "OLLAMA_")):
        return True
    return name in TOKENS or name.endswith("_API_KEY") or name.startswith(("JUPYTER_", "IPYTHON"))


def _started_by(mark: str) -> Iterator[psutil.Process]:
    """Yield this process's descendants, and every process with the mark of this run in its environment."""
    yield from filter(_is_ours, psutil.Process().children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            marked = process.environ().get(RUN_MARK, "").startswith(mark)
            if marked and process.pid != os.getpid() and _is_ours(process):
                yield process


def _killed(processes: Iterable[psutil.Process]) -> None:
    killed = list(processes)
    for process in killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(killed, timeout=SHUTDOWN_S)


def _is_ours(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
        return not any(name in command for name in INTERPRETERS_OWN)
    except psutil.NoSuchProcess:
        return False


def _described(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.status()} {' '.join(process.cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return f"{process.pid} (ended meanwhile)"
