"""The environment of the benchmarks: a separate home, no network, the same runtime for both sides, nothing left."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from copilot_nb.runtime.install.find_runtime import find_runtime

MARK = "NB_BENCH_RUN"  # every process that is started inherits it
SHUTDOWN_S = 10.0
TRACKER = "multiprocessing.resource_tracker"  # ends with the interpreter
ROOT = Path(__file__).parents[1]
_FOREIGN = re.compile(r"(COPILOT_|GH_|GITHUB_|JUPYTER|IPYTHON|PYTHONDONTWRITEBYTECODE$)|.*_API_KEY$")
"""Logins and settings of the user, and the variable that keeps Python from storing compiled code."""


@contextmanager
def of_its_own() -> Iterator[str]:
    """Set the environment of this process and of its children; yield the mark that they carry."""
    runtime = find_runtime().path
    before = dict(os.environ)
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="copilot-nb-bench-", ignore_cleanup_errors=True) as home:
        for name in filter(_FOREIGN.match, before):
            del os.environ[name]
        os.environ |= {name: str(Path(home, name)) for name in ("COPILOT_HOME", "IPYTHONDIR")}
        os.environ |= {name: str(Path(home, name)) for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
        os.environ |= {"JUPYTER_CONFIG_DIR": str(Path(home, "config")), "JUPYTER_PLATFORM_DIRS": "1", MARK: mark}
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [before.get("PYTHONPATH")])])
        os.environ |= {"COPILOT_CLI_PATH": str(runtime), "COPILOT_AUTO_UPDATE": "false"}
        # The runtime's offline mode wants a provider of its own; each session names another.
        os.environ |= {"COPILOT_OFFLINE": "true", "COPILOT_MODEL": "none"}
        os.environ |= {"COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:9/v1"}
        try:
            yield mark
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def nothing_left_behind(mark: str) -> Iterator[None]:
    """Fail if a process that carries `mark` is still running afterwards, and end it."""
    yield
    _, left = psutil.wait_procs(list(_carrying(mark)), timeout=SHUTDOWN_S)
    left = [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if left:
        raise SystemExit(f"processes were left behind: {', '.join(map(str, left))}")


def _carrying(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = process.pid != os.getpid() and process.environ().get(MARK) == mark
            if is_ours and TRACKER not in " ".join(process.cmdline()):
                yield process
