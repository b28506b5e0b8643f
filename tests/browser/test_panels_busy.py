"""A panel whose kernel runs a cell, in a front end without subshells: it is heard all the same, or says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator

from .chat_steps import HALF_THEN_REST, PANEL, notice, panel, say, turn
from .conftest import Lab, Notebook, open_gate, scripted
from .test_panels_elsewhere import said

pytestmark = pytest.mark.usefixtures("used_page")

KERNEL = "window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
NO_SUBSHELLS = f"() => {{ {KERNEL}.commsOverSubshells = 'disabled'; }}"  # as the settings do
NO_CONTROL = f"() => {{ {KERNEL}.sendControlMessage = undefined; }}"
BUSY = "The kernel is busy with a cell; this will be done when it has ended."


def opened(lab: Lab, replies: str, *cells: str, gate: Path | None = None, app: str = "lab") -> tuple[Notebook, Locator]:
    notebook = lab.open(scripted(replies, gate), PANEL, *cells, app=app)
    notebook.page.evaluate(NO_SUBSHELLS)
    notebook.run(0)
    notebook.run(1)
    return notebook, panel(notebook)


@pytest.fixture
def until(tmp_path: Path) -> Path:
    """What the cell of `waiting` waits for."""
    return tmp_path / "until"


def waiting(until: Path) -> str:
    return f"import os\nos.mkfifo({str(until)!r})\nprint('waits')\nopen({str(until)!r}).read()"


def test_stop_ends_the_cell_that_waits_for_the_answer(lab: Lab) -> None:
    notebook, shown = opened(lab, HALF_THEN_REST, "%%copilot s1\nSay it", "print('not run')")
    running = notebook.command("notebook:run-all-below", 2)
    turn(shown, 0, "working").get_by_text("first half").wait_for()
    shown.get_by_role("button", name="Stop").click()
    turn(shown, 0, "interrupted").get_by_text("Interrupted: partial answer kept").wait_for()
    running.wait()
    said = "TurnInterrupted: s1: interrupted → the partial answer is kept; continue in the next cell"
    assert notebook.errors(2) == [said]
    assert notebook.outputs(3) == []


def test_stop_and_send_pass_a_cell_that_does_something_else(lab: Lab, until: Path) -> None:
    notebook, shown = opened(lab, HALF_THEN_REST, waiting(until), app="notebook")
    say(shown, "Say it")
    turn(shown, 0, "working").get_by_text("first half").wait_for()
    running = notebook.start(2)
    notebook.output(2).get_by_text("waits").wait_for()
    shown.get_by_role("button", name="Stop").click()
    turn(shown, 0, "interrupted")
    say(shown, "And now?")
    assert said(turn(shown, 1)) == "Go on."
    until.write_text("go on")
    running.wait()
    notebook.run(0)  # what was sent on the other channel has come by now
    assert shown.locator(".cnb-prompt").all_text_contents() == ["Say it", "And now?"]


def test_a_request_that_waits_for_the_cell_is_marked_and_runs_once(lab: Lab, until: Path) -> None:
    notebook, shown = opened(lab, "lambda asked: f'You said {asked.prompt}'", waiting(until))
    notebook.page.evaluate(NO_CONTROL)
    running = notebook.start(2)
    notebook.output(2).get_by_text("waits").wait_for()
    say(shown, "Now?")
    notice(shown).get_by_text(BUSY).wait_for(timeout=10_000)
    until.write_text("go on")
    running.wait()
    assert said(turn(shown, 0)) == "You said Now?"
    notice(shown).wait_for(state="hidden")
    notebook.run(0)
    assert shown.locator(".cnb-prompt").all_text_contents() == ["Now?"]


def test_a_stop_that_comes_late_does_not_hit_the_next_turn(lab: Lab, until: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    two = "[Reply('One, and it is done.', stall_after_chars=4), Reply('Two.', stall_after_chars=2)]"
    notebook, shown = opened(lab, two, waiting(until), gate=gate)
    notebook.page.evaluate(NO_CONTROL)
    say(shown, "First")
    turn(shown, 0, "working").get_by_text("One,").wait_for()
    say(shown, "Second")
    turn(shown, 1, "queued")
    running = notebook.start(2)
    notebook.output(2).get_by_text("waits").wait_for()
    shown.get_by_role("button", name="Stop").click()
    open_gate(gate)
    turn(shown, 1, "working")
    until.write_text("go on")
    running.wait()
    open_gate(gate)
    turn(shown, 1)
    assert said(turn(shown, 0)) == "One, and it is done."
