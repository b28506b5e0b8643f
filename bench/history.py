"""Histories: the last page of a long session, over the bare SDK's reading of it; lists and searches of many sessions.

The peer reads, in one call (`readPersistedEvents`), as many events of the log's end as we do, and shows nothing; we
also turn them into turns and render them. An answer that a cell or a history has shown stays rendered, and its code
stays coloured, so the first time in a kernel is reported separately, and the first time that its code is coloured. `ls`
and `search` are timed with their table, over stored sessions of which most have two turns and one in ten has twenty.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.bare import as_shipped
from bench.logs import copies, reply, store
from bench.report import Result, ratios
from copilot_nb.named_sessions.formats.import_json import import_session
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.render.highlight import _coloured
from copilot_nb.render.markdown import _kept_html
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel

LONG_TURNS, PAGE_TURNS = 1_000, 10
STORED, LONGER, LONGER_TURNS = 5_000, 500, 20
LISTED = 100
REPETITIONS = 30


def run() -> list[Result]:
    """Measure."""
    model = ScriptedModel(reply)
    with tempfile.TemporaryDirectory() as home:  # what other benchmarks stored would be listed too
        manager = Manager(CopilotNB(provider="scripted", home=home))
        manager.providers.add(InKernel("scripted", lambda: model))
        try:
            return [*_page(manager), _imported(manager, Path(home, "long.json")), *_thousands(manager)]
        finally:
            manager.close()


def _page(manager: Manager) -> list[Result]:
    store(manager, "long", LONG_TURNS)
    session = manager.existing("long")
    page = session.last_turns(PAGE_TURNS)
    assert [len(page), len(session.history)] == [PAGE_TURNS, LONG_TURNS]

    from copilot_nb.runtime.logfile import _facts_in

    def show() -> str:
        return session.last_turns(PAGE_TURNS)[:]._repr_html_()

    def show_first() -> str:
        _kept_html.cache_clear()
        _facts_in.cache_clear()
        return show()

    @as_shipped()
    def read() -> None:
        manager.loop.blocking(_bare_page(manager))

    def show_new_code() -> str:
        _coloured.cache_clear()
        return show_first()

    ours, bare = _interleaved(show, read)
    first, bare_beside, coloured = _interleaved(show_first, read, show_new_code)
    name = f"history: last {PAGE_TURNS} of {LONG_TURNS:,} turns as HTML / bare read"
    return [
        ratios(name, ours, bare, at_most=1.2),
        ratios(f"{name}, answers not rendered before", first, bare_beside, at_most=3),
        ratios(f"{name}, (their code not coloured before either)", coloured, bare_beside),
        Result("history: (the bare read)", [1000 * took_s for took_s in bare], "ms"),
    ]


def _imported(manager: Manager, path: Path) -> Result:
    manager.existing("long").export(path)
    began_s = time.perf_counter()
    session = import_session(manager, path, "long again")
    took_s = time.perf_counter() - began_s
    session.delete()
    return Result(f"history: {LONG_TURNS:,} turns imported", [took_s], "s", at_most=15)


async def _bare_page(manager: Manager) -> None:
    """Read the events of one page."""
    from copilot.generated import rpc

    from copilot_nb.runtime.archive import EVENTS_PER_TURN

    client = await (await manager.client()).ready()
    request = rpc.SessionsReadPersistedEventsRequest(
        session_id="long", direction=rpc.EventsReadDirection.BACKWARD, max=EVENTS_PER_TURN * (PAGE_TURNS + 1)
    )
    page = await client.rpc.sessions.read_persisted_events(request)
    assert len(page.events) == EVENTS_PER_TURN * (PAGE_TURNS + 1)


def _thousands(manager: Manager) -> list[Result]:
    store(manager, "short", 2)
    store(manager, "longer", LONGER_TURNS)
    copies(manager, "longer", LONGER, "longer")
    copies(manager, "short", STORED - LONGER - 3, "short")
    assert len(manager.stored()) == STORED
    found = len(manager.search("gradient of step 1?"))
    assert found == STORED, found
    timed: list[tuple[str, Callable[[], object], float | None]] = [
        (f"ls: the last {LISTED}", lambda: manager.sessions(LISTED)._repr_html_(), 0.3),
        ("ls: all of them", lambda: manager.sessions()._repr_html_(), None),
        ("search: a word of all of them", lambda: manager.search("gradient of step 1?")._repr_html_(), 0.4),
        ("search: a word of none", lambda: manager.search("a word of none")._repr_html_(), None),
    ]
    samples = _interleaved(*(function for _, function, _ in timed), repetitions=5)
    names = [f"history: {STORED:,} sessions, {name}" for name, _, _ in timed]
    return [Result(name, took_s, "s", goal) for name, took_s, (_, _, goal) in zip(names, samples, timed, strict=True)]


def _interleaved(*functions: Callable[[], object], repetitions: int = REPETITIONS) -> list[list[float]]:
    """Call the functions alternately, each without the garbage of the last one; return the seconds that each took."""
    samples: list[list[float]] = [[] for _ in functions]
    for number in range(repetitions + 1):  # the first time fills caches and is not counted
        for function, taken in zip(functions, samples, strict=True):
            gc.collect()
            began_s = time.perf_counter()
            function()
            if number:
                taken.append(time.perf_counter() - began_s)
    return samples
