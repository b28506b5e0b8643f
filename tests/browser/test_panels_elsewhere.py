"""The panels in Notebook 7 and Voilà: what holds in the page of a panel and in JupyterLab holds there too."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page

from .conftest import Lab, scripted

ECHO = scripted("lambda asked: f'You said {asked.prompt}'") + "\nimport copilot_nb as cp"
COMPARISON = "cp.ComparePanel(models=['scripted', 'scripted-b'], name='test', blind=True)"
CODE = "print({'a': 1})"
BEGINNING = f"As $x^2$ shows:\n\n```python\n{CODE}\n```\n\nThat is it,\n\nand **then"
STALLED = f"[Reply({BEGINNING + '** the rest.'!r}, stall_after_chars={len(BEGINNING)}), 'Once **more**.']"


@pytest.fixture(params=["notebook", "voila"])
def app(request: pytest.FixtureRequest) -> str:
    """A front end other than JupyterLab."""
    return str(request.param)


def opened(lab: Lab, app: str, *cells: str) -> Page:
    """Open a notebook in a front end, and return its page when all cells have run and the panels have heard."""
    if app == "voila":
        page = lab.visit(f"voila/render/{lab.write(*cells).name}")
    else:
        notebook = lab.open(*cells, app=app)
        notebook.run_all()
        page = notebook.page
    page.locator(".cnb-panel:not(.cnb-chat), .cnb-models option").first.wait_for(state="attached")
    return page


def say(shown: Page | Locator, prompt: str) -> None:
    box = shown.get_by_role("textbox", name="Prompt", exact=True)
    box.fill(prompt)
    box.press("Enter")


def turn(shown: Page | Locator, number: int, state: str = "done") -> Locator:
    """Return a turn, when it is in that state."""
    found = shown.locator(f'.cnb-turn:nth-child({number + 1})[data-state="{state}"]')
    found.wait_for()
    return found


def said(answered: Locator) -> str:
    """Return the answer of a turn, also of one that the page has not laid out yet."""
    return (answered.locator(".cnb-answer").text_content() or "").strip()


def row(page: Page, name: str) -> Locator:
    return page.locator("tbody tr", has=page.get_by_role("button", name=name, exact=True))


def test_an_answer_comes_with_code_and_mathematics_and_is_stopped(lab: Lab, app: str) -> None:
    page = opened(lab, app, scripted(STALLED), "%copilot panel s1")
    say(page, "What?")
    coming = turn(page, 0, "working")
    coming.get_by_text("and **then").wait_for()  # the last words are text until their block is finished
    assert coming.locator("math msup").count() == 1
    assert (coming.locator("pre[data-language]").text_content() or "").strip() == CODE
    assert coming.locator("pre .nb").text_content() == "print"
    page.get_by_role("button", name="Stop").click()
    stopped = turn(page, 0, "interrupted")
    stopped.get_by_text("Interrupted: partial answer kept").wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="hidden")
    stopped.get_by_role("button", name="Retry").click()
    turn(page, 0).locator("strong", has_text="more").wait_for()
    assert app == "voila" or not lab.refused  # its own page asks for fonts and MathJax
    assert not page.locator(".cnb-static").is_visible()


def test_panels_are_used_together(lab: Lab, app: str) -> None:
    page = opened(lab, app, ECHO, "cp.ChatPanel('s1')", "cp.SessionsPanel()", "cp.ChatPanel('s2')", COMPARISON)
    assert_a_chat_and_the_list_follow_each_other(page, page.locator(".cnb-chat").nth(0))
    assert_a_turn_is_edited_and_the_session_forked(page.locator(".cnb-chat").nth(1))
    assert_models_are_compared_blindly(page.locator(".cnb-compare"))


def assert_a_chat_and_the_list_follow_each_other(page: Page, chat: Locator) -> None:
    say(chat, "one")
    row(page, "s1").locator(".cnb-cell-turns").get_by_text("1").wait_for()
    page.get_by_role("button", name="New session").click()
    page.get_by_label("Name", exact=True).fill("garden")
    page.get_by_label("Name", exact=True).press("Enter")
    page.locator(".cnb-sessions .cnb-write:focus").wait_for()  # its conversation is open
    row(page, "s1").focus()
    page.keyboard.press("F2")
    page.keyboard.type("kitchen")
    page.keyboard.press("Enter")
    chat.get_by_role("button", name="kitchen").wait_for()
    row(page, "garden").focus()
    page.keyboard.press("Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    row(page, "garden").wait_for(state="detached")
    row(page, "kitchen").focus()
    page.keyboard.press("Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    chat.get_by_text("deleted; the next prompt begins it anew").wait_for()
    say(chat, "again")
    row(page, "kitchen").wait_for()


def assert_a_turn_is_edited_and_the_session_forked(chat: Locator) -> None:
    for number, prompt in enumerate(("one", "two", "three")):
        say(chat, prompt)
        turn(chat, number)
    second = turn(chat, 1)
    second.hover()
    second.get_by_role("button", name="Edit").click()
    chat.get_by_text("Sending takes the place of this turn and the turn after it.").wait_for()
    say(chat, "second")
    chat.locator(".cnb-answer").get_by_text("You said second").wait_for()
    assert chat.locator(".cnb-prompt").all_text_contents() == ["one", "second"]
    first = turn(chat, 0)
    first.hover()
    first.get_by_role("button", name="Fork").click()
    chat.get_by_role("button", name="Show it here").click()
    chat.get_by_role("button", name="s2~1").wait_for()
    assert chat.locator(".cnb-prompt").all_text_contents() == ["one"]


def assert_models_are_compared_blindly(compared: Locator) -> None:
    box = compared.get_by_role("textbox", name="Prompt to all")
    box.fill("Why?")
    box.press("Enter")
    compared.get_by_text("Which one is best?").wait_for()
    assert compared.locator(".cnb-column").get_by_text("You said Why?").count() == 2
    assert "scripted" not in compared.inner_html()
    compared.get_by_role("button", name="Answer B").click()
    compared.get_by_text("★ Best: B: test@scripted").wait_for()
    compared.get_by_text("1 of 1 round voted").wait_for()
    with compared.page.expect_download() as saved:
        compared.get_by_role("button", name="Download CSV").click()
    assert saved.value.path().read_text("utf-8").count("You said Why?") == 2
