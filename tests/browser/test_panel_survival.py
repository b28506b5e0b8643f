"""A panel on a bad connection: messages that are lost or come twice, a line that breaks, a kernel that dies.

The kernel's websocket of the page goes through a `Wire`, which reads each frame (JupyterLab speaks the binary protocol
``v1.kernel.websocket.jupyter.org``) and passes on a panel's messages as often as the test says: 0 times is lost.
"""

from __future__ import annotations

import json
import random
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute

from copilot_nb.panels.aside import MESSAGE_TYPE

from .conftest import Notebook, open_gate, scripted
from .test_chat_panel import HALF_THEN_REST, PANEL, notice, panel, say, turn

WHOLE_ANSWER = "The first half of it, and then the rest."
Content = dict[str, Any]


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


def once(_content: Content) -> int:
    return 1


@dataclass
class Wire:
    """The kernel's websocket: how often a message of a panel is passed on, and what the page has sent.

    Attributes
    ----------
    to_page, to_kernel : callable
        Return how often a panel's message is passed on.
    sent, got : list of dict
        What the page has sent, and what it was to be given, in order.
    """

    to_page: Callable[[Content], int] = once
    to_kernel: Callable[[Content], int] = once
    sent: list[Content] = field(default_factory=list)
    got: list[Content] = field(default_factory=list)
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

    def asked(self, what: str) -> int:
        """Return how often the page has asked for something."""
        return sum(message["do"] == what for message in self.sent)

    def ids(self, what: str) -> set[str]:
        """Return the ids under which the page has asked for it."""
        return {message["id"] for message in self.sent if message["do"] == what}

    def until(self, page: Page, is_so: Callable[[], bool]) -> None:
        """Wait for something that the wire sees; the page goes on meanwhile."""
        deadline_s = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline_s
            page.evaluate("() => new Promise(requestAnimationFrame)")

    def cut(self) -> None:
        """Break the connection; JupyterLab makes another."""
        for page, server in self._ends:
            server.close()
            page.close()
        self._ends.clear()


def losing(fits: Callable[[Content], object]) -> Callable[[Content], int]:
    """Lose the first message that `fits`."""
    lost: list[Content] = []

    def times(content: Content) -> int:
        if lost or not fits(content):
            return 1
        lost.append(content)
        return 0

    return times


def state_in(content: Content) -> str:
    """Return the last state of a turn that a message tells."""
    return next((str(item["state"]) for item in reversed(content.get("items", [])) if item.get("state")), "")


@pytest.fixture
def wire(lab: Any) -> Wire:
    wire = Wire()
    lab.context.route_web_socket(re.compile(r"/api/kernels/.*/channels"), wire.route)
    return wire


def opened(lab: Any, replies: str, *cells: str, gate: Path | None = None, **options: object) -> Notebook:
    notebook: Notebook = lab.open(scripted(replies, gate, **options), PANEL, *cells)
    notebook.run(0)
    notebook.run(1)
    return notebook


@pytest.fixture
def half(lab: Any, wire: Wire, tmp_path: Path) -> tuple[Notebook, Path]:
    """A panel whose answer has stalled half-way, and the gate that lets it go on."""
    gate = tmp_path / "gate"
    notebook = opened(lab, HALF_THEN_REST, gate=gate)
    say(panel(notebook), "Say it")
    notebook.output(1).get_by_text("first half").wait_for()
    return notebook, gate


def answers(shown: Locator) -> list[str]:
    return shown.locator(".cnb-answer").all_inner_texts()


def test_a_piece_of_an_answer_is_lost(lab: Any, wire: Wire) -> None:
    text = " ".join(f"word{number}" for number in range(400))
    notebook = opened(lab, f"[{text!r}]", chunk_chars=40, chunk_delay_s=0.02)
    shown = panel(notebook)
    wire.to_page = losing(lambda content: "word200" in str(content))
    say(shown, "Go")
    turn(shown, 0)
    assert answers(shown) == [text]
    assert len(wire.ids("hello")) == 2


def test_the_last_message_is_lost(half: Any, wire: Wire) -> None:
    notebook, gate = half
    wire.to_page = losing(lambda content: state_in(content) == "done")
    open_gate(gate)
    turn(panel(notebook), 0)
    assert answers(panel(notebook)) == [WHOLE_ANSWER]


def test_the_first_whole_is_lost_and_nobody_is_told_of_a_restart(lab: Any, wire: Wire) -> None:
    wire.to_page = losing(lambda content: content.get("kind") == "whole")
    notebook = opened(lab, "['Yes.']")
    shown = notebook.output(1).locator(".cnb-chat")
    notebook.page.evaluate(
        "() => { window.alerts = new Set(); const look = () => { const alert = document.querySelector('.cnb-notice');"
        " if (!alert.hidden) window.alerts.add(alert.textContent); };"
        " new MutationObserver(look).observe(document.querySelector('.cnb-notice'), {attributes: true}); look(); }"
    )
    say(panel(notebook), "There?")
    turn(shown, 0)
    assert wire.asked("hello") >= 2
    assert notebook.page.evaluate("() => [...window.alerts]") == []


@pytest.mark.parametrize("lost", ["prompt", "answer"])
def test_a_prompt_is_sent_once_though_it_or_its_receipt_is_lost(lab: Any, wire: Wire, lost: str) -> None:
    notebook = opened(lab, "lambda asked: asked.prompt")
    shown = panel(notebook)
    if lost == "prompt":
        wire.to_kernel = losing(lambda content: content["do"] == "send")
    else:
        wire.to_page = losing(lambda content: content.get("re") in wire.ids("send"))
    say(shown, "One")
    turn(shown, 0)
    tries = 2 if lost == "answer" else 1  # a copy, which goes past the cell, is enough where the prompt was lost
    wire.until(notebook.page, lambda: [each["try"] for each in wire.sent if each["do"] == "send"][1:].count(tries) > 0)
    say(shown, "Two")
    turn(shown, 1)
    assert answers(shown) == ["One", "Two"]
    assert shown.get_by_role("textbox", name="Prompt").input_value() == ""
    assert notice(shown).count() == 0


def test_all_messages_come_twice(lab: Any, wire: Wire) -> None:
    wire.to_page = wire.to_kernel = lambda _content: 2
    notebook = opened(lab, "lambda asked: f'You said {asked.prompt}, and that is *that*.'", chunk_chars=6)
    shown = panel(notebook)
    for number, prompt in enumerate(("one", "two")):
        say(shown, prompt)
        turn(shown, number)
    assert answers(shown) == [f"You said {prompt}, and that is that." for prompt in ("one", "two")]
    assert wire.asked("hello") == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_of_all_messages_is_lost(lab: Any, wire: Wire, seed: int) -> None:
    chance = random.Random(seed)
    notebook = opened(lab, "lambda asked: f'{asked.prompt} ' * 200", chunk_chars=40, chunk_delay_s=0.02)
    wire.to_page = wire.to_kernel = lambda _content: chance.random() > 0.2
    shown = panel(notebook)
    for number, prompt in enumerate(("one", "two", "three")):
        say(shown, prompt)
        turn(shown, number)
    assert answers(shown) == [" ".join([prompt] * 200) for prompt in ("one", "two", "three")]


def test_the_line_breaks_in_the_middle_of_an_answer(half: Any, wire: Wire) -> None:
    notebook, gate = half
    wire.cut()
    open_gate(gate)
    shown = panel(notebook)
    turn(shown, 0)
    say(shown, "More?")
    turn(shown, 1)
    assert answers(shown) == [WHOLE_ANSWER, "Go on."]


def test_what_is_sent_without_a_connection_is_sent_once_there_is_one(lab: Any, wire: Wire) -> None:
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


def test_a_turn_of_a_cell_of_which_the_page_heard_nothing_is_shown_after_all(lab: Any, wire: Wire) -> None:
    notebook = opened(lab, "['From a cell.']", "%%copilot s1\nAsked in a cell")
    shown = panel(notebook)
    wire.to_page = lambda content: content.get("kind") != "news"
    notebook.run(2)
    turn(shown, 0)
    assert answers(shown) == ["From a cell."]


def test_a_prompt_that_a_restart_has_lost_is_given_back(lab: Any, wire: Wire) -> None:
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


def test_a_question_that_gets_no_answer_is_not_piled_up(half: Any, wire: Wire) -> None:
    notebook, gate = half
    wire.to_page = lambda content: content.get("kind") == "whole"
    wire.until(notebook.page, lambda: wire.asked("seq") >= 3)
    notice(panel(notebook)).get_by_text("The kernel was restarted").wait_for()
    assert len(wire.ids("seq")) == 1
    wire.to_page = once
    open_gate(gate)
    turn(panel(notebook), 0)
    assert answers(panel(notebook)) == [WHOLE_ANSWER]
    assert notice(panel(notebook)).count() == 0
    assert notebook.js_errors == []
