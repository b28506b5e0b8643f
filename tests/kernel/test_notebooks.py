"""Notebooks as they are executed without a page: the ones of this project, nbclient, papermill, nbconvert."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter

from copilot_nb.errors import ProviderError
from copilot_nb.providers.local.model_file import find_local_model
from tests.forked_kernels import FORKED
from tests.loopback import Loopback

FOLDER = Path(__file__).parents[2] / "notebooks"
APPS = [FOLDER / "07_voila_app.ipynb"]
"""Those whose cells make a page of widgets and ask nothing."""
COMPARISON = FOLDER / "06_compare_models.ipynb"
FIRST = FOLDER / "01_multiple_sessions.ipynb"
FACTS = {"session", "session_id", "model", "provider", "turn_id", "usage", "state"}
SCRIPTED = "%load_ext copilot_nb\nimport copilot_nb.testing as t\nt.install(t.ScriptedModel({}))"

TURNS = {"session1": 3, "session2": 3, "session3": 3, "chat": 2}
RIGHT = {
    "session1": "return num1 + num2",
    "session1-again": "return num1 * num2",
    "session2": "Markup Language",
    "session2-again": "create web pages",
    "session3": "Rome",
    "session3-again": "Rome",
}
"""What the embedded model's answers in the first notebook must hold, by cell."""

Node = Any


def has_model() -> bool:
    try:
        return find_local_model().is_file()
    except ProviderError:
        return False


def notebook_of(*cells: str) -> Node:
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def execute(notebook: Node) -> Node:
    return NotebookClient(notebook, timeout=300, kernel_name=FORKED).execute()


def answers(notebook: Node) -> list[Node]:
    """The cells that ask a session something."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("%%copilot")]
    return [cell for cell in code if not cell.source.startswith("%%copilot compare")]


def check_answer(cell: Node) -> None:
    (output,) = cell.outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/html", "text/plain"}
    assert output.data["text/plain"].strip()
    assert set(output.metadata["copilot_nb"]) >= FACTS
    assert output.metadata["copilot_nb"]["state"] == "done"


def check_notebook(notebook: Node) -> None:
    nbformat.validate(notebook)  # type: ignore[no-untyped-call]
    assert "widgets" not in notebook.metadata
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    for cell in answers(notebook):
        check_answer(cell)


def check_exports(notebook: Node) -> None:
    html, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    markdown, _ = MarkdownExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    for cell in answers(notebook):
        (output,) = cell.outputs
        assert output.data["text/html"] in html
        assert output.data["text/html"] in markdown or output.data["text/plain"][:20] in markdown


@pytest.mark.skipif(not has_model(), reason="the embedded model is not installed: copilot-nb install-model")
def test_the_demo_ends_with_the_same_turns_however_often_it_runs(tmp_path: Path) -> None:
    notebook = tmp_path / "notebooks" / FIRST.name
    notebook.parent.mkdir()
    shutil.copy(FIRST, notebook)
    runs = []
    for _ in range(2):
        demo = [sys.executable, "-m", "copilot_nb.cli", "demo", "--headless", "--notebook", str(notebook)]
        done = subprocess.run(demo, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        ran = nbformat.read(tmp_path / ".demo" / "headless" / "notebooks" / FIRST.name, as_version=4)  # type: ignore[no-untyped-call]
        check_notebook(ran)
        runs.append(ran)
    assert FIRST.read_bytes() == notebook.read_bytes()
    assert turns_by_session(runs[0]) == turns_by_session(runs[1]) == TURNS
    assert unsure_answers(runs[0]) == unsure_answers(runs[1]) == []
    check_exports(runs[1])


def turns_by_session(notebook: Node) -> dict[str, int]:
    """Count the turns as the notebook itself lists them, before it deletes anything."""
    listing = next(cell for cell in notebook.cells if cell.source == "%copilot ls").outputs[0].data["text/plain"]
    rows = [re.split(r"\s{2,}", row) for row in listing.splitlines()[2:]]
    return {row[0]: int(row[2]) for row in rows}


def unsure_answers(notebook: Node) -> list[str]:
    """The answers that lack what makes them right."""
    texts = {cell.id: cell.outputs[0].data["text/plain"] for cell in answers(notebook)}
    return [texts[cell] for cell, needed in RIGHT.items() if needed not in texts[cell]]


@pytest.mark.skipif(not has_model(), reason="the embedded model is not installed: copilot-nb install-model")
@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("hub_user", ["", "alice"])
def test_the_apps_make_their_page(path: Path, hub_user: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", hub_user)
    # outside a hub the visitor's browser says who comes: here nobody has opened the page, so the cell says it
    come = "" if hub_user else 'visitor("somebody")\n'
    ask = 'session = place.children[0].session\nsession.ask("Hello")\n[session.user] + list(own_sessions())'
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells += notebook_of(come + ask).cells
    executed = execute(notebook)
    page, answer = (cell.outputs for cell in executed.cells[-2:])
    assert "application/vnd.jupyter.widget-view+json" in page[-1].data
    user, *names = ast.literal_eval(answer[-1].data["text/plain"])
    assert user == (hub_user or "somebody")
    assert names == ["chat"]


def test_the_first_notebook_is_kept_with_the_answers_of_the_demo() -> None:
    notebook = nbformat.read(FIRST, as_version=4)  # type: ignore[no-untyped-call]
    check_notebook(notebook)
    assert turns_by_session(notebook) == TURNS
    assert unsure_answers(notebook) == []
    assert not re.search(r"\]\((?!https?:)|src=\"(?!https?:|data:)", FIRST.read_text("utf-8")), "it is run from a copy"


def check_comparison(notebook: Node) -> None:
    """Check that it holds a table and images, each as text too, and no script or remote address."""
    check_notebook(notebook)
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    _, first = outputs["look"]
    assert first.data["text/html"].count("<section") == 2
    progress, result = outputs["compare"]
    assert progress.data["text/plain"].startswith("80 of 80 answers · 2 kept from before")
    assert "Differences, paired by prompt" in result.data["text/html"]
    assert "Differences, paired by prompt" in result.data["text/plain"]
    for (picture,) in (outputs["differences"], outputs["scores"]):
        assert set(picture.data) == {"image/png", "text/plain"}
    told = json.dumps([output.data for cell in outputs.values() for output in cell if "data" in output])
    assert not re.search(r"<script|https?:", told)


def test_the_comparison_is_kept_with_its_result_and_its_pictures() -> None:
    check_comparison(nbformat.read(COMPARISON, as_version=4))  # type: ignore[no-untyped-call]


def test_the_comparison_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(COMPARISON, as_version=4)  # type: ignore[no-untyped-call]
    models = "models=['smollm2-135m', 'smollm2-135m:creative']"
    code = f"import copilot_nb.testing as t\nt.install(t.ScriptedModel('Paris or Rome', {models}), name='local')"
    notebook.cells.insert(2, notebook_of(code).cells[0])
    check_comparison(execute(notebook))
    assert (tmp_path / "capitals.comparison.sqlite").is_file()


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.stem)
def test_the_apps_are_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)  # type: ignore[no-untyped-call]
    assert not [cell for cell in notebook.cells if cell.get("outputs")]


def test_exports_of_an_answer(home: Path) -> None:
    text = repr(
        "# Head\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n\n$e = mc^2$ <script>alert(1)</script>"
    )
    notebook = execute(notebook_of(SCRIPTED.format(text), "%%copilot a\nhi"))
    check_notebook(notebook)
    check_exports(notebook)
    assert "<script>alert(1)" not in HTMLExporter().from_notebook_node(notebook)[0]  # type: ignore[no-untyped-call]


def test_a_failed_turn_stops_run_all(home: Path) -> None:
    notebook = notebook_of(
        SCRIPTED.format("[t.Reply(error=t.ChatError(400, 'too long for me'))]"), "%%copilot a\nhi", "ran = 1"
    )
    with pytest.raises(CellExecutionError, match=r"TurnFailed: .*too long for me.* → run the cell again"):
        execute(notebook)
    (error,) = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert error.ename == "TurnFailed"
    assert len(error.traceback) == 1
    assert notebook.cells[2].execution_count is None


def test_rm_without_anybody_to_ask_fails(home: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"nobody can be asked whether to delete a .*add -y to delete"):
        execute(notebook_of(SCRIPTED.format(""), "%%copilot a\nhi", "%copilot rm a"))


def test_background_cells_wait_where_there_is_no_page(home: Path) -> None:
    notebook = execute(
        notebook_of(SCRIPTED.format("'x ' * 200, chunk_delay_s=0.005"), "%%copilot a -b\nhi", "%%copilot b\nhi")
    )
    check_notebook(notebook)
    assert [cell.outputs[0].data["text/plain"] for cell in answers(notebook)] == ["x " * 200] * 2


def test_papermill_keeps_the_final_text(home: Path, tmp_path: Path) -> None:
    notebook = notebook_of(
        "name = 'nobody'",
        SCRIPTED.format("chunk_delay_s=0.01"),
        "%%copilot a\nHello from {{ name }}",
    )
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, tmp_path / "in.ipynb")  # type: ignore[no-untyped-call]
    papermill.execute_notebook(
        *(str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), {"name": "papermill"}),
        progress_bar=False,
        kernel_name=FORKED,
    )
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(executed)  # type: ignore[no-untyped-call]
    (cell,) = answers(executed)
    check_answer(cell)
    assert cell.outputs[0].data["text/plain"] == "You said: Hello from papermill (message 1)"


@pytest.mark.parametrize(
    ("api", "wire"), [("openai", "completions"), ("openai", "responses"), ("anthropic", "messages")]
)
def test_the_same_notebook_is_answered_by_any_provider(
    home: Path, monkeypatch: pytest.MonkeyPatch, api: str, wire: str
) -> None:
    notebook = nbformat.read(FIRST, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        cell.source = cell.source.replace('CopilotNB.provider = "local"', 'CopilotNB.provider = "custom"')
    with Loopback() as server:
        monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", server.url if api == "anthropic" else f"{server.url}/v1")
        monkeypatch.setenv("COPILOT_PROVIDER_TYPE", api)
        monkeypatch.setenv("COPILOT_NB_MODEL", "smollm2-135m")
        monkeypatch.setenv("COPILOT_PROVIDER_API_KEY", "planted-key-1234567890")
        if api == "openai":
            monkeypatch.setenv("COPILOT_PROVIDER_WIRE_API", wire)
        executed = execute(notebook)
    check_notebook(executed)
    assert {asked.key for asked in server.asked} == {"planted-key-1234567890"}
    assert {asked.wire for asked in server.asked} == {wire}
    follow_up = next(asked for asked in server.asked if asked.user_texts[-1].startswith("Now one that multiplies"))
    assert len(follow_up.user_texts) == 2
    assert "planted-key" not in json.dumps(executed)
    assert not [file for file in home.rglob("*") if file.is_file() and b"planted-key" in file.read_bytes()]
