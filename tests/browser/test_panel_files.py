"""Files that go with a prompt, dropped or pasted; and what cannot. From JupyterLab's list: `test_panels_in_lab`."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from .chat_steps import notice, say, turn
from .panel_page import PanelPage

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
def shown(panel_page: PanelPage) -> Locator:
    panel_page.answer(lambda asked: asked.prompt)
    return panel_page.chat("s1")


def give(shown: Locator, kind: str, *files: tuple[str, int, int, str]) -> None:
    """Drop or paste files, each with its name, size and the byte that fills it, where one writes."""
    is_left = shown.get_by_role("textbox", name="Prompt").evaluate(GIVE, [kind, files])
    assert not is_left, "the browser would open the file in place of the page"


def chips(shown: Locator) -> list[str]:
    return [each.removesuffix("×").strip() for each in shown.locator(".cnb-chip").all_inner_texts()]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_files_that_are_dropped_or_pasted_go_with_the_prompt(panel_page: PanelPage, shown: Locator, kind: str) -> None:
    give(shown, kind, ("a.txt", 3, 97, *TEXT), ("b.txt", 2, 98, *TEXT))
    shown.get_by_role("button", name="Remove b.txt").wait_for()
    give(shown, kind, ("c.csv", 1, 99, "text/csv"))
    shown.get_by_role("button", name="Remove c.csv").wait_for()
    shown.get_by_role("button", name="Remove b.txt").click()
    assert chips(shown) == ["a.txt", "c.csv"]
    say(shown, "What is it?")
    prompt = turn(shown, 0).locator(".cnb-prompt").inner_text()
    assert "aaa" in prompt.splitlines()
    assert prompt.endswith("What is it?")
    (asked,) = panel_page.manager.session("s1").history
    assert asked.prompt == "File `a.txt`:\n\n```\naaa\n```\n\nFile `c.csv`:\n\n```\nc\n```\n\nWhat is it?"
    assert chips(shown) == []


def test_a_file_that_cannot_be_attached_is_reported_and_the_rest_is_kept(shown: Locator) -> None:
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
