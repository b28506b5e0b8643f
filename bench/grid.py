"""A comparison (`cp.compare`) over a loop on the bare SDK, with a session for each cell and several at once.

The peer gathers `create_session`, `send_and_wait` and `disconnect` under a semaphore with as many seats; ours also
claims each cell in the comparison's file, commits its answer and deletes its session. Both run with the session options
of copilot_nb, ours also with those of a temporary session, and take turns in changing order. Each grid has a runtime of
its own, because a session costs a runtime more the more it has had, deleted or not (33 ms of processor time at first,
57 ms after 4,000). A grid is prompts × two models; both sides ask two before the clock starts.

Whether late cells cost more than early ones is measured on 300 cells each: the sessions of all seats start and end in
waves, so single hundreds of one grid differ by a factor of two.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import copilot_nb
from bench.bare import as_shipped, bare_session
from bench.processor import Load, since, taken
from bench.report import Result, ratios
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.store import AnsweredTurn, Store, new_owner
from copilot_nb.named_sessions.api import drop_manager, shared_manager
from copilot_nb.testing import ScriptedModel, install

MODELS = ("scripted", "scripted-b")
SIZES = (50, 200, 1000)
LATENCIES_S = (0.0, 0.5)
ROUNDS = {50: 8, 200: 4, 1000: 3}
SEATS = 64
LARGE = max(SIZES)
MARK_EVERY = 100
EARLY, LATE = (100, 400), (600, 900)
THROUGHPUT_GOAL, STORE_GOAL, FLAT_GOAL, AGAIN_GOAL_S = 1 / 0.95, 0.02, 1.2, 1.0

Marks = list[Load]
"""What a grid had taken at each hundred of its cells, and at its end."""


def run() -> list[Result]:
    """Measure."""
    return [result for latency_s in LATENCIES_S for result in _at(latency_s)]


def _at(latency_s: float) -> list[Result]:
    model = ScriptedModel("ok 42", delay_s=latency_s, models=MODELS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            grids = _Grids(model, Path(folder), f"{1000 * latency_s:.0f} ms")
            results = [result for size in SIZES for result in _compared(grids, size, latency_s)]
            return results + ([] if latency_s else _of_a_finished_one(grids, model))
    finally:
        drop_manager()


def _compared(grids: _Grids, size: int, latency_s: float) -> list[Result]:
    sides: tuple[Callable[[int, str], Marks], ...] = (grids.ours, grids.bare)
    marks: dict[Callable[[int, str], Marks], list[Marks]] = {side: [] for side in sides}
    for number in range(ROUNDS[size]):
        for side in sides[:: 1 if number % 2 else -1]:
            grids.start_runtime()
            marks[side].append(side(size, f"{grids.kind} {size} {number}"))
    ours, bare = ([each[-1] for each in marks[side]] for side in sides)
    name = f"grid: {size} cells, {1000 * latency_s:.0f} ms"
    results = [
        ratios(f"{name}: time of ours / bare", _took(ours), _took(bare), at_most=THROUGHPUT_GOAL),
        ratios(f"{name}: processor time of ours / bare", [each.cpu_s for each in ours], [each.cpu_s for each in bare]),
        Result(f"{name}: (ours: cells)", [size / each.took_s for each in ours], "1/s"),
        Result(f"{name}: (ours: Python)", [1000 * each.python_s / size for each in ours], "ms a cell"),
        Result(f"{name}: (ours: runtime)", [1000 * each.runtime_s / size for each in ours], "ms a cell"),
        Result(f"{name}: (bare: Python)", [1000 * each.python_s / size for each in bare], "ms a cell"),
        Result(f"{name}: (bare: runtime)", [1000 * each.runtime_s / size for each in bare], "ms a cell"),
    ]
    if size < max(LATE):
        return results
    late = "processor time of cells {} to {} / {} to {}".format(*LATE, *EARLY)
    growths, of_bare = (list(map(_growth, marks[side])) for side in sides)
    return [
        *results,
        Result(f"{name}: {late}", growths, at_most=FLAT_GOAL),
        Result(f"{name}: (bare: {late})", of_bare),
        ratios(f"{name}: the same of ours / bare", growths, of_bare),
    ]


def _growth(marks: Marks) -> float:
    """Return the processor time of late cells over that of as many early ones."""
    early_s, late_s = (
        marks[end // MARK_EVERY - 1].cpu_s - marks[start // MARK_EVERY - 1].cpu_s for start, end in (EARLY, LATE)
    )
    return late_s / early_s


def _took(loads: list[Load]) -> list[float]:
    return [load.took_s for load in loads]


def _of_a_finished_one(grids: _Grids, model: ScriptedModel) -> list[Result]:
    """Measure on the file of the last large grid: a second run, and the cost of the file."""
    asked = len(model.requests)
    again = [grids.again(LARGE, f"{grids.kind} {LARGE} {ROUNDS[LARGE] - 1}") for _ in range(3)]
    assert len(model.requests) == asked, "a finished grid was asked again"
    return [
        Result(
            "grid: the file's share of a cell's processor time", [grids.store_s() / grids.cell_s], at_most=STORE_GOAL
        ),
        Result("grid: a finished grid of 1,000 again", again, "s", at_most=AGAIN_GOAL_S),
    ]


class _Clock:
    """Marks what a grid has taken so far."""

    def __init__(self) -> None:
        self._began = taken()
        self._marks: Marks = []

    def mark(self, done: int) -> None:
        """Mark each hundred of the cells; `done` have ended."""
        if done >= MARK_EVERY * (len(self._marks) + 1):
            self._marks.append(since(self._began))

    def end(self) -> Marks:
        """Mark the end, and return all marks."""
        return [*self._marks, since(self._began)]


class _Grids:
    """Runs grids.

    Parameters
    ----------
    model : ScriptedModel
        Answers.
    folder : Path
        Where the comparisons are stored.
    kind : str
        Begins the names of these grids: the ids of bare sessions are made of them, and a session that is made over one
        on disk costs less.

    Attributes
    ----------
    cell_s : float
        The processor time of a cell in the last of ours (seconds).
    """

    def __init__(self, model: ScriptedModel, folder: Path, kind: str) -> None:
        self.kind = kind
        self._model = model
        self._folder = folder
        self._warm_ups = itertools.count()
        self.cell_s = 0.0

    def start_runtime(self) -> None:
        """Start a runtime for the next grid, in place of the last one's, and ask both ways once."""
        drop_manager()
        install(self._model)
        shared_manager().settings.max_parallel_turns = SEATS
        name = f"{self.kind} warm-up {next(self._warm_ups)}"
        self.ours(2, name)
        self.bare(2, name)

    def ours(self, size: int, name: str) -> Marks:
        """Compare."""
        clock = _Clock()
        self.again(size, name, lambda progress: clock.mark(progress.done))
        marks = clock.end()
        self.cell_s = marks[-1].cpu_s / size
        return marks

    def again(self, size: int, name: str, on_progress: Callable[[Progress], None] = lambda _: None) -> float:
        """Run a comparison, or run a finished one again; return the seconds."""
        began_s = time.perf_counter()
        prompts = [f"question {number} of {name}" for number in range(size // 2)]
        path = self._folder / f"{name}.sqlite"
        result = copilot_nb.compare(prompts, models=MODELS, store=path, on_progress=on_progress)
        assert result.plan().left == 0
        return time.perf_counter() - began_s

    def bare(self, size: int, name: str) -> Marks:
        """Run the same grid on the bare SDK."""
        clock = _Clock()
        with as_shipped():
            shared_manager().loop.blocking(self._gathered(size, name, clock))
        return clock.end()

    async def _gathered(self, size: int, name: str, clock: _Clock) -> None:
        manager, seats, done = shared_manager(), asyncio.Semaphore(SEATS), itertools.count(1)

        async def cell(number: int) -> None:
            async with seats:
                session = await bare_session(manager, f"bare-{name.replace(' ', '-')}-{number}")
                await session.send_and_wait(f"question {number} of {name}", timeout=600)
                await session.disconnect()
                clock.mark(next(done))

        await asyncio.gather(*map(cell, range(size)))

    def store_s(self) -> float:
        """Return the processor time that the file takes for one cell, to claim it and to store its answer (seconds)."""
        keys = [f"key {number}" for number in range(LARGE)]
        turn = AnsweredTurn("a question", "an answer", "scripted", 10, 10, 0.0, 0.1, 0.1, 1e9)
        with Store(self._folder / "store.sqlite") as store:
            store.want(dict.fromkeys(keys, "{}"))
            owner, began_s = new_owner(), time.process_time()
            for key in keys:
                store.claim({key: key}, owner)
                store.keep(key, owner, [turn], "", "")
            return (time.process_time() - began_s) / LARGE
