"""Runs cells on the workers of a Dask cluster, each with a runtime of its own.

A task is one cell, so a worker that dies loses nothing but its running cells; Dask runs them again, up to its setting
`distributed.scheduler.allowed-failures`. Only the kernel writes to the comparison's file. It keeps a result as it
arrives, and then releases it: a result that stayed in the cluster would be computed again when its worker dies.
"""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import signal
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.experiments.engines import worker
from copilot_nb.experiments.engines.base import EngineGone, Job, Outcome
from copilot_nb.experiments.engines.executor import ExecutorEngine, new_run
from copilot_nb.experiments.engines.worker import STOP_GRACE_S, Run, Setup
from copilot_nb.experiments.extras import extra
from copilot_nb.system.main_thread import is_main_thread
from copilot_nb.system.threads import in_thread

with extra("dask"):
    from distributed import Client, Status, WorkerPlugin
    from distributed.scheduler import KilledWorker

if TYPE_CHECKING:
    from distributed import Worker

AHEAD, MIN_SEATS = 2, 16
"""Cells sent for each thread of the cluster, so that no thread waits for the kernel, and at least (count)."""
LOOK_S = 5.0
"""Seconds between two looks at the size of the cluster."""


class RuntimePlugin(WorkerPlugin):
    """Starts a runtime on each worker of a comparison, also on one that joins or starts again meanwhile.

    The runtime stays for the next comparison, until the worker ends.

    Parameters
    ----------
    setup : Setup
        What the worker needs to answer.
    owner : str
        The run.
    """

    def __init__(self, setup: Setup, owner: str) -> None:
        self.name = f"copilot-nb-{owner}"
        self._setup = setup

    async def setup(self, worker: Worker) -> None:  # noqa: ARG002 - Dask passes it
        """Check the keys' variables and start the runtime; not on the worker's loop, which must answer meanwhile."""
        _ignore_interrupts()
        await asyncio.to_thread(_start, self._setup)

    async def teardown(self, worker: Worker) -> None:
        """Stop the runtime of a worker that ends; Dask calls this at the end of the comparison, too."""
        if worker.status is not Status.running:
            await asyncio.to_thread(_close, self._setup)


def _ignore_interrupts() -> None:
    """Let this process live through an interrupt of the notebook, which reaches all that its kernel has started.

    It would end the workers of a `LocalCluster`, and Dask does not start them again then. The nanny that has started a
    worker ends it.
    """
    if multiprocessing.parent_process() is not None and is_main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


_start, _close = worker.start, worker.close  # Dask names a parameter of the plugin's methods `worker`


class DaskEngine(ExecutorEngine):
    """Runs cells on a cluster.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster; not an asynchronous one.
    setup : Setup
        What the workers need to answer.
    run : Run
        The run.
    """

    loses = (KilledWorker,)

    def __init__(self, client: Client, setup: Setup, run: Run) -> None:
        super().__init__(client.get_executor(pure=False), functools.partial(worker.ask, setup, run), run)
        self._client = client
        self._plugin = RuntimePlugin(setup, run.owner)
        self._is_prepared = False
        self._threads = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def seats(self) -> int:
        """Some cells more than the cluster has threads."""
        return max(AHEAD * self._threads, MIN_SEATS)

    async def begin(self) -> None:
        """Start a runtime on each worker."""
        await in_thread(self._prepare)
        self._tasks.append(asyncio.create_task(self._look()))

    def _prepare(self) -> None:
        try:
            self._client.register_plugin(self._plugin)
        except CopilotNBError:
            self._client.unregister_worker_plugin(self._plugin.name)
            raise
        except ModuleNotFoundError as error:
            raise InputError(
                f"a worker cannot run cells: {error}", "install copilot-nb where the workers run"
            ) from error
        except (OSError, RuntimeError) as error:
            raise EngineGone(f"the Dask cluster does not answer: {error}", "give a new client: client=…") from error
        self._is_prepared = True
        self._threads = sum(self._client.nthreads().values())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(OSError, RuntimeError):  # the running cells report it
                self._threads = sum((await in_thread(self._client.nthreads)).values())

    def _submit(self, job: Job) -> Future[Outcome | None]:
        return self._executor.submit(self._call, job, key=job.session_id)  # type: ignore[call-arg] # Dask's own option

    def stop(self) -> None:
        """Tell all workers to stop."""
        super().stop()
        self._tasks.append(asyncio.create_task(self._stop_workers()))

    async def _stop_workers(self) -> None:
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await in_thread(functools.partial(self._client.run, worker.stop, self._run.owner, on_error="ignore"))

    async def end(self) -> None:
        """Start no more runtimes on the cluster."""
        await super().end()
        for task in self._tasks:
            task.cancel()
        if self._is_prepared:
            with suppress(OSError, RuntimeError, TimeoutError):
                async with asyncio.timeout(STOP_GRACE_S):
                    await in_thread(self._client.unregister_worker_plugin, self._plugin.name)


def on_cluster(client: Client, setup: Setup, owner: str, schema: object) -> DaskEngine:
    """Return an engine for one run on a cluster."""
    return DaskEngine(client, setup, new_run(owner, schema))


def checked(client: object) -> Client:
    """Return a client that can be used.

    Raises
    ------
    InputError
        If it is another object, is asynchronous or has been closed.
    """
    if not isinstance(client, Client):
        raise InputError(f"client must be a distributed.Client, not {type(client).__name__}", "client=Client(…)")
    if client.asynchronous:
        raise InputError("the Dask client is asynchronous", "make it without asynchronous=True")
    if client.status != "running":
        raise InputError(f"the Dask client is {client.status}", "make a new one: client=Client(…)")
    return client
