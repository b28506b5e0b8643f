"""Many named sessions: a prompt to each of them at once, over the bare SDK that keeps them all loaded.

Each side has a runtime of its own, with the same session options, and they take turns: first one, then the other, and
the other way round. The first prompts create the sessions and are not measured. A turn's time is its caller's: from
sending it to its end, waiting in line included (the setting `max_parallel_turns` is at its default).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil

from bench.bare import as_shipped, bare_session
from bench.report import Result, ratios
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel

SIZES = (10, 50, 200)
LATENCIES_S = (0.0, 0.5)
ROUNDS = {10: 8, 50: 4, 200: 2}
THROUGHPUT_GOAL, MEMORY_GOAL = 1.05, 1.0

Ask = Callable[[int], Awaitable[object]]


class Side:
    """One side: its runtime, what asks a session by its number, and what its rounds took.

    Attributes
    ----------
    turns_s : list of float
        Seconds of each turn.
    rounds_s : list of float
        Seconds of each round.
    """

    def __init__(self, manager: Manager, size: int, ask: Ask) -> None:
        self._manager = manager
        self._size = size
        self._ask = ask
        self.turns_s: list[float] = []
        self.rounds_s: list[float] = []

    def ask_all(self) -> None:
        """Ask all sessions at once, and record the times."""
        began_s = time.perf_counter()
        self.turns_s += self._manager.loop.blocking(self._at_once())
        self.rounds_s.append(time.perf_counter() - began_s)

    async def _at_once(self) -> list[float]:
        began_s = time.perf_counter()

        async def timed(number: int) -> float:
            await self._ask(number)
            return time.perf_counter() - began_s

        return await asyncio.gather(*map(timed, range(self._size)))

    def forget(self) -> None:
        """Discard the times of the rounds so far."""
        self.turns_s, self.rounds_s = [], []

    def memory_mb(self) -> float:
        """Return the memory of the runtime (MB)."""
        client = self._manager.loop.blocking(self._manager.client())
        return psutil.Process(client.process_id).memory_info().rss / 1e6

    def percentile_s(self, percent: int) -> float:
        """Return a percentile of the turns (seconds)."""
        return statistics.quantiles(self.turns_s, n=100, method="inclusive")[percent - 1]


def run() -> list[Result]:
    """Measure."""
    return [result for size in SIZES for latency_s in LATENCIES_S for result in _compared(size, latency_s)]


def _compared(size: int, latency_s: float) -> list[Result]:
    with _manager(latency_s) as our_manager, _manager(latency_s) as bare_manager:
        ours = Side(our_manager, size, _our_sessions(our_manager, size))
        bare = Side(bare_manager, size, bare_manager.loop.blocking(_bare_sessions(bare_manager, size)))
        for side in (ours, bare):
            side.ask_all()
            side.forget()
        rounds = ours.ask_all, as_shipped()(bare.ask_all)
        for number in range(ROUNDS[size]):
            for ask_all in rounds[:: 1 if number % 2 else -1]:
                ask_all()
        return list(_results(f"scale: {size} sessions, {1000 * latency_s:.0f} ms", size, ours, bare))


def _results(name: str, size: int, ours: Side, bare: Side) -> Iterator[Result]:
    yield ratios(f"{name}: bare turns/s over ours", ours.rounds_s, bare.rounds_s, at_most=THROUGHPUT_GOAL)
    for percent in (50, 95):
        yield Result(f"{name}: p{percent} of a turn", [ours.percentile_s(percent) / bare.percentile_s(percent)])
    goal = MEMORY_GOAL if size == max(SIZES) else None
    yield Result(f"{name}: memory", [ours.memory_mb() / bare.memory_mb()], at_most=goal)
    yield Result(f"{name}: (bare: turns/s)", _per_s(size, bare.rounds_s), "1/s")
    yield Result(f"{name}: (bare: p50)", [1000 * bare.percentile_s(50)], "ms")
    yield Result(f"{name}: (bare: memory)", [bare.memory_mb()], "MB")


def _per_s(size: int, rounds_s: Sequence[float]) -> list[float]:
    return [size / took_s for took_s in rounds_s]


@contextmanager
def _manager(latency_s: float) -> Iterator[Manager]:
    manager = Manager(CopilotNB(provider="scripted"))
    model = ScriptedModel("ok", delay_s=latency_s)
    manager.providers.add(InKernel("scripted", lambda: model))
    try:
        yield manager
    finally:
        for session in list(manager):
            session.delete()
        manager.close()


def _our_sessions(manager: Manager, size: int) -> Ask:
    sessions = [manager.session(f"ours-{number}") for number in range(size)]

    async def ask(number: int) -> None:
        await sessions[number].send("hello")

    return ask


async def _bare_sessions(manager: Manager, size: int) -> Ask:
    sessions = [await bare_session(manager, f"bare-{number}") for number in range(size)]
    return lambda number: sessions[number].send_and_wait("hello", timeout=600)
