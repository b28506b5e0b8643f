"""Jobs for the main thread, submitted by other threads.

A notebook's code runs on the main thread only, and that thread may be waiting for the answer that needs the code. So a
call that waits on the main thread runs the jobs meanwhile (`MainThread.serve`). While no call waits, `MainThread.wake`
has the kernel call `serve` as soon as it is idle. A job never runs within other code of the user.

Another thread can interrupt a running job, because its turn was stopped or its question was answered elsewhere: it
sends SIGINT to the main thread, which also ends a `time.sleep`. A signal that arrives just before such a call begins
does not end it, so it is sent again until the job has been interrupted. While a job runs, SIGINT is handled by the
job, which raises KeyboardInterrupt only within the job's own work. So an interrupt that comes a moment too late cannot
hit the code that runs next, and a job always gets a result.

A job that waits may run another job within its work, usually one of another session. Only the innermost job gets
signals. One that is cancelled while another runs within it is interrupted as soon as that one has ended. An interrupt
of the user ends the innermost job, then the job around it, and so on.

Why: docs/decisions/0047-code-on-the-main-thread.md.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

ATTENDED_S = 1.0
"""A task that awaits a turn serves the jobs at least this often (seconds; every 0.5 s is usual)."""
ARRIVES_WITHIN_S = 0.1
"""A signal that was sent to the main thread arrives within this time (seconds; some microseconds are usual)."""
AGAIN_AFTER_S = 0.05
"""A signal is sent again after this time if it has had no effect (seconds)."""
MERGED_WITHIN_S = 0.01
"""The second of two signals arrives within this time, unless both arrived as one (seconds)."""


class JobInterrupted(Exception):
    """A job was interrupted: by the user, or because nobody needs it any more."""


class JobCancelled(KeyboardInterrupt):
    """Ends the work of a job that was cancelled while it ran; the user has not interrupted the kernel."""


class Job(Generic[T]):
    """A job for the main thread.

    Parameters
    ----------
    work : callable
        Does the work, on the main thread.
    owner : str
        The id of the session for whose turn it runs; ``""`` for none.

    Attributes
    ----------
    result : concurrent.futures.Future
        What `work` returns or raises; `JobInterrupted` in place of an interrupt.
    is_interrupted : bool
        Whether the user interrupted the kernel while the job ran.
    is_cancelled : bool
        Whether `cancel` was called before the job had ended.
    inner : Job or None
        The job that runs within this one's work.
    """

    def __init__(self, work: Callable[[], T], owner: str = "") -> None:
        self.owner = owner
        self.result: Future[T] = Future()
        self.is_interrupted = self.is_cancelled = False
        self.inner: Job[Any] | None = None
        self._work = work
        self._changing = threading.Lock()
        self._is_running = False
        self._owed: KeyboardInterrupt | None = None  # is still to be raised in the work
        self._was_raised = False
        self._sent = self._arrived = 0  # signals (count)
        self._sent_at_s = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether the job runs or has ended."""
        return self.result.running() or self.result.done()

    def cancel(self) -> None:
        """Withdraw the job, or interrupt it if it runs and was not interrupted (from any thread).

        One that was interrupted and goes on may be closing what it opened; the user can interrupt it again. One that
        has another job run within its work is interrupted when that one has ended.
        """
        with self._changing:
            if self.is_cancelled or self.result.done():
                return
            self.is_cancelled = True
            if not self._is_running:
                self.result.cancel()
            if not self._needs_signal():
                return
            self._interrupt()
        threading.Thread(target=self._interrupt_again, name="copilot-nb-interrupt", daemon=True).start()

    def _needs_signal(self) -> bool:
        is_told = self._was_raised or self._owed is not None
        return self._is_running and self.inner is None and not is_told

    def _interrupt(self) -> None:
        self._sent += 1
        self._sent_at_s = time.monotonic()
        _interrupt_main_thread()

    def _interrupt_again(self) -> None:
        while True:
            time.sleep(AGAIN_AFTER_S)
            with self._changing:
                if not self._needs_signal():
                    return
                self._interrupt()

    def fail(self, error: Exception) -> None:
        """End the job with an error unless it has begun (from any thread)."""
        with self._changing:
            if not self.has_begun and self.result.set_running_or_notify_cancel():
                self.result.set_exception(error)

    def run(self) -> None:
        """Run the job, on the main thread, while `on_signal` handles SIGINT."""
        with self._changing:
            self._is_running = not self.has_begun and self.result.set_running_or_notify_cancel()
        if self._is_running:
            self._settle()
        with self._changing:
            self._is_running = False
        self._await_signal()

    def _settle(self) -> None:
        try:
            value = self._call()
        except BaseException as error:  # noqa: BLE001 - the error goes to the thread that waits for the result
            # an interrupt must not end the loop of the thread that waits for the result
            self.result.set_exception(error if isinstance(error, Exception) else JobInterrupted(type(error).__name__))
        else:
            self.result.set_result(value)

    def _call(self) -> T:
        self.raise_owed()
        return self._work()

    def on_signal(self, _number: int, frame: FrameType | None) -> None:
        """Handle SIGINT while this is the innermost job: end its work, now or as soon as it is in its work again."""
        self._arrived += 1
        if self._arrived > self._sent:
            self.take_interrupt()
        else:
            self._owed = self._owed or JobCancelled()
        while frame is not None and frame.f_code not in _BORDERS:
            frame = frame.f_back
        if frame is not None and frame.f_code is Job._call.__code__:
            self.raise_owed()

    def take_interrupt(self) -> None:
        """Note that the user interrupts the job, on the main thread."""
        self.is_interrupted = True
        self._owed = KeyboardInterrupt()

    def raise_owed(self) -> None:
        """Raise the interrupt that the job is still to get, if any, in its work.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted the job; `JobCancelled` if it was cancelled.
        """
        if self._owed is not None:
            self._was_raised = True
            owed, self._owed = self._owed, None
            raise owed

    def pause(self, inner: Job[Any]) -> bool:
        """Send this job no signals, because `inner` is to run within its work; return whether it may.

        It may not if this job is to be interrupted first.
        """
        with self._changing:
            self.inner = inner
        self._await_signal()
        return self._owed is None

    def go_on(self) -> None:
        """Send this job signals again: the job within its work has ended."""
        with self._changing:
            self.inner = None
            if self.is_cancelled and self._needs_signal():
                self._owed = JobCancelled()

    def _await_signal(self) -> None:
        """Wait for a signal that was sent and has not arrived: it must not hit the code that runs next."""
        until_s = self._sent_at_s + (MERGED_WITHIN_S if self._arrived else ARRIVES_WITHIN_S)
        while self._arrived < self._sent and time.monotonic() < until_s:
            time.sleep(0.001)


class MainThread:
    """The jobs that wait for the main thread.

    Attributes
    ----------
    wake : callable or None
        Called with each new job (from any thread); has the kernel call `serve` when it is idle. ``None`` in a terminal.
    """

    def __init__(self) -> None:
        self.wake: Callable[[Job[Any]], object] | None = None
        self._jobs: deque[Job[Any]] = deque()
        self._running: list[Job[Any]] = []
        self._waiting = 0  # calls (count)
        self._served_at_s = -ATTENDED_S

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Say that a call waits on the main thread, and serves the jobs; on another thread nothing."""
        calls = int(is_main_thread())
        self._waiting += calls
        try:
            yield
        finally:
            self._waiting -= calls

    @property
    def is_attended(self) -> bool:
        """Whether a call that waits on the main thread serves the jobs."""
        is_waiting = self._waiting > 0 or bool(self._running)
        return is_waiting or time.monotonic() - self._served_at_s < ATTENDED_S

    @property
    def owners(self) -> set[str]:
        """The sessions for whose turns a job runs now."""
        return {job.owner for job in self._running if job.owner}

    def submit(self, work: Callable[[], T], owner: str = "") -> Job[T]:
        """Queue a job (from any thread)."""
        job = Job(work, owner)
        self._jobs.append(job)
        if self.wake is not None:
            self.wake(job)
        return job

    def serve(self) -> None:
        """Run the queued jobs; does nothing on another thread than the main thread.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted a job: the call that waits is interrupted too.
        """
        if not is_main_thread():
            return
        self._served_at_s = time.monotonic()
        while (job := self._next()) is not None:
            self.run(job)
            self._served_at_s = time.monotonic()

    def _next(self) -> Job[Any] | None:
        """Return the first job that has not begun; it stays in the queue until then, lest an interrupt loses it."""
        while self._jobs and self._jobs[0].has_begun:
            self._jobs.popleft()
        return self._jobs[0] if self._jobs else None

    def run(self, job: Job[Any]) -> None:
        """Run a job, on the main thread.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupted it; or if the job around it was interrupted, and is to end now.
        """
        outer = self._running[-1] if self._running else None
        if outer is None:
            self._run(job)
            if job.is_interrupted:
                raise KeyboardInterrupt
        else:
            self._run_within(outer, job)
            outer.raise_owed()

    def _run_within(self, outer: Job[Any], job: Job[Any]) -> None:
        try:
            if outer.pause(job):
                self._run(job)
            if job.is_interrupted:
                outer.take_interrupt()
        finally:
            outer.go_on()

    def _run(self, job: Job[Any]) -> None:
        handler = signal.signal(signal.SIGINT, job.on_signal)
        self._running.append(job)
        try:
            job.run()
        finally:
            self._running.remove(job)
            signal.signal(signal.SIGINT, handler)


_BORDERS = (Job._call.__code__, MainThread._run_within.__code__, MainThread._run.__code__)  # noqa: SLF001
"""The innermost of these frames says where a signal arrives: in a job's work (`_call`), or in the code that begins and
ends jobs, which an interrupt must not end."""


def is_main_thread() -> bool:
    """Whether this is the main thread, which runs the cells (those of subshells excepted)."""
    return threading.current_thread() is threading.main_thread()


def _interrupt_main_thread() -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


MAIN_THREAD = MainThread()
"""The jobs of this process."""
