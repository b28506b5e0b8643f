"""What a page costs: the messages that a kernel sends to it, and how long its main thread is held up.

`Traffic` listens to the websocket by which JupyterLab talks to a kernel. The server packs each message into one binary
frame: how many parts it has, where each begins, and the parts, of which the second is the header and the fifth the
content. `longest_task_ms` reads a trace that the browser has written of itself.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from playwright.sync_api import Page, WebSocket

TRACED = ("devtools.timeline", "disabled-by-default-devtools.timeline")
"""What is to be traced, for `longest_task_ms`."""


@dataclass(frozen=True)
class Frame:
    """One message from the kernel, as it came."""

    raw: bytes

    @property
    def header(self) -> dict[str, Any]:
        """Its header: `msg_type`, `date` …"""
        return self._part(1)

    @property
    def content(self) -> dict[str, Any]:
        """What it says."""
        return self._part(4)

    @property
    def type(self) -> str:
        """Its type, such as ``"comm_msg"``."""
        return str(self.header["msg_type"])

    @property
    def at_s(self) -> float:
        """When the kernel made it."""
        return datetime.fromisoformat(self.header["date"]).timestamp()

    @property
    def said(self) -> dict[str, Any]:
        """What a widget's custom message says; empty for any other message."""
        data = self.content.get("data", {}) if self.type == "comm_msg" else {}
        return data["content"] if data.get("method") == "custom" else {}

    def _part(self, number: int) -> dict[str, Any]:
        begin, end = struct.unpack_from("<2Q", self.raw, 8 * (1 + number))
        found: dict[str, Any] = json.loads(self.raw[begin:end])
        return found


class Traffic:
    """What comes to pages from their kernels; `listen` is for `Lab.on_page`.

    Attributes
    ----------
    frames : list of Frame
        All that came, in order.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def listen(self, page: Page) -> None:
        """Listen to the websockets that a page opens from now on."""
        page.on("websocket", self._hear)

    def _hear(self, socket: WebSocket) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", lambda data: self.frames.append(Frame(bytes(data))))


def most_in_a_second(times_s: Sequence[float]) -> int:
    """Return the largest number of these times that lie within one second."""
    ordered = sorted(times_s)
    return max((sum(begin <= at < begin + 1 for at in ordered[i:]) for i, begin in enumerate(ordered)), default=0)


def longest_task_ms(trace: bytes) -> float:
    """Return the longest that a page's main thread worked at a stretch; waiting for a processor does not count."""
    events = [event for event in json.loads(trace)["traceEvents"] if event.get("ph") == "X"]
    main = {(event["pid"], event["tid"]) for event in events if event["name"] == "Layout"}
    tasks = [event for event in events if event["name"] == "RunTask" and (event["pid"], event["tid"]) in main]
    return float(max(event.get("tdur", 0) for event in tasks) / 1000)
