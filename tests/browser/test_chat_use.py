"""The chat panel in use: what is seen while an answer comes, where the focus goes, what waits in the field."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from copilot_nb.testing import Reply

from .chat_steps import say, turn
from .panel_page import PanelPage

TABLE = "| way | cost |\n|---|---|\n| `sorted` | n |\n"
CODE = "Look:\n\n```python\ndef f(x):\n    return x\n"
STEPS = "1. **First**\n   ```bash\n   pip install x\n   ```\n2. *Sec"
INSIDE = "() => Boolean(document.activeElement.closest('.cnb-panel'))"


def field(chat: Locator) -> Locator:
    return chat.get_by_role("textbox", name="Prompt")


def test_code_that_is_coming_is_code_and_does_not_jump_when_it_ends(panel_page: PanelPage) -> None:
    model = panel_page.answer(Reply(f"{CODE}```", stall_after_chars=len(CODE)))
    chat = panel_page.chat("s1")
    say(chat, "go")
    coming = chat.locator(".cnb-tail pre", has_text="return x")
    coming.wait_for()
    assert "mono" in coming.evaluate("node => getComputedStyle(node).fontFamily")
    assert "```" not in chat.locator(".cnb-said").inner_text()
    assert chat.get_by_role("button", name="Copy code").is_visible()
    assert chat.locator(".cnb-code-bar").inner_text().strip() == "python"
    place = coming.bounding_box()
    model.release()
    turn(chat, 0)
    assert chat.locator(".cnb-answer pre").bounding_box() == place
    assert chat.locator(".cnb-code-bar").inner_text().strip() == "python"
    assert chat.locator(".cnb-tail *").count() == 0


def test_a_table_that_is_coming_is_a_table(panel_page: PanelPage) -> None:
    model = panel_page.answer(Reply(f"{TABLE}| set | 1 |\n", stall_after_chars=len(TABLE)))
    chat = panel_page.chat("s1")
    say(chat, "go")
    chat.locator(".cnb-tail td", has_text="sorted").wait_for()
    assert "|" not in chat.locator(".cnb-said").inner_text()
    model.release()
    turn(chat, 0)
    assert chat.locator(".cnb-answer tr").count() == 3


def test_a_list_that_is_coming_is_a_list_and_text_below_it(panel_page: PanelPage) -> None:
    model = panel_page.answer(Reply(f"{STEPS}ond*\n\nDone.", stall_after_chars=len(STEPS)))
    chat = panel_page.chat("s1")
    say(chat, "go")
    rest = chat.locator(".cnb-tail .cnb-rest", has_text="2. *Sec")
    rest.wait_for()
    assert chat.locator(".cnb-tail li strong").inner_text() == "First"
    assert chat.locator(".cnb-tail li pre").inner_text().strip() == "pip install x"
    assert rest.evaluate("node => getComputedStyle(node, '::after').content") == '"▌"'
    model.release()
    turn(chat, 0)
    assert chat.locator(".cnb-answer li").all_inner_texts()[1] == "Second"
    assert chat.locator(".cnb-tail *").count() == 0


def test_the_focus_stays_in_the_panel_when_its_element_is_removed(panel_page: PanelPage) -> None:
    panel_page.answer(["Short.", "Again.", Reply("word " * 40, stall_after_chars=50)])
    chat = panel_page.chat("s1")
    say(chat, "go")
    turn(chat, 0)
    chat.get_by_role("button", name="Retry").press("Enter")
    chat.get_by_text("Again.", exact=True).wait_for()
    assert panel_page.page.evaluate(INSIDE)
    say(chat, "more")
    stop = chat.get_by_role("button", name="Stop")
    stop.focus()
    stop.press("Enter")
    stop.wait_for(state="hidden")
    expect(field(chat)).to_be_focused()
    say(chat, "/no-such-command")
    chat.get_by_role("button", name="Dismiss").press("Enter")
    expect(field(chat)).to_be_focused()


def test_help_is_a_dialog_that_gives_the_focus_back(panel_page: PanelPage) -> None:
    chat = panel_page.chat("s1")
    say(chat, "/help")
    dialog = chat.get_by_role("dialog", name="Commands and keys")
    expect(dialog).to_be_focused()
    assert dialog.get_by_role("row").count() == 10
    assert not chat.get_by_role("alert").is_visible()
    panel_page.page.keyboard.press("Escape")
    expect(field(chat)).to_be_focused()


def test_an_example_goes_into_the_field_and_a_draft_comes_back_after_an_edit(panel_page: PanelPage) -> None:
    panel_page.answer(Reply("Yes."))
    chat = panel_page.chat("s1")
    chat.get_by_role("button", name="Compare two ways").click()
    expect(field(chat)).to_have_value("Compare two ways to read a large CSV file")
    field(chat).press("Enter")
    turn(chat, 0)
    field(chat).fill("a long draft")
    chat.locator("[data-action=edit]").click()
    chat.get_by_role("button", name="Cancel").click()
    expect(field(chat)).to_have_value("a long draft")
    panel_page.page.keyboard.press("Control+z")
    expect(field(chat)).to_have_value("Compare two ways to read a large CSV file")


def test_a_panel_grows_with_its_conversation_and_the_small_print_is_short(panel_page: PanelPage) -> None:
    panel_page.answer(["Short.", "Paragraph.\n\n" * 60])
    chat = panel_page.chat("s1")
    say(chat, "one\n\n```\ncode\n```")
    said = turn(chat, 0)
    assert said.locator(".cnb-prompt pre").inner_text() == "code"
    assert said.locator(".cnb-footer").inner_text() == "scripted"
    assert "tokens in" in str(said.locator(".cnb-footer").get_attribute("title"))
    assert chat.evaluate("node => node.clientHeight") < 400
    say(chat, "two")
    turn(chat, 1)
    assert chat.evaluate("node => node.clientHeight") > 600
    assert chat.locator(".cnb-scroll").evaluate("node => node.scrollHeight > node.clientHeight")
    say(chat, "/no-such-command")
    told = chat.get_by_role("alert")
    told.wait_for()
    assert told.evaluate("node => node.scrollHeight <= node.clientHeight")


def test_a_field_that_is_made_narrow_shows_all_that_is_written(panel_page: PanelPage) -> None:
    chat = panel_page.chat("s1")
    field(chat).fill("word " * 60)
    panel_page.page.set_viewport_size({"width": 420, "height": 900})
    panel_page.page.wait_for_function(
        "node => node.scrollHeight <= node.clientHeight + 2", arg=field(chat).element_handle()
    )
