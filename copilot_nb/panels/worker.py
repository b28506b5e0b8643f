"""One thread for what a panel has to say: jobs in their order, and news gathered and told at most so often.

What is heavy (rendering) or may block (reading a history) must not run on the event loop's thread, and a comm must not
be written to from two threads. So each panel has a thread of its own, which owns what the panel knows and sends all it
sends. A turn that streams changes a hundred times a second; each change is only noted (`mark`), and told with all the
others at the next beat.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

log = logging.getLogger("copilot_nb")

BEAT_S = 1 / 12
"""The shortest time from one telling of news to the next, in seconds: it looks continuous, and a page keeps up."""

Job = Callable[[], object]


class Worker:
    """A thread that is started by its first job.

    Parameters
    ----------
    tell : callable
        Tells the news; called on the thread, at most once a beat, after `mark`.
    """

    def __init__(self, tell: Job) -> None:
        self._tell = tell
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_marked = False
        self._told_at_s = 0.0
        self._is_stopped = False

    def put(self, job: Job) -> None:
        """Have `job` run after those before it (from any thread)."""
        self._jobs.put(job)
        with self._starting:
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="copilot-nb-panel", daemon=True)
        self._thread.start()

    def mark(self) -> None:
        """Have the news told at the next beat; called by jobs."""
        self._is_marked = True

    def rest(self) -> None:
        """End the thread after the jobs that wait (from any thread); the next job starts another."""
        if self._thread is not None:
            self._jobs.put(None)

    def stop(self) -> None:
        """End the thread after the jobs that wait, for good (from any thread)."""
        self._jobs.put(None)
        self._is_stopped = True

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # the thread must outlive a job that fails; a page that misses something asks again
                log.exception("a panel of copilot_nb failed")
        with self._starting:
            self._thread = None
            if not self._jobs.empty() and not self._is_stopped:
                self._start()

    def _next(self) -> Job | None:
        """Return the next job; the news are one, when it is time for them."""
        if not self._is_marked:
            return self._jobs.get()
        pause_s = self._told_at_s + BEAT_S - time.monotonic()
        if pause_s > 0:
            try:
                return self._jobs.get(timeout=pause_s)
            except queue.Empty:
                pass
        self._is_marked = False
        return self._tell_now

    def _tell_now(self) -> None:
        try:
            self._tell()
        finally:
            self._told_at_s = time.monotonic()  # from its end on, so that no two come closer than a beat
