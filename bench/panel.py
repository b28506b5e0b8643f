"""The cost of a chat panel for a real JupyterLab page while an answer streams, over two simple widgets.

The peers replace the whole rendered answer, at most ten times a second, in an `ipywidgets.Output` and in an
`ipywidgets.HTML`, by the same rendering as the panel's. All three show the same answers: 20 kB within 16 s, and 100 kB
within 5 s, where they differ in how far behind the model they are. Counted are the messages that reach the page (with
the transcript that the panel leaves for a saved notebook told apart), the time of the page's main thread (without what
the page does anyway, of a cell that sleeps), and its longest task.

A session of 1,000 turns is opened, and leafed through to its first turn; and the transcript of 20 turns is saved. The
session is opened after three seconds of thinking, in which the kernel imports the SDK; and right after `%load_ext`,
when the panel waits for that import, of 1 s, as the first answer does (see `start`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.answers import answer
from bench.logs import reply, store
from bench.page import opened_lab, worked_s
from bench.report import Result, ratios
from bench.start import THINKING_S
from bench.stream import setup
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.panels.deltas import PAGE_TURNS
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel
from tests.browser.conftest import Lab, Notebook
from tests.browser.traffic import TRACED, Frame, Traffic, longest_task_ms, most_in_a_second

REPETITIONS = 2
SLOW, FAST = (20_000, 16.0), (100_000, 5.0)
MESSAGES_PER_S, ENVELOPE_BYTES, HTML_TIMES, LONGEST_TASK_MS = 12, 1_000, 1.5, 100
SLEEP = "import time\ntime.sleep({})"
PANEL = 'import copilot_nb as cp\ncp.ChatPanel("s1")'
ASK = """\
turn = cp.session("s1").send("hello")
turn.wait()
turn.record.finished_at.timestamp()
"""
PEER = """\
import time
import copilot_nb as cp
import ipywidgets
from copilot_nb.render.markdown import markdown_to_html
from IPython.display import HTML, display
"""
OUTPUT = """\
area = ipywidgets.Output()
display(area)
def show(html):
    area.clear_output(wait=True)
    with area:
        display(HTML(html))
"""
WIDGET = """\
area = ipywidgets.HTML()
display(area)
def show(html):
    area.value = html
"""
REPLACE = """\
turn, shown, is_done = cp.session("s1").send("hello"), "", False
while not is_done:
    time.sleep(0.1)
    is_done, text = turn.done, turn.text
    if is_done or text != shown:
        state = "done" if is_done else "working"
        show(f'<div class="peer" data-state="{state}">{markdown_to_html(text, maths="mathml")}</div>')
        shown = text
turn.record.finished_at.timestamp()
"""
WAYS = {"panel": (PANEL, ASK), "Output": (PEER + OUTPUT, REPLACE), "HTML": (PEER + WIDGET, REPLACE)}
LONG_TURNS, TURN_BYTES = 1_000, 5_000
DONE = "document.querySelectorAll('.cnb-turn[data-state=done]')"
EARLIER = """() => new Promise(done => {
    const began = performance.now();
    const observer = new MutationObserver(() => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    });
    observer.observe(document.querySelector('.cnb-turns'), {childList: true});
    document.querySelector('.cnb-earlier').click();
})"""
SHOWN = "() => document.querySelector(':is(.cnb-turn, .peer)[data-state=done]') && Date.now() / 1000"


@dataclass(frozen=True)
class _Shown:
    """One shown answer: the frames from the kernel, and the load of the page's main thread."""

    frames: list[Frame]
    behind_s: float
    worked_s: float
    longest_ms: float

    @property
    def told(self) -> list[Frame]:
        """The content that the widgets received and showed."""
        told = [frame for frame in self.frames if frame.type in ("comm_msg", "display_data", "clear_output")]
        return [frame for frame in told if not _is_kept(frame)]

    @property
    def told_bytes(self) -> int:
        """Its length."""
        return sum(len(frame.raw) for frame in self.told)

    @property
    def kept_bytes(self) -> int:
        """The length of the transcript that a saved notebook shows."""
        return _kept_bytes(self.frames)

    @property
    def most_in_a_second(self) -> int:
        """The largest number of messages in one second."""
        return most_in_a_second([frame.at_s for frame in self.told])


def run() -> list[Result]:
    """Measure."""
    with opened_lab() as lab:
        traffic = Traffic()
        lab.on_page.append(traffic.listen)
        return [
            *_compared(lab, traffic, *SLOW),
            *_compared(lab, traffic, *FAST),
            *_long(
                [_leafed(lab, THINKING_S) for _ in range(REPETITIONS)], [_leafed(lab, 0) for _ in range(REPETITIONS)]
            ),
            *_kept([_saved(lab, traffic) for _ in range(REPETITIONS)]),
        ]


def _compared(lab: Lab, traffic: Traffic, size_bytes: int, duration_s: float) -> Iterator[Result]:
    idle_s = _idle_s(lab, size_bytes, duration_s)
    found = [
        {way: _shown(lab, traffic, setup(size_bytes, duration_s), way) for way in WAYS} for _ in range(REPETITIONS)
    ]
    by_way = {way: [shown[way] for shown in found] for way in WAYS}
    name = f"panel: {size_bytes // 1000} kB in {duration_s:g} s:"
    yield from _goals(name, by_way["panel"], len(markdown_to_html(answer(size_bytes), maths="mathml").encode()))
    for peer in ("Output", "HTML"):
        yield from _beside(f"{name} panel / ipywidgets.{peer},", by_way["panel"], by_way[peer], idle_s)
    for way, shown in by_way.items():
        yield Result(f"{name} ({way}: bytes)", [each.told_bytes / 1000 for each in shown], "kB")
        yield Result(f"{name} ({way}: main thread's time)", [each.worked_s - idle_s for each in shown], "s")
        yield Result(f"{name} ({way}: longest task)", [each.longest_ms for each in shown], "ms")
        yield Result(f"{name} ({way}: behind the model at the end)", [each.behind_s for each in shown], "s")


def _goals(name: str, panel: list[_Shown], html_bytes: int) -> Iterator[Result]:
    most = [each.most_in_a_second for each in panel]
    allowed = [HTML_TIMES * html_bytes + ENVELOPE_BYTES * len(each.told) for each in panel]
    yield Result(f"{name} messages in the busiest second", most, "", MESSAGES_PER_S)
    yield ratios(
        f"{name} bytes / (1.5 × the rendered answer + 1 kB a message)", [each.told_bytes for each in panel], allowed, 1
    )
    yield Result(f"{name} longest task of the page", [each.longest_ms for each in panel], "ms", LONGEST_TASK_MS)
    yield Result(f"{name} (transcript that is kept, bytes)", [each.kept_bytes / 1000 for each in panel], "kB")


def _beside(name: str, panel: list[_Shown], peer: list[_Shown], idle_s: float) -> Iterator[Result]:
    ours, peers = ([each.worked_s - idle_s for each in side] for side in (panel, peer))
    yield ratios(f"{name} main thread's time", ours, peers, at_most=1)
    ours, peers = ([float(each.told_bytes + each.kept_bytes) for each in side] for side in (panel, peer))
    yield ratios(f"{name} bytes", ours, peers, at_most=1)


def _idle_s(lab: Lab, size_bytes: int, duration_s: float) -> float:
    """Return how long the main thread works while a cell sleeps for the time of an answer."""
    with _opened(lab, setup(size_bytes, duration_s), "pass", SLEEP.format(duration_s)) as notebook:
        devtools = lab.context.new_cdp_session(notebook.page)
        devtools.send("Performance.enable")
        before_s = worked_s(devtools)
        notebook.run(2)
        return worked_s(devtools) - before_s


def _shown(lab: Lab, traffic: Traffic, load: str, way: str) -> _Shown:
    """Show an answer in a new page and a new kernel."""
    browser = lab.context.browser
    assert browser
    with _opened(lab, load, *WAYS[way]) as notebook:
        page = notebook.page
        if way == "panel":
            page.locator(".cnb-models option").first.wait_for(state="attached")
        devtools = lab.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        known, before_s = len(traffic.frames), worked_s(devtools)
        browser.start_tracing(page=page, categories=list(TRACED))
        running = notebook.start(2)
        shown_at_s = float(page.wait_for_function(SHOWN, polling=50, timeout=180_000).json_value())
        running.wait()
        page.evaluate("() => new Promise(done => requestIdleCallback(done))")
        took_s = worked_s(devtools) - before_s
        longest_ms = longest_task_ms(browser.stop_tracing())
        ended_at_s = float(notebook.outputs(2)[0]["data"]["text/plain"])
        return _Shown(traffic.frames[known:], shown_at_s - ended_at_s, took_s, longest_ms)


@dataclass(frozen=True)
class _Leafed:
    """What it took to open a long session, and to show its first turns beside all others."""

    opened_s: float
    first_page_s: float
    longest_ms: float


def _long(found: list[_Leafed], at_once: list[_Leafed]) -> Iterator[Result]:
    name = f"panel: {LONG_TURNS:,} turns:"
    yield Result(
        f"{name} opened after {THINKING_S:g} s of thinking", [each.opened_s for each in found], "s", at_most=0.8
    )
    yield Result(f"{name} (opened right after %load_ext)", [each.opened_s for each in at_once], "s")
    yield Result(
        f"{name} longest task, first turns added to all others", [each.longest_ms for each in found], "ms", 100
    )
    yield Result(f"{name} (time until they are there)", [each.first_page_s for each in found], "s")


def _leafed(lab: Lab, thinking_s: float) -> _Leafed:
    manager = Manager(CopilotNB(provider="scripted", home=str(lab.server.copilot_home)))
    manager.providers.add(InKernel("scripted", lambda: ScriptedModel(reply)))
    store(manager, "long", LONG_TURNS)
    manager.close()
    browser = lab.context.browser
    assert browser
    with _opened(lab, setup(2_500, 1.0), PANEL.replace("s1", "long")) as notebook:
        time.sleep(thinking_s)
        page, began_s = notebook.page, time.perf_counter()
        notebook.start(1)
        page.wait_for_function(f"() => document.querySelectorAll('.cnb-turn').length === {PAGE_TURNS}", polling=20)
        opened_s = time.perf_counter() - began_s
        for _ in range(LONG_TURNS // PAGE_TURNS - 2):
            page.evaluate(EARLIER)
        browser.start_tracing(page=page, categories=list(TRACED))
        first_page_s = float(page.evaluate(EARLIER)) / 1000
        return _Leafed(opened_s, first_page_s, longest_task_ms(browser.stop_tracing()))


@dataclass(frozen=True)
class _Saved:
    """The transcript of a page of turns: bytes during the answers and at a save, and the page's longest task."""

    unasked_bytes: int
    saved_bytes: int
    longest_ms: float


def _kept(found: list[_Saved]) -> Iterator[Result]:
    name = f"panel: transcript of {PAGE_TURNS} turns of {TURN_BYTES // 1000} kB:"
    yield Result(f"{name} sent unasked", [each.unasked_bytes / 1000 for each in found], "kB", at_most=0)
    yield Result(f"{name} (sent at a save)", [each.saved_bytes / 1000 for each in found], "kB")
    yield Result(f"{name} (longest task then)", [each.longest_ms for each in found], "ms")


def _saved(lab: Lab, traffic: Traffic) -> _Saved:
    ask = f'for number in range({PAGE_TURNS}):\n    cp.session("s1").ask("hello")'
    browser = lab.context.browser
    assert browser
    with _opened(lab, setup(TURN_BYTES, 1.0), PANEL, ask) as notebook:
        notebook.page.locator(".cnb-models option").first.wait_for(state="attached")
        known = len(traffic.frames)
        notebook.run(2)
        notebook.page.wait_for_function(f"() => {DONE}.length === {PAGE_TURNS}")
        browser.start_tracing(page=notebook.page, categories=list(TRACED))
        unasked = len(traffic.frames)
        notebook.save()
        notebook.page.wait_for_function("() => document.querySelector('.cnb-static ul')")
        notebook.page.evaluate("() => new Promise(done => requestIdleCallback(done))")
        longest_ms = longest_task_ms(browser.stop_tracing())
        sent = [_kept_bytes(traffic.frames[known:unasked]), _kept_bytes(traffic.frames[unasked:])]
        return _Saved(*sent, longest_ms)


def _kept_bytes(frames: list[Frame]) -> int:
    return sum(len(frame.raw) for frame in frames if _is_kept(frame))


def _is_kept(frame: Frame) -> bool:
    return "transcript" in frame.said


@contextmanager
def _opened(lab: Lab, *sources: str) -> Iterator[Notebook]:
    """Open cells in a page and run all but the last."""
    notebook = lab.open(*sources)
    for number in range(len(sources) - 1):
        notebook.run(number)
    yield notebook
    notebook.page.close()
    for session in lab.server.api("sessions"):
        lab.server.api(f"sessions/{session['id']}", "DELETE")
    shutil.rmtree(lab.server.copilot_home, ignore_errors=True)  # the next panel shows no turn of this one
