"""Runs cells by a `concurrent.futures.Executor`, in its threads or processes."""

from __future__ import annotations

import asyncio
import functools
import pickle
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.engines import worker
from copilot_nb.experiments.engines.base import EngineGone, Job, Outcome, WorkerLost
from copilot_nb.experiments.engines.worker import STOP_GRACE_S, Host, Run, Setup

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

DEFAULT_SEATS = 32
"""Cells at the same time in an executor that does not say how many workers it has (count)."""

Call = Callable[[Job], Outcome | None]


class ExecutorEngine:
    """Runs cells by an executor.

    Parameters
    ----------
    executor : Executor
        Runs the calls.
    call : callable
        Runs one cell and waits for its end; it can be pickled if the executor needs that.
    run : Run
        The run, whose `stop_file` tells the workers to stop.
    """

    loses: tuple[type[Exception], ...] = ()
    """Errors of the executor that mean that the worker of one cell has died."""

    def __init__(self, executor: Executor, call: Call, run: Run) -> None:
        self._executor = executor
        self._call = call
        self._run = run
        self._stop_file = Path(run.stop_file)
        self._is_left_running = False

    @property
    def seats(self) -> int:
        """The number of workers of the executor."""
        size = getattr(self._executor, "_max_workers", None)  # those of Python and of loky say it nowhere else
        return size if isinstance(size, int) and size > 0 else DEFAULT_SEATS

    def limit_of(self, provider: str) -> int:  # noqa: ARG002 - the workers have models of their own
        """Return 0: the number of workers is the limit."""
        return 0

    async def begin(self) -> None:
        """Do nothing: the first cell of each worker starts its runtime."""

    async def ask(self, job: Job) -> Outcome | None:
        """Run a cell by the executor."""
        answer = asyncio.wrap_future(self._submitted(job))
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError:  # `stop` was called: the worker stops the cell, or has just finished it
            await asyncio.wait([answer], timeout=STOP_GRACE_S)
            if not answer.done():
                self._is_left_running = True
                answer.cancel()
                raise
        return self._outcome(answer)

    def _submitted(self, job: Job) -> Future[Outcome | None]:
        try:
            return self._submit(job)
        except RuntimeError as error:
            raise EngineGone(f"the executor runs no more cells: {error}", "give another one: executor=…") from error

    def _submit(self, job: Job) -> Future[Outcome | None]:
        return self._executor.submit(self._call, job)

    def _outcome(self, answer: asyncio.Future[Outcome | None]) -> Outcome | None:
        try:
            return answer.result()
        except self.loses as error:
            raise WorkerLost(f"the workers that ran it died ({type(error).__name__})", "run it again") from error
        except (RuntimeError, asyncio.CancelledError) as error:  # a broken pool, or one that was shut down
            raise EngineGone(
                f"the executor runs no more cells: {error or 'it was shut down'}", "make a new one"
            ) from error

    def turn_of(self, session_id: str) -> None:
        """Return ``None``: the turns are the workers'."""

    async def discard(self, job: Job) -> None:
        """Do nothing: the worker has deleted the session."""

    def stop(self) -> None:
        """Tell the workers on this machine to stop."""
        self._stop_file.touch()

    async def end(self) -> None:
        """Remove the file that tells the workers to stop, once all have."""
        if not self._is_left_running:
            self._stop_file.unlink(missing_ok=True)


def new_run(owner: str, schema: object) -> Run:
    """Return the description of a run for its workers."""
    name = f"copilot-nb-stop-{owner.rpartition('/')[2]}"
    return Run(owner, str(Path(tempfile.gettempdir()) / name), schema)


def in_threads(manager: Manager, executor: ThreadPoolExecutor, owner: str, schema: object) -> ExecutorEngine:
    """Return an engine whose threads use the sessions of this kernel."""
    run = new_run(owner, schema)
    return ExecutorEngine(executor, functools.partial(Host(manager).ask, run), run)


def in_processes(executor: Executor, setup: Setup, owner: str, schema: object) -> ExecutorEngine:
    """Return an engine whose workers have a runtime each."""
    run = new_run(owner, schema)
    return ExecutorEngine(executor, functools.partial(worker.ask, setup, run), run)


def check_schema(executor: Executor, schema: object) -> None:
    """Check that the processes of a pool can import the class of a schema.

    Raises
    ------
    InputError
        If it is defined in the notebook, or cannot be pickled.
    """
    if not isinstance(executor, ProcessPoolExecutor) or isinstance(schema, Mapping | None):
        return
    hint = "define it in a module, or give a JSON schema"
    try:
        is_of_notebook = b"__main__" in pickle.dumps(schema)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(f"the schema cannot be sent to other processes: {error}", hint) from error
    if is_of_notebook:
        raise InputError("the schema is defined in this notebook, where other processes do not find it", hint)
