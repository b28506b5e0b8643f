"""Runs Python code that a model wrote, in a separate process.

Isolated: the program gets a fresh interpreter, an empty folder that is removed afterwards, and none of the kernel's
environment variables, so no keys. It is ended, with everything in its process group, after `timeout_s` seconds or when
the kernel dies. Each of its processes may use `memory_mb` MB of memory and write files of 16 MB (not on Windows; on
macOS the memory limit has no effect).

Not isolated: it runs as the same user. It can read and change this user's files, use the network, and read the
environment of the user's other processes, including the kernel; a process that starts its own session (``setsid``) may
outlive it. The limits stop accidents, not attacks: for code that you would not run yourself, use a container.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAX_OUTPUT_CHARS = 2000
_PASSED = "passed"

# Standard input is a pipe that nobody writes to: it closes when the kernel ends, however that happens. Only a program
# that ran to its end writes the file: `sys.exit(0)` before the tests does not pass.
_BOOTSTRAP = """
import os, sys, threading, types
token, seconds, megabytes, *sources = sys.argv[1:]
del sys.argv[1:]
lifeline = os.dup(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
def end_with_parent():
    os.read(lifeline, 1)
    os.killpg(0, 9) if hasattr(os, "killpg") else os._exit(9)
threading.Thread(target=end_with_parent, daemon=True).start()
try:
    import resource
except ImportError:
    resource = None
limits = {"RLIMIT_AS": int(megabytes) << 20, "RLIMIT_CPU": int(seconds), "RLIMIT_FSIZE": 16 << 20, "RLIMIT_CORE": 0}
for name, limit in limits.items():
    try:
        resource and resource.setrlimit(getattr(resource, name), (limit, limit))
    except (AttributeError, OSError, ValueError):
        pass
module = types.ModuleType("__main__" if len(sources) == 1 else "answer")
sys.modules[module.__name__] = module
for place in sources:
    with open(place, encoding="utf-8") as file:
        source = file.read()
    try:
        exec(compile(source, place, "exec"), module.__dict__)
    except SystemExit as ending:
        if ending.code or place != sources[-1]:
            raise
sys.stdout.flush()
with open("passed", "w") as file:
    file.write(token)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended.

    Attributes
    ----------
    passed : bool
        Whether it and its tests ran to their end.
    timed_out : bool
        Whether it was ended at its time limit.
    output : str
        The last `MAX_OUTPUT_CHARS` characters of its output; an error is at the end.
    """

    passed: bool
    timed_out: bool
    output: str


def run_python(code: str, tests: str = "", *, timeout_s: float = 10.0, memory_mb: int = 512) -> Ran:
    """Run `code`, then `tests` in the same namespace; blocks. The module's docstring says what is isolated.

    Without tests the code runs as ``__main__``; with tests as a module, so that code below
    ``if __name__ == "__main__":`` does not run.
    """
    with tempfile.TemporaryDirectory(prefix="copilot-nb-", ignore_cleanup_errors=True) as name:
        folder, token = Path(name), secrets.token_hex()
        sources = {"answer.py": code} | ({"tests.py": tests} if tests.strip() else {})
        for place, source in sources.items():
            (folder / place).write_text(source, encoding="utf-8", errors="replace")
        cpu_s = int(timeout_s + 1) * (os.cpu_count() or 1)  # CPU time of all its threads
        options = [token, str(cpu_s), str(memory_mb), *sources]
        with tempfile.TemporaryFile() as output:
            timed_out = _run(
                [sys.executable, "-I", "-B", "-c", _BOOTSTRAP, *options], folder, output.fileno(), timeout_s
            )
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        passed = folder / _PASSED
        is_passed = not timed_out and passed.is_file() and passed.read_text("utf-8", "replace") == token
    return Ran(is_passed, timed_out, text[-MAX_OUTPUT_CHARS:])


def _run(argv: list[str], folder: Path, output: int, timeout_s: float) -> bool:
    """Run a program to its end and kill the rest of its process group; return whether it reached the time limit."""
    process = subprocess.Popen(  # noqa: S603 - Python itself, with code that the user asked to run
        argv,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=_environment(folder),
        start_new_session=True,
    )
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    finally:
        _kill(process)
        process.communicate()  # waits for it, and closes the pipe
    return False


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment variables that Python needs to start, with an empty home directory."""
    places = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(folder))
    # One thread per core would use up the permitted memory before any work is done.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **places, **threads, **system}


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # all have ended; macOS says so of a zombie
        os.killpg(process.pid, signal.SIGKILL)
