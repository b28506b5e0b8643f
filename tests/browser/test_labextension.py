"""The extension of JupyterLab and Notebook 7: prompts as prose, the button below an error, the sessions at the side.

What it reads in a cell's text is tested in tests/js/text.test.js. A page of JupyterLab is expensive, so each test here
looks at many things in one page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, WebSocket

from .accessibility import FAINT, faults, misfits
from .conftest import Lab, Notebook, Server, open_gate, scripted
from .wire import Wire

LANGUAGE = "cell => cell.querySelector('.cm-content').dataset.language"
SET_LANGUAGE = """() => {
    const { model } = window.jupyterapp.shell.currentWidget.content;
    model.setMetadata('language_info', { name: 'python', codemirror_mode: { name: 'ipython', version: 2 } });
}"""
PROSE = """%%copilot session1 -m scripted --new "two words"
# It's *slow* in [this](http://x.y) **part**, `code` ~~gone~~ https://a.b \\* &amp; <b>html</b>: {{ df.shape }}
> quoted
- [ ] task

| a | b |
|---|---|
| 1 | 2 |

```python
@wraps(f)
class A(B):  # {{ x }}
    def f(self): return {'a': 1} + [None, True, 0x1]
```"""
ANSWERS = """lambda request: (
    Reply("It divides by zero.\\n```python\\nhalf(1)\\n```") if "ZeroDivisionError" in request.prompt else
    Reply(error=ChatError(400, "no")) if "fail" in request.prompt else
    Reply("Once upon a time", stall_after_chars=4))"""
COMPLETE_REQUEST = re.compile(rb'\{"code":"[^{}]*","cursor_pos":\d+\}')
NO_ANALYSIS = "%config Completer.use_jedi = False"
"""Names are to pop up; which ones, no test here looks at, and jedi takes four seconds to find them."""
SIDE = ".copilot-nb-side"


@contextmanager
def settings(server: Server, chosen: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Let pages that are opened meanwhile have other settings."""
    files = [server.home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings" for name in chosen]
    for file, content in zip(files, chosen.values(), strict=True):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
    yield
    for file in files:
        file.unlink()


def is_prose(notebook: Notebook, cell: int) -> bool:
    """Whether a cell is edited as prose; that it is all prose, or all code."""
    shown = notebook.cell(cell)
    content = shown.locator(".cm-content")
    signs = {
        shown.evaluate(LANGUAGE) == "markdown",
        content.get_attribute("spellcheck") == "true",
        "cm-lineWrapping" in (content.get_attribute("class") or ""),
        shown.locator(".copilot-nb-prompt").count() == 1,
    }
    assert len(signs) == 1
    return signs.pop()


def wait_for_prose(notebook: Notebook, cell: int) -> None:
    """Wait until a cell is edited as prose: Markdown is loaded when it is first needed."""
    notebook.cell(cell).locator('.copilot-nb-prompt [data-language="markdown"]').wait_for()
    assert is_prose(notebook, cell)


def test_a_prompt_is_edited_as_prose(lab: Lab) -> None:
    asked: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: asked.extend(completed(frame)))

    lab.on_page.append(lambda page: page.on("websocket", listen))
    brackets = {"defaultConfig": {"autoClosingBrackets": True}}
    with settings(
        lab.server,
        {"codemirror-extension/plugin": brackets, "completer-extension/manager": {"autoCompletion": True}},
    ):
        notebook = lab.open("", "ra", PROSE, NO_ANALYSIS)
    notebook.run(3)
    assert_no_text_is_faint(notebook, 2)
    write_a_prompt(notebook)
    write_code_below(notebook)
    Wire.until(notebook.page, lambda: "ran" in asked)
    assert [text for text in asked if "\n" in text] == []  # no names popped up in prose
    notebook.page.keyboard.type("(")
    assert notebook.sources()[1] == "ran()"
    assert_it_comes_back(notebook)
    assert_it_survives(notebook)
    assert notebook.js_errors == []


def completed(frame: str | bytes) -> list[str]:
    """Return the text before the cursor, if a message to the kernel asks how it goes on."""
    found = COMPLETE_REQUEST.search(frame) if isinstance(frame, bytes) else None
    request = json.loads(found[0]) if found else {}
    return [request["code"][: request["cursor_pos"]]] if found else []


def assert_no_text_is_faint(notebook: Notebook, cell: int) -> None:
    wait_for_prose(notebook, cell)
    shown = notebook.cell(cell)
    shown.get_by_text("class", exact=True).wait_for()
    assert shown.locator(".copilot-nb-expression").all_inner_texts() == ["{{ df.shape }}", "{{ x }}"]
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.theme(theme)
        assert shown.locator(".cm-content").evaluate(FAINT) == [], theme


def write_a_prompt(notebook: Notebook) -> None:
    keyboard = notebook.page.keyboard
    notebook.cell(0).locator(".cm-content").click()
    keyboard.type("%%copilo")
    assert not is_prose(notebook, 0)
    keyboard.type("t")
    wait_for_prose(notebook, 0)
    keyboard.type(" a\nI have (one of:\nit's \"rang\nif True:\nrang")
    assert notebook.sources()[0] == "%%copilot a\nI have (one of:\nit's \"rang\nif True:\nrang"
    keyboard.type("\n\nword" + " word" * 60)
    assert notebook.cell(0).locator(".cm-line").last.evaluate("line => line.getClientRects()[0].height > 30")


def write_code_below(notebook: Notebook) -> None:
    """The next cell is as it always was: names pop up."""
    assert not is_prose(notebook, 1)
    notebook.cell(1).locator(".cm-content").click()
    notebook.page.keyboard.press("End")
    notebook.page.keyboard.type("n")


def assert_it_comes_back(notebook: Notebook) -> None:
    """A cell that is no prompt any more is code again, and a prompt after undoing.

    Its prompt is the notebook's own: JupyterLab undoes at once what was typed with pauses of less than half a second.
    """
    keyboard = notebook.page.keyboard
    notebook.cell(2).locator(".cm-content").click()
    keyboard.press("Control+Home")
    keyboard.press("Delete")
    assert not is_prose(notebook, 2)
    assert notebook.cell(2).evaluate(LANGUAGE) == "python"
    keyboard.press("Control+z")
    assert notebook.sources()[2] == PROSE
    assert is_prose(notebook, 2)
    notebook.set_source(1, "%%copilot b\nprose")
    assert is_prose(notebook, 1)
    notebook.set_source(1, "%%copilot --do-not-run b\nx = 1")
    assert not is_prose(notebook, 1)


def assert_it_survives(notebook: Notebook) -> None:
    """What sets the language of cells, or makes their editors anew, leaves prompts prose and code code."""
    notebook.page.evaluate(SET_LANGUAGE)
    assert is_prose(notebook, 0)
    notebook.restart()
    assert is_prose(notebook, 0)
    assert not is_prose(notebook, 1)
    notebook.command("notebook:change-cell-to-markdown", 0).wait()
    assert notebook.cell(0).locator(".copilot-nb-prompt").count() == 0
    notebook.command("notebook:change-cell-to-code", 0).wait()
    wait_for_prose(notebook, 0)
    notebook.command("notebook:insert-cell-above", 0).wait()
    assert [is_prose(notebook, cell) for cell in range(4)] == [False, True, False, True]


def test_errors_have_a_button_and_runs_a_state_and_the_sessions_are_beside(lab: Lab, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    notebook = lab.open(scripted(ANSWERS, gate), "%%copilot a\ntell", "%%copilot a\nfail", "1 / 0", "2 / 0")
    notebook.run(0)
    assert_runs_are_marked(notebook, gate)
    assert_an_error_is_fixed(notebook)
    assert_the_sessions_are_beside(notebook)
    assert notebook.js_errors == []


def mark(notebook: Notebook, cell: int, state: str) -> Locator:
    """Return the prompt of a cell, marked with a state."""
    found = notebook.cell(cell).locator(f'.jp-InputPrompt[data-copilot-nb-state="{state}"]')
    found.wait_for()
    return found


def assert_runs_are_marked(notebook: Notebook, gate: Path) -> None:
    told, failed = notebook.start(1), notebook.start(2)
    assert mark(notebook, 1, "answering").get_attribute("title") == "a: answering"
    assert mark(notebook, 2, "waiting").get_attribute("title") == "a: waiting"
    open_gate(gate)
    told.wait()
    failed.wait()
    mark(notebook, 2, "failed")
    notebook.set_source(2, "%%copilot a --bogus\nfail")
    notebook.run(2)
    assert mark(notebook, 2, "not sent").get_attribute("data-copilot-nb") == "not sent"
    assert notebook.page.locator("[data-copilot-nb-state]").count() == 1


def assert_an_error_is_fixed(notebook: Notebook) -> None:
    notebook.run(3)
    notebook.run(4)
    buttons = notebook.page.get_by_role("button", name="Fix with Copilot")
    buttons.nth(1).wait_for()
    assert buttons.count() == 2  # an error of ours has none
    first = notebook.cell(3).get_by_role("button", name="Fix with Copilot")
    first.focus()
    first.press("Enter")
    notebook.cell(5).get_by_text("--do-not-run").wait_for()
    sources = notebook.sources()
    assert sources[4].startswith("%copilot fix a --cell ")
    assert sources[5] == "%%copilot --do-not-run a\nhalf(1)"
    notebook.restart()
    notebook.set_source(0, sources[0].replace("%load_ext copilot_nb\n", ""))
    notebook.run(0)
    first.click()  # this kernel has neither the error nor the magic
    notebook.cell(6).get_by_text("--do-not-run").wait_for()
    assert notebook.sources()[4:6] == sources[4:6]
    assert "resumed a" in notebook.output(4).inner_text()


def assert_the_sessions_are_beside(notebook: Notebook) -> None:
    page = notebook.page
    page.locator('[data-jp-item-name="copilot-nb"] button, jp-button[data-command="copilot-nb:side"]').first.click()
    side = page.locator(SIDE)
    side.get_by_role("button", name="a", exact=True).click()
    chat = side.locator(".cnb-chat")
    chat.get_by_text("Once upon a time").wait_for()
    assert chat.evaluate("chat => chat.parentElement.clientHeight") > 400
    assert misfits(side.locator(".cnb-sessions")) == []
    light, dark = (lambda name=f"JupyterLab {each}": notebook.theme(name) for each in ("Light", "Dark"))
    page.add_style_tag(content="body { height: 100vh }")  # axe takes all text in a body without a height for hidden
    assert faults(page, SIDE, {"light": light, "dark": dark}, "open") == []
    notebook.save()
    notebook.reload()
    chat.get_by_text("Once upon a time").wait_for()
    assert notebook.page.locator("[data-copilot-nb-state]").all_text_contents() == ["[4]:"]
    notebook.restart()
    side.get_by_role("button", name="Show the sessions").press("Enter")
    side.get_by_role("button", name="a", exact=True).wait_for()


def test_in_notebook_7(lab: Lab) -> None:
    answers = "lambda request: Reply('Hello.')"
    notebook = lab.open(scripted(answers), "%%copilot a\nHow *are* you?", "1 / 0", app="notebook")
    wait_for_prose(notebook, 1)
    for cell in range(3):
        notebook.run(cell)
    notebook.cell(2).get_by_role("button", name="Fix with Copilot").wait_for()
    notebook.command("copilot-nb:side").wait()
    side = notebook.page.locator(SIDE)
    side.get_by_role("button", name="a", exact=True).click()
    side.locator(".cnb-chat").get_by_text("Hello.").wait_for()
    assert side.locator(".cnb-chat").evaluate("chat => chat.parentElement.clientHeight") > 400


def test_an_extension_that_cannot_be_loaded_leaves_jupyterlab_as_it_is(lab: Lab) -> None:
    broken = {"body": "this is no script", "content_type": "text/javascript"}
    lab.on_page.append(
        lambda page: page.route("**/copilot-nb/scripts/plugins.js", lambda route: route.fulfill(**broken))
    )
    notebook = lab.open("%load_ext copilot_nb", "1 / 0")
    notebook.run(0)
    notebook.run(1)
    assert notebook.errors(1) == ["ZeroDivisionError: division by zero"]
    assert notebook.page.locator(".copilot-nb-fix, .copilot-nb-side").count() == 0
    assert notebook.js_errors == []
