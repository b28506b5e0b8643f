"""What `make test` prints while it runs."""

from __future__ import annotations

import io
import re
from typing import Literal

import pytest

from tests.progress import Progress

TESTS = ["tests/a.py::one", "tests/a.py::two", "tests/b.py::three"]


def run(progress: Progress, test: str, outcome: Literal["passed", "failed"] = "passed") -> None:
    progress.pytest_runtest_logstart(test)
    for when in ("setup", "call", "teardown"):
        came: Literal["passed", "failed"] = outcome if when == "call" else "passed"
        progress.pytest_runtest_logreport(pytest.TestReport(test, ("", 0, ""), {}, came, None, when, duration=1))


def test_a_file_that_is_done_and_a_test_that_failed_have_a_line() -> None:
    out = io.StringIO()
    progress = Progress(out)
    progress.collected(TESTS)
    for test, outcome in zip(TESTS, ("passed", "failed", "passed"), strict=True):
        run(progress, test, outcome)
    assert [re.sub(r"^ *\d+:\d\d +", "", line) for line in out.getvalue().splitlines()] == [
        "Running 3 tests in 2 files",
        "33 %  tests/a.py::two failed (call)",
        "66 %  tests/a.py: 1 passed, 1 failed in 6 s",
        "100 %  tests/b.py: 1 passed in 3 s",
    ]
