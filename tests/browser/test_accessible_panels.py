"""The panels for everybody: axe's rules in every theme; narrow, at twice the size, in forced colours, without motion.

The page has JupyterLab's styles and themes; the last test looks whether the panels are as good within JupyterLab.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from copilot_nb.conversation.parts import Reasoning
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.panels.sessions import SessionsPanel
from copilot_nb.render.turn import Label, head_html
from copilot_nb.testing import ChatError, ChatRequest, FunctionCall, Reply, ScriptedModel

from .accessibility import faults, misfits
from .chat_steps import say, turn
from .conftest import scripted
from .panel_page import THEMES, PanelPage

ANSWER = """# Decorators

A [decorator](https://docs.python.org) takes a *function* and **returns** one, in $O(n)$:

$$t = t_0 + \\sum_{i=1}^{n} s_i + \\frac{a + b + c + d + e + f}{g + h + i + j + k + l} + \\frac{m}{n} + o + p + q + r$$

```python
@timed
def work(n: int) -> int:
    \"\"\"Add up.\"\"\"
    return sum(i ** 2 for i in range(n))  # a comment that makes this line longer than a narrow panel is wide, and more
```

| tool | seconds | comes with Python | notes |
|---|---:|:-:|---|
| `virtualenv` | 0.6 | no | unbreakable_words_in_a_cell |

> Quoted.

1. One
2. an_unbroken_identifier_of_a_hundred_characters_that_goes_on_and_on_and_on_and_on_and_on_and_on_and_on_and
"""
ARABIC = "نعم، يمكنك استخدام `venv`.\n\n- أولاً\n- ثانياً\n"
WIDTHS_PX = (320, 600, 1100)  # 600 by 500 is what 1200 by 1000 is at 200 %
LONG_NAME = "a_name_without_any_blank_that_somebody_has_pasted_here_and_that_goes_on_for_ever_and_ever"


def reply(asked: ChatRequest) -> str | Reply:
    """Answer in as many ways as a panel can show."""
    match asked.prompt.partition("\n")[0]:
        case "fail":
            return Reply(error=ChatError(400, "overloaded"))
        case "wait":
            return Reply("It begins, and goes on.", stall_after_chars=12)
        case "tool" if asked.messages[-1].role != "tool":
            return Reply(calls=(FunctionCall("no_such_tool"),))
        case "arabic":
            return ARABIC
        case _:
            return ANSWER


@pytest.fixture
def model(panel_page: PanelPage) -> ScriptedModel:
    """Sessions, one of which has failed, and the model that answers them."""
    model = panel_page.answer(reply)
    for name in ("alpha", "beta", "مشروع", LONG_NAME, "failed one"):
        panel_page.manager.session(name).ask("hello")
    failed = panel_page.manager.session("failed one").send("fail")
    while not failed.done:
        failed.wait_for_change(1)
    return model


@pytest.fixture
def chat(panel_page: PanelPage, model: ScriptedModel) -> Locator:
    return panel_page.chat("s1")


@pytest.fixture
def sessions(panel_page: PanelPage, model: ScriptedModel) -> Locator:
    return panel_page.show(SessionsPanel(panel_page.manager))


def comparison(panel_page: PanelPage, *sessions: str, blind: bool = False) -> Locator:
    return panel_page.show(ComparePanel(sessions, blind=blind, manager=panel_page.manager))


def themes(panel_page: PanelPage) -> dict[str, Callable[[], None]]:
    return {theme: partial(panel_page.theme, theme) for theme in THEMES}


def fill(shown: Locator) -> None:
    """Fill a chat with answers of all kinds, one that is coming, and a prompt that waits."""
    reasoning = TurnRecord("id", "", (Reasoning("id", "First this, then `that`.", complete=True),))
    for number, prompt in enumerate(("answer", "tool", "arabic", "fail", "line\n" * 30)):
        say(shown, prompt)
        turn(shown, number, "failed" if prompt == "fail" else "done")
    head = turn(shown, 0).locator(".cnb-head")  # of what the model in the kernel does not do
    head.evaluate("(node, html) => { node.innerHTML = html; }", head_html(reasoning, Label("s1", "scripted")))
    say(shown, "wait")
    say(shown, "later")
    turn(shown, 6, "queued")
    shown.get_by_text("It begins").wait_for()


def compare(shown: Locator) -> None:
    """Have a round of a comparison."""
    shown.get_by_role("textbox", name="Prompt to all").fill("answer")
    shown.get_by_role("textbox", name="Prompt to all").press("Enter")
    shown.get_by_text("Which one is best?").wait_for()


def test_a_chat_has_no_fault(panel_page: PanelPage, chat: Locator, model: ScriptedModel) -> None:
    page = panel_page.page
    look = partial(faults, page, ".cnb-chat", themes(panel_page))
    chat.get_by_text("Ask something, or begin with one of these.").wait_for()
    found = look("empty")
    chat.get_by_role("textbox", name="Prompt").fill("/")
    found += look("empty, commands")
    assert misfits(chat) == []
    chat.get_by_role("textbox", name="Prompt").fill("")
    fill(chat)
    found += look("answers")
    for fold in chat.locator("summary").all():
        fold.click()
    found += look("unfolded")
    chat.get_by_role("button", name="Session").click()
    found += look("menu")
    page.keyboard.press("Escape")
    chat.get_by_role("button", name="s1", exact=True).click()
    found += look("rename")
    page.keyboard.press("Escape")
    files = [("x.bin", b"\xff\x00"), ("f.py", b"1")]
    chat.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "text/x-python", "buffer": content} for name, content in files]
    )
    chat.get_by_role("alert").get_by_text("x.bin").wait_for()
    chat.get_by_role("textbox", name="Prompt").fill("/")
    found += look("commands, a notice, a file")
    model.release()
    turn(chat, 6)
    assert found == [], "\n".join(found)


def test_the_list_of_sessions_has_no_fault(panel_page: PanelPage, sessions: Locator) -> None:
    keyboard = panel_page.page.keyboard
    look = partial(faults, panel_page.page, ".cnb-sessions", themes(panel_page))
    sessions.get_by_text("5 sessions").wait_for()
    found = look("list")
    sessions.get_by_role("button", name="Actions of alpha").click()
    found += look("menu")
    keyboard.press("Escape")
    sessions.get_by_role("button", name="alpha", exact=True).focus()
    for key in ("Delete", "F2"):
        keyboard.press(key)
        sessions.locator(".cnb-edit").wait_for()
        found += look(key)
        keyboard.press("Escape")
    sessions.get_by_role("button", name="New session").click()
    found += look("new")
    keyboard.press("Escape")
    open_alpha(sessions)
    found += look("open")
    assert found == [], "\n".join(found)


def open_alpha(sessions: Locator) -> None:
    sessions.get_by_role("button", name="alpha", exact=True).click()
    sessions.locator(".cnb-chat .cnb-answer").get_by_text("Decorators").first.wait_for()


@pytest.mark.usefixtures("model")
def test_a_comparison_has_no_fault(panel_page: PanelPage) -> None:
    look = partial(faults, panel_page.page, ".cnb-compare", themes(panel_page))
    shown = comparison(panel_page, "left", f"{LONG_NAME}_right", blind=True)
    shown.get_by_text("Ask something").wait_for()
    found = look("empty")
    compare(shown)
    comparison(panel_page, "alpha", "failed one").get_by_text("Asked separately").wait_for()
    found += look("blind, and what was said before another comparison")
    shown.get_by_role("button", name="Answer B").click()
    shown.get_by_text("★ Best").wait_for()
    found += look("voted")
    assert found == [], "\n".join(found)


def test_nothing_is_cut_off(panel_page: PanelPage, model: ScriptedModel, chat: Locator, sessions: Locator) -> None:
    resize(panel_page.page, WIDTHS_PX[0])
    fill(chat)
    model.release()
    turn(chat, 6)
    compared = comparison(panel_page, "left", "right")
    compare(compared)
    compared.get_by_role("button", name="right is best").click()
    compared.get_by_text("★ Best").wait_for()
    found = []
    for width_px in WIDTHS_PX:
        resize(panel_page.page, width_px)
        found += misfits_at(panel_page.page, width_px, chat, sessions, compared)
    assert found == [], "\n".join(found)


def resize(page: Page, width_px: int) -> None:
    """Leave room for panels of a width."""
    page.set_viewport_size({"width": width_px + 50, "height": 500})


def misfits_at(page: Page, width_px: int, chat: Locator, sessions: Locator, compared: Locator) -> list[str]:
    """Return what is cut off in panels of a width, whatever is opened in them."""
    found = []

    def look(shown: Locator, state: str) -> None:
        shown.evaluate("(node, width) => { node.style.width = `min(${width}px, 100%)`; }", width_px)
        found.extend(f"{width_px}, {state}: {fault}" for fault in misfits(shown))

    look(chat, "chat")
    chat.get_by_role("button", name="Session").click()
    look(chat, "menu")
    page.keyboard.press("Escape")
    chat.get_by_role("button", name="s1", exact=True).click()
    look(chat, "rename")
    page.keyboard.press("Escape")
    chat.get_by_role("textbox", name="Prompt").fill("/")
    look(chat, "commands")
    chat.get_by_role("textbox", name="Prompt").fill("")
    look(compared, "compare")
    look(sessions, "sessions")
    sessions.get_by_role("button", name="Actions of alpha").click()
    look(sessions, "menu of a session")
    page.keyboard.press("Escape")
    sessions.get_by_role("button", name="alpha", exact=True).focus()
    for key in ("Delete", "F2"):
        page.keyboard.press(key)
        look(sessions, key)
        page.keyboard.press("Escape")
    sessions.get_by_role("button", name="New session").click()
    look(sessions, "new")
    page.keyboard.press("Escape")
    open_alpha(sessions)
    look(sessions, "open")
    sessions.get_by_role("button", name="Close the conversation").click()
    sessions.locator(".cnb-chat").wait_for(state="detached")
    return found


def style(node: Locator, name: str, pseudo: str | None = None) -> str:
    """Return a computed style."""
    return str(node.evaluate("(node, [name, pseudo]) => getComputedStyle(node, pseudo)[name]", [name, pseudo]))


def test_states_are_seen_in_forced_colours(panel_page: PanelPage, chat: Locator, sessions: Locator) -> None:
    panel_page.page.emulate_media(forced_colors="active")
    say(chat, "answer")
    turn(chat, 0)
    assert style(chat.locator(".cnb-prompt").first, "borderTopStyle") == "solid"
    chat.get_by_role("textbox", name="Prompt").fill("/")
    assert style(chat.get_by_role("listbox").get_by_role("option", selected=True), "outlineStyle") == "solid"
    for each in (chat.get_by_role("textbox", name="Prompt"), sessions.get_by_role("searchbox")):
        each.focus()
        assert style(each, "outlineStyle") == "solid"
    sessions.get_by_role("button", name="beta", exact=True).click()
    sessions.locator(".cnb-chat").wait_for()
    assert style(sessions.get_by_role("row", selected=True), "outlineStyle") == "solid"
    compared = comparison(panel_page, "left", "right")
    compare(compared)
    compared.get_by_role("button", name="right is best").click()
    pressed = compared.get_by_role("button", name="right is best", pressed=True)
    pressed.wait_for()
    assert style(pressed, "outlineStyle") == "solid"
    assert style(compared.locator(".cnb-best"), "outlineStyle") == "solid"


def test_nothing_moves_where_no_motion_is_wanted(panel_page: PanelPage, chat: Locator) -> None:
    say(chat, "wait")
    chat.get_by_text("It begins").wait_for()
    tail = chat.locator('[data-state="working"] .cnb-tail')
    assert style(tail, "animationName", "::after") == "none"
    panel_page.page.emulate_media(reduced_motion="no-preference")
    assert style(tail, "animationName", "::after") == "cnb-blink"


def test_the_panels_have_no_fault_in_jupyterlab(lab: Any) -> None:
    make = "import copilot_nb as cp\nfor name in ('alpha', 'beta'): cp.session(name).ask('hello')"
    cells = ("cp.ChatPanel('alpha')", "cp.SessionsPanel()", "cp.ComparePanel(['left', 'right'])")
    notebook = lab.open(f"{scripted(repr([ANSWER] * 9))}\n{make}", *cells)
    notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    notebook.run_all()
    assert [error for cell in range(4) for error in notebook.errors(cell)] == []
    chat, sessions, compared = (notebook.output(cell).locator(".cnb-panel").first for cell in (1, 2, 3))
    say(chat, "answer")
    turn(chat, 1)
    chat.get_by_role("textbox", name="Prompt").fill("/")
    sessions.get_by_role("button", name="New session").click()
    compare(compared)
    compared.get_by_role("button", name="right is best").click()
    compared.get_by_text("★ Best").wait_for()
    assert [misfits(shown) for shown in (chat, sessions, compared)] == [[], [], []]
    notebook.page.evaluate("() => { document.body.style.height = '100vh'; }")  # it has none: axe would see nothing
    put_on = {theme: partial(notebook.theme, theme) for theme in THEMES}
    assert faults(notebook.page, ".jp-Notebook .cnb-panel", put_on, "in JupyterLab") == []
