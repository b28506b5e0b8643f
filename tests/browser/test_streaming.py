"""An answer in a cell: in place, growing, laid out; and when it is cut short or the page goes away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from copilot_nb.conversation.parts import Text, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.turn import Label, turn_html

from .conftest import open_gate, scripted

PARAGRAPHS = [f"Paragraph {number} says that **{number}** comes after {number - 1}." for number in range(1, 31)]
LONG = "\n\n".join(PARAGRAPHS)
BEGINNING, REST = "The **first half** of it, ", "and then the rest."
HALF_THEN_REST = f"[Reply({BEGINNING + REST!r}, stall_after_chars={len(BEGINNING)}), 'Go on.']"

# what is painted, frame by frame: the number of outputs, and the text and height of the answer
WATCH = """cell => {
    const outputs = document.querySelectorAll('.jp-Notebook .jp-Cell')[cell].querySelector('.jp-Cell-outputArea');
    const frames = window.copilotNbFrames = [];
    const look = () => {
        const text = outputs.innerText, last = frames.at(-1);
        if (!last || last.text !== text) {
            const count = outputs.querySelectorAll('.jp-OutputArea-child').length;
            const bold = outputs.querySelectorAll('strong').length;
            frames.push({text, count, bold, height: outputs.offsetHeight});
        }
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""

NARROW = f"""See https://example.org/{"long" * 50}.

| column | missing values | {"what it means, in words " * 5}|
|---|--:|---|
| `price` | 12 | {"the price of a thing " * 9}|
"""
# words of a table that stand in more than one line
BROKEN = """() => [...document.querySelectorAll('th, td')].flatMap(cell => {
    const text = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT).nextNode();
    return [...text.data.matchAll(/\\S+/g)].filter(word => {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        return range.getClientRects().length > 1;
    }).map(word => word[0]);
})"""


def paragraphs(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("Paragraph")]


@pytest.mark.usefixtures("used_page")
def test_an_answer_grows_in_place_and_ends_as_one_static_output(lab: Any) -> None:
    notebook = lab.open(scripted(repr(LONG), chunk_delay_s=0.02), "%%copilot s1\nGo.")
    notebook.run(0)
    notebook.page.evaluate(WATCH, 1)
    notebook.run(1)
    notebook.output(1).get_by_text(PARAGRAPHS[-1].replace("*", "")).wait_for()
    notebook.page.wait_for_function("() => !window.copilotNbFrames.at(-1).text.includes('working')")
    frames = notebook.page.evaluate("() => window.copilotNbFrames")

    shown = frames[next(i for i, frame in enumerate(frames) if frame["text"].strip()) :]
    assert all(frame["text"].strip() and frame["height"] and frame["count"] == 1 for frame in shown)
    counts = [len(paragraphs(frame["text"])) for frame in shown]
    assert counts == sorted(counts)
    assert len(set(counts)) > 5  # several states were seen on the way
    assert all(frame["bold"] >= count - 1 for frame, count in zip(shown, counts, strict=True))  # rendered, not raw
    assert paragraphs(shown[-1]["text"]) == [paragraph.replace("*", "") for paragraph in PARAGRAPHS]
    (output,) = notebook.outputs(1)
    assert output["data"]["text/plain"] == LONG


@pytest.mark.usefixtures("used_page")
def test_a_long_answer_grows_by_pieces_and_ends_as_one_static_output(lab: Any) -> None:
    paragraphs_in_it = [f"Paragraph {number} says that **{number}** is {'very ' * 12}long." for number in range(1, 61)]
    long = "\n\n".join(paragraphs_in_it)
    notebook = lab.open(scripted(repr(long), chunk_chars=40, chunk_delay_s=0.04), "%%copilot s1\nGo.")
    notebook.run(0)
    notebook.page.evaluate(WATCH, 1)
    notebook.run(1)
    notebook.output(1).get_by_text("Paragraph 60 says").wait_for()
    notebook.page.wait_for_function("() => !window.copilotNbFrames.at(-1).text.includes('working')")
    frames = notebook.page.evaluate("() => window.copilotNbFrames")

    shown = frames[next(i for i, frame in enumerate(frames) if frame["text"].strip()) :]
    counts = [len(paragraphs(frame["text"])) for frame in shown]
    assert counts == sorted(counts)  # nothing is lost on the way, nor when the pieces become one
    assert max(frame["count"] for frame in shown) > 2
    assert shown[-1]["count"] == 1
    assert paragraphs(shown[-1]["text"]) == [paragraph.replace("*", "") for paragraph in paragraphs_in_it]
    (output,) = notebook.outputs(1)
    assert output["data"]["text/plain"] == long


@pytest.mark.usefixtures("used_page")
def test_the_stop_button_keeps_the_partial_answer(lab: Any) -> None:
    notebook = lab.open(scripted(HALF_THEN_REST), "%%copilot s1\nSay it.", "%copilot show s1")
    notebook.run(0)
    running = notebook.start(1)
    notebook.output(1).get_by_text("first half").wait_for()
    notebook.page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    running.wait()
    answer, error = notebook.outputs(1)
    assert answer["data"]["text/plain"] == f"{BEGINNING}\n\n[s1: interrupted: partial answer kept]"
    assert error["ename"] == "TurnInterrupted"
    assert len(error["traceback"]) == 1
    shown = notebook.output(1).inner_text()
    assert "The first half of it," in shown
    assert "Interrupted: partial answer kept" in shown
    assert "Traceback" not in shown
    assert "working" not in shown

    notebook.run(2)
    assert "The first half of it," in notebook.output(2).inner_text()
    notebook.set_source(1, "%%copilot s1\nAnd now?")
    notebook.run(1)
    assert notebook.output(1).locator(".copilot-nb p").inner_text() == "Go on."


def test_a_page_reloaded_in_the_middle_loses_nothing_but_the_rest_of_the_streaming(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    replies = f"lambda asked: Reply({BEGINNING + REST!r}, stall_after_chars={len(BEGINNING)})"
    asking = ("%%copilot behind -b\nSay it.", "%%copilot s1\nSay it.")
    notebook = lab.open(scripted(replies, gate), *asking, "%copilot wait", "%copilot show behind", "%copilot show s1")
    notebook.run(0)
    for cell in (1, 2):
        notebook.start(cell)
        notebook.output(cell).get_by_text("first half").wait_for()
    notebook.save()
    notebook.page.reload()
    notebook.output(1).get_by_text("if the page is closed or reloaded before the end: %copilot show behind").wait_for()
    notebook.output(2).get_by_text("first half").wait_for()  # what was shown when it was saved
    open_gate(gate, 2)
    notebook.wait_idle()
    for cell in (3, 4, 5):
        notebook.run(cell)
    for cell in (4, 5):
        assert "The first half of it, and then the rest." in notebook.output(cell).inner_text()


@pytest.mark.usefixtures("used_page")
def test_an_answer_streams_in_the_background_while_other_cells_run(lab: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    notebook = lab.open(scripted(HALF_THEN_REST, gate), "%%copilot s1 -b\nSay it.", "6 * 7")
    notebook.run_all()
    assert notebook.outputs(2)[0]["data"]["text/plain"] == "42"
    notebook.output(1).get_by_text("first half").wait_for()
    open_gate(gate)
    notebook.output(1).get_by_text("and then the rest.").wait_for()
    notebook.page.wait_for_function(
        "() => !document.querySelectorAll('.jp-Notebook .jp-Cell')[1].innerText.includes('answering')"
    )
    (output,) = notebook.outputs(1)
    assert output["data"]["text/plain"] == BEGINNING + REST


def test_a_long_word_is_broken_but_no_word_of_a_table(browser: Browser) -> None:
    turn = TurnRecord("t1", "hello", (Text("m1", NARROW),), state=TurnState.DONE)
    page = browser.new_page(viewport={"width": 400, "height": 600})
    page.set_content(turn_html(turn, Label("s1", "local")))
    assert page.evaluate(BROKEN) == []
    paragraph = page.locator("p").evaluate("p => [p.scrollWidth, p.clientWidth]")
    assert paragraph[0] <= paragraph[1]
    page.close()
