"""The panels for everybody: axe's rules in every theme; narrow, at twice the size, in forced colours, without motion.

axe looks at a panel only, not at JupyterLab around it. Where it cannot decide by itself (``incomplete``), that is a
fault as well; but the contrast of a text that is short, or covered, it never decides, so that of every text is computed
here too. Themes differ in their colours only, so the other rules are tried in the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator

from copilot_nb.conversation.parts import Reasoning
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.turn import Label, head_html

from .conftest import Lab, Notebook, open_gate, scripted
from .test_chat_panel import say, turn

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = Axe()

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
REPLIES = f"""lambda asked: (
    Reply(error=ChatError(400, "overloaded")) if "fail" in asked.prompt
    else Reply("It begins, and goes on.", stall_after_chars=12) if "wait" in asked.prompt
    else Reply(calls=(testing.FunctionCall("no_such_tool"),)) if "tool" in asked.prompt and not has_result(asked)
    else {ARABIC!r} if "arabic" in asked.prompt else {ANSWER!r})"""
HAS_RESULT = """
import copilot_nb.testing as testing

def has_result(asked):
    return asked.messages[-1].role == "tool"

"""
LONG_NAME = "a_name_without_any_blank_that_somebody_has_pasted_here_and_that_goes_on_for_ever_and_ever"
MAKE = f"""
import copilot_nb as cp
for name in ("alpha", "beta", "مشروع", {LONG_NAME!r}, "failed one"):
    cp.session(name).ask("hello")
failed = cp.session("failed one").send("fail")
while not failed.done:
    failed.wait_for_change(1)
"""

MISFITS = """root => {
    const found = [], around = root.getBoundingClientRect();
    const boxes = '.cnb-scroll, .cnb-list, .cnb-column-box, .cnb-notice, .cnb-popup, .cnb-offers';
    const popups = '.cnb-popup, .cnb-offers';
    const controls = 'button, input, select, textarea, summary, [role=option], .cnb-status, .cnb-hint';
    const say = (node, what) => found.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
    const hasBox = (node) => node.checkVisibility({ checkVisibilityCSS: true }) && !node.closest('.cnb-sr, [inert]');
    if (root.scrollWidth > root.clientWidth) say(root, 'scrolls sideways');
    for (const node of root.querySelectorAll(boxes)) {
        if (hasBox(node) && node.scrollWidth > node.clientWidth) say(node, 'scrolls sideways');
    }
    for (const node of root.querySelectorAll(controls)) {
        if (!hasBox(node) || !node.offsetWidth) continue;
        node.scrollIntoView({ block: 'center' });
        const { left, right, top, bottom } = node.getBoundingClientRect();
        if (left < around.left - 1 || right > around.right + 1) say(node, 'outside');
        if (node.tagName === 'BUTTON' && node.scrollWidth > node.clientWidth + 1) say(node, 'cut off');
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        const isMeant = hit?.closest(popups) && !node.closest(popups);
        const isSeen = !hit || node.contains(hit) || hit.contains(node);
        if (!isMeant && !isSeen) say(node, `covered by ${hit.outerHTML.slice(0, 60)}`);
    }
    return found;
}"""


FAINT = """root => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    const laid = (colours) => {
        for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const luminance = (colour) => colour.map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const found = [];
    for (const node of root.querySelectorAll('*')) {
        const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        const isSeen = node.checkVisibility({ checkVisibilityCSS: true }) && !node.matches(':disabled, .cnb-sr');
        if (!isText || !isSeen) continue;
        const around = [];
        for (let each = node; each; each = each.parentElement) around.unshift(getComputedStyle(each));
        const opacity = around.reduce((product, style) => product * style.opacity, 1);
        if (!opacity) continue; // shown by the mouse or the focus: the same colours as those of the last turn
        const back = ['white', ...around.map((style) => style.backgroundColor)];
        const ink = laid([...back, around.at(-1).color]), paper = laid(back);
        const seen = ink.map((part, i) => part * opacity + paper[i] * (1 - opacity));
        const [dark, light] = [luminance(seen), luminance(paper)].sort((a, b) => a - b);
        const contrast = (light + 0.05) / (dark + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${node.outerHTML.slice(0, 120)}`);
    }
    return found;
}"""


def faults(notebook: Notebook, root: str, state: str) -> list[str]:
    """Return what axe finds in a panel: by all rules in the first theme, by the colours' in the others."""
    found = []
    notebook.page.evaluate(
        "() => { document.body.style.height = '100vh'; }"
    )  # JupyterLab's has no height: axe sees nothing
    for theme in THEMES:
        notebook.theme(theme)
        rules = (
            {"type": "tag", "values": TAGS} if theme == THEMES[0] else {"type": "rule", "values": ["color-contrast"]}
        )
        options = {"runOnly": rules, "resultTypes": ["violations", "incomplete", "passes"]}
        said = AXE.run(notebook.page, root, options).response
        checked = [node for rule in said["passes"] if rule["id"] == "color-contrast" for node in rule["nodes"]]
        assert len(checked) > 4
        found += [f"{theme}, {state}: faint {each}" for each in notebook.page.locator(root).first.evaluate(FAINT)]
        for kind in ("violations", "incomplete"):
            for rule in said[kind]:
                if (kind, rule["id"]) == ("incomplete", "color-contrast"):
                    continue
                for node in rule["nodes"]:
                    if rule["id"] == "scrollable-region-focusable" and 'role="listbox"' in node["html"]:
                        continue  # the arrow keys of the text field go through it (aria-activedescendant)
                    why = "; ".join(check["message"] for part in ("any", "all", "none") for check in node[part])
                    found.append(f"{theme}, {state}: {kind} {rule['id']}: {node['html'][:120]}: {why}")
    notebook.theme(THEMES[0])
    return found


def panels(lab: Lab, *cells: str, gate: Path | None = None) -> Notebook:
    """Return a notebook with sessions, and a panel in each of these cells, from the second on."""
    notebook = lab.open(HAS_RESULT + scripted(REPLIES, gate) + MAKE, *cells)
    notebook.theme(THEMES[0])
    notebook.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    for cell in range(len(cells) + 1):
        notebook.run(cell)
        assert notebook.errors(cell) == []
    return notebook


def chatting(notebook: Notebook, cell: int = 1) -> Locator:
    """Return the chat panel of a cell, with answers of all kinds, one that is coming, and a prompt that waits."""
    shown = notebook.output(cell).locator(".cnb-chat")
    shown.locator(".cnb-models option").first.wait_for(state="attached")
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
    return shown


def compared(notebook: Notebook, cell: int) -> Locator:
    """Return the comparison of a cell, with a round that is over."""
    shown = notebook.output(cell).locator(".cnb-compare")
    shown.get_by_role("textbox", name="Prompt to all").fill("answer")
    shown.get_by_role("textbox", name="Prompt to all").press("Enter")
    shown.get_by_text("Which one is best?").wait_for()
    return shown


def test_a_chat_has_no_fault(lab: Any, tmp_path: Path) -> None:
    notebook = panels(lab, "cp.ChatPanel('s1')", gate=tmp_path / "gate")
    page, root = notebook.page, ".cnb-chat"
    page.locator(root).get_by_text("Nothing has been said yet.").wait_for()
    found = faults(notebook, root, "empty")
    page.locator(root).get_by_role("textbox", name="Prompt").fill("/")
    found += faults(notebook, root, "empty, commands")
    assert page.locator(root).evaluate(MISFITS) == []
    shown = chatting(notebook)
    found += faults(notebook, root, "answers")
    for fold in shown.locator("summary").all():
        fold.click()
    found += faults(notebook, root, "unfolded")
    shown.get_by_role("button", name="Session").click()
    found += faults(notebook, root, "menu")
    page.keyboard.press("Escape")
    shown.get_by_role("button", name="s1", exact=True).click()
    found += faults(notebook, root, "rename")
    page.keyboard.press("Escape")
    files = [("x.bin", b"\xff\x00"), ("f.py", b"1")]
    shown.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "text/x-python", "buffer": content} for name, content in files]
    )
    shown.get_by_role("alert").get_by_text("x.bin").wait_for()
    shown.get_by_role("textbox", name="Prompt").fill("/")
    found += faults(notebook, root, "commands, a notice, a file")
    open_gate(tmp_path / "gate")
    assert found == []


def test_the_list_of_sessions_has_no_fault(lab: Any) -> None:
    notebook = panels(lab, "cp.SessionsPanel()")
    page, root = notebook.page, ".cnb-sessions"
    shown = page.locator(root)
    shown.get_by_text("5 sessions").wait_for()
    found = faults(notebook, root, "list")
    shown.get_by_role("button", name="Actions of alpha").click()
    found += faults(notebook, root, "menu")
    page.keyboard.press("Escape")
    shown.get_by_role("button", name="alpha", exact=True).focus()
    for key in ("Delete", "F2"):
        page.keyboard.press(key)
        shown.locator(".cnb-edit").wait_for()
        found += faults(notebook, root, key)
        page.keyboard.press("Escape")
    shown.get_by_role("button", name="New session").click()
    found += faults(notebook, root, "new")
    page.keyboard.press("Escape")
    shown.get_by_role("button", name="alpha", exact=True).click()
    shown.locator(".cnb-chat .cnb-answer").get_by_text("Decorators").first.wait_for()
    found += faults(notebook, root, "open")
    assert found == []


def test_a_comparison_has_no_fault(lab: Any) -> None:
    notebook = panels(lab, f"cp.ComparePanel(['alpha', {LONG_NAME!r}], blind=True)")
    root = ".cnb-compare"
    notebook.page.locator(root).get_by_text("Ask something").wait_for()
    found = faults(notebook, root, "empty")
    shown = compared(notebook, 1)
    found += faults(notebook, root, "blind")
    shown.get_by_role("button", name="Answer B").click()
    shown.get_by_text("★ Best").wait_for()
    found += faults(notebook, root, "voted")
    assert found == []


THREE = ("cp.ChatPanel('s1')", "cp.SessionsPanel()", "cp.ComparePanel(['alpha', 'beta'])")


@pytest.mark.parametrize("width_px", [320, 600, 1100])
def test_nothing_is_cut_off(lab: Any, tmp_path: Path, width_px: int) -> None:
    notebook = panels(lab, *THREE, gate=tmp_path / "gate")
    page = notebook.page
    page.set_viewport_size({"width": width_px + 150, "height": 500})  # 600 by 500 is what 1200 by 1000 is at 200 %
    chat, sessions = chatting(notebook), notebook.output(2).locator(".cnb-sessions")
    open_gate(tmp_path / "gate")
    turn(chat, 6)
    found = []

    def look(shown: Locator, state: str) -> None:
        shown.evaluate("(node, width) => { node.style.width = `min(${width}px, 100%)`; }", width_px)
        found.extend(f"{state}: {fault}" for fault in shown.evaluate(MISFITS))

    look(chat, "chat")
    chat.get_by_role("button", name="Session").click()
    look(chat, "menu")
    page.keyboard.press("Escape")
    chat.get_by_role("button", name="s1", exact=True).click()
    look(chat, "rename")
    page.keyboard.press("Escape")
    chat.get_by_role("textbox", name="Prompt").fill("/")
    look(chat, "commands")
    compare = compared(notebook, 3)
    compare.get_by_role("button", name="beta", exact=True).click()
    compare.get_by_text("★ Best").wait_for()
    look(compare, "compare")
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
    sessions.get_by_role("button", name="alpha", exact=True).click()
    sessions.locator(".cnb-chat .cnb-answer").get_by_text("Decorators").first.wait_for()
    look(sessions, "open")
    assert found == []


def style(node: Locator, name: str, pseudo: str | None = None) -> str:
    """Return a computed style."""
    return str(node.evaluate("(node, [name, pseudo]) => getComputedStyle(node, pseudo)[name]", [name, pseudo]))


def test_states_are_seen_in_forced_colours(lab: Any, tmp_path: Path) -> None:
    notebook = panels(lab, *THREE, gate=tmp_path / "gate")
    notebook.page.emulate_media(forced_colors="active")
    chat, sessions = chatting(notebook), notebook.output(2).locator(".cnb-sessions")
    open_gate(tmp_path / "gate")
    assert style(chat.locator(".cnb-prompt").first, "borderTopStyle") == "solid"
    chat.get_by_role("textbox", name="Prompt").fill("/")
    assert style(chat.get_by_role("listbox").get_by_role("option", selected=True), "outlineStyle") == "solid"
    for each in (chat.get_by_role("textbox", name="Prompt"), sessions.get_by_role("searchbox")):
        each.focus()
        assert style(each, "outlineStyle") == "solid"
    sessions.get_by_role("button", name="beta", exact=True).click()
    sessions.locator(".cnb-chat").wait_for()
    assert style(sessions.get_by_role("row", selected=True), "outlineStyle") == "solid"
    compare = compared(notebook, 3)
    compare.get_by_role("button", name="beta", exact=True).click()
    pressed = compare.get_by_role("button", name="beta", exact=True, pressed=True)
    pressed.wait_for()
    assert style(pressed, "outlineStyle") == "solid"
    assert style(compare.locator(".cnb-best"), "outlineStyle") == "solid"


def test_nothing_moves_where_no_motion_is_wanted(lab: Any, tmp_path: Path) -> None:
    notebook = panels(lab, "cp.ChatPanel('s1')", gate=tmp_path / "gate")
    shown = chatting(notebook)
    tail = shown.locator('[data-state="working"] .cnb-tail')
    assert style(tail, "animationName", "::after") == "none"
    notebook.page.emulate_media(reduced_motion="no-preference")
    assert style(tail, "animationName", "::after") == "cnb-blink"
    open_gate(tmp_path / "gate")
