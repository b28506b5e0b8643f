"""Has an idle kernel run the jobs of `system.main_thread`: the kernel sends itself a request, as a front end does.

The request runs one call, silently: nothing of it is shown or counted, and it takes its place behind the cells that
were sent before. It is a cell like any other, so it never runs within an awaited cell, and an interrupt of the kernel
reaches the code. When a cell fails, the kernel aborts the requests behind it; an aborted one is sent again.

A terminal has no such request: there, jobs run only while a call waits (`MainThread.is_attended`).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import InputError
from copilot_nb.system.main_thread import MAIN_THREAD, Job

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from jupyter_client.blocking.client import BlockingKernelClient

CALL = f"__import__({__name__!r}, fromlist=['serve']).serve()"
POLL_S = 0.1


def serve() -> None:
    """Run the jobs; called by the kernel's request to itself. An interrupt ends with the job that it hits."""
    with suppress(KeyboardInterrupt):
        MAIN_THREAD.serve()


class Waker:
    """Wakes an idle kernel to run a job.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._kernel = getattr(shell, "kernel", None)
        self._one_at_a_time = threading.Lock()

    def __call__(self, job: Job[Any]) -> None:
        """Have `job` run when the kernel is idle, unless a call that waits runs it before (from any thread)."""
        threading.Thread(target=self._wake, args=(job,), name="copilot-nb-wake", daemon=True).start()

    def _wake(self, job: Job[Any]) -> None:
        with self._one_at_a_time:
            if job.has_begun:
                return
            try:
                client = _own_client()
            except (RuntimeError, OSError) as error:
                job.fail(InputError(f"this kernel cannot run code by itself: {error}", "wait for the answer in a cell"))
                return
            try:
                while not job.has_begun:
                    self._request(client, job)
            finally:
                client.stop_channels()

    def _request(self, client: BlockingKernelClient, job: Job[Any]) -> None:
        """Send the request and wait until it has ended, or the job has begun in another way."""
        # The kernel takes over from each request whether its front end can be asked, so this one changes nothing.
        allow = bool(getattr(self._kernel, "_allow_stdin", False))
        sent = client.execute(CALL, silent=True, store_history=False, allow_stdin=allow, stop_on_error=False)
        while not job.has_begun:
            with suppress(Empty):
                reply = client.get_shell_msg(timeout=POLL_S)
                if reply["parent_header"].get("msg_id") == sent:
                    return


def _own_client() -> BlockingKernelClient:
    """Return a client of this kernel, connected to the channel that takes cells."""
    from ipykernel.connect import get_connection_file
    from jupyter_client.blocking.client import BlockingKernelClient

    client = BlockingKernelClient(connection_file=get_connection_file())
    client.load_connection_file()
    client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)  # noqa: S604 - a channel
    return client
