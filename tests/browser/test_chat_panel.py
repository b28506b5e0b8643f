"""The chat panel: answers that stream, stop, wait and change; nothing hostile. In JupyterLab: `test_panels_in_lab`."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from copilot_nb.panels.compare import ComparePanel
from copilot_nb.panels.sessions import SessionsPanel
from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.testing import Reply, ScriptedModel

from .chat_steps import BEGINNING, REST, WHOLE_ANSWER, notice, say, turn
from .panel_page import PanelPage
from .test_hostile_markdown import HOSTILE, NAME

MORE = "and more " * 20
LONG = "\n\n".join(
    f"## Part {n}\n\nSome *words* about `it`, {MORE}.\n\n```python\ndef f(x):\n    return x + {n}\n```\n\n- a\n- b"
    for n in range(380)
)
BESIDE = "html => { document.body.appendChild(document.createElement('div')).innerHTML = html; }"
COPIED = """() => {
    let text;
    addEventListener("copy", (event) => { text = event.clipboardData.getData("text/plain"); }, { once: true });
    document.execCommand("copy");
    return text;
}"""
WITNESS = "<img src='/no-such-picture' onerror='window.witness = true'>"


def test_a_long_answer_comes_as_it_is_rendered(panel_page: PanelPage) -> None:
    assert len(LONG) > 100_000
    panel_page.answer(LONG, chunk_chars=400, chunk_delay_s=0.02)
    shown = panel_page.chat("s1")
    say(shown, "All of it")
    turn(shown, 0)
    expected = panel_page.page.evaluate(
        "html => { const whole = document.createElement('div'); whole.innerHTML = html; return whole.textContent; }",
        markdown_to_html(LONG, maths="mathml"),
    )
    answer = shown.locator(".cnb-answer").evaluate(
        "node => { const copy = node.cloneNode(true); copy.querySelectorAll('.cnb-code-bar').forEach(n => n.remove());"
        " return copy.textContent; }"
    )
    assert answer == expected


def test_new_text_does_not_scroll_a_reader_away(panel_page: PanelPage) -> None:
    text = "\n\n".join(f"Line {n}" for n in range(100))
    model = panel_page.answer(Reply(text + "\n\nEnd", stall_after_chars=len(text)))
    shown = panel_page.chat("s1")
    say(shown, "Go")
    shown.get_by_text("Line 98").wait_for()
    scroll = shown.locator(".cnb-scroll")
    scroll.evaluate("node => { node.scrollTop = 40; }")
    latest = shown.get_by_role("button", name="Latest")
    latest.wait_for()
    model.release()
    turn(shown, 0)
    assert scroll.evaluate("node => node.scrollTop") == 40
    latest.click()
    latest.wait_for(state="hidden")
    assert scroll.evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight") < 5


@pytest.fixture
def model(panel_page: PanelPage) -> ScriptedModel:
    """What stalls half-way through its first answer."""
    return panel_page.answer([Reply(BEGINNING + REST, stall_after_chars=len(BEGINNING)), "Go on."])


@pytest.fixture
def half_answered(panel_page: PanelPage, model: ScriptedModel) -> Locator:
    """A panel whose answer has stalled half-way."""
    shown = panel_page.chat("s1")
    say(shown, "Say it")
    shown.get_by_text("first half").wait_for()
    return shown


def test_stop_keeps_the_text_so_far(half_answered: Locator) -> None:
    shown = half_answered
    shown.get_by_role("button", name="Stop").click()
    stopped = turn(shown, 0, "interrupted")
    assert "The first half of it," in stopped.inner_text()
    assert "Interrupted: partial answer kept" in stopped.inner_text()
    shown.get_by_role("button", name="Stop").wait_for(state="hidden")
    stopped.get_by_role("button", name="Retry").click()
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "Go on."


def test_a_prompt_waits_in_line_and_can_be_withdrawn(half_answered: Locator, model: ScriptedModel) -> None:
    shown = half_answered
    say(shown, "Later")
    waiting = turn(shown, 1, "queued")
    assert "Queued, 1 before it" in waiting.inner_text()
    waiting.get_by_role("button", name="Withdraw").click()
    model.release()
    turn(shown, 0)
    assert "withdrawn" in turn(shown, 1, "interrupted").inner_text()


def test_a_page_reloaded_in_the_middle_shows_the_whole(
    panel_page: PanelPage, half_answered: Locator, model: ScriptedModel
) -> None:
    panel_page.reload()
    half_answered.get_by_text("first half").wait_for()
    model.release()
    assert turn(half_answered, 0).locator(".cnb-answer").inner_text() == WHOLE_ANSWER


def test_two_panels_stay_in_step(panel_page: PanelPage, half_answered: Locator, model: ScriptedModel) -> None:
    other = panel_page.chat("s1")
    other.get_by_text("first half").wait_for()
    model.release()
    texts = [turn(each, 0).locator(".cnb-answer").inner_text() for each in (half_answered, other)]
    assert texts == [WHOLE_ANSWER] * 2


def test_edit_takes_the_place_of_the_turn_and_those_after_it(panel_page: PanelPage) -> None:
    panel_page.answer(lambda asked: f"You said {asked.prompt}")
    shown = panel_page.chat("s1")
    for number, prompt in enumerate(("one", "two", "three")):
        say(shown, prompt)
        turn(shown, number)
    second = shown.locator(".cnb-turn").nth(1)
    second.hover()
    second.get_by_role("button", name="Edit").click()
    shown.get_by_text("Sending takes the place of this turn and the turn after it.").wait_for()
    assert shown.get_by_role("textbox", name="Prompt").input_value() == "two"
    say(shown, "second")
    shown.locator(".cnb-answer").get_by_text("You said second").wait_for()
    assert shown.locator(".cnb-prompt").all_inner_texts() == ["one", "second"]
    assert "took back 1 later turn" in shown.locator(".cnb-head").last.inner_text()

    second = shown.locator(".cnb-turn").nth(0)
    second.hover()
    second.get_by_role("button", name="Fork").click()
    notice(shown).get_by_text("s1~1 begins with 1 turn of s1").wait_for()
    notice(shown).get_by_role("button", name="Show it here").click()
    shown.get_by_role("button", name="s1~1").wait_for()
    assert shown.locator(".cnb-prompt").all_inner_texts() == ["one"]


def test_a_file_goes_into_the_prompt(panel_page: PanelPage) -> None:
    panel_page.answer(lambda asked: asked.prompt)
    shown = panel_page.chat("s1")
    picker = shown.locator("input[type=file]")
    picker.set_input_files([{"name": "x.bin", "mimeType": "application/octet-stream", "buffer": b"\xff\x00"}])
    notice(shown).get_by_text("x.bin is neither text nor an image").wait_for()
    picker.set_input_files([{"name": "f.py", "mimeType": "text/x-python", "buffer": b"print({{ 1 }})\n"}])
    shown.get_by_role("button", name="Remove f.py").wait_for()
    say(shown, "Explain {{ 1 + 1 }}")
    answer = turn(shown, 0)
    assert answer.locator(".cnb-prompt").inner_text().split("\n") == ["File `f.py`:", "print({{ 1 }})", "Explain 2"]
    assert answer.locator(".cnb-prompt pre").inner_text() == "print({{ 1 }})"
    shown.get_by_role("textbox", name="Prompt").press("ArrowUp")
    assert r"print(\{{ 1 }})" in shown.get_by_role("textbox", name="Prompt").input_value()


def test_what_was_refused_for_its_braces_or_its_slash_can_be_sent_as_it_is(panel_page: PanelPage) -> None:
    panel_page.answer(lambda asked: asked.prompt)
    shown = panel_page.chat("s1")
    texts = ["Mend {{ user.name }} and {{ 1 }}", "/deploy is what?"]
    for number, text in enumerate(texts):
        say(shown, text)
        notice(shown).get_by_role("button", name="Send as it is").click()
        turn(shown, number)
        assert shown.get_by_role("textbox", name="Prompt").input_value() == ""
    assert shown.locator(".cnb-prompt").all_inner_texts() == texts
    first = shown.locator(".cnb-turn").first
    first.hover()
    first.get_by_role("button", name="Edit").click()
    say(shown, r"\frac{{a}}{{b}} and {{ a b }}")
    notice(shown).get_by_role("button", name="Send as it is").click()
    shown.locator(".cnb-prompt").get_by_text(r"\frac").wait_for()
    shown.locator(".cnb-prompt").nth(1).wait_for(state="detached")  # those it replaces go once its turn has come
    turn(shown, 0)
    assert shown.locator(".cnb-prompt").all_inner_texts() == [r"\frac{{a}}{{b}} and {{ a b }}"]


def test_what_is_copied_is_what_was_written(panel_page: PanelPage) -> None:
    answer = "So $x = \\frac{1}{2}$ holds.\n\n$$\nE = mc^2\n$$\n\n```python\nprint(1)\nprint(2)\n```\n\nEnd."
    panel_page.answer(answer)
    shown = panel_page.chat("s1")
    say(shown, "Go")
    turn(shown, 0)
    panel_page.page.evaluate(
        "node => getSelection().selectAllChildren(node)", shown.locator(".cnb-answer").element_handle()
    )
    copied = panel_page.page.evaluate(COPIED)
    assert copied.split("\n") == [
        *("So $x = \\frac{1}{2}$ holds.", "", "$$", "E = mc^2", "$$", "print(1)", "print(2)", "", "", "End.")
    ]
    half = "math => getSelection().setBaseAndExtent(math.querySelector('mfrac mn').firstChild, 0, math, 1)"
    shown.locator("math").first.evaluate(half)
    assert panel_page.page.evaluate(COPIED) == "$x = \\frac{1}{2}$"


def test_a_panel_keeps_the_height_that_one_gives_it(panel_page: PanelPage) -> None:
    panel_page.manager.session("s1").ask("hello")
    shown = panel_page.chat("s1")
    box = shown.bounding_box()
    assert box
    mouse = panel_page.page.mouse
    mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)
    mouse.down()
    mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] + 146)
    mouse.up()
    given = shown.evaluate("node => node.style.height")
    assert abs(float(given.removesuffix("px")) - box["height"] - 150) < 2
    panel_page.reload()
    assert shown.evaluate("node => node.style.height") == given
    assert panel_page.chat("s1").evaluate("node => node.style.height") == given
    assert panel_page.chat("other").evaluate("node => node.style.height") == ""


def test_the_other_panels_keep_the_heights_that_one_gives_their_parts(panel_page: PanelPage) -> None:
    sessions = panel_page.show(SessionsPanel(panel_page.manager))
    compare = panel_page.show(ComparePanel(["a", "b"], manager=panel_page.manager))
    parts = (sessions.locator(".cnb-list"), compare.locator("textarea"))
    for part in parts:
        assert part.evaluate("node => [getComputedStyle(node).resize, node.style.height]") == ["vertical", ""]
        part.evaluate("node => { node.style.height = '321px'; }")  # as the browser does when the handle is dragged
        panel_page.page.wait_for_function("n => Object.values(localStorage).length === n", arg=parts.index(part) + 1)
    panel_page.reload()
    assert [part.evaluate("node => node.style.height") for part in parts] == ["321px"] * 2


def test_a_panel_fits_into_outputs_that_scroll(panel_page: PanelPage) -> None:
    shown = panel_page.chat("s1")
    shown.evaluate("node => node.closest('.jp-Cell').classList.add('jp-mod-outputsScrolled')")
    assert shown.evaluate("node => node.clientHeight <= 24 * 13 && node.scrollHeight <= node.clientHeight")


def test_tokens_are_shown_if_the_window_is_known(panel_page: PanelPage) -> None:
    panel_page.answer("Fine.")
    shown = panel_page.chat("s1")
    say(shown, "Go")
    turn(shown, 0)
    shown.get_by_role("meter").wait_for(state="hidden")
    assert "token" not in shown.locator(".cnb-bar").inner_text()


def test_nothing_that_is_hostile_runs_in_a_panel(panel_page: PanelPage) -> None:
    panel_page.answer(HOSTILE, chunk_chars=7)
    shown = panel_page.chat(NAME)
    say(shown, HOSTILE)
    turn(shown, 0)
    panel_page.reload()
    turn(shown, 0)
    static = panel_page.panels[0].do_keep({})["transcript"]["data"]["text/html"]
    assert "copilot-nb" in static
    panel_page.page.evaluate(BESIDE, static)  # the transcript that a notebook keeps
    panel_page.page.evaluate(BESIDE, WITNESS)  # when its script has run, so would have those of the answer
    panel_page.page.wait_for_function("() => window.witness")
    assert panel_page.page.evaluate("() => window.pwned") is None
    assert [url for url in panel_page.refused if "payload.test" in url] == []
    harmful = "script,img,svg:not(.cnb-icon *),iframe,form,style,link,meta,object,[onerror]"
    assert shown.locator(".cnb-turn").locator(harmful).count() == 0
