"""The comparison in JupyterLab: columns that stream, a vote, and a blind one that shows no name before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import open_gate, scripted

LONG = "lambda r: '## Heading\\n\\n' + 'Some words of an answer. ' * (200 if r.model.endswith('b') else 100)"
PANEL = "import copilot_nb as cp\npanel = cp.ComparePanel(models=['scripted', 'scripted-b'], name='test'{more})\npanel"


def opened(lab: Any, *cells: str, replies: str = LONG, gate: Path | None = None, more: str = "") -> Any:
    notebook = lab.open(scripted(replies, gate), PANEL.format(more=more), *cells)
    notebook.run(0)
    notebook.run(1)
    ask(notebook, "Why?")
    return notebook


def ask(notebook: Any, prompt: str) -> None:
    box = notebook.output(1).get_by_role("textbox", name="Prompt to all")
    box.fill(prompt)
    box.press("Enter")


def test_columns_stream_side_by_side_and_stack_where_it_is_narrow(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    notebook = opened(lab, replies="lambda r: Reply('First words, and the rest.', stall_after_chars=11)", gate=gate)
    columns = notebook.output(1).locator(".cnb-column")
    for at in range(2):
        columns.nth(at).get_by_text("First words").wait_for()
    boxes = [each.bounding_box() for each in columns.all()]
    assert len({box["y"] for box in boxes}) == 1
    notebook.page.set_viewport_size({"width": 560, "height": 900})
    boxes = [each.bounding_box() for each in columns.all()]
    assert len({box["x"] for box in boxes}) == 1
    notebook.output(1).get_by_role("button", name="Stop").click()
    columns.nth(1).get_by_text("Interrupted").wait_for()
    open_gate(gate)
    assert notebook.js_errors == []


def test_columns_scroll_together_unless_told_not_to(lab: Any) -> None:
    notebook = opened(lab)
    panel = notebook.output(1)
    panel.get_by_text("Which one is best?").wait_for()
    first, second = panel.locator(".cnb-column-box").all()
    first.evaluate("box => { box.scrollTop = box.scrollHeight; }")
    at_end = "box => box.scrollHeight - box.clientHeight - box.scrollTop < 2"
    notebook.page.wait_for_function(at_end, arg=second.element_handle())
    panel.get_by_label("Scroll together").uncheck()
    second.evaluate("box => new Promise(done => { box.onscroll = done; box.scrollTop = 0; })")
    assert first.evaluate(at_end), "the other one stays where it is"


def test_a_blind_round_names_nobody_before_the_vote(lab: Any) -> None:
    notebook = opened(lab, "panel.to_frame()[['session', 'won']].values.tolist()", more=", blind=True")
    panel = notebook.output(1)
    panel.get_by_text("Which one is best?").wait_for()
    assert "scripted" not in panel.inner_html()
    panel.get_by_role("button", name="Answer B").click()
    panel.get_by_text("★ Best: B: test@").wait_for()
    winner = panel.locator(".cnb-best .cnb-column-title").inner_text().removeprefix("★ B: ")
    notebook.run(2)
    assert [winner, True] in eval(notebook.outputs(2)[0]["data"]["text/plain"])
    notebook.save()
    notebook.reload()
    panel.get_by_text(f"★ Best: B: {winner}").wait_for()
    panel.locator(".cnb-wins").get_by_text("1 of 1 round voted").wait_for()
    assert notebook.js_errors == []


def test_an_open_vote_can_change_and_is_counted(lab: Any) -> None:
    notebook = opened(lab, "panel.summary.rows")
    panel = notebook.output(1)
    panel.get_by_role("button", name="test@scripted", exact=True).click()
    panel.get_by_text("★ Best: test@scripted").wait_for()
    panel.get_by_role("button", name="None good").click()
    panel.get_by_text("Voted: none is good").wait_for()
    ask(notebook, "And why else?")
    panel.get_by_role("toolbar", name="Vote on round 2").get_by_role("button", name="test@scripted-b").click()
    panel.get_by_text("2 of 2 rounds voted, 0 ties, 1 with none good").wait_for()
    notebook.run(2)
    rows = eval(notebook.outputs(2)[0]["data"]["text/plain"])
    assert [(name, wins) for name, _, wins, _ in rows] == [("test@scripted", "0"), ("test@scripted-b", "1")]


def test_what_cannot_be_sent_is_said_and_kept(lab: Any) -> None:
    notebook = opened(lab, "cp.delete('test@scripted')")
    panel = notebook.output(1)
    panel.get_by_text("Which one is best?").wait_for()
    notebook.run(2)
    ask(notebook, "More?")
    panel.get_by_role("alert").get_by_text("session 'test@scripted' has been deleted").wait_for()
    assert panel.get_by_role("textbox", name="Prompt to all").input_value() == "More?"


def test_one_answer_is_asked_for_again(lab: Any) -> None:
    replies = "lambda r: Reply(error=ChatError(401, 'no key')) if r.model in broken else 'Fine.'"
    frame = "panel.to_frame()['state'].tolist()"
    notebook = lab.open(f"broken = ['scripted-b']\n{scripted(replies)}", PANEL.format(more=""), frame, "broken.clear()")
    notebook.run(0)
    notebook.run(1)
    ask(notebook, "Why?")
    panel = notebook.output(1)
    first, second = panel.locator(".cnb-column").nth(0), panel.locator(".cnb-column").nth(1)
    second.get_by_text("Authentication failed").wait_for()
    notebook.run(3)
    second.get_by_role("button", name="Retry").click()
    second.locator(".cnb-answer").get_by_text("Fine.").wait_for()
    second.get_by_text("Authentication failed").wait_for(state="detached")
    assert first.locator(".cnb-answer").inner_text() == "Fine."
    panel.get_by_role("button", name="test@scripted-b").click()
    panel.get_by_text("★ Best: test@scripted-b").wait_for()
    assert panel.get_by_role("button", name="Retry").count() == 0
    notebook.run(2)
    assert eval(notebook.outputs(2)[0]["data"]["text/plain"]) == ["done", "done"]
    ask(notebook, "And why?")
    panel.get_by_text("Which one is best?").wait_for()
    assert panel.get_by_role("button", name="Retry").count() == 2
    assert notebook.js_errors == []


def test_rounds_and_votes_are_there_after_a_restart(lab: Any) -> None:
    notebook = opened(lab)
    panel = notebook.output(1)
    panel.get_by_role("button", name="test@scripted-b").click()
    panel.get_by_text("★ Best: test@scripted-b").wait_for()
    ask(notebook, "And why?")
    panel.get_by_text("Which one is best?").wait_for()
    notebook.restart()
    panel.get_by_text("The kernel was restarted").wait_for()
    notebook.run(0)
    notebook.run(1)
    panel.get_by_text("★ Best: test@scripted-b").wait_for()
    panel.locator(".cnb-wins").get_by_text("1 of 2 rounds voted").wait_for()
    assert panel.locator(".cnb-round > .cnb-prompt").all_inner_texts() == ["Why?", "And why?"]
    panel.get_by_role("toolbar", name="Vote on round 2").get_by_role("button", name="Tie").click()
    panel.get_by_text("2 of 2 rounds voted, 1 tie").wait_for()


def test_code_in_a_column_is_not_broken_within_a_word(lab: Any) -> None:
    notebook = opened(lab, replies=repr(["```\n" + "word " * 99 + "\n```"] * 2))
    code = notebook.output(1).locator(".cnb-column pre").first
    code.wait_for()
    assert code.evaluate("pre => pre.scrollWidth > pre.clientWidth && pre.clientHeight < 60")
