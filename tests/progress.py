"""What `make test` prints while it runs: a line for each file of tests that is done, and below it what is running.

A plugin of pytest (``-p tests.progress``), in place of its dots. A line says how far the run is, how long it has run,
and what came of a file. On a terminal the last line says which files are running; elsewhere there is no such line.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import pytest

from copilot_nb.console import MOVING, accept_any_text, say

MAX_COLUMNS = 99


@dataclass
class File:
    """The tests of one file: those that are left, and what came of the others."""

    left: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0


class Progress:
    """Prints what has been done and what is being done.

    Parameters
    ----------
    out : TextIO
        Where it is printed.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._files: dict[str, File] = {}
        self._running: dict[str, None] = {}  # files, in the order in which they began
        self._total = self._done = 0
        self._began_s = time.monotonic()

    def collected(self, tests: Iterable[str]) -> None:
        """Learn which tests there are."""
        for test in tests:
            self._files.setdefault(_file(test), File()).left.add(test)
        self._total = sum(len(file.left) for file in self._files.values())
        say(f"Running {self._total} tests in {len(self._files)} files", self._out)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn them where they run in this process."""
        if session.items:
            self.collected(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn them from the first worker; the others have the same."""
        if not self._total:
            self.collected(ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Iterator[tuple[str, str, str]]:
        """Have pytest count a test, but print no letter for it."""
        category, *_ = yield
        return category, "", ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show which file has begun."""
        if _file(nodeid) not in self._running:
            self._running[_file(nodeid)] = None
            self._show_running()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test; tell of one that failed, and of a file that is done."""
        name = _file(report.nodeid)
        file = self._files.setdefault(name, File())
        file.took_s += report.duration
        if report.when == "call" or not report.passed:
            file.outcomes[report.outcome] += 1
        if report.failed:
            self._say(f"{report.nodeid} failed ({report.when})")
        if report.when == "teardown":
            self._done += report.nodeid in file.left
            file.left.discard(report.nodeid)
            if not file.left:
                self._running.pop(name, None)
                outcomes = ", ".join(f"{number} {outcome}" for outcome, number in file.outcomes.items())
                self._say(f"{name}: {outcomes} in {file.took_s:.0f} s")
            self._show_running()

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Tell what each folder took, in place of the last line."""
        if self._out.isatty():
            self._out.write("\r\x1b[K")
        folders: dict[str, float] = {}
        for name, file in self._files.items():
            folder = name.rpartition("/")[0]
            folders[folder] = folders.get(folder, 0) + file.took_s
        if len(folders) > 1 and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            took = ", ".join(f"{folder} {took_s / 60:.1f}" for folder, took_s in folders.items())
            say(f"Minutes of one process: {took}", self._out)

    def _say(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began_s), 60)
        say(f"{minutes:2}:{seconds:02} {self._done * 100 // max(1, self._total):3} %  {line}", self._out)

    def _show_running(self) -> None:
        if self._out.isatty():
            names = ", ".join(name.removeprefix("tests/") for name in self._running)
            say(f"{MOVING} {self._done} of {self._total} tests; running {names}"[:MAX_COLUMNS], self._out)


@pytest.hookimpl(trylast=True)  # after conftest.py has set its own handler of interrupts
def pytest_configure(config: pytest.Config) -> None:
    """Print progress, but not in each worker."""
    if not hasattr(config, "workerinput"):
        out = sys.__stdout__ or sys.stdout
        accept_any_text(out)
        config.pluginmanager.register(Progress(out), "progress")
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_number: int, _frame: object) -> None:
    """End the run, with one line; what the workers do is ended by the same interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pytest.exit("interrupted")


def _file(test: str) -> str:
    return test.partition("::")[0]
