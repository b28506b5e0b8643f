"""Images in the chat panel: chosen, sent, shown again, and sent again with the turn that is edited."""

from __future__ import annotations

import base64
import io
import os
import threading
from typing import Any

import PIL.Image
from playwright.sync_api import Locator

from copilot_nb.agent.tools import Arguments, CallContext, ToolSpec
from copilot_nb.conversation.changes import ToolShowed
from copilot_nb.conversation.parts import Image, LiveOutput
from copilot_nb.named_sessions.session import state_of
from copilot_nb.testing import ChatRequest, FunctionCall, Reply, ScriptedModel

from .chat_steps import notice, say, turn
from .panel_page import PanelPage


def count(asked: ChatRequest) -> str:
    """Say how many images each prompt came with."""
    return " ".join(str(len(message.images)) for message in asked.messages if message.role == "user")


def sizes(model: ScriptedModel) -> list[tuple[int, int]]:
    """Return the sizes of the images that came with the last prompt (pixels)."""
    urls = model.requests[-1].messages[-1].images
    return [PIL.Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size for url in urls]


def file(name: str, picture: PIL.Image.Image) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def widths(images: Locator) -> list[int]:
    """How wide images are, once all have been loaded (pixels)."""
    images.last.wait_for()
    found: list[int] = images.evaluate_all(
        "images => Promise.all(images.map(i => i.decode().then(() => i.naturalWidth)))"
    )
    return found


def test_images_go_with_a_prompt_and_are_shown_with_it(panel_page: PanelPage) -> None:
    model = panel_page.answer(count)
    shown = panel_page.chat("s1")
    noise = PIL.Image.frombytes("RGB", (2100, 700), os.urandom(2100 * 700 * 3))
    picker = shown.locator("input[type=file]")
    picker.set_input_files([file("red.png", PIL.Image.new("RGB", (600, 300), "red")), file("noise.png", noise)])
    shown.get_by_role("button", name="Remove noise.png").wait_for()
    assert widths(shown.locator(".cnb-chip img")) == [600, 2000]
    say(shown, "What is it?")
    asked = turn(shown, 0)
    assert asked.locator(".cnb-answer").inner_text() == "2"
    asked.get_by_role("img", name="red.png").wait_for()
    asked.get_by_role("img", name="noise.png").wait_for()
    assert widths(asked.get_by_role("img")) == [480, 480]
    assert sizes(model) == [(600, 300), (2000, 667)]

    panel_page.reload()
    asked = turn(shown, 0)
    asked.get_by_role("img", name="noise.png").wait_for()
    asked.get_by_role("button", name="Edit").click()
    shown.get_by_text("Sending takes the place of this turn; its images are sent again.").wait_for()
    shown.locator("input[type=file]").set_input_files([file("blue.png", PIL.Image.new("RGB", (60, 30), "blue"))])
    say(shown, "What else?")
    asked.get_by_text("What else?").wait_for()
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "3"


def test_an_image_alone_is_a_prompt_and_a_broken_one_is_reported(panel_page: PanelPage) -> None:
    panel_page.answer(count)
    shown = panel_page.chat("s1")
    picker = shown.locator("input[type=file]")
    picker.set_input_files([{"name": "x.png", "mimeType": "image/png", "buffer": b"\x89PNG no image"}])
    notice(shown).get_by_text("x.png is a damaged image").wait_for()
    picker.set_input_files([file("red.png", PIL.Image.new("RGB", (60, 30), "red"))])
    shown.get_by_role("button", name="Remove red.png").wait_for()
    shown.get_by_role("button", name="Send").click()
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "1"
    assert not turn(shown, 0).locator(".cnb-prompt").is_visible()
    picker.set_input_files([file("blue.png", PIL.Image.new("RGB", (60, 30), "blue"))])
    shown.get_by_role("button", name="Remove blue.png").click()
    say(shown, "none")
    assert turn(shown, 1).locator(".cnb-answer").inner_text() == "1 0"


def test_what_running_code_shows_is_in_view_until_its_result_is_there(panel_page: PanelPage) -> None:
    may_end = threading.Event()

    def act(_arguments: Arguments, context: CallContext) -> str:
        figure = io.BytesIO()
        PIL.Image.new("RGB", (300, 2_000), "teal").save(figure, "PNG")
        shown = LiveOutput("epoch 18\n45 %", images=(Image("figure", "image/png", 1, figure.getvalue()),))
        turn = state_of(panel_page.manager.session("s1")).runner.current
        assert turn is not None
        panel_page.manager.loop.call_soon(turn.apply, ToolShowed(context.call_id, shown))
        may_end.wait(30)
        return "the result"

    panel_page.manager.toolbox.offer("kernel", [ToolSpec("act", "Acts.", act, kind="look")])
    panel_page.manager.settings.tools = "kernel"
    panel_page.answer([Reply(calls=(FunctionCall("act", "{}"),)), "All right."])
    shown = panel_page.chat("s1")
    say(shown, "Go")
    assert shown.locator(".cnb-shown", has_text="epoch 18").inner_text() == "epoch 18\n45 %"
    shown.locator(".cnb-drawn img").wait_for()
    panel_page.page.wait_for_function(
        """() => {
            const box = document.querySelector(".cnb-scroll"), figure = box.querySelector(".cnb-drawn img");
            return figure.offsetHeight > 1000 && box.scrollHeight - box.scrollTop - box.clientHeight < 40;
        }"""
    )
    may_end.set()
    assert "act ✓ done" in turn(shown, 0).inner_text()
    assert not shown.locator(".cnb-shown").is_visible()
    assert shown.locator(".cnb-drawn img").count() == 0
