"""What `make test` prints while it runs."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
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


def test_pytest_prints_it_in_place_of_its_dots(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one(): pass")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.progress", "-c", os.devnull, str(tmp_path)]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    assert "Running 1 tests in 1 files" in ran.stdout
    assert re.search(r"100 %  .*test_one.py: 1 passed in 0 s", ran.stdout)
