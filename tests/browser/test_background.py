"""Turns in the background of a page: each streams into its own cell, whichever cell runs meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import scripted

CELLS = 10


def words(number: int) -> str:
    return " ".join([f"word{number}"] * 60)


@pytest.mark.usefixtures("used_page")
def test_ten_cells_stream_at_once_and_nothing_crosses_over(lab: Any) -> None:
    replies = "lambda request: ' '.join([request.prompt] * 60)"
    asking = [f"%%copilot s{number} -b\nword{number}" for number in range(CELLS)]
    notebook = lab.open(
        scripted(replies, chunk_delay_s=0.05), *asking, "print('something else')", "%copilot wait", "print('the end')"
    )
    notebook.run_all()
    for number in range(CELLS):
        (output,) = notebook.outputs(1 + number)
        assert output["data"]["text/plain"] == words(number)
        assert output["metadata"]["copilot_nb"]["session"] == f"s{number}"
    saved = notebook.save()
    for number in range(CELLS):
        (output,) = saved.cells[1 + number].outputs
        assert output.data["text/plain"] == words(number)
    assert [o.text for o in saved.cells[1 + CELLS].outputs] == ["something else\n"]


@pytest.mark.usefixtures("used_page")
def test_several_sessions_answer_side_by_side(lab: Any) -> None:
    notebook = lab.open(
        scripted("lambda request: 'An answer of some length. ' * 20"), "%%copilot a b c --create\nhello"
    )
    notebook.run_all()
    boxes = [section.bounding_box() for section in notebook.output(1).locator("section").all()]
    assert len(boxes) == 3
    assert len({box["y"] for box in boxes}) == 1, "where there is room, in columns"
    assert len({box["x"] for box in boxes}) == 3
    notebook.page.set_viewport_size({"width": 500, "height": 900})
    boxes = [section.bounding_box() for section in notebook.output(1).locator("section").all()]
    assert len({box["y"] for box in boxes}) > 1, "where there is none, one under the other"


@pytest.mark.usefixtures("used_page")
def test_code_is_allowed_in_the_cell_that_waits_and_in_one_in_the_background(lab: Any) -> None:
    call = "Reply(calls=(FunctionCall('run_code', '{\"code\": \"seen.append(now)\"}'),))"
    begin = "from copilot_nb.testing import FunctionCall\nseen, now = [], 'idle'"
    patient = "from copilot_nb.notebook import page_asking\npage_asking.SHOWN_WITHIN_S = 60"
    replies = f"[{call}, 'First.', {call}, 'Second.']"
    notebook = lab.open(
        f"{begin}\n{scripted(replies)}\n{patient}",
        "%%copilot s1 -t kernel\nGo.",
        "%%copilot s1 -b\nGo.",
        "import time\nnow = 'busy'\ntime.sleep(2)\nnow = 'idle'",
        "%copilot wait\nprint(seen)",
        "import comm\nprint(len(comm.get_comm_manager().comms))",
    )
    notebook.run(0)
    running = notebook.start(1)
    notebook.cell(1).get_by_role("button", name="Approve once").click()  # while the cell waits
    running.wait()
    notebook.output(1).get_by_text("First.").wait_for()
    assert notebook.cell(1).locator(".jp-Stdin-input").count() == 0
    (answer,) = notebook.outputs(1)
    assert "allowed once by you, in a panel" in answer["data"]["text/html"]
    assert list(answer["data"]) == ["text/html", "text/plain"]
    notebook.run(2)
    allow = notebook.cell(2).get_by_role("button", name="Approve once")
    allow.wait_for()
    running = notebook.start(3)
    allow.click()
    allow.wait_for(state="detached")  # while the other cell runs
    running.wait()
    notebook.run(4)
    assert notebook.outputs(4)[-1]["text"] == "['idle', 'idle']\n"
    saved = notebook.save().cells[2].outputs
    assert "allowed once by you, in a panel" in saved[0].data["text/html"]
    assert saved[1].data == {"text/html": "", "text/plain": ""}
    notebook.run(5)
    assert notebook.outputs(5)[0]["text"] == "0\n"
