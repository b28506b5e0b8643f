"""The thread of a panel: it runs jobs in order, and sends collected news at a limited rate.

Heavy work (rendering) and blocking calls (reading a history) must not run on the event loop's thread, and a comm must
not be written to from two threads. So each panel has its own thread, which owns the panel's state and sends all of its
messages. A streaming turn changes a hundred times a second; each change only sets a mark (`mark`), and all changes are
sent together at the next beat.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

log = logging.getLogger("copilot_nb")

BEAT_S = 1 / 12
"""The shortest time between two messages with news, in seconds: it looks continuous, and a page keeps up."""

Job = Callable[[], object]


class Worker:
    """A thread that its first job starts.

    Parameters
    ----------
    send : callable
        Sends the news; called on the thread after `mark`, at most once per beat.
    """

    def __init__(self, send: Job) -> None:
        self._send_news = send
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_marked = False
        self._sent_at_s = 0.0
        self._is_stopped = False

    def put(self, job: Job) -> None:
        """Queue `job` (from any thread); after `stop` it is not run."""
        self._jobs.put(job)
        with self._starting:
            if self._thread is None and not self._is_stopped:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="copilot-nb-panel", daemon=True)
        self._thread.start()

    def mark(self) -> None:
        """Send the news at the next beat; called by jobs."""
        self._is_marked = True

    def rest(self) -> None:
        """End the thread after the queued jobs (from any thread); the next job starts a new thread."""
        if self._thread is not None:
            self._jobs.put(None)

    def stop(self) -> None:
        """End the thread after the queued jobs, for good (from any thread)."""
        self._is_stopped = True
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # the thread must survive a failed job; a page that misses a message asks again
                log.exception("a panel of copilot_nb failed")
        with self._starting:
            self._thread = None
            if not self._jobs.empty() and not self._is_stopped:
                self._start()

    def _next(self) -> Job | None:
        """Return the next job, which is to send the news when they are due."""
        if not self._is_marked:
            return self._jobs.get()
        pause_s = self._sent_at_s + BEAT_S - time.monotonic()
        if pause_s > 0:
            try:
                return self._jobs.get(timeout=pause_s)
            except queue.Empty:
                pass
        self._is_marked = False
        return self._send_now

    def _send_now(self) -> None:
        try:
            self._send_news()
        finally:
            self._sent_at_s = time.monotonic()  # counted from the end, so that sends are at least a beat apart
