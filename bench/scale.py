"""Many named sessions: a prompt to each of them at once, over the bare SDK that keeps them all loaded.

Both sides have a runtime of their own, one after the other, with the same session options. The first prompts create the
sessions and are not measured. copilot_nb keeps few turns under way at a time (the setting
`max_parallel_turns`, at its default); a turn's time is its caller's: from sending it to
its end, waiting in line included.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from bench.bare import bare_session
from bench.report import Result
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.named_sessions.waiting import wait
from copilot_nb.runtime.providers.embedded import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel

SIZES = (10, 50, 200)
LATENCIES_S = (0.0, 0.5)
ROUNDS = {10: 5, 50: 2, 200: 1}
THROUGHPUT_GOAL, MEMORY_GOAL = 1.05, 1.0


@dataclass(frozen=True)
class Load:
    """What one side did: seconds of each turn, turns per second, the runtime's memory in MB."""

    turns_s: list[float]
    per_s: float
    memory_mb: float


def run() -> list[Result]:
    """Measure."""
    return [result for size in SIZES for latency_s in LATENCIES_S for result in _compared(size, latency_s)]


def _compared(size: int, latency_s: float) -> list[Result]:
    ours, bare = _on_a_runtime(_ours, size, latency_s), _on_a_runtime(_bare, size, latency_s)
    name = f"scale: {size} sessions, {1000 * latency_s:.0f} ms"
    return [
        Result(f"{name}: bare turns/s over ours", [bare.per_s / ours.per_s], at_most=THROUGHPUT_GOAL),
        Result(f"{name}: p50 of a turn", [_p(50, ours.turns_s) / _p(50, bare.turns_s)]),
        Result(f"{name}: p95 of a turn", [_p(95, ours.turns_s) / _p(95, bare.turns_s)]),
        Result(
            f"{name}: memory", [ours.memory_mb / bare.memory_mb], at_most=MEMORY_GOAL if size == max(SIZES) else None
        ),
        Result(f"{name}: (bare: turns/s)", [bare.per_s], "1/s"),
        Result(f"{name}: (bare: p50)", [1000 * _p(50, bare.turns_s)], "ms"),
        Result(f"{name}: (bare: memory)", [bare.memory_mb], "MB"),
    ]


def _p(percent: int, values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _on_a_runtime(side: Callable[[Manager, int, int], Load], size: int, latency_s: float) -> Load:
    manager = Manager(CopilotNB(provider="scripted"))
    model = ScriptedModel("ok", delay_s=latency_s)
    manager.providers.add(InKernel("scripted", lambda: model))
    try:
        return side(manager, size, ROUNDS[size])
    finally:
        manager.close()


def _ours(manager: Manager, size: int, rounds: int) -> Load:
    sessions = [manager.session(f"ours-{number}") for number in range(size)]
    wait([session.send("create") for session in sessions])
    turns_s: list[float] = []
    began_s = time.perf_counter()
    for _ in range(rounds):
        turns_s += manager.loop.blocking(_at_once([session.send("hello") for session in sessions]))
    load = Load(turns_s, len(turns_s) / (time.perf_counter() - began_s), _memory_mb())
    for session in sessions:
        session.delete()
    return load


async def _at_once(turns: list[Turn]) -> list[float]:
    began_s = time.perf_counter()

    async def timed(turn: Turn) -> float:
        await turn
        return time.perf_counter() - began_s

    return await asyncio.gather(*map(timed, turns))


def _bare(manager: Manager, size: int, rounds: int) -> Load:
    return manager.loop.blocking(_bare_load(manager, size, rounds))


async def _bare_load(manager: Manager, size: int, rounds: int) -> Load:
    sessions = [await bare_session(manager, f"bare-{number}") for number in range(size)]

    async def timed_s(number: int) -> float:
        began_s = time.perf_counter()
        await sessions[number].send_and_wait("hello", timeout=600)
        return time.perf_counter() - began_s

    await asyncio.gather(*map(timed_s, range(size)))
    turns_s: list[float] = []
    began_s = time.perf_counter()
    for _ in range(rounds):
        turns_s += await asyncio.gather(*map(timed_s, range(size)))
    return Load(turns_s, len(turns_s) / (time.perf_counter() - began_s), _memory_mb())


def _memory_mb() -> float:
    children = psutil.Process().children(recursive=True)
    return sum(child.memory_info().rss for child in children if "--headless" in child.cmdline()) / 1e6
