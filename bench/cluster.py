"""A comparison on a Dask cluster of this machine, over the same comparison in this kernel.

The model is behind a server in a process of its own, whose processor time is not counted, so that both sides reach it
in the same way. The sides take turns; each has asked some prompts before the clock starts. A side's processor time is
that of all processes: kernel, scheduler, workers and runtimes; those of the other side are idle meanwhile.

Workers on two processors show what a cell costs, not how a cluster scales: one runtime keeps both busy.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from distributed import Client, LocalCluster

import copilot_nb
from bench.processor import Load, since, taken
from bench.report import Result, ratios
from copilot_nb.named_sessions.api import drop_manager, shared_manager

MODELS = ("m-a", "m-b")
SIZE = 160
ROUNDS = 2
THREADS = 32
CPU_GOAL = 1.6


def run() -> list[Result]:
    """Measure."""
    try:
        with _server() as (address, process_id), tempfile.TemporaryDirectory() as folder:
            manager = shared_manager()
            manager.settings.max_parallel_turns = THREADS
            manager.settings.providers = {"served": {"type": "openai-compatible", "base_url": f"{address}/v1"}}
            grids = _Grids(Path(folder), process_id)
            return [result for workers in (1, 2) for result in _compared(grids, workers)]
    finally:
        drop_manager()


def _compared(grids: _Grids, workers: int) -> list[Result]:
    here: list[Load] = []
    there: list[Load] = []
    with (
        LocalCluster(n_workers=workers, threads_per_worker=THREADS, dashboard_address=None, memory_limit=0) as cluster,
        Client(cluster) as client,
    ):
        sides = ((here, None), (there, client))
        for _, side in sides:
            grids.ask(2 * THREADS * workers, side)
        for number in range(ROUNDS):
            for loads, side in sides[:: 1 if number % 2 else -1]:
                loads.append(grids.ask(SIZE, side))
    name = f"cluster: {workers} worker{'s' * (workers > 1)} × {THREADS} threads"
    cpu = [load.cpu_s for load in there], [load.cpu_s for load in here]
    return [
        ratios(f"{name}: processor time / in the kernel", *cpu, at_most=CPU_GOAL if workers == 1 else None),
        Result(f"{name}: (cells)", [SIZE / load.took_s for load in there], "1/s"),
        Result(f"{name}: (cells in the kernel)", [SIZE / load.took_s for load in here], "1/s"),
        Result(f"{name}: (Python)", [1000 * load.python_s / SIZE for load in there], "ms a cell"),
        Result(f"{name}: (runtimes)", [1000 * load.runtime_s / SIZE for load in there], "ms a cell"),
        Result(f"{name}: (kernel and scheduler)", [1000 * each / SIZE for each in grids.own_s[-ROUNDS:]], "ms a cell"),
    ]


class _Grids:
    """Runs comparisons.

    Attributes
    ----------
    own_s : list of float
        Seconds of processor time that this process took for each comparison on a cluster.
    """

    def __init__(self, folder: Path, server_id: int) -> None:
        self._folder = folder
        self._server_id = server_id
        self._count = 0
        self.own_s: list[float] = []

    def ask(self, size: int, client: Client | None) -> Load:
        """Compare new prompts, `size` cells."""
        self._count += 1
        prompts = [f"question {number} of grid {self._count}" for number in range(size // 2)]
        began, own = taken([self._server_id]), sum(os.times()[:2])
        path = self._folder / f"{self._count}.sqlite"
        result = copilot_nb.compare(prompts, models=MODELS, providers="served", store=path, client=client)
        assert result.plan().left == 0
        if client is not None:
            self.own_s.append(sum(os.times()[:2]) - own)
        return since(began, [self._server_id])


@contextmanager
def _server() -> Iterator[tuple[str, int]]:
    """Run a model's server in another process; gives its address and the id of the process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv(), process.pid or 0
    finally:
        ours.close()
        process.join()


def _serve(ours: Connection) -> None:
    from tests.loopback import Loopback

    with Loopback("ok 42", models=MODELS) as server:
        ours.send(server.url)
        ours.poll(None)  # until the other end is closed
