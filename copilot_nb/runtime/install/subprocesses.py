"""Runs programs that take long: with progress, and stopped together with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from copilot_nb.errors import RuntimeUnavailable

HEARTBEAT_S = 3.0
DOWNLOAD_TIMEOUT_S = 1200.0  # 129 MB at 110 kB/s

Progress = Callable[[str], None]


def run_patiently(
    argv: Sequence[str],
    heartbeat: Callable[[float], None],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end, calling `heartbeat` with the seconds passed every few seconds.

    Its output goes into files, so that no pipe can fill up while nobody reads. Whatever ends this function
    early (the timeout, Ctrl-C) also ends the program.

    Raises
    ------
    RuntimeUnavailable
        If it cannot be started or has not ended after `timeout_s` seconds.
    """
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _running(argv, out.fileno(), err.fileno(), env, cwd) as process:
            while (code := _wait(process)) is None:
                passed_s = time.monotonic() - begin
                if passed_s > timeout_s:
                    raise RuntimeUnavailable(f"{Path(argv[0]).name} had not finished after {timeout_s:g} s")
                heartbeat(passed_s)
        return subprocess.CompletedProcess(list(argv), code, *(_text(file) for file in (out, err)))


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(HEARTBEAT_S)
    except subprocess.TimeoutExpired:
        return None


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


@contextmanager
def _running(
    argv: Sequence[str], out: int, err: int, env: Mapping[str, str] | None, cwd: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: version managers put a script in front of npm, and killing that alone would leave npm.
    try:
        process = subprocess.Popen(  # noqa: S603 - npm, pip or the SDK, found by us
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True
        )
    except OSError as exc:
        raise RuntimeUnavailable(f"cannot start {argv[0]}: {exc.strerror or exc}") from exc
    try:
        yield process
    finally:
        if process.poll() is None:
            _kill(process)
            process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def folder_size_mb(folder: Path) -> float:
    """Return the size of the files in `folder`, in MB: the progress of a download or unpacking."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # it may be renamed while we look
                total += (Path(parent) / name).lstat().st_size
    return total / 1e6


def error_line(stderr: str) -> str:
    """Return the line that says why: the last one that begins with “error:”, else the last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error:")]
    return (errors or lines or ["no message"])[-1][:200]
