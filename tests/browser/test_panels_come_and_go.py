"""What becomes of a panel when its page, its tab, its cell's output or its kernel goes, and when there are several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.forked_kernels import FORKED

from .chat_steps import HALF_THEN_REST, PANEL, WHOLE_ANSWER, notice, panel, say, turn
from .conftest import Lab, Notebook, open_gate, scripted
from .test_frozen_panels import DEAD, shown
from .test_panels_elsewhere import said

ECHO = scripted("lambda asked: f'You said {asked.prompt}'") + "\nimport copilot_nb as cp"


@pytest.fixture
def half_answered(lab: Lab, tmp_path: Path) -> tuple[Notebook, Path]:
    """A saved notebook in Notebook 7 whose answer has stalled half-way, and the gate that lets it go on."""
    gate = tmp_path / "gate"
    notebook = lab.open(scripted(HALF_THEN_REST, gate), PANEL, app="notebook")
    notebook.run_all()
    say(panel(notebook), "Say it")
    turn(panel(notebook), 0, "working").get_by_text("first half").wait_for()
    notebook.save()
    return notebook, gate


def answer(notebook: Notebook, cell: int = 1, number: int = 0) -> str:
    return said(turn(panel(notebook, cell), number))


def test_a_page_is_reloaded_and_a_second_tab_opened_and_then_the_kernel_restarted(half_answered: Any, lab: Lab) -> None:
    first, gate = half_answered
    first.reload()
    panel(first).get_by_text("first half").wait_for()
    second = lab.open_file(first.path, app="notebook")
    panel(second).get_by_text("first half").wait_for()
    open_gate(gate)
    assert answer(first) == answer(second) == WHOLE_ANSWER
    say(panel(second), "More")
    assert answer(first, number=1) == answer(second, number=1) == "Go on."
    first.restart()
    notice(panel(first)).get_by_text("The kernel was restarted: open this panel again").wait_for()
    say(panel(first), "Still there?")
    box = panel(first).get_by_role("textbox", name="Prompt")
    box.and_(first.page.locator(":not(:placeholder-shown)")).wait_for()
    assert box.input_value() == "Still there?"


@pytest.mark.usefixtures("used_page")
def test_a_kernel_that_is_restarted_from_elsewhere_is_said_to_be_at_once(lab: Lab) -> None:
    notebook = lab.open(ECHO, PANEL)
    notebook.run_all()
    say(panel(notebook), "Hello")
    assert answer(notebook) == "You said Hello"
    (session,) = lab.server.api("sessions")
    lab.server.api(f"kernels/{session['kernel']['id']}/restart", "POST")
    notice(panel(notebook)).get_by_text("The kernel was restarted: open this panel again").wait_for()
    notebook.run_all()
    say(panel(notebook), "And again")
    assert answer(notebook, number=1) == "You said And again"


def test_a_tab_is_closed_in_the_middle_and_opened_again(half_answered: Any, lab: Lab) -> None:
    notebook, gate = half_answered
    notebook.page.close()
    open_gate(gate)
    assert answer(lab.open_file(notebook.path, app="notebook")) == WHOLE_ANSWER


@pytest.mark.usefixtures("used_page")
def test_a_panel_that_is_shown_twice_is_closed(lab: Lab) -> None:
    notebook = lab.open(ECHO, "p = cp.ChatPanel('s1')\np", "p", "p.close()")
    for cell in range(3):
        notebook.run(cell)
    say(panel(notebook, 2), "one")
    assert answer(notebook, 1) == answer(notebook, 2) == "You said one"
    notebook.run(3)
    for cell in (1, 2):
        notebook.output(cell).locator(".cnb-static").get_by_text("You said one").wait_for()
    texts = shown(notebook.page)
    assert len(texts) == 2
    assert not [text for text in texts for dead in DEAD if dead in text]


@pytest.mark.usefixtures("used_page")
def test_an_output_is_cleared_and_its_cell_run_again(lab: Lab) -> None:
    notebook = lab.open(ECHO, "cp.ChatPanel('s1')", "cp.session('s1').ask('two')")
    notebook.run(0)
    notebook.run(1)
    say(panel(notebook), "one")
    turn(panel(notebook), 0)
    notebook.command("notebook:clear-cell-output", 1).wait()
    notebook.run(2)
    assert notebook.outputs(1) == []
    notebook.run(1)
    turn(panel(notebook), 1)
    say(panel(notebook), "three")
    turn(panel(notebook), 2)
    assert panel(notebook).locator(".cnb-prompt").all_text_contents() == ["one", "two", "three"]
    assert len(notebook.outputs(1)) == 2


@pytest.mark.usefixtures("used_page")
def test_a_new_view_of_the_output_is_in_step(lab: Lab) -> None:
    notebook = lab.open(ECHO, "cp.ChatPanel('s1')")
    notebook.run_all()
    first = panel(notebook)
    say(first, "one")
    turn(first, 0)
    notebook.command("notebook:create-output-view", 1).wait()
    view = notebook.page.locator(".jp-LinkedOutputView")
    turn(view, 0)
    say(view, "two")
    turn(view, 1)
    turn(first, 1)
    assert not view.locator(".cnb-static").is_visible()


def test_a_notebook_without_a_page_ends_though_an_answer_is_under_way(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "home"))
    cells = [scripted(HALF_THEN_REST.replace("[", "['Done.', ", 1)), PANEL, "%%copilot s1\nFirst"]
    path = lab.write(*cells, "import copilot_nb as cp\nturn = cp.session('s1').send('Never answered')")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, kernel_name=FORKED, timeout=120).execute()
    transcript = notebook.cells[1].outputs[1].data["text/html"]
    assert "Done." in transcript
