"""Files that go with a prompt: dropped from the system or from JupyterLab's list of files, pasted; and what cannot."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator

from .conftest import Notebook, scripted
from .test_chat_panel import PANEL, notice, panel, say, turn

GIVE = """(node, [kind, files]) => {
    const data = new DataTransfer();
    for (const [name, size, byte, type] of files) {
        data.items.add(new File([new Uint8Array(size).fill(byte)], name, {type}));
    }
    const options = {bubbles: true, cancelable: true};
    if (kind === 'paste') return node.dispatchEvent(new ClipboardEvent('paste', {...options, clipboardData: data}));
    const over = new DragEvent('dragover', {...options, dataTransfer: data});
    node.dispatchEvent(over);
    return node.dispatchEvent(new DragEvent('drop', {...options, dataTransfer: data})) || !over.defaultPrevented;
}"""
TEXT = ("text/plain",)


@pytest.fixture
def shown(lab: Any) -> Locator:
    return opened(lab)[1]


def opened(lab: Any) -> tuple[Notebook, Locator]:
    notebook = lab.open(scripted("lambda asked: asked.prompt"), PANEL)
    notebook.run(0)
    notebook.run(1)
    return notebook, panel(notebook)


def give(shown: Locator, kind: str, *files: tuple[str, int, int, str]) -> None:
    """Drop or paste files, each with its name, size and the byte that fills it, where one writes."""
    is_left = shown.get_by_role("textbox", name="Prompt").evaluate(GIVE, [kind, files])
    assert not is_left, "the browser would open the file in place of the page"


def chips(shown: Locator) -> list[str]:
    return [each.removesuffix("×").strip() for each in shown.locator(".cnb-chip").all_inner_texts()]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_files_that_are_dropped_or_pasted_go_with_the_prompt(shown: Locator, kind: str) -> None:
    give(shown, kind, ("a.txt", 3, 97, *TEXT), ("b.txt", 2, 98, *TEXT))
    shown.get_by_role("button", name="Remove b.txt").wait_for()
    give(shown, kind, ("c.csv", 1, 99, "text/csv"))
    shown.get_by_role("button", name="Remove c.csv").wait_for()
    shown.get_by_role("button", name="Remove b.txt").click()
    assert chips(shown) == ["a.txt", "c.csv"]
    say(shown, "What is it?")
    prompt = turn(shown, 0).locator(".cnb-prompt").inner_text()
    assert prompt == "File `a.txt`:\n\n```\naaa\n```\n\nFile `c.csv`:\n\n```\nc\n```\n\nWhat is it?"
    assert chips(shown) == []


def test_what_cannot_go_with_it_is_told_and_nothing_else_is_lost(shown: Locator) -> None:
    shown.get_by_role("textbox", name="Prompt").fill("What is it?")
    files = (("x.bin", 9, 255, ""), ("good.txt", 1, 97, *TEXT), ("big.txt", 200_001, 97, *TEXT))
    give(shown, "drop", *files)
    notice(shown).get_by_text("big.txt is too large (201 kB; 200 kB go into a prompt)").wait_for()
    assert notice(shown).inner_text().startswith("x.bin is ")
    assert chips(shown) == ["good.txt"]
    assert shown.get_by_role("textbox", name="Prompt").input_value() == "What is it?"


def test_text_that_comes_with_a_picture_of_itself_is_pasted_as_text(shown: Locator) -> None:
    box = shown.get_by_role("textbox", name="Prompt")
    is_left = box.evaluate(
        """node => {
            const data = new DataTransfer();
            data.setData('text/plain', 'a table');
            data.items.add(new File([new Uint8Array(9)], 'image.png', {type: 'image/png'}));
            const options = {bubbles: true, cancelable: true, clipboardData: data};
            return node.dispatchEvent(new ClipboardEvent('paste', options));
        }"""
    )
    assert is_left
    assert chips(shown) == []


def test_a_file_is_dragged_from_the_list_of_files(lab: Any) -> None:
    (lab.server.notebooks / "dragged.py").write_text("print(1)\n")
    notebook, shown = opened(lab)
    page = notebook.page
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
    assert "print(1)" in turn(shown, 0).locator(".cnb-prompt").inner_text()
    assert (lab.server.notebooks / "dragged.py").exists()
    assert notebook.js_errors == []


def test_enter_submits_where_a_name_is_asked_for(lab: Any) -> None:
    notebook, shown = opened(lab)
    say(shown, "hello")
    turn(shown, 0)
    keyboard = notebook.page.keyboard
    shown.get_by_role("button", name="s1", exact=True).focus()
    keyboard.press("Enter")
    shown.get_by_label("New name").wait_for()
    keyboard.type("other name")
    keyboard.press("Enter")
    shown.get_by_role("button", name="other name").wait_for()
    assert shown.get_by_label("New name").count() == 0
    assert len(notebook.sources()) == 2
    assert notebook.js_errors == []
