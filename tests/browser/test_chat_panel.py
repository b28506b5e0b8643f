"""The chat panel in JupyterLab: the same session as the cells', live, by keyboard alone, and harmless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from .conftest import Notebook, open_gate, scripted
from .test_hostile_markdown import HOSTILE, NAME, WITNESS
from .traffic import TRACED, longest_task_ms

BEGINNING, REST = "The **first half** of it, ", "and then the rest."
HALF_THEN_REST = f"[Reply({BEGINNING + REST!r}, stall_after_chars={len(BEGINNING)}), 'Go on.']"
MORE = "and more " * 20
LONG = "\n\n".join(
    f"## Part {n}\n\nSome *words* about `it`, {MORE}.\n\n```python\ndef f(x):\n    return x + {n}\n```\n\n- a\n- b"
    for n in range(380)
)
PANEL = "%copilot panel s1"


def panel(notebook: Notebook, cell: int = 1) -> Locator:
    """Return the panel of a cell, when it has heard from the kernel."""
    found = notebook.output(cell).locator(".cnb-chat")
    found.locator(".cnb-models option").first.wait_for(state="attached")
    return found


def say(shown: Locator, prompt: str) -> None:
    shown.get_by_role("textbox", name="Prompt").fill(prompt)
    shown.get_by_role("textbox", name="Prompt").press("Enter")


def turn(shown: Locator, number: int, state: str = "done") -> Locator:
    """Return a turn, when it is in that state."""
    found = shown.locator(".cnb-turn").nth(number)
    shown.locator(f'.cnb-turn:nth-child({number + 1})[data-state="{state}"]').wait_for()
    return found


def notice(shown: Locator) -> Locator:
    return shown.get_by_role("alert")


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_panel_and_the_cells_are_one_conversation(lab: Any, app: str) -> None:
    notebook = lab.open(
        scripted("['From **here**.', 'From there.', 'From Python.']") + "\nimport copilot_nb as cp\nword = 'panel'",
        PANEL,
        "%%copilot s1\nAsked in a cell",
        "cp.session('s1').ask('Asked in Python').text, [t.prompt for t in cp.session('s1').history]",
        "%copilot show s1",
        app=app,
    )
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    say(shown, "Asked in a {{ word }}")
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "From here."
    assert shown.locator(".cnb-prompt").inner_text() == "Asked in a panel"
    notebook.run(2)
    assert turn(shown, 1).locator(".cnb-answer").inner_text() == "From there."
    notebook.run(3)
    prompts = "['Asked in a panel', 'Asked in a cell', 'Asked in Python']"
    assert notebook.outputs(3)[0]["data"]["text/plain"] == f"('From Python.', {prompts})"
    assert turn(shown, 2).locator(".cnb-prompt").inner_text() == "Asked in Python"
    notebook.run(4)
    assert "Asked in a panel" in notebook.outputs(4)[0]["data"]["text/plain"]
    assert app == "notebook" or notebook.js_errors == []  # Notebook 7.6 has one of its own


def test_a_long_answer_comes_as_it_is_rendered_and_leaves_the_page_responsive(lab: Any) -> None:
    assert len(LONG) > 100_000
    notebook = lab.open(
        f"LONG = {LONG!r}",
        scripted("lambda asked: LONG", chunk_chars=400, chunk_delay_s=0.02),
        PANEL,
        "from copilot_nb.render.markdown import markdown_to_html\n"
        "from IPython.display import HTML\nHTML('<div id=whole>' + markdown_to_html(LONG, maths='mathml') + '</div>')",
    )
    for cell in range(3):
        notebook.run(cell)
    shown = panel(notebook, 2)
    browser = lab.context.browser
    browser.start_tracing(page=notebook.page, categories=list(TRACED))
    say(shown, "All of it")
    turn(shown, 0)
    assert longest_task_ms(browser.stop_tracing()) < 100
    notebook.run(3)
    expected = notebook.page.locator("#whole")
    expected.wait_for(state="attached")
    answer = shown.locator(".cnb-answer").evaluate(
        "node => { const copy = node.cloneNode(true); copy.querySelectorAll('.cnb-toolbar').forEach(n => n.remove());"
        " return copy.textContent; }"
    )
    assert answer == expected.evaluate("node => node.textContent")


def test_reading_back_is_not_disturbed_by_what_comes(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    text = "\n\n".join(f"Line {n}" for n in range(100))
    notebook = lab.open(scripted(f"[Reply({text!r} + '\\n\\nEnd', stall_after_chars={len(text)})]", gate), PANEL)
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    say(shown, "Go")
    shown.get_by_text("Line 98").wait_for()
    scroll = shown.locator(".cnb-scroll")
    scroll.evaluate("node => { node.scrollTop = 40; }")
    latest = shown.get_by_role("button", name="Latest")
    latest.wait_for()
    open_gate(gate)
    turn(shown, 0)
    assert scroll.evaluate("node => node.scrollTop") == 40
    latest.click()
    latest.wait_for(state="hidden")
    assert scroll.evaluate("node => node.scrollHeight - node.scrollTop - node.clientHeight") < 5


@pytest.fixture
def half_answered(lab: Any, tmp_path: Path) -> tuple[Notebook, Path]:
    """A panel whose answer has stalled half-way, and the gate that lets it go on."""
    gate = tmp_path / "gate"
    notebook = lab.open(scripted(HALF_THEN_REST, gate), PANEL, PANEL, "6 * 7")
    notebook.run(0)
    notebook.run(1)
    say(panel(notebook), "Say it")
    notebook.output(1).get_by_text("first half").wait_for()
    return notebook, gate


def test_stop_keeps_what_had_come(half_answered: Any) -> None:
    notebook, _gate = half_answered
    shown = panel(notebook)
    shown.get_by_role("button", name="Stop").click()
    stopped = turn(shown, 0, "interrupted")
    assert "The first half of it," in stopped.inner_text()
    assert "Interrupted: partial answer kept" in stopped.inner_text()
    shown.get_by_role("button", name="Stop").wait_for(state="hidden")
    stopped.get_by_role("button", name="Retry").click()
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "Go on."


def test_a_prompt_waits_in_line_and_can_be_withdrawn(half_answered: Any) -> None:
    notebook, gate = half_answered
    shown = panel(notebook)
    say(shown, "Later")
    waiting = turn(shown, 1, "queued")
    assert "Queued, 1 before it" in waiting.inner_text()
    waiting.get_by_role("button", name="Withdraw").click()
    open_gate(gate)
    turn(shown, 0)
    assert "withdrawn" in turn(shown, 1, "interrupted").inner_text()


def test_a_page_reloaded_in_the_middle_shows_the_whole(half_answered: Any) -> None:
    notebook, gate = half_answered
    notebook.save()
    notebook.page.reload()
    shown = panel(notebook)
    shown.get_by_text("first half").wait_for()
    open_gate(gate)
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "The first half of it, and then the rest."


def test_two_panels_stay_in_step(half_answered: Any) -> None:
    notebook, gate = half_answered
    notebook.run(2)
    other = panel(notebook, 2)
    other.get_by_text("first half").wait_for()
    open_gate(gate)
    texts = [turn(each, 0).locator(".cnb-answer").inner_text() for each in (panel(notebook), other)]
    assert texts == ["The first half of it, and then the rest."] * 2


def test_a_panel_works_while_a_cell_runs(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "cell"
    wait = f"import os\nos.mkfifo({str(gate)!r})\nprint('waits')\nopen({str(gate)!r}).read()"
    notebook = lab.open(scripted("['At once.']"), PANEL, wait)
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    running = notebook.start(2)
    notebook.output(2).get_by_text("waits").wait_for()
    say(shown, "Now?")
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "At once."
    gate.write_text("go on")
    running.wait()


def test_a_kernel_that_was_restarted_is_said_to_be(lab: Any) -> None:
    notebook = lab.open(scripted("['Yes.']"), PANEL)
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    say(shown, "There?")
    turn(shown, 0)
    notebook.restart()
    notice(shown).get_by_text("The kernel was restarted: open this panel again").wait_for()
    assert shown.locator(".cnb-answer").inner_text() == "Yes."


def test_edit_takes_the_place_of_the_turn_and_those_after_it(lab: Any) -> None:
    notebook = lab.open(scripted("lambda asked: f'You said {asked.prompt}'"), PANEL)
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
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
    assert "Took back 1 later turn." in notice(shown).inner_text()

    second = shown.locator(".cnb-turn").nth(0)
    second.hover()
    second.get_by_role("button", name="Fork").click()
    notice(shown).get_by_text("s1~1 begins with 1 turn of s1").wait_for()
    notice(shown).get_by_role("button", name="Show it here").click()
    shown.get_by_role("button", name="s1~1").wait_for()
    assert shown.locator(".cnb-prompt").all_inner_texts() == ["one"]


def focused(page: Page) -> str:
    """Return what the focused element is called."""
    return str(page.evaluate("() => { const e = document.activeElement; return e.ariaLabel || e.textContent; }"))


def test_everything_can_be_done_by_the_keyboard(lab: Any) -> None:
    notebook = lab.open(scripted("lambda asked: f'You said {asked.prompt}\\n\\n```\\ncode\\n```'"), PANEL)
    notebook.run(0)
    notebook.run(1)
    page, shown = notebook.page, panel(notebook)
    shown.get_by_role("textbox", name="Prompt").focus()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and two")
    page.keyboard.press("Enter")
    assert turn(shown, 0).locator(".cnb-prompt").inner_text() == "one\nand two"
    page.keyboard.press("ArrowUp")
    assert shown.get_by_role("textbox", name="Prompt").input_value() == "one\nand two"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("/ren")
    assert shown.get_by_role("listbox", name="Commands").inner_text().startswith("/rename NAME")
    page.keyboard.press("Enter")
    page.keyboard.type("other")
    page.keyboard.press("Enter")
    shown.get_by_role("button", name="other").wait_for()

    page.keyboard.press("Shift+Tab")  # from where one writes back to the turn, whose buttons are one stop
    assert focused(page) == "Copy"
    page.keyboard.press("ArrowRight")
    assert focused(page) == "Retry"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    turn(shown, 0)
    assert len(notebook.sources()) == 2  # no key has reached the notebook
    shown.get_by_role("button", name="Session").focus()
    page.keyboard.press("Enter")
    assert focused(page) == "Usage"
    page.keyboard.press("ArrowUp")
    assert focused(page) == "Commands and keys"
    page.keyboard.press("Escape")
    assert focused(page) == "Session"
    assert shown.get_by_role("menu").count() == 0
    status = shown.get_by_role("status")
    assert "You said one" in status.inner_text()
    assert "Copy" not in status.inner_text()
    assert notebook.js_errors == []


def test_a_file_goes_into_the_prompt_and_code_into_a_new_cell(lab: Any) -> None:
    notebook = lab.open(scripted("lambda asked: asked.prompt"), PANEL, "'below'")
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    picker = shown.locator("input[type=file]")
    picker.set_input_files([{"name": "x.bin", "mimeType": "application/octet-stream", "buffer": b"\xff\x00"}])
    notice(shown).get_by_text("x.bin is neither text nor an image").wait_for()
    picker.set_input_files([{"name": "f.py", "mimeType": "text/x-python", "buffer": b"print({{ 1 }})\n"}])
    shown.get_by_role("button", name="Remove f.py").wait_for()
    say(shown, "Explain {{ 1 + 1 }}")
    answer = turn(shown, 0)
    assert answer.locator(".cnb-prompt").inner_text() == "File `f.py`:\n\n```\nprint({{ 1 }})\n```\n\nExplain 2"
    shown.get_by_role("textbox", name="Prompt").press("ArrowUp")
    assert r"print(\{{ 1 }})" in shown.get_by_role("textbox", name="Prompt").input_value()
    answer.locator(".cnb-code").hover()
    answer.get_by_role("button", name="To a new cell").click()
    notebook.page.wait_for_function("() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 4")
    assert notebook.sources()[2] == "print({{ 1 }})"


def test_nothing_that_is_hostile_runs_in_a_panel(lab: Any) -> None:
    notebook = lab.open(
        scripted(f"lambda asked: {HOSTILE!r}", chunk_chars=7),
        f"import copilot_nb as cp\ncp.ChatPanel({NAME!r})",
        WITNESS,
    )
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    say(shown, HOSTILE)
    turn(shown, 0)
    notebook.save()
    notebook.page.reload()
    shown = panel(notebook)
    turn(shown, 0)
    notebook.run(2)
    notebook.page.wait_for_function("() => window.witness")
    assert notebook.page.evaluate("() => window.pwned") is None
    assert [url for url in lab.refused if "payload.test" in url] == []
    assert (
        shown.locator(".cnb-turn").locator("script,img,svg,iframe,form,style,link,meta,object,[onerror]").count() == 0
    )
