"""Logs in to Copilot by the runtime's own device flow, with no browser on the kernel's machine.

`copilot login --device-code` requests a code from the host, says where to enter it, waits, and stores the login where
the runtime looks for it. It runs on its own terminal for two reasons. Without a keychain it asks whether it may store
the login in a file, and without a terminal it discards the login instead. And when the kernel dies, the terminal is
closed and the program ends. The kernel's interrupts do not reach it: the waiting thread is interrupted and ends it.

Its output is parsed, never shown unchanged, and never contains a token. (Texts: those of the runtime 1.0.102.)
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from copilot_nb.errors import ProviderError, RuntimeUnavailable
from copilot_nb.providers.provider_error import NETWORK_HINT
from copilot_nb.runtime.install.find_runtime import INSTALL_HINT, find_runtime, own_runtime
from copilot_nb.runtime.install.sdk_pin import pinned_version
from copilot_nb.system.environment import LOGIN_TOKENS, without_keys
from copilot_nb.system.paths import expanded

GITHUB = "https://github.com"
POLL_S = 0.1
END_S = 2.0
MAX_REASON_CHARS = 300

_ON_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"  # its terminal: when that is closed, it is told to end
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
_ESCAPES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]|\r")
_CODE = re.compile(r"(https?://\S+).*?\b([A-Z0-9]{4}-[A-Z0-9]{4})\b")
_MAY_KEEP = re.compile(r"plaintext.*\(y/N\)")
_DONE = re.compile(r"Signed in successfully as (\S+)")
_NOT_KEPT = "the token was not saved"
_TOKEN = re.compile(r"\b(?:gh[a-z]_|github_pat_)\w+")
_NO_NETWORK = re.compile(r"network fetch failed|error sending request")


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the user enters, and where."""

    url: str
    code: str


def token_variable() -> str:
    """Return the first environment variable that has a login; ``""`` if none has."""
    return next((name for name in LOGIN_TOKENS if os.environ.get(name)), "")


def github_cli_logins() -> Path:
    """Return the file in which the GitHub CLI lists its logins, also those whose tokens a keychain has."""
    if folder := os.environ.get("GH_CONFIG_DIR"):
        return Path(folder, "hosts.yml")
    if folder := os.environ.get("XDG_CONFIG_HOME"):
        return Path(folder, "gh", "hosts.yml")
    if sys.platform == "win32" and (folder := os.environ.get("APPDATA")):
        return Path(folder, "GitHub CLI", "hosts.yml")
    return expanded("~/.config/gh/hosts.yml")


def is_of_network(problem: str) -> bool:
    """Whether the runtime could not reach GitHub, by its own words."""
    return _NO_NETWORK.search(problem) is not None


def login_program(runtime_path: str) -> Path:
    """Return the program that can log in; `runtime_path` is the setting of that name.

    Raises
    ------
    RuntimeUnavailable
        If there is none: the small runtime that the SDK downloads cannot.
    """
    program = find_runtime(runtime_path).cli
    if program is None:
        own = own_runtime(pinned_version() or "")
        program = own.cli if own else None
    if program is None:
        raise RuntimeUnavailable(
            "this Copilot runtime comes without the program that logs in", f"{INSTALL_HINT}, or set GH_TOKEN"
        )
    return program


def log_in(
    program: Path, home: Path, host: str, on_code: Callable[[DeviceCode], None], may_keep_in_file: Callable[[], bool]
) -> str:
    """Log in and return the name of the account; call it in a thread that can be interrupted.

    Parameters
    ----------
    program : Path
        What `login_program` returns.
    home : Path
        Where the runtime keeps what it knows.
    host : str
        ``"https://github.com"``, or a GitHub Enterprise Cloud host with data residency.
    on_code : callable
        Told the code as soon as there is one.
    may_keep_in_file : callable
        Asked, where the system has no keychain, whether the login may be kept in the runtime's file.

    Raises
    ------
    ProviderError
        If nobody logged in, or the login was not kept.
    RuntimeUnavailable
        If there is no terminal to run the program on.
    """
    heard, said = b"", ""
    has_code = has_answer = False
    with _running(program, home, host) as terminal:
        for piece in _read(terminal):
            heard += piece
            said = _ESCAPES.sub("", heard.decode("utf-8", "replace"))
            if not has_code and (match := _CODE.search(said)):
                has_code = True
                on_code(DeviceCode(match[1], match[2]))
            if not has_answer and _MAY_KEEP.search(said):
                has_answer = True
                os.write(terminal, b"y\n" if may_keep_in_file() else b"n\n")
    if (done := _DONE.search(said)) is not None:
        return done[1]
    raise _failure(said, host)


def _failure(said: str, host: str) -> ProviderError:
    if _NOT_KEPT in said:
        return ProviderError(
            "the login was not kept: this system has no keychain, and no file was allowed",
            "%copilot login again and answer y, or set GH_TOKEN",
        )
    last = (said.strip().splitlines() or ["no message"])[-1][:MAX_REASON_CHARS]
    reason = _TOKEN.sub("[token]", last).removeprefix("Login failed: ").removeprefix("Error: ").rstrip(".")
    if is_of_network(reason):
        return ProviderError(f"{host} cannot be reached: {reason}", f"{NETWORK_HINT}; then %copilot login")
    return ProviderError(f"the login at {host} failed: {reason}", "%copilot login again")


@contextmanager
def _running(program: Path, home: Path, host: str) -> Iterator[int]:
    """Run the program and yield our end of its terminal; end both afterwards."""
    try:
        import pty
    except ImportError as error:
        raise RuntimeUnavailable("there are no terminals on this system", "in a terminal: copilot login") from error
    ours, its = pty.openpty()
    command = [*(["node"] if program.suffix == ".js" else []), str(program), "login", "--device-code", "--host", host]
    try:
        process = subprocess.Popen(  # noqa: S603 - a program that the user installed or named
            [sys.executable, "-I", "-S", "-c", _ON_TERMINAL, *command],
            stdin=its,
            stdout=its,
            stderr=its,
            env=_environment(program, home),
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    try:
        yield ours
    finally:
        os.close(ours)
        _end(process)


def _environment(program: Path, home: Path) -> dict[str, str]:
    environment = without_keys(kept=LOGIN_TOKENS)
    environment.pop("COPILOT_OFFLINE", None)
    environment |= {"COPILOT_HOME": str(home), "COPILOT_AUTO_UPDATE": "false", "NO_COLOR": "1"}
    if (program.parent / "pkg").is_dir():  # unpacked when it was installed: 235 MB, once is enough
        environment["COPILOT_PKG_CACHE_HOME"] = str(program.parent)
    return environment


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program, which has lost its terminal, and everything it has started."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(terminal: int) -> Iterator[bytes]:
    """Yield what the program says until it ends, which it does when its code has expired."""
    while True:
        ready, _, _ = select.select([terminal], [], [], POLL_S)
        if not ready:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # how Linux tells that the other end is closed
            return
        if not data:
            return
        yield data
