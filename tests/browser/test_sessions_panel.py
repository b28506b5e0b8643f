"""The list of sessions: it follows the kernel, and everything in it can be done from the keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from copilot_nb.named_sessions.listing import STATE_LABELS
from copilot_nb.panels.sessions import SessionsPanel
from copilot_nb.testing import Reply

from .panel_page import PanelPage
from .wire import losing

NAMES = ("alpha", "beta", "gamma")


@pytest.fixture
def panel(panel_page: PanelPage) -> Locator:
    """A list of three sessions, each with a turn."""
    panel_page.answer("Answer.")
    for name in NAMES:
        panel_page.manager.session(name).ask("hello")
    shown = panel_page.show(SessionsPanel(panel_page.manager))
    shown.get_by_text("3 sessions").wait_for()
    return shown


def names(panel: Any) -> list[str]:
    return [each.inner_text() for each in panel.locator("tbody .cnb-link").all()]


def row(panel: Any, name: str) -> Any:
    return panel.locator("tbody tr", has=panel.page.get_by_role("button", name=name, exact=True))


def test_the_list_follows_what_cells_do(panel_page: PanelPage, panel: Locator) -> None:
    manager = panel_page.manager
    model = panel_page.answer(Reply("A long answer.", stall_after_chars=6))
    manager.session("beta").send("wait")
    manager.session("alpha").rename("omega")
    manager.session("delta").create()
    manager.delete("gamma")
    for name in ("omega", "delta"):
        row(panel, name).wait_for()
    for name in ("alpha", "gamma"):
        row(panel, name).wait_for(state="detached")
    row(panel, "beta").get_by_text("● working").wait_for()
    model.release()
    row(panel, "beta").get_by_text("○ idle").wait_for()
    assert row(panel, "beta").locator(".cnb-cell-turns").inner_text() == "2"


def test_rename_duplicate_and_delete_by_keyboard(panel_page: PanelPage, panel: Locator) -> None:
    keyboard = panel_page.page.keyboard
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
    assert sorted(each.name for each in panel_page.manager.sessions()) == ["alpha", "alpha-2", "gamma"]


def test_a_late_answer_leaves_the_focus_where_the_user_is(panel_page: PanelPage, panel: Locator) -> None:
    keyboard, wire = panel_page.page.keyboard, panel_page.wire
    wire.to_page = losing(lambda message: message.get("re") in wire.ids("rename"))
    row(panel, "beta").focus()
    keyboard.press("F2")
    keyboard.type("bertha")
    keyboard.press("Enter")
    row(panel, "bertha").wait_for()
    row(panel, "gamma").focus()
    panel.locator(".cnb-editor").wait_for(state="detached")
    expect(row(panel, "gamma")).to_be_focused()
    wire.to_page = losing(lambda message: message.get("re") in wire.ids("create"))
    panel.get_by_role("button", name="New session").click()
    panel.get_by_label("Name", exact=True).fill("delta")
    panel.get_by_label("Name", exact=True).press("Enter")
    row(panel, "delta").wait_for()
    panel.get_by_role("searchbox").click()
    panel.locator(".cnb-create form").wait_for(state="detached")
    expect(panel.get_by_role("searchbox")).to_be_focused()


def test_the_focus_goes_to_the_next_row_when_its_row_is_deleted(panel_page: PanelPage, panel: Locator) -> None:
    keyboard, wire = panel_page.page.keyboard, panel_page.wire
    panel.get_by_role("button", name="Name", exact=True).click()
    wire.to_page = losing(lambda message: message.get("re") in wire.ids("delete"))  # the row disappears before
    row(panel, "beta").focus()
    keyboard.press("Delete")
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    expect(row(panel, "gamma")).to_be_focused()
    panel.get_by_role("status").get_by_text("Deleted beta.").wait_for()
    expect(row(panel, "gamma")).to_be_focused()


def test_a_session_is_created_and_found(panel_page: PanelPage, panel: Locator) -> None:
    panel.get_by_role("button", name="New session").click()
    panel.get_by_label("Name", exact=True).fill("new one")
    panel.get_by_label("Model").fill("scripted-b")
    panel.get_by_label("Model").press("Enter")
    row(panel, "new one").wait_for()
    assert "scripted-b" in repr(panel_page.manager.session("new one"))
    panel.locator(".cnb-write:focus").wait_for()  # its conversation is open: the next thing is a prompt
    panel.get_by_role("searchbox").fill("ONE")
    panel.get_by_text("1 of 4 sessions").wait_for()
    assert names(panel) == ["new one"]
    panel.get_by_role("searchbox").fill("nobody")
    panel.get_by_text("None of the sessions fits.").wait_for()


def test_a_page_that_is_reloaded_shows_the_open_session_again(panel_page: PanelPage, panel: Locator) -> None:
    row(panel, "beta").get_by_role("button", name="beta", exact=True).click()
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Answer.").wait_for()
    panel.locator(".cnb-write:focus").wait_for()
    panel_page.reload()
    assert panel_page.page.evaluate("document.activeElement === document.body")
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Answer.").wait_for()
    assert sorted(names(panel)) == ["alpha", "beta", "gamma"]


def test_an_opened_conversation_leaves_the_focus_to_a_user_who_goes_on(panel_page: PanelPage, panel: Locator) -> None:
    opens_and_renames = """name => {
        name.click();
        name.dispatchEvent(new KeyboardEvent("keydown", { key: "F2", bubbles: true, cancelable: true }));
    }"""
    row(panel, "beta").get_by_role("button", name="beta", exact=True).evaluate(opens_and_renames)
    panel.locator(".cnb-chat .cnb-answer").get_by_text("Answer.").wait_for()
    panel_page.page.keyboard.type("bertha")
    panel_page.page.keyboard.press("Enter")
    row(panel, "bertha").wait_for()


def test_each_state_has_room_in_its_column(panel_page: PanelPage, panel: Locator) -> None:
    panel_page.page.evaluate("document.querySelector('.cnb-panel').style.width = '53em'")  # the least for columns
    fits = "(cell, text) => { cell.textContent = text; return cell.scrollWidth <= cell.clientWidth; }"
    cell = row(panel, "beta").locator(".cnb-cell-state")
    assert [state for state in STATE_LABELS.values() if not cell.evaluate(fits, state)] == []


def test_names_are_shown_to_the_letter(panel_page: PanelPage, panel: Locator) -> None:
    evil = "<img src=x onerror=alert(1)>"
    panel_page.manager.session(evil).create()
    row(panel, evil).focus()
    panel_page.page.keyboard.press("Delete")
    panel.get_by_text(f"Delete {evil} (id").wait_for()
    assert panel.locator("img").count() == 0
