"""The way past the cell that runs: it reaches the panel that is meant, and kernels of another make are left alone."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from copilot_nb.panels.control_channel import MESSAGE_TYPE, listen


class Panel:
    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []

    def receive(self, message: Mapping[str, Any], /) -> None:
        self.heard.append(message)


def said_to(name: str, message: object) -> dict[str, Any]:
    return {"content": {"panel": name, "message": message}}


def test_the_panel_that_is_named_hears_it_and_one_that_is_gone_does_not() -> None:
    kernel = SimpleNamespace(control_handlers={"interrupt_request": None})
    first, second = Panel(), Panel()
    for name, panel in (("first", first), ("second", second)):
        listen(SimpleNamespace(kernel=kernel), name, panel)
    assert set(kernel.control_handlers) == {"interrupt_request", MESSAGE_TYPE}
    receive = kernel.control_handlers[MESSAGE_TYPE]
    receive(None, b"", said_to("second", {"do": "stop"}))
    receive(None, b"", said_to("nobody", {"do": "stop"}))
    assert (first.heard, second.heard) == ([], [{"do": "stop"}])
    del first, panel, second
    gc.collect()
    receive(None, b"", said_to("second", {"do": "stop"}))


def test_a_kernel_without_such_handlers_is_left_alone() -> None:
    for comm in (None, object(), SimpleNamespace(kernel=None), SimpleNamespace(kernel=SimpleNamespace())):
        listen(comm, "panel", Panel())
