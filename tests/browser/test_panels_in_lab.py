"""The panels where JupyterLab itself matters: its cells, kernel, keys and files. The rest: `test_*_panel`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from playwright.sync_api import Locator, Page

from .chat_steps import PANEL, focused, notice, panel, say, turn
from .conftest import Notebook, scripted
from .test_compare_panel import ask as ask_all
from .test_panel_images import file as image_file
from .test_sessions_panel import row

pytestmark = pytest.mark.usefixtures("used_page")

ECHO = scripted("lambda asked: f'You said {asked.prompt}\\n\\n```\\ncode\\n```'")


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_panels_and_cells_share_their_sessions(lab: Any, app: str) -> None:
    notebook = lab.open(
        scripted("lambda r: f'Said **{r.prompt}**.'") + "\nimport copilot_nb as cp\nword = 'panel'",
        PANEL,
        "%%copilot s1\nin a cell",
        "cp.session('s1').ask('in Python').text, [t.prompt for t in cp.session('s1').history]",
        "%copilot show s1",
        "for name in ('alpha', 'beta', 'gamma'): cp.session(name).ask('hello')",
        "cp.SessionsPanel()",
        app=app,
    )
    notebook.run(0)
    notebook.run(1)
    assert_a_panel_and_the_cells_are_one_conversation(notebook)
    notebook.run(5)
    notebook.run(6)
    assert_a_session_is_opened_below_the_list(notebook.page, notebook.output(6).locator(".cnb-sessions"))
    assert app == "notebook" or notebook.js_errors == []  # Notebook 7.6 has one of its own


def assert_a_panel_and_the_cells_are_one_conversation(notebook: Notebook) -> None:
    shown = panel(notebook)
    say(shown, "in a {{ word }}")
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "Said in a panel."
    assert shown.locator(".cnb-prompt").inner_text() == "in a panel"
    notebook.run(2)
    assert turn(shown, 1).locator(".cnb-answer").inner_text() == "Said in a cell."
    notebook.run(3)
    prompts = "['in a panel', 'in a cell', 'in Python']"
    assert notebook.outputs(3)[0]["data"]["text/plain"] == f"('Said **in Python**.', {prompts})"
    assert turn(shown, 2).locator(".cnb-prompt").inner_text() == "in Python"
    notebook.run(4)
    assert "in a panel" in notebook.outputs(4)[0]["data"]["text/plain"]


def assert_a_session_is_opened_below_the_list(page: Page, listed: Locator) -> None:
    listed.get_by_text("4 sessions").wait_for()
    row(listed, "beta").focus()
    page.keyboard.press("Enter")
    chat = listed.locator(".cnb-chat")
    chat.locator(".cnb-answer").get_by_text("Said hello.").wait_for()
    chat.locator("textarea").fill("something else")
    chat.locator("textarea").press("Enter")
    chat.locator(".cnb-answer").get_by_text("Said something else.").wait_for()
    row(listed, "beta").locator(".cnb-cell-turns").get_by_text("2").wait_for()
    row(listed, "gamma").focus()
    page.keyboard.press("Enter")
    chat.locator(".cnb-answer").get_by_text("Said something else.").wait_for(state="detached")
    chat.first.wait_for()
    assert chat.count() == 1
    listed.get_by_role("button", name="Close the conversation").click()
    chat.wait_for(state="detached")


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


def test_everything_can_be_done_by_the_keyboard(lab: Any) -> None:
    notebook = lab.open(ECHO, PANEL)
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

    shown.get_by_role("button", name="other", exact=True).focus()
    page.keyboard.press("Enter")  # JupyterLab keeps that from submitting a form in a cell
    shown.get_by_label("New name").wait_for()
    page.keyboard.type("other name")
    page.keyboard.press("Enter")
    shown.get_by_role("button", name="other name").wait_for()
    assert shown.get_by_label("New name").count() == 0
    assert len(notebook.sources()) == 2
    assert notebook.js_errors == []


def test_a_file_is_dragged_from_the_list_of_files_and_its_code_goes_into_a_new_cell(lab: Any) -> None:
    (lab.server.notebooks / "dragged.py").write_text("print({{ 1 }})\n")
    notebook = lab.open(scripted("lambda asked: asked.prompt"), PANEL, "'below'")
    notebook.run(0)
    notebook.run(1)
    page, shown = notebook.page, panel(notebook)
    row = page.locator(".jp-DirListing-item", has_text="dragged.py")
    row.wait_for()
    start, end = row.bounding_box(), shown.get_by_role("textbox", name="Prompt").bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 20, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 40, end["y"] + 5, steps=8)
    shown.locator(".cnb-over").wait_for()
    page.mouse.up()
    shown.get_by_role("button", name="Remove dragged.py").wait_for()
    assert shown.locator(".cnb-over").count() == 0
    say(shown, "What is it?")
    answer = turn(shown, 0)
    assert "print({{ 1 }})" in answer.locator(".cnb-prompt").inner_text()
    assert (lab.server.notebooks / "dragged.py").exists()
    answer.locator(".cnb-code").hover()
    answer.get_by_role("button", name="To a new cell").click()
    notebook.page.wait_for_function("() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 4")
    assert notebook.sources()[2] == "print({{ 1 }})"
    assert notebook.js_errors == []


def test_rounds_and_votes_are_there_after_a_restart(lab: Any) -> None:
    make = "import copilot_nb as cp\ncp.ComparePanel(models=['scripted', 'scripted-b'], name='test')"
    notebook = lab.open(scripted("lambda asked: 'An answer.'"), make)
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    ask_all(panel, "Why?")
    panel.get_by_role("button", name="test@scripted-b").click()
    panel.get_by_text("★ Best: test@scripted-b").wait_for()
    ask_all(panel, "And why?")
    panel.get_by_text("Which one is best?").wait_for()
    notebook.restart()
    panel.get_by_text("The kernel was restarted").wait_for()
    notebook.run(0)
    notebook.run(1)
    panel.get_by_text("★ Best: test@scripted-b").wait_for()
    panel.locator(".cnb-wins").get_by_text("1 of 2 rounds voted").wait_for()
    assert panel.locator(".cnb-round > .cnb-prompt").all_inner_texts() == ["Why?", "And why?"]
    panel.get_by_role("toolbar", name="Vote on round 2").get_by_role("button", name="Tie").click()
    panel.get_by_text("2 of 2 rounds voted, 1 tie").wait_for()


def test_too_many_files_are_refused_and_a_command_takes_none(lab: Any) -> None:
    replies = "lambda asked: ' '.join(str(len(m.images)) for m in asked.messages if m.role == 'user')"
    notebook = lab.open(scripted(replies), PANEL)  # whose server takes no more than 10 MB at once
    notebook.run(0)
    notebook.run(1)
    shown = panel(notebook)
    noise = [PIL.Image.frombytes("RGB", (1000, 900), os.urandom(2_700_000)) for _ in range(3)]
    picker = shown.locator("input[type=file]")
    picker.set_input_files([image_file(f"{number}.png", picture) for number, picture in enumerate(noise)])
    notice(shown).get_by_text("2.png is too much for one prompt: send it with the next.").wait_for()
    say(shown, "/usage")
    notice(shown).get_by_text("0 turns").wait_for()
    say(shown, "What is it?")
    assert turn(shown, 0).locator(".cnb-answer").inner_text() == "2"
    assert notebook.js_errors == []
