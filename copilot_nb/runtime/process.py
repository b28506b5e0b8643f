"""Starts the runtime's process out of reach of the kernel's interrupts, watches it, and ends it cleanly.

The SDK owns the process and does not expose it, so its private attribute is read here.

Why: docs/decisions/0003-own-process-session.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable

from copilot import CopilotClient, RuntimeConnection

from copilot_nb.system.forks import keep_pipes_from_forks

_SETSID = "import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])"


def own_session(path: str) -> RuntimeConnection:
    """Return a connection to the runtime at `path`, started out of reach of the kernel's interrupts.

    The process keeps its number: what Python starts leads no process group, so ``setsid`` need not fork.
    """
    command = ["node", path] if path.endswith(".js") else [path]
    if setsid := shutil.which("setsid"):  # of Linux; a Python for it takes 15 ms
        command = [setsid, *command]
    elif sys.platform != "win32":
        command = [sys.executable, "-I", "-S", "-c", _SETSID, *command]
    return RuntimeConnection.for_stdio(path=command[0], args=command[1:])


def _process(client: CopilotClient) -> subprocess.Popen[bytes] | None:
    """Return the runtime's process, from the SDK's private attribute."""
    return getattr(client, "_cli_process", None)


def process_id(client: CopilotClient) -> int:
    """Return the process's number; 0 if the SDK has started none."""
    process = _process(client)
    return process.pid if process is not None else 0


def hold_pipes(client: CopilotClient) -> None:
    """Keep the pipes to the runtime out of forked children, which would keep it alive after the kernel."""
    if (process := _process(client)) is not None:
        keep_pipes_from_forks(process)


def has_ended(client: CopilotClient) -> bool:
    """Whether the process has ended; checked before each use, because a ping would cost a tenth of a short turn."""
    process = _process(client)
    rpc = getattr(client, "_client", None)  # private; it hears of the end before the system tells its status
    return process is not None and (getattr(rpc, "_process_exit_error", None) is not None or _has_ended(process))


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if process.returncode is not None or not hasattr(os, "waitid"):
        return process.poll() is not None
    try:  # `poll` knows nothing while another thread asks; not every system has this
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else has taken its end
        return True


async def end(client: CopilotClient, ending: Awaitable[None]) -> None:
    """Await the end of the runtime's process and close the pipes to it, which the SDK leaves open."""
    process = _process(client)
    try:
        await ending
    finally:
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
