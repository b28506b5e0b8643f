"""A forked kernel is what a kernel of the spec `python3` is, but for what `tests/forked_kernels.py` names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .conftest import Kernel

STATE = """
import asyncio, comm, gc, json, logging, os, signal, sys, threading, warnings
from IPython.core.interactiveshell import InteractiveShell

OWN = ("COPILOT_HOME", "JPY_", "PYTEST_")
handlers = {number.name: signal.getsignal(number) for number in signal.Signals}
print(json.dumps({
    "argv": sys.argv[0],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "collector": [gc.isenabled(), *gc.get_threshold()],
    "comms": comm.create_comm.__module__,
    "environment": {name: value for name, value in os.environ.items() if not name.startswith(OWN)},
    "executable": sys.executable,
    "extensions": sorted(get_ipython().extension_manager.loaded),
    "flags": str(sys.flags),
    "folder": os.getcwd(),
    "handlers": {name: getattr(handler, "__qualname__", str(handler)) for name, handler in handlers.items()},
    "has a session": os.getsid(0) == os.getpid(),
    "input": os.read(0, 1).decode(),
    "level": logging.getLogger().level,
    "main": sorted(name for name in vars(sys.modules["__main__"]) if name[0] != "_"),
    "output": [os.fstat(number).st_ino for number in (1, 2)],
    "path": sys.path,
    "policy": type(asyncio.get_event_loop_policy()).__name__,
    "threads": sorted(type(thread).__name__ for thread in threading.enumerate()),
    "warnings": len(warnings.filters),
}))
"""


def state(kernel: Kernel) -> dict[str, Any]:
    ran = kernel.run(STATE)
    assert not ran.error
    found: dict[str, Any] = json.loads(ran.printed)
    return found


def test_a_forked_kernel_is_in_the_state_of_a_new_one(
    running_kernel: Kernel, start_kernel: Callable[[], Kernel]
) -> None:
    assert state(start_kernel()) == state(running_kernel)
