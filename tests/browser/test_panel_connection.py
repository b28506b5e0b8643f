"""A panel on JupyterLab's connection to its kernel: a line that breaks, a kernel that dies, a cell not heard of.

The kernel's websocket of the page goes through a `KernelWire`, which reads each frame (JupyterLab speaks the binary
protocol ``v1.kernel.websocket.jupyter.org``) and passes on a panel's messages as often as the test says. Messages that
are only lost or doubled: `test_panel_survival`.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute

from copilot_nb.panels.control_channel import MESSAGE_TYPE

from .chat_steps import HALF_THEN_REST, PANEL, WHOLE_ANSWER, answers, notice, panel, say, turn
from .conftest import Notebook, open_gate, scripted
from .wire import Content, Wire, losing, once

pytestmark = pytest.mark.usefixtures("used_page")


def content_of(frame: str | bytes) -> Content:
    """Return a panel's own message in a frame of the kernel's websocket, by whichever way; ``{}``: it holds none."""
    assert isinstance(frame, bytes), "JupyterLab has agreed on the binary protocol"
    (number,) = struct.unpack_from("<Q", frame)
    at = struct.unpack_from(f"<{number}Q", frame, 8)
    _channel, header, _parent, _metadata, body = (frame[at[i] : at[i + 1]] for i in range(5))
    kind, content = json.loads(header)["msg_type"], json.loads(body)
    if kind == MESSAGE_TYPE:
        aside: Content = content["message"]
        return aside
    data = content["data"] if kind == "comm_msg" else {}
    return data["content"] if data.get("method") == "custom" else {}


@dataclass
class KernelWire(Wire):
    """The kernel's websocket, which can also break."""

    is_down: bool = False
    _ends: list[tuple[WebSocketRoute, WebSocketRoute]] = field(default_factory=list)

    def route(self, page: WebSocketRoute) -> None:
        if self.is_down:
            page.close()
            return
        server = page.connect_to_server()
        self._ends.append((page, server))
        page.on_message(lambda frame: self._pass(frame, server, self.sent, self.to_kernel))
        server.on_message(lambda frame: self._pass(frame, page, self.got, self.to_page))

    def _pass(
        self, frame: str | bytes, to: WebSocketRoute, log: list[Content], times: Callable[[Content], int]
    ) -> None:
        content = content_of(frame)
        if content:
            log.append(content)
        for _ in range(times(content) if content else 1):
            to.send(frame)

    def cut(self) -> None:
        """Break the connection; JupyterLab makes another."""
        for page, server in self._ends:
            server.close()
            page.close()
        self._ends.clear()


@pytest.fixture(scope="module")
def kept_pages(browser: Browser) -> Iterator[list[Page]]:
    """A page for these tests alone: the wires stay in it."""
    pages: list[Page] = []
    yield pages
    for page in pages:
        page.close()


@pytest.fixture
def wire(lab: Any) -> KernelWire:
    wire = KernelWire()
    lab.on_page.append(lambda page: page.route_web_socket(re.compile(r"/api/kernels/.*/channels"), wire.route))
    return wire


def opened(lab: Any, replies: str, *cells: str, gate: Path | None = None) -> Notebook:
    notebook: Notebook = lab.open(scripted(replies, gate), PANEL, *cells)
    notebook.run(0)
    notebook.run(1)
    return notebook


@pytest.fixture
def half(lab: Any, wire: KernelWire, tmp_path: Path) -> tuple[Notebook, Path]:
    """A panel whose answer has stalled half-way, and the gate that lets it go on."""
    gate = tmp_path / "gate"
    notebook = opened(lab, HALF_THEN_REST, gate=gate)
    say(panel(notebook), "Say it")
    notebook.output(1).get_by_text("first half").wait_for()
    return notebook, gate


def test_a_copy_that_goes_past_the_cell_is_enough_where_a_prompt_is_lost(lab: Any, wire: KernelWire) -> None:
    notebook = opened(lab, "lambda asked: asked.prompt")
    shown = panel(notebook)
    wire.to_kernel = losing(lambda content: content["do"] == "send")
    say(shown, "One")
    turn(shown, 0)
    assert [each["try"] for each in wire.sent if each["do"] == "send"] == [1, 1]
    say(shown, "Two")
    turn(shown, 1)
    assert answers(shown) == ["One", "Two"]
    assert shown.get_by_role("textbox", name="Prompt").input_value() == ""
    assert notice(shown).count() == 0


def test_a_turn_whose_messages_were_lost_is_shown_after_all(lab: Any, wire: KernelWire) -> None:
    notebook = opened(lab, "['From a cell.']", "%%copilot s1\nAsked in a cell")
    shown = panel(notebook)
    wire.to_page = lambda content: content.get("kind") != "news"
    notebook.run(2)
    turn(shown, 0)
    assert answers(shown) == ["From a cell."]


def test_the_line_breaks_in_the_middle_of_an_answer(half: Any, wire: KernelWire) -> None:
    notebook, gate = half
    wire.cut()
    open_gate(gate)
    shown = panel(notebook)
    turn(shown, 0)
    say(shown, "More?")
    turn(shown, 1)
    assert answers(shown) == [WHOLE_ANSWER, "Go on."]


def test_a_prompt_without_a_connection_is_sent_when_it_returns(lab: Any, wire: KernelWire) -> None:
    notebook = opened(lab, "lambda asked: asked.prompt")
    shown = panel(notebook)
    wire.is_down = True
    wire.cut()
    say(shown, "Later")
    notice(shown).get_by_text("No connection to the kernel").wait_for()
    wire.is_down = False
    turn(shown, 0)
    assert answers(shown) == ["Later"]
    assert notice(shown).count() == 0


def test_a_prompt_that_a_restart_has_lost_is_given_back(lab: Any, wire: KernelWire) -> None:
    notebook = opened(lab, "['Never asked.']")
    shown = panel(notebook)
    wire.to_kernel = lambda content: content["do"] != "send"
    say(shown, "What I have written")
    wire.until(notebook.page, lambda: wire.asked("send") >= 1)
    notebook.restart()
    notice(shown).get_by_text("The kernel was restarted: open this panel again").wait_for()
    assert shown.get_by_role("textbox", name="Prompt").input_value() == "What I have written"
    shown.get_by_role("textbox", name="Prompt").press("Enter")
    notice(shown).get_by_text("The kernel was restarted: open this panel again").wait_for()
    assert shown.get_by_role("textbox", name="Prompt").input_value() == "What I have written"
    assert notebook.js_errors == []


def test_a_question_that_gets_no_answer_is_not_piled_up(half: Any, wire: KernelWire) -> None:
    notebook, gate = half
    wire.to_page = lambda content: content.get("kind") == "whole"
    wire.until(notebook.page, lambda: wire.asked("seq") >= 3)
    notice(panel(notebook)).get_by_text("The kernel does not answer").wait_for()
    assert len(wire.ids("seq")) == 1
    wire.to_page = once
    open_gate(gate)
    turn(panel(notebook), 0)
    assert answers(panel(notebook)) == [WHOLE_ANSWER]
    assert notice(panel(notebook)).count() == 0
    assert notebook.js_errors == []
