"""Many named sessions: a prompt to each of them at once, over the bare SDK that keeps them all loaded.

Each side has a runtime of its own, with the same session options, and they take turns: first one, then the other, and
the other way round. The first prompts, all at once too, create the sessions and are not measured. A turn's time is its
caller's: from sending it to its end, waiting in line included (the setting `max_parallel_turns` is at its default).

A runtime's memory is read after the last round. It depends on what came at the same time: sessions that were created
one by one before the first prompt take 2 % less afterwards. Two runtimes that did the same differ by up to 2 %, so at
the largest size each side has several, one after another.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from bench.bare import as_shipped, bare_session
from bench.report import Result, ratios
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel

if TYPE_CHECKING:
    from copilot import CopilotSession

SIZES = (10, 50, 200)
LATENCIES_S = (0.0, 0.5)
ROUNDS = {10: 8, 50: 4, 200: 2}
"""Rounds of a runtime."""
RUNTIMES = {10: 1, 50: 1, 200: 5}
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
    memory_mb : float
        The memory of the runtime after the last round (MB).
    """

    def __init__(self, manager: Manager, size: int, ask: Ask) -> None:
        self._manager = manager
        self._size = size
        self._ask = ask
        self.turns_s: list[float] = []
        self.rounds_s: list[float] = []
        self.memory_mb = 0.0

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

    def weigh(self) -> None:
        """Read the memory of the runtime."""
        client = self._manager.loop.blocking(self._manager.client())
        self.memory_mb = psutil.Process(client.process_id).memory_info().rss / 1e6


def run() -> list[Result]:
    """Measure."""
    return [result for size in SIZES for latency_s in LATENCIES_S for result in _compared(size, latency_s)]


def _compared(size: int, latency_s: float) -> Iterator[Result]:
    ours, bare = zip(*(_pair(size, latency_s) for _ in range(RUNTIMES[size])), strict=True)
    return _results(f"scale: {size} sessions, {1000 * latency_s:.0f} ms", size, ours, bare)


def _pair(size: int, latency_s: float) -> tuple[Side, Side]:
    """Return both sides, each in a fresh runtime, after their rounds."""
    with _manager(latency_s) as our_manager, _manager(latency_s) as bare_manager:
        ours = Side(our_manager, size, _our_sessions(our_manager, size))
        bare = Side(bare_manager, size, _bare_sessions(bare_manager))
        rounds = ours.ask_all, as_shipped()(bare.ask_all)
        for ask_all in rounds:
            ask_all()
        for side in (ours, bare):
            side.forget()
        for number in range(ROUNDS[size]):
            for ask_all in rounds[:: 1 if number % 2 else -1]:
                ask_all()
        for side in (ours, bare):
            side.weigh()
        return ours, bare


def _results(name: str, size: int, ours: Sequence[Side], bare: Sequence[Side]) -> Iterator[Result]:
    our_rounds_s, bare_rounds_s = _rounds_s(ours), _rounds_s(bare)
    yield ratios(f"{name}: bare turns/s over ours", our_rounds_s, bare_rounds_s, at_most=THROUGHPUT_GOAL)
    for percent in (50, 95):
        yield Result(f"{name}: p{percent} of a turn", [_percentile_s(ours, percent) / _percentile_s(bare, percent)])
    our_mb, bare_mb = ([side.memory_mb for side in sides] for sides in (ours, bare))
    yield ratios(f"{name}: memory", our_mb, bare_mb, at_most=MEMORY_GOAL if size == max(SIZES) else None)
    yield Result(f"{name}: (bare: turns/s)", [size / took_s for took_s in bare_rounds_s], "1/s")
    yield Result(f"{name}: (bare: p50)", [1000 * _percentile_s(bare, 50)], "ms")
    yield Result(f"{name}: (bare: memory)", bare_mb, "MB")


def _rounds_s(sides: Sequence[Side]) -> list[float]:
    return [took_s for side in sides for took_s in side.rounds_s]


def _percentile_s(sides: Sequence[Side], percent: int) -> float:
    """Return a percentile of the turns (seconds)."""
    turns_s = [took_s for side in sides for took_s in side.turns_s]
    return statistics.quantiles(turns_s, n=100, method="inclusive")[percent - 1]


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


def _bare_sessions(manager: Manager) -> Ask:
    sessions: dict[int, CopilotSession] = {}

    async def ask(number: int) -> None:
        if number not in sessions:
            sessions[number] = await bare_session(manager, f"bare-{number}")
        await sessions[number].send_and_wait("hello", timeout=600)

    return ask
