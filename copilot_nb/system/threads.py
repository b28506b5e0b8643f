"""Threads for blocking work, which stay until the process ends.

The pools of `concurrent.futures` refuse work as soon as the main thread has ended, before Python waits for the user's
other threads; one of these may still send a prompt, so their pool cannot be used for that.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
FILE_THREADS = 4
"""Files read or written at the same time (count)."""


class DaemonPool(ThreadPoolExecutor):
    """A pool of daemon threads, which serve until the process ends.

    A `ThreadPoolExecutor` by name only: an event loop takes nothing else as its default executor.

    Parameters
    ----------
    size : int
        Threads (count); all are started at once, for at the end of the process Python starts none.
    name : str
        What the threads are called.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, name)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._size = size
        self._name = name
        self._is_closed = False
        for _ in range(size):
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in one of the threads.

        Raises
        ------
        RuntimeError
            If the pool has been closed.
        """
        result: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the threads {self._name} were closed")
            self._jobs.put(functools.partial(_run, result, functools.partial(fn, *args, **kwargs)))
        return result

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as inherited
        """Accept no more jobs; the threads end after the current ones."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._size):
                self._jobs.put(None)


def _run(result: Future[Any], job: Callable[[], Any]) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        value = job()
    except BaseException as error:  # noqa: BLE001 - the error goes to the caller that waits for the result
        result.set_exception(error)
    else:
        result.set_result(value)


@functools.cache
def file_threads() -> DaemonPool:
    """Return the threads that read and write files in this process."""
    return DaemonPool(FILE_THREADS, "copilot-nb-files")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=file_threads.cache_clear)


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a separate thread and await its result: the SDK writes through the loop's executor."""
    return await asyncio.wrap_future(file_threads().submit(function, *args, **kwargs))
