"""Runs cells in a process that is not the kernel: a worker of a process pool or of a Dask cluster.

`ask` is the function that such a process calls, once for each cell, in as many threads as it has. A process keeps a
manager, so a runtime, for the settings that the kernel sends with each cell (`Setup`); it starts with the first cell
and stays for the next ones. The sessions are in the runtime's home of the worker's machine and are deleted as they end.

A worker stops the cells of a run when the kernel says so: by `stop`, or, on the kernel's own machine, by creating a
file; and when the kernel's process has ended.
"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import json
import os
import socket
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from copilot_nb.errors import CopilotNBError, InputError, ProviderError, TurnInterrupted
from copilot_nb.experiments.engines.base import Job, Outcome, delete_left, rerun_ids
from copilot_nb.experiments.engines.in_kernel import InKernelEngine
from copilot_nb.experiments.store import is_dead
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.settings import CopilotNB
from copilot_nb.structured import Schema, schema_of

LOOK_S = 0.5
"""Seconds between two checks of whether the kernel wants the running cells stopped."""
STOP_GRACE_S = 4.0
"""How long a cell may take to stop, in seconds."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to answer as the kernel would; holds no key.

    Attributes
    ----------
    version : str
        The kernel's version of copilot_nb.
    settings : str
        The settings that differ from the defaults, with the providers of the run, as JSON.
    keys : tuple of (str, str)
        The providers that need a key, each with the environment variable that holds it.
    """

    version: str
    settings: str
    keys: tuple[tuple[str, str], ...] = ()

    def check(self, provider: str = "") -> None:
        """Check that this process can answer for a provider; ``""``: for all.

        Raises
        ------
        InputError
            If another version of copilot_nb is installed here.
        ProviderError
            If a key's variable is not set here.
        """
        if (here := version("copilot-nb")) != self.version:
            message = f"{worker_name()} has copilot-nb {here}, and the kernel {self.version}"
            raise InputError(message, "install the same version in both")
        for name, variable in self.keys:
            if provider in ("", name) and variable not in os.environ:
                raise ProviderError(
                    f"{worker_name()} has no environment variable {variable}, which holds the key of {name}",
                    "set it where the workers are started, then start them again",
                )


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a comparison, for its workers.

    Attributes
    ----------
    owner : str
        Its name (see `store.new_owner`).
    stop_file : str
        The cells are stopped when this file of the kernel's machine exists.
    schema : object
        The schema of the answers, as the user gave it.
    """

    owner: str
    stop_file: str
    schema: object = None

    def is_over(self) -> bool:
        """Whether the kernel no longer wants answers, as far as this machine can tell."""
        return Path(self.stop_file).exists() or is_dead(self.owner)


def worker_name() -> str:
    """Return the name of this process, for errors."""
    return f"the worker {os.getpid()} on {socket.gethostname()}"


def ask(setup: Setup, run: Run, job: Job) -> Outcome | None:
    """Run a cell in this process and wait for its end; ``None``: the run was stopped before."""
    try:
        setup.check(job.options.provider)
        return _Hosts.of(setup).ask(run, job)
    except CopilotNBError as error:
        return Outcome((), error)


def stop(owner: str) -> None:
    """Stop the cells of a run in this process, and start no more of them."""
    _Hosts.stopped.add(owner)
    for host in _Hosts.running():
        host.stop(owner)


def start(setup: Setup) -> None:
    """Start the runtime for a setup; idle ones of other setups are stopped.

    Raises
    ------
    CopilotNBError
        If this process cannot answer.
    """
    setup.check()
    _Hosts.of(setup).start()


def close(setup: Setup) -> None:
    """Stop what `start` or `ask` has started, unless cells of another run use it."""
    _Hosts.close(setup)


class _Hosts:
    """The hosts of this process, by their setup; a forked child has none."""

    lock = threading.Lock()
    by_setup: ClassVar[dict[Setup, Host]] = {}
    stopped: ClassVar[set[str]] = set()

    @classmethod
    def of(cls, setup: Setup) -> Host:
        with cls.lock:
            if setup not in cls.by_setup:
                for other in [each for each, host in cls.by_setup.items() if not host.is_busy]:
                    cls.by_setup.pop(other).close()
                cls.by_setup[setup] = Host(Manager(CopilotNB(**json.loads(setup.settings))))
            return cls.by_setup[setup]

    @classmethod
    def running(cls) -> list[Host]:
        with cls.lock:
            return list(cls.by_setup.values())

    @classmethod
    def close(cls, setup: Setup) -> None:
        with cls.lock:
            host = cls.by_setup.get(setup)
            if host is None or host.is_busy:
                return
            del cls.by_setup[setup]
        host.close()

    @classmethod
    def close_all(cls) -> None:
        for host in cls.running():
            host.close()

    @classmethod
    def forget(cls) -> None:
        cls.lock, cls.by_setup = threading.Lock(), {}


atexit.register(_Hosts.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Hosts.forget)


class Host:
    """A manager, and the cells that other threads run in it.

    Parameters
    ----------
    manager : Manager
        Opens the sessions.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._going: dict[asyncio.Task[Any] | None, Run] = {}
        self._cells = 0
        self._schema: tuple[str, Schema | None] = ("", None)
        self._watching: asyncio.Task[None]

    @property
    def is_busy(self) -> bool:
        """Whether a cell is running."""
        return self._cells > 0

    def start(self) -> None:
        """Start the runtime."""
        try:
            self._manager.loop.blocking(self._manager.client())
        except CopilotNBError as error:
            raise type(error)(f"{worker_name()}: {error.message}", error.hint) from error

    def close(self) -> None:
        """Stop the runtime."""
        self._manager.close()

    def ask(self, run: Run, job: Job) -> Outcome | None:
        """Run a cell and wait for its end; ``None``: the run was stopped before."""
        future = self._manager.loop.submit(self._ask(run, job))
        try:
            return future.result()
        except KeyboardInterrupt:  # a notebook's interrupt reaches the processes that its kernel has started
            self.stop(run.owner)
            return future.result(STOP_GRACE_S)

    def stop(self, owner: str) -> None:
        """Stop the running cells of a run."""
        self._manager.loop.call_soon(self._cancel, owner)

    def _cancel(self, owner: str) -> None:
        for task in [task for task, run in self._going.items() if run.owner == owner]:
            assert task is not None
            del self._going[task]  # a second cancellation would not wait for what the first one stops
            task.cancel()

    async def _ask(self, run: Run, job: Job) -> Outcome | None:
        if run.owner in _Hosts.stopped or run.is_over():  # on the loop, where `stop` cancels what has begun
            return None
        self._going[asyncio.current_task()] = run
        self._cells += 1
        if self._cells == 1:
            self._watching = asyncio.create_task(self._watch())
        try:
            return await self._asked(run, job)
        except asyncio.CancelledError:
            return Outcome((), TurnInterrupted("the comparison was stopped"))
        except CopilotNBError as error:
            return Outcome((), error)
        finally:
            self._going.pop(asyncio.current_task(), None)
            self._cells -= 1
            if not self._cells:
                self._watching.cancel()

    async def _asked(self, run: Run, job: Job) -> Outcome | None:
        engine = InKernelEngine(self._manager, self._schema_of(run))
        job = dataclasses.replace(job, session_id=await self._unused(job.session_id))
        try:
            return await engine.ask(job)
        finally:
            self._going.pop(asyncio.current_task(), None)
            await engine.discard(job)
            await engine.end()

    async def _unused(self, session_id: str) -> str:
        """Return an id for a job's session, and delete those of workers that died while they ran the job.

        Dask runs such a job again, and a session's id must not be used twice.
        """
        archive = (await self._manager.client()).archive
        ids = rerun_ids(session_id)
        left = await delete_left(archive, ids)
        return next((each for each in ids if each not in left), session_id)

    def _schema_of(self, run: Run) -> Schema | None:
        if self._schema[0] != run.owner:
            self._schema = run.owner, None if run.schema is None else schema_of(run.schema)
        return self._schema[1]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for run in {run.owner: run for run in self._going.values()}.values():
                if run.is_over():
                    self._cancel(run.owner)
