"""Keys and clicks in a panel do nothing to its notebook, and the place one reads at outlives a look at another tab."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from .conftest import Notebook, scripted

pytestmark = pytest.mark.usefixtures("used_page")

LONG = "\n\n".join(f"Paragraph {n}: " + "some words " * 20 for n in range(40))
MODEL = scripted(f"lambda asked: {LONG!r} if 'long' in asked.prompt else 'Short `code`.\\n\\n```\\nx\\n```'")
PANELS = (
    "import copilot_nb as cp\ncp.ChatPanel('s1')",
    "cp.SessionsPanel()",
    "cp.ComparePanel(models=['scripted', 'scripted-b'], name='test')",
)
# What JupyterLab's command mode takes: plain keys, and with Ctrl what runs, moves, copies and splits cells.
PRESS_EVERYWHERE = """root => {
    const plain = [...'ABCDFHIJKLMOPRSVXYZ0123'].map(key => ({key: key.toLowerCase(), keyCode: key.charCodeAt(0)}));
    const others = [['ArrowUp', 38], ['ArrowDown', 40]].map(([key, keyCode]) => ({key, keyCode, shiftKey: true}));
    const shifted = plain.map(each => ({...each, key: each.key.toUpperCase(), shiftKey: true}));
    const controlled = [...'ACMVXYZ'].map(key => ({key: key.toLowerCase(), keyCode: key.charCodeAt(0), ctrlKey: true}));
    const moved = others.map(each => ({...each, ctrlKey: true}));
    const places = [root, ...root.querySelectorAll('button, input, select, textarea, [tabindex]')];
    const seen = places.filter(each => each.checkVisibility() && !each.disabled);
    for (const place of seen) {
        for (const key of [...plain, ...shifted, ...others, ...controlled, ...moved]) {
            place.focus();
            place.dispatchEvent(new KeyboardEvent('keydown', {...key, bubbles: true, cancelable: true}));
        }
    }
    return seen.length;
}"""


def opened(lab: Any, *cells: str) -> tuple[Notebook, Locator]:
    notebook = lab.open(MODEL, *cells, "'below'")
    for cell in range(len(cells) + 1):
        notebook.run(cell)
    return notebook, notebook.output(1).locator(".cnb-panel")


def say(panel: Locator, prompt: str) -> None:
    panel.get_by_role("textbox", name="Prompt").fill(prompt)
    panel.get_by_role("textbox", name="Prompt").press("Enter")
    panel.locator(".cnb-turn[data-state=done]").wait_for()


def test_no_key_with_the_focus_in_a_panel_changes_the_notebook(lab: Any) -> None:
    notebook, chat = opened(lab, *PANELS)
    say(chat, "hello")
    sources = notebook.sources()
    for cell, least in ((1, 12), (2, 8), (3, 5)):
        panel = notebook.output(cell).locator(".cnb-panel")
        assert panel.evaluate(PRESS_EVERYWHERE) >= least
        assert notebook.sources() == sources
        assert panel.is_visible()


def test_keys_after_a_click_beside_the_field_stay_in_the_panel(lab: Any) -> None:
    notebook, chat = opened(lab, PANELS[0])
    sources, field = notebook.sources(), chat.get_by_role("textbox", name="Prompt")
    for place in (".cnb-hint", ".cnb-composer", ".cnb-bar"):
        field.fill("")
        notebook.cell(2).locator(".cm-content").click()  # the focus is elsewhere
        chat.locator(place).click(position={"x": 3, "y": 3})
        notebook.page.keyboard.type("ddxb")
        assert notebook.sources() == sources
        if place != ".cnb-bar":
            expect(field).to_have_value("ddxb")


def test_shortcuts_of_the_application_work_in_the_field_and_undo_is_the_fields_own(lab: Any) -> None:
    notebook, chat = opened(lab, PANELS[0])
    page, field = notebook.page, chat.get_by_role("textbox", name="Prompt")
    field.focus()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert field.input_value() == "one\ntwo"
    with page.expect_request(lambda request: request.method == "PUT" and "/api/contents/" in request.url):
        page.keyboard.press("Control+s")
    page.keyboard.press("Control+Shift+C")
    page.locator("#modal-command-palette").wait_for()
    page.keyboard.press("Escape")
    field.focus()
    for _ in range(3):
        page.keyboard.press("Control+z")
    assert field.input_value() != "one\ntwo"


def test_the_place_one_reads_at_outlives_another_tab_and_a_hidden_output(lab: Any) -> None:
    notebook, chat = opened(lab, PANELS[0])
    say(chat, "a long one")
    page, scroll = notebook.page, chat.locator(".cnb-scroll")
    for leave, come_back in ((another_tab, first_tab), (hide_output, show_output)):
        scroll.evaluate("node => { node.scrollTop = 200; }")
        chat.get_by_role("button", name="Latest").wait_for()
        leave(notebook)
        chat.wait_for(state="hidden")
        come_back(notebook)
        chat.wait_for()
        page.wait_for_function("node => Math.abs(node.scrollTop - 200) < 5", arg=scroll.element_handle())


def another_tab(notebook: Notebook) -> None:
    notebook.page.evaluate("() => { window.ours = window.jupyterapp.shell.currentWidget; }")
    notebook.page.evaluate("() => { window.jupyterapp.commands.execute('launcher:create'); }")


def first_tab(notebook: Notebook) -> None:
    notebook.page.evaluate("() => window.jupyterapp.shell.activateById(window.ours.id)")


def hide_output(notebook: Notebook) -> None:
    notebook.command("notebook:hide-cell-outputs", 1).wait()


def show_output(notebook: Notebook) -> None:
    notebook.command("notebook:show-cell-outputs", 1).wait()
