"""A panel on a bad connection: messages that are lost, or come twice. In JupyterLab: `test_panel_connection`."""

from __future__ import annotations

import random

import pytest

from copilot_nb.testing import Reply

from .chat_steps import BEGINNING, REST, WHOLE_ANSWER, answers, notice, say, turn
from .panel_page import PanelPage
from .wire import Content, losing

ALERTS = """() => {
    window.alerts = new Set();
    const look = () => document.querySelectorAll('.cnb-notice:not([hidden])').forEach(
        (alert) => window.alerts.add(alert.textContent));
    new MutationObserver(look).observe(document.body, { attributes: true, childList: true, subtree: true });
}"""


def state_in(content: Content) -> str:
    """Return the last state of a turn that a message tells."""
    return next((str(item["state"]) for item in reversed(content.get("items", [])) if item.get("state")), "")


def test_a_piece_of_an_answer_is_lost(panel_page: PanelPage) -> None:
    text = " ".join(f"word{number}" for number in range(400))
    panel_page.answer(text, chunk_chars=40, chunk_delay_s=0.02)
    shown = panel_page.chat("s1")
    panel_page.wire.to_page = losing(lambda content: "word200" in str(content))
    say(shown, "Go")
    turn(shown, 0)
    assert answers(shown) == [text]
    assert len(panel_page.wire.ids("hello")) == 2


def test_the_last_message_is_lost(panel_page: PanelPage) -> None:
    model = panel_page.answer(Reply(BEGINNING + REST, stall_after_chars=len(BEGINNING)))
    shown = panel_page.chat("s1")
    say(shown, "Say it")
    shown.get_by_text("first half").wait_for()
    panel_page.wire.to_page = losing(lambda content: state_in(content) == "done")
    model.release()
    turn(shown, 0)
    assert answers(shown) == [WHOLE_ANSWER]


def test_a_lost_first_message_is_not_taken_for_a_restart(panel_page: PanelPage) -> None:
    panel_page.answer("Yes.")
    panel_page.wire.to_page = losing(lambda content: content.get("kind") == "whole")
    panel_page.page.evaluate(ALERTS)
    shown = panel_page.chat("s1")
    say(shown, "There?")
    turn(shown, 0)
    assert panel_page.wire.asked("hello") >= 2
    assert panel_page.page.evaluate("() => [...window.alerts]") == []


@pytest.mark.parametrize("lost", ["prompt", "answer"])
def test_a_prompt_is_sent_once_though_it_or_its_receipt_is_lost(panel_page: PanelPage, lost: str) -> None:
    panel_page.answer(lambda asked: asked.prompt)
    shown, wire = panel_page.chat("s1"), panel_page.wire
    if lost == "prompt":
        wire.to_kernel = losing(lambda content: content["do"] == "send")
    else:
        wire.to_page = losing(lambda content: content.get("re") in wire.ids("send"))
    say(shown, "One")
    turn(shown, 0)
    wire.until(panel_page.page, lambda: [each["try"] for each in wire.sent if each["do"] == "send"] == [1, 2])
    say(shown, "Two")
    turn(shown, 1)
    assert answers(shown) == ["One", "Two"]
    assert shown.get_by_role("textbox", name="Prompt").input_value() == ""
    assert notice(shown).count() == 0


def test_all_messages_come_twice(panel_page: PanelPage) -> None:
    panel_page.wire.to_page = panel_page.wire.to_kernel = lambda _content: 2
    panel_page.answer(lambda asked: f"You said {asked.prompt}, and that is *that*.", chunk_chars=6)
    shown = panel_page.chat("s1")
    for number, prompt in enumerate(("one", "two")):
        say(shown, prompt)
        turn(shown, number)
    assert answers(shown) == [f"You said {prompt}, and that is that." for prompt in ("one", "two")]
    assert panel_page.wire.asked("hello") == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_fifth_of_all_messages_is_lost(panel_page: PanelPage, seed: int) -> None:
    chance = random.Random(seed)
    panel_page.answer(lambda asked: f"{asked.prompt} " * 200, chunk_chars=40, chunk_delay_s=0.02)
    shown = panel_page.chat("s1")
    panel_page.wire.to_page = panel_page.wire.to_kernel = lambda _content: chance.random() > 0.2
    for number, prompt in enumerate(("one", "two", "three")):
        say(shown, prompt)
        turn(shown, number)
    assert answers(shown) == [" ".join([prompt] * 200) for prompt in ("one", "two", "three")]
