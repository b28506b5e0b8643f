"""A real kernel, driven over its protocol as a front end does."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

WAIT_S = 60


@dataclass(frozen=True)
class Message:
    """A message on iopub: its time (`time.perf_counter`), cell, type and size in bytes."""

    at_s: float
    cell: int
    type: str
    content: dict[str, Any]
    size_bytes: int

    @property
    def html(self) -> str:
        """The HTML of an output; ``""`` if it has none."""
        return str(self.content.get("data", {}).get("text/html", ""))

    @property
    def is_display(self) -> bool:
        """Whether it is an output that can be replaced, or its replacement."""
        return self.type in ("display_data", "update_display_data")


class Kernel:
    """A running kernel."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, *cells: str) -> list[Message]:
        """Run cells and return all messages, once the last cell has ended."""
        return list(self.watch(*cells))

    def watch(self, *cells: str) -> Iterator[Message]:
        """Send all cells at once, and yield the messages until the last cell has ended.

        Raises
        ------
        RuntimeError
            If a cell fails.
        """
        numbers = {self._send(source): number for number, source in enumerate(cells)}
        while True:
            message = self._next(numbers)
            if message is None:
                continue
            yield message
            if message.type == "error":
                raise RuntimeError(f"{message.content['ename']}: {message.content['evalue']}")
            if message.cell == len(cells) - 1 and message.content.get("execution_state") == "idle":
                return

    def _send(self, source: str) -> str:
        """Send a cell as the page of a notebook does, which names it; return the id of the request."""
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        metadata = {"cellId": uuid.uuid4().hex}
        request = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def _next(self, numbers: dict[str, int]) -> Message | None:
        socket, session = self._client.iopub_channel.socket, self._client.session
        if not socket.poll(WAIT_S * 1000):
            raise RuntimeError(f"nothing came from the kernel for {WAIT_S} s")
        frames = socket.recv_multipart()
        at_s = time.perf_counter()
        message = session.deserialize(session.feed_identities(frames)[1])
        cell = numbers.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            return None
        return Message(at_s, cell, message["msg_type"], message["content"], sum(map(len, frames)))


@contextmanager
def fresh_kernel() -> Iterator[Kernel]:
    """Start a kernel; afterwards end it with all that it has started (a cell that fails sends a message)."""
    manager, client = start_new_kernel(startup_timeout=WAIT_S, stderr=subprocess.DEVNULL)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
