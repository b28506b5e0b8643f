"""`%%copilot` in the front ends people use: what a cell shows, what is saved, and what Tab offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, expect

from .conftest import Notebook, as_web_page, scripted

ANSWER = """## Virtual environments

Make one with `venv`:

```python
import venv
venv.create(".venv")  # with pip
```

| system | **line** |
|---|---|
| Linux | `source .venv/bin/activate` |

It costs $5, or $6 with $e^{i\\pi}$."""
ASKING = """
from copilot_nb.notebook import page_asking
from copilot_nb.testing import FunctionCall
page_asking.SHOWN_WITHIN_S = 0  # as in a page without widgets
FIELDS = '{"name": {"type": "string"}, "size": {"type": "string", "enum": ["small", "large"]}}'
ASKED = '{"message": "Whose?", "requestedSchema": {"properties": ' + FIELDS + '}}'
asks = Reply(calls=(FunctionCall("ask_user", ASKED),))
install(ScriptedModel([asks, "Thank you.", asks]))
"""
REFUSED = 'Reply(error=ChatError(400, "the context is\\n<b>too long</b>"))'
FIRST_NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_multiple_sessions.ipynb"


def assert_answer_is_rendered(answer: Any) -> None:
    """Check that a locator of one answer shows `ANSWER`."""
    answer.get_by_role("heading", name="Virtual environments").wait_for()
    assert answer.locator("pre").inner_text().strip() == 'import venv\nvenv.create(".venv")  # with pip'
    assert answer.locator("pre .kn").inner_text() == "import"
    assert answer.locator("td code").inner_text() == "source .venv/bin/activate"
    assert "It costs $5, or $6 with" in answer.inner_text()


@pytest.mark.usefixtures("used_page")
def test_a_form_is_answered_at_prompts_in_the_cell_which_then_shows_the_answer_alone(lab: Any) -> None:
    notebook = lab.open(scripted("[]") + ASKING, "%%copilot asked -t all\nGo")
    notebook.run(0)
    running = notebook.start(1)
    for prompt, typed in (("name:", "Bo"), ("size (1 small, 2 large):", "2")):
        box = notebook.output(1).locator(".jp-Stdin", has_text=prompt).get_by_role("textbox")
        box.fill(typed)
        box.press("Enter")
    running.wait()
    (output,) = notebook.save().cells[1].outputs
    assert output.data["text/plain"] == "Thank you."
    assert "answered by you, in the cell" in output.data["text/html"]
    assert "name: Bo, size: large" in output.data["text/html"]
    running = notebook.start(1)
    notebook.output(1).locator(".jp-Stdin", has_text="name:").wait_for()
    notebook.interrupt()
    running.wait()
    expect(notebook.page.locator(".jp-Stdin")).to_have_count(0)  # where one could type for a later `input()`


@pytest.mark.parametrize("app", ["lab", "notebook"])
@pytest.mark.usefixtures("used_page")
def test_an_answer_is_rendered_and_saved_without_widgets(lab: Any, app: str) -> None:
    notebook = lab.open(scripted(f"[{ANSWER!r}]"), "%%copilot s1 --id user-123-chat\nHow?", app=app)
    notebook.run_all()
    assert_answer_is_rendered(notebook.output(1).locator(".copilot-nb"))
    notebook.output(1).locator("mjx-container").first.wait_for(state="attached")
    assert notebook.output(1).locator("mjx-container").count() == 1

    saved = notebook.save()
    nbformat.validate(saved)
    assert "widgets" not in saved.metadata
    (output,) = saved.cells[1].outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/html", "text/plain"}
    assert output.data["text/plain"] == ANSWER
    facts = output.metadata["copilot_nb"]
    assert (facts["session"], facts["session_id"], facts["model"]) == ("s1", "user-123-chat", "scripted")
    assert facts["state"] == "done"
    assert facts["turn_id"]
    assert facts["usage"]["output_tokens"] > 0
    assert not lab.refused


@pytest.mark.usefixtures("used_page")
def test_a_saved_answer_reads_well_where_nothing_is_trusted_and_as_a_web_page(lab: Any) -> None:
    notebook = lab.open(scripted(f"[{ANSWER!r}]"), "%%copilot s1\nHow?")
    notebook.run_all()
    saved = notebook.save()
    notebook.close()

    saved.metadata["changed"] = "so that nobody's signature fits"
    nbformat.write(saved, notebook.path)
    foreign = lab.open_file(notebook.path)
    trusted = "() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.trusted"
    assert foreign.page.evaluate(trusted) is False
    assert_answer_is_rendered(foreign.output(1))

    page = lab.visit(as_web_page(notebook.path))
    assert_answer_is_rendered(page.locator(".copilot-nb"))


@pytest.mark.usefixtures("used_page")
def test_a_failed_turn_is_one_line_and_stops_run_all(lab: Any) -> None:
    notebook = lab.open(
        scripted(f'["Fine.", {REFUSED}, "Fine again."]'), "%%copilot s1\na", "%%copilot s1\nb", "%%copilot s1\nc"
    )
    notebook.run_all()
    expected = "TurnFailed: scripted (scripted) did not answer: 400 the context is <b>too long</b> → run the cell again"
    assert one_line_error(notebook, 2).startswith(expected)
    assert notebook.outputs(3) == []
    notebook.run(3)
    assert notebook.output(3).locator(".copilot-nb p").inner_text() == "Fine again."


def one_line_error(notebook: Notebook, cell: int) -> str:
    """Return the error a cell shows, checked to be one line without a traceback."""
    shown = notebook.output(cell).locator("[data-mime-type='application/vnd.jupyter.stderr']")
    shown.wait_for()
    line: str = shown.inner_text().strip()
    assert "\n" not in line
    assert "Traceback" not in notebook.output(cell).inner_text()
    return line


@pytest.mark.usefixtures("used_page")
def test_a_restarted_kernel_resumes_the_session_and_says_so(lab: Any) -> None:
    cells = [f"%%copilot s1\n{prompt}" for prompt in ("first", "second", "third")]
    notebook = lab.open(scripted("lambda request: ' / '.join(request.user_texts)"), *cells)
    notebook.run(0)
    notebook.run(1)
    notebook.restart()
    notebook.run(0)
    notebook.run(2)
    shown = notebook.output(2).inner_text()
    assert shown.startswith("resumed s1: 1 turn, last used ")
    assert f"in {notebook.path.name}\n" in shown
    assert "first / second" in shown
    notebook.run(3)
    assert "resumed" not in notebook.output(3).inner_text()


@pytest.mark.usefixtures("used_page")
def test_run_all_twice_ends_with_the_same_turns(lab: Any) -> None:
    cells = ["%%copilot s1\nfirst", "%%copilot s1 s2 --create\nsecond", "%copilot ask s1 third\n%copilot ask s1 third"]
    notebook = lab.open(scripted("lambda request: ' / '.join(request.user_texts)"), *cells, "%copilot ls")
    for restarts in (False, True, False):
        notebook.run_all()
        rows = [row.split("\t") for row in notebook.output(4).locator("tbody tr").all_inner_texts()]
        assert sorted((row[0], row[2]) for row in rows) == [("s1", "4"), ("s2", "1")]
        assert "first / second / third / third" in notebook.output(3).inner_text()
        if restarts:
            notebook.restart()
    notebook.run(3)
    notebook.run(4)
    assert "s1\t○ idle\t4\t" in notebook.output(4).inner_text()


@pytest.mark.usefixtures("used_page")
def test_tab_offers_subcommands_sessions_and_models(lab: Any) -> None:
    notebook = lab.open(scripted("'Hello.'"), "%copilot new garden\n%copilot new kitchen", "")
    notebook.run(0)
    notebook.run(1)
    assert {"ls", "rm", "ask", "help"} <= offered(notebook, "%copilot ")
    assert {"garden", "kitchen"} <= offered(notebook, "%copilot rm ")
    assert {"garden", "kitchen", "--model", "--system"} <= offered(notebook, "%%copilot ")
    assert {"scripted", "scripted-b"} <= offered(notebook, "%%copilot garden -m ")


def offered(notebook: Notebook, text: str) -> set[str]:
    """Type `text` into the last cell, press Tab, and return what the popup offers."""
    cell = len(notebook.sources()) - 1
    notebook.set_source(cell, "")
    notebook.cell(cell).locator(".cm-content").click()
    notebook.page.keyboard.type(text)
    notebook.page.keyboard.press("Tab")
    popup = notebook.page.locator(".jp-Completer:not(.lm-mod-hidden)")
    popup.locator(".jp-Completer-item").first.wait_for()
    found = set(popup.locator(".jp-Completer-item .jp-Completer-match").all_inner_texts())
    notebook.page.keyboard.press("Escape")
    popup.wait_for(state="hidden")
    assert notebook.sources()[cell] == text
    return found


def test_voila_shows_the_answer(lab: Any) -> None:
    path = lab.write(scripted(f"[{ANSWER!r}]"), "%%copilot s1\nHow?", "%copilot ls")
    asked: list[str] = []
    said: list[str] = []

    def listen(page: Page) -> None:
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type != "debug" else None)

    lab.on_page.append(listen)
    page = lab.visit(f"voila/render/{path.name}")
    assert_answer_is_rendered(page.locator(".copilot-nb"))
    page.get_by_role("cell", name="s1").first.wait_for()
    assert any("copilot-nb/scripts/plugins.js" in url for url in asked), "Voilà loads JupyterLab's extension"
    assert [text for text in said if "copilot" in text] == []


@pytest.mark.usefixtures("used_page")
def test_the_first_notebook_runs_with_the_embedded_model(lab: Any) -> None:
    path = lab.server.notebooks / FIRST_NOTEBOOK.name
    path.write_bytes(FIRST_NOTEBOOK.read_bytes())
    notebook = lab.open_file(path)
    notebook.run_all(timeout_s=180)
    sources = notebook.sources()
    assert [error for cell in range(len(sources)) for error in notebook.errors(cell)] == []

    answers = {i: notebook.outputs(i) for i, source in enumerate(sources) if source.startswith("%%copilot")}
    assert all(outputs[0]["metadata"]["copilot_nb"]["state"] == "done" for outputs in answers.values())
    listings = [notebook.output(i).inner_text() for i, source in enumerate(sources) if source == "%copilot ls"]
    assert ["session3" in listing for listing in listings] == [True, False]
    assert all("user-123-chat" in listing for listing in listings)
    assert not lab.refused
