"""The list of sessions in JupyterLab: it follows the kernel, and everything in it can be done from the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import open_gate, scripted

MAKE = """
import copilot_nb as cp
for name in ("alpha", "beta", "gamma"):
    cp.session(name).ask("hello")
"""
PANEL = "panel = cp.SessionsPanel()\npanel"


def opened(
    lab: Any, *cells: str, gate: Path | None = None, replies: str = "lambda r: 'Answer.'", app: str = "lab"
) -> Any:
    notebook = lab.open(scripted(replies, gate), MAKE, PANEL, *cells, app=app)
    for cell in range(3):
        notebook.run(cell)
    notebook.output(2).get_by_text("3 sessions").wait_for()
    return notebook


def names(panel: Any) -> list[str]:
    return [each.inner_text() for each in panel.locator("tbody .cnb-link").all()]


def row(panel: Any, name: str) -> Any:
    return panel.locator("tbody tr", has=panel.page.get_by_role("button", name=name, exact=True))


def test_the_list_follows_what_cells_do(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    replies = "lambda r: Reply('A long answer.', stall_after_chars=6) if r.prompt == 'wait' else 'Answer.'"
    cells = (
        "turn = cp.session('beta').send('wait')",
        "cp.session('alpha').rename('omega')",
        "cp.session('delta').create()",
        "cp.delete('gamma')",
    )
    notebook = opened(lab, *cells, gate=gate, replies=replies)
    panel = notebook.output(2).locator(".cnb-sessions")
    for cell in range(3, 7):
        notebook.run(cell)
    for name in ("omega", "delta"):
        row(panel, name).wait_for()
    for name in ("alpha", "gamma"):
        row(panel, name).wait_for(state="detached")
    row(panel, "beta").get_by_text("● working").wait_for()
    open_gate(gate)
    row(panel, "beta").get_by_text("○ idle").wait_for()
    assert row(panel, "beta").locator(".cnb-cell-turns").inner_text() == "2"
    assert notebook.js_errors == []


def test_rename_duplicate_and_delete_by_keyboard(lab: Any) -> None:
    notebook = opened(lab, "[each.name for each in cp.sessions()]")
    panel, keyboard = notebook.output(2).locator(".cnb-sessions"), notebook.page.keyboard
    panel.get_by_role("button", name="Name", exact=True).click()
    panel.get_by_role("searchbox").focus()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")  # beta
    keyboard.press("F2")
    keyboard.type("bertha")
    keyboard.press("Enter")
    row(panel, "bertha").wait_for()
    panel.locator(".cnb-editor").wait_for(state="detached")
    keyboard.press("F2")
    keyboard.type("alpha")
    keyboard.press("Enter")
    panel.get_by_role("alert").get_by_text("there is a session 'alpha' already").wait_for()
    keyboard.press("Escape")
    keyboard.press("Delete")
    panel.get_by_text("Delete bertha (id beta, 1 turn) and its history?").wait_for()
    keyboard.press("Enter")  # the focus is on Keep
    assert names(panel) == ["alpha", "bertha", "gamma"]
    keyboard.press("Delete")
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    row(panel, "bertha").wait_for(state="detached")
    row(panel, "alpha").get_by_role("button", name="Actions of alpha").click()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    panel.get_by_label("Name of the copy of alpha").press("Enter")
    row(panel, "alpha-2").wait_for()
    notebook.run(3)
    found = notebook.outputs(3)[0]["data"]["text/plain"]
    assert sorted(eval(found)) == ["alpha", "alpha-2", "gamma"]
    assert notebook.js_errors == []


def test_a_session_is_created_and_found(lab: Any) -> None:
    notebook = opened(lab, "cp.session('new one')")
    panel = notebook.output(2).locator(".cnb-sessions")
    panel.get_by_role("button", name="New session").click()
    panel.get_by_label("Name", exact=True).fill("new one")
    panel.get_by_label("Model").fill("scripted-b")
    panel.get_by_label("Model").press("Enter")
    row(panel, "new one").wait_for()
    notebook.run(3)
    assert "scripted-b" in notebook.outputs(3)[0]["data"]["text/plain"]
    panel.get_by_role("searchbox").fill("ONE")
    panel.get_by_text("1 of 4 sessions").wait_for()
    assert names(panel) == ["new one"]
    panel.get_by_role("searchbox").fill("nobody")
    panel.get_by_text("None of the sessions fits.").wait_for()


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_session_is_opened_below_the_list(lab: Any, app: str) -> None:
    notebook = opened(lab, "panel.close()", replies="lambda r: f'Said **{r.prompt}**.'", app=app)
    panel = notebook.output(2).locator(".cnb-sessions")
    row(panel, "beta").focus()
    notebook.page.keyboard.press("Enter")
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Said hello.").wait_for()
    panel.locator(".cnb-chat textarea").fill("something else")
    panel.locator(".cnb-chat textarea").press("Enter")
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Said something else.").wait_for()
    row(panel, "beta").locator(".cnb-cell-turns").get_by_text("2").wait_for()
    row(panel, "gamma").focus()
    notebook.page.keyboard.press("Enter")
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Said something else.").wait_for(state="detached")
    panel.locator(".cnb-chat").first.wait_for()
    assert panel.locator(".cnb-chat").count() == 1
    panel.get_by_role("button", name="Close the conversation").click()
    panel.locator(".cnb-chat").wait_for(state="detached")


def test_a_page_that_is_reloaded_shows_the_open_session_again(lab: Any) -> None:
    notebook = opened(lab)
    panel = notebook.output(2).locator(".cnb-sessions")
    row(panel, "beta").get_by_role("button", name="beta", exact=True).click()
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Answer.").wait_for()
    notebook.save()
    notebook.reload()
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Answer.").wait_for()
    assert sorted(names(panel)) == ["alpha", "beta", "gamma"]


def test_names_are_shown_to_the_letter(lab: Any) -> None:
    evil = "<img src=x onerror=alert(1)>"
    notebook = opened(lab, f"cp.session({evil!r}).create()")
    panel = notebook.output(2).locator(".cnb-sessions")
    notebook.run(3)
    row(panel, evil).focus()
    notebook.page.keyboard.press("Delete")
    panel.get_by_text(f"Delete {evil} (id").wait_for()
    assert panel.locator("img").count() == 0
