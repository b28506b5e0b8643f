"""The cost of a streaming answer for a real JupyterLab page: the time of its main thread, and whether it keeps up.

The page runs in the browser of the tests. It gets the same 20 kB within 15 s three times: as plain deltas (a cell that
prints them), as an answer of a session, and not at all (a cell that sleeps, whose time is subtracted from both). The
main thread's time is the browser's own count (`TaskDuration`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession

from bench.answers import PIECES_PER_S, answer
from bench.report import Result, ratios
from bench.stream import LONG, setup
from tests.browser.chromium import browsing, new_context
from tests.browser.conftest import Lab, Notebook, serving

REPETITIONS = 3
SIZE_BYTES, DURATION_S = LONG
SLEEP = f"import time; time.sleep({DURATION_S})"
PRINT = f"""\
import time
size = piece_chars({SIZE_BYTES}, {DURATION_S})
for start in range(0, {SIZE_BYTES}, size):
    print(answer({SIZE_BYTES})[start : start + size], end="", flush=True)
    time.sleep(1 / {PIECES_PER_S})
"""
ASK = "%%copilot s1\nhello"


@contextmanager
def opened_lab() -> Iterator[Lab]:
    """Run a separate JupyterLab and a browser."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        serving(Path(home)) as server,
        browsing(Path(home) / "chromium") as browser,
        new_context(browser, []) as context,
    ):
        yield Lab(server, context, "bench")


def run() -> list[Result]:
    """Measure."""
    with opened_lab() as lab:
        idle_s = _run_in_page(lab, SLEEP)[0].worked_s
        pages = [_run_in_page(lab, PRINT, ASK) for _ in range(REPETITIONS)]
    printed, answered = zip(*pages, strict=True)
    printing_s = [cell.worked_s - idle_s for cell in printed]
    answering_s = [cell.worked_s - idle_s for cell in answered]
    lost = [int(cell.outputs[0]["data"]["text/plain"] != answer(SIZE_BYTES)) for cell in answered]
    return [
        ratios(
            "page: time until the answer is complete / the deltas are",
            [cell.took_s for cell in answered],
            [cell.took_s for cell in printed],
            at_most=1.05,
        ),
        ratios("page: main thread's time / that of plain deltas", answering_s, printing_s, at_most=2.0),
        Result("page: (main thread's time, plain deltas)", printing_s, "s"),
        Result("page: last update lost in JupyterLab", lost, "", at_most=0),
    ]


@dataclass(frozen=True)
class _Cell:
    """One run of a cell: the main thread's seconds, the seconds until the page had the end, and the text it shows."""

    worked_s: float
    took_s: float
    outputs: list[dict[str, Any]]


def _run_in_page(lab: Lab, *sources: str) -> list[_Cell]:
    """Run cells in a new page and a new kernel, because earlier content makes a page slower."""
    notebook = lab.open(setup(*LONG), *sources)
    notebook.run(0)
    devtools = lab.context.new_cdp_session(notebook.page)
    devtools.send("Performance.enable")
    cells = [_run(notebook, devtools, number + 1) for number in range(len(sources))]
    notebook.page.close()
    for session in lab.server.api("sessions"):
        lab.server.api(f"sessions/{session['id']}", "DELETE")
    return cells


def _run(notebook: Notebook, devtools: CDPSession, cell: int) -> _Cell:
    before_s, began_s = worked_s(devtools), time.perf_counter()
    notebook.run(cell)
    took_s = time.perf_counter() - began_s
    notebook.page.evaluate("() => new Promise(done => requestIdleCallback(done))")
    return _Cell(worked_s(devtools) - before_s, took_s, notebook.outputs(cell))


def worked_s(devtools: CDPSession) -> float:
    """Return how long a page's main thread has worked; call it after ``Performance.enable``."""
    metrics: list[dict[str, Any]] = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")
