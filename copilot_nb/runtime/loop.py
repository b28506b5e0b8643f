"""The thread with the event loop on which all asynchronous work of this kernel runs.

The SDK's sessions belong to the loop they were made on, and the kernel's own loop is busy while a cell runs;
so the client has its own loop, in a daemon thread that stays for the life of the process (a child
process's death signal is tied to the thread that spawned it). Code here is written once, as coroutines;
synchronous code calls `blocking(coroutine)`.

Never block this thread, and never use the loop's default executor for long work: the SDK writes through it
(`threads.in_thread` is for that).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from copilot_nb.errors import InputError
from copilot_nb.system.main_thread import MAIN_THREAD
from copilot_nb.system.threads import DaemonPool, file_threads

T = TypeVar("T")

STOP_GRACE_S = 5.0
"""The time that cancelled tasks have to clean up (seconds), for example to end a runtime that is starting."""
LATE_GRACE_S = 1.0
"""The same for what is submitted while the loop ends."""
POLL_S = 0.1
"""How often a waiting main thread looks up, in seconds: an interrupt is seen within this time on any platform."""
PATIENCE_S = 1.0
"""A call that waits longer may wait for a turn (seconds); most take some milliseconds."""
SDK_THREADS = 4
"""The SDK writes in one and, when it stops, waits for the runtime in another."""


class LoopThread:
    """An event loop in a daemon thread, started at its first use; a forked child cannot use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process_id = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child of the process that the loop runs in."""
        return self._process_id != os.getpid()

    def check_own(self) -> None:
        """Check that this process is the one that the loop runs in.

        Raises
        ------
        InputError
            In a forked child, where nothing would ever come.
        """
        if self.is_inherited:
            raise InputError(
                "this process was forked from the one that opened the session", "open it here: copilot_nb.session(NAME)"
            )

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop.

        Raises
        ------
        InputError
            In a forked child.
        """
        self.check_own()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(DaemonPool(SDK_THREADS, "copilot-nb-sdk"))
                file_threads()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="copilot-nb", daemon=True)
                self._thread.start()
            return self._loop

    @property
    def is_running(self) -> bool:
        """Whether the thread has been started, in this process."""
        return self._thread is not None and not self.is_inherited

    def is_current(self) -> bool:
        """Whether the caller runs on the loop's own thread."""
        return threading.current_thread() is self._thread

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """Run `function` on the loop's thread; in an empty context, so that nothing it prints lands in a cell."""
        self.loop.call_soon_threadsafe(function, *args, context=contextvars.Context())

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start `coroutine` on the loop and return a future of its result.

        Raises
        ------
        InputError
            In a forked child.
        """
        if self.is_inherited:
            coroutine.close()
        self.check_own()
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        def start() -> None:
            loop = asyncio.get_running_loop()  # not `self.loop`, which starts another one once this one is stopped
            task = loop.create_task(coroutine)
            task.add_done_callback(lambda done: _copy_outcome(done, result))
            result.add_done_callback(lambda _: None if task.done() else loop.call_soon_threadsafe(task.cancel))

        self.call_soon(start)
        return result

    def blocking(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run `coroutine` on the loop and wait for its result; an interrupt cancels it.

        Raises
        ------
        TimeoutError
            After `timeout_s` seconds; the coroutine is cancelled.
        RuntimeError
            If called from the loop's own thread, which would wait for itself.
        """
        if self.is_current():
            coroutine.close()
            raise RuntimeError("blocking() was called on the loop's own thread")
        future = self.submit(coroutine)
        try:
            return wait_for(future, timeout_s)
        except (KeyboardInterrupt, TimeoutError):
            future.cancel()
            raise

    def stop(self) -> None:
        """Cancel what still runs, give it `STOP_GRACE_S` seconds to clean up, and end the thread.

        A later use starts a new one.
        """
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            cancelling = asyncio.run_coroutine_threadsafe(_cancel_tasks(), loop)
            concurrent.futures.wait([cancelling], STOP_GRACE_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_GRACE_S)
            if not thread.is_alive():
                loop.close()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, then cancel what was submitted meanwhile, or its waiters would wait for ever."""
    loop.run_forever()
    with suppress(TimeoutError):
        loop.run_until_complete(_cancel_tasks(LATE_GRACE_S))


async def _cancel_tasks(grace_s: float | None = None) -> None:
    """Cancel all other tasks of the loop and wait until they have ended, at most `grace_s` seconds."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    async with asyncio.timeout(grace_s):
        await asyncio.gather(*others, return_exceptions=True)


class PerLoop(Generic[T]):
    """An object that belongs to an event loop, such as a lock: one for each loop.

    Parameters
    ----------
    make : callable
        Returns a new one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[asyncio.AbstractEventLoop, T] | None = None

    def __call__(self) -> T:
        """Return the object of the running loop."""
        loop = asyncio.get_running_loop()
        if self._made is None or self._made[0] is not loop:
            self._made = loop, self._make()
        return self._made[1]


def wait_for(future: concurrent.futures.Future[T], timeout_s: float | None = None) -> T:
    """Wait for `future` in short steps, so that the main thread stays interruptible.

    A wait on the main thread that takes long runs its jobs, for it may wait for a turn that needs one of them.

    Raises
    ------
    TimeoutError
        After `timeout_s` seconds (never, where that is ``None``).
    """
    waited_s = 0.0
    while not future.done():
        step_s = POLL_S if timeout_s is None else min(POLL_S, timeout_s - waited_s)
        if step_s <= 0:
            raise TimeoutError(f"no result within {timeout_s} s")
        concurrent.futures.wait([future], timeout=step_s)
        waited_s += step_s
        if waited_s > PATIENCE_S:
            MAIN_THREAD.serve()
    return future.result()


def _copy_outcome(task: asyncio.Task[T], result: concurrent.futures.Future[T]) -> None:
    if task.cancelled():
        result.cancel()
    elif not result.set_running_or_notify_cancel():
        task.exception()
    elif (error := task.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(task.result())
