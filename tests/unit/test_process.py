"""Whether the runtime's process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.runtime.process import has_ended


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def client_of(process: subprocess.Popen[bytes] | None) -> Any:
    return cast(Any, SimpleNamespace(_cli_process=process))


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_a_process_that_lives_or_never_was_has_not_ended(process: subprocess.Popen[bytes]) -> None:
    assert not has_ended(client_of(process))
    assert not has_ended(client_of(None))


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="macOS before Python 3.13 has no waitid")
def test_a_killed_process_has_ended_also_while_another_thread_asks(process: subprocess.Popen[bytes]) -> None:
    kill(process)
    with cast(Any, process)._waitpid_lock:
        assert process.poll() is None
        assert has_ended(client_of(process))
    assert process.poll() is not None
    assert has_ended(client_of(process))


def test_a_process_whose_end_somebody_else_has_taken_has_ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    os.waitpid(process.pid, 0)
    assert has_ended(client_of(process))


def test_a_process_of_which_the_sdk_hears_no_more_has_ended(process: subprocess.Popen[bytes]) -> None:
    """On a busy machine its pipes close some time before its status is known."""
    client = client_of(process)
    client._client = SimpleNamespace(_process_exit_error="CLI process exited unexpectedly")
    assert has_ended(client)
