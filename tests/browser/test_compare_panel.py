"""The comparison: columns that stream, a vote, and a blind one that shows no name before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from playwright.sync_api import Locator

from copilot_nb.panels.compare import ComparePanel
from copilot_nb.panels.votes import VotePanel
from copilot_nb.testing import ChatError, ChatRequest, Reply
from tests.unit.test_panels_votes import compared

from .panel_page import PanelPage


def long(asked: ChatRequest) -> str:
    return "## Heading\n\n" + "Some words of an answer. " * (200 if asked.model.endswith("b") else 100)


def opened(panel_page: PanelPage, reply: Any = long, *, blind: bool = False) -> tuple[Locator, ComparePanel]:
    """Return a comparison of two models that was asked once, and its panel."""
    panel_page.answer(reply)
    panel = ComparePanel(models=["scripted", "scripted-b"], name="test", blind=blind, manager=panel_page.manager)
    shown = panel_page.show(panel)
    ask(shown, "Why?")
    return shown, panel


def ask(shown: Locator, prompt: str) -> None:
    box = shown.get_by_role("textbox", name="Prompt to all")
    box.fill(prompt)
    box.press("Enter")


def test_columns_stream_side_by_side_and_stack_where_it_is_narrow(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page, Reply("First words, and the rest.", stall_after_chars=11))
    columns = shown.locator(".cnb-column")
    for at in range(2):
        columns.nth(at).get_by_text("First words").wait_for()
    boxes = [each.bounding_box() for each in columns.all()]
    assert len({box["y"] for box in boxes if box}) == 1
    panel_page.page.set_viewport_size({"width": 400, "height": 900})
    boxes = [each.bounding_box() for each in columns.all()]
    assert len({box["x"] for box in boxes if box}) == 1
    shown.get_by_role("button", name="Stop").click()
    columns.nth(1).get_by_text("Interrupted").wait_for()


def test_columns_scroll_together_unless_switched_off(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page)
    shown.get_by_text("Which one is best?").wait_for()
    first, second = shown.locator(".cnb-column-box").all()
    first.evaluate("box => { box.scrollTop = box.scrollHeight; }")
    at_end = "box => box.scrollHeight - box.clientHeight - box.scrollTop < 2"
    panel_page.page.wait_for_function(at_end, arg=second.element_handle())
    shown.get_by_label("Scroll together").uncheck()
    second.evaluate("box => new Promise(done => { box.onscroll = done; box.scrollTop = 0; })")
    assert first.evaluate(at_end), "the other one stays where it is"


def test_a_blind_round_shows_no_name_before_the_vote(panel_page: PanelPage) -> None:
    shown, panel = opened(panel_page, blind=True)
    shown.get_by_text("Which one is best?").wait_for()
    assert "scripted" not in shown.inner_html()
    shown.get_by_role("button", name="Answer B").click()
    shown.get_by_text("★ Best: B: test@").wait_for()
    winner = shown.locator(".cnb-best .cnb-column-title").inner_text().removeprefix("★ B: ")
    assert [winner, True] in panel.to_frame()[["session", "won"]].to_numpy().tolist()
    panel_page.reload()
    shown.get_by_text(f"★ Best: B: {winner}").wait_for()
    shown.locator(".cnb-wins").get_by_text("1 of 1 round voted").wait_for()


def test_an_open_vote_can_change_and_is_counted(panel_page: PanelPage) -> None:
    shown, panel = opened(panel_page)
    shown.get_by_role("button", name="test@scripted is best").click()
    shown.get_by_text("★ Best: test@scripted").wait_for()
    shown.get_by_role("button", name="None good").click()
    shown.get_by_text("Voted: none is good").wait_for()
    ask(shown, "And why else?")
    shown.get_by_role("toolbar", name="Vote on round 2").get_by_role("button", name="test@scripted-b").click()
    shown.get_by_text("2 of 2 rounds voted, 0 ties, 1 with none good").wait_for()
    assert [(name, wins) for name, _, wins, _ in panel.summary.rows] == [
        ("test@scripted", "0"),
        ("test@scripted-b", "1"),
    ]
    panel_page.page.set_viewport_size({"width": 300, "height": 900})
    lines = "cell => { const text = new Range(); text.selectNodeContents(cell); return text.getClientRects().length; }"
    head = shown.locator(".cnb-wins th", has_text="wins")
    assert head.evaluate(lines) == 1, "a word is not broken"


def test_a_refused_prompt_shows_the_error_and_is_kept(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page)
    shown.get_by_text("Which one is best?").wait_for()
    panel_page.manager.delete("test@scripted")
    ask(shown, "More?")
    shown.get_by_role("alert").get_by_text("session 'test@scripted' has been deleted").wait_for()
    assert shown.get_by_role("textbox", name="Prompt to all").input_value() == "More?"


def test_one_answer_is_asked_for_again(panel_page: PanelPage) -> None:
    broken = ["scripted-b"]
    refused = Reply(error=ChatError(401, "no key"))
    shown, panel = opened(panel_page, lambda asked: refused if asked.model in broken else "Fine.")
    first, second = shown.locator(".cnb-column").nth(0), shown.locator(".cnb-column").nth(1)
    second.get_by_text("Authentication failed").wait_for()
    broken.clear()
    second.get_by_role("button", name="Retry").click()
    second.locator(".cnb-answer").get_by_text("Fine.").wait_for()
    second.get_by_text("Authentication failed").wait_for(state="detached")
    assert first.locator(".cnb-answer").inner_text() == "Fine."
    shown.get_by_role("button", name="test@scripted-b").click()
    shown.get_by_text("★ Best: test@scripted-b").wait_for()
    assert shown.get_by_role("button", name="Retry").count() == 0
    assert panel.to_frame()["state"].tolist() == ["done", "done"]
    ask(shown, "And why?")
    shown.get_by_text("Which one is best?").wait_for()
    assert shown.get_by_role("button", name="Retry").count() == 2


def test_code_in_a_column_is_not_broken_within_a_word(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page, "```\n" + "word " * 99 + "\n```")
    code = shown.locator(".cnb-column .cnb-answer pre").first
    code.wait_for()
    assert code.evaluate("pre => pre.scrollWidth > pre.clientWidth && pre.clientHeight < 60")


def test_keys_vote_beside_the_field_one_writes_in(panel_page: PanelPage) -> None:
    shown, panel = opened(panel_page)
    shown.get_by_text("Which one is best?").wait_for()
    box = shown.get_by_role("textbox", name="Prompt to all")
    box.press_sequentially("12tn")
    assert box.input_value() == "12tn"
    assert panel.results[0].vote is None
    box.press("Escape")
    second = shown.get_by_role("button", name="test@scripted-b is best")
    assert second.locator("kbd").inner_text() == "2"
    panel_page.page.keyboard.press("2")
    shown.get_by_text("★ Best: test@scripted-b").wait_for()
    panel_page.page.keyboard.press("Shift+T")
    shown.get_by_text("Voted: a tie").wait_for()
    shown.locator(".cnb-column-box").first.focus()
    panel_page.page.keyboard.press("n")  # beside its buttons a vote that was given stays
    ask(shown, "And?")
    shown.get_by_text("Which one is best?").wait_for()
    shown.locator(".cnb-column-box").last.focus()
    panel_page.page.keyboard.press("n")
    shown.get_by_text("Voted: none is good").wait_for()
    assert [each.vote for each in panel.results] == ["tie", "none good"]


def test_each_vote_stands_under_its_column_and_columns_end_together(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page)
    shown.get_by_text("Which one is best?").wait_for()
    columns = [each.bounding_box() for each in shown.locator(".cnb-column").all()]
    votes = [each.bounding_box() for each in shown.get_by_role("button", name=" is best").all()]
    ends = [each.bounding_box() for each in shown.locator(".cnb-column-box").all()]
    assert [(box["x"], box["width"]) for box in votes if box] == [(box["x"], box["width"]) for box in columns if box]
    assert len({box["y"] + box["height"] for box in ends if box}) == 1


def test_the_columns_are_as_wide_as_one_makes_them(panel_page: PanelPage) -> None:
    shown, _panel = opened(panel_page)
    shown.get_by_text("Which one is best?").wait_for()
    separator = shown.get_by_role("separator", name="Widths of columns 1 and 2").first

    def widths(what: str = ".cnb-column") -> list[int]:
        return [round(box["width"]) for each in shown.locator(what).all() if (box := each.bounding_box())]

    whole = sum(widths())
    assert widths()[0] == widths()[1]
    separator.press("ArrowRight")
    assert separator.get_attribute("aria-valuenow") == "55"
    assert abs(widths()[0] - 0.55 * whole) <= 1
    assert separator.evaluate("node => node.getBoundingClientRect().width") > 0
    separator.drag_to(shown.locator(".cnb-column").first, target_position={"x": whole * 0.3, "y": 50})
    assert abs(widths()[0] - 0.3 * whole) < 10
    assert widths(".cnb-vote .cnb-columns .cnb-button") == widths()
    before = widths()
    panel_page.reload()
    shown.get_by_text("Which one is best?").wait_for()
    assert widths() == before
    panel_page.page.set_viewport_size({"width": 400, "height": 900})
    separator.wait_for(state="hidden")
    assert widths()[0] == widths()[1] > 200
    panel_page.page.set_viewport_size({"width": 1280, "height": 900})
    separator.wait_for()
    separator.press("Enter")
    assert widths()[0] == widths()[1]
    separator.press("Home")
    assert abs(widths()[0] - 0.2 * sum(widths())) <= 1


def test_rounds_are_saved_as_a_file_for_spreadsheets(panel_page: PanelPage) -> None:
    shown, panel = opened(panel_page, 'Größe, "wie"?\n\n大', blind=True)
    shown.get_by_text("Which one is best?").wait_for()
    button = shown.get_by_role("button", name="Download CSV")
    with panel_page.page.expect_download() as hidden:
        button.click()
    assert "scripted" not in hidden.value.path().read_text("utf-8")
    panel.vote(1, 2)
    shown.get_by_text("★ Best: B: test@").wait_for()
    with panel_page.page.expect_download() as saved:
        button.click()
    assert saved.value.suggested_filename == "comparison.csv"
    table = pd.read_csv(saved.value.path())
    kept = ["round", "prompt", "column", "session", "model", "state", "vote", "won", "text", "input_tokens"]
    assert table[kept].to_numpy().tolist() == panel.to_frame()[kept].to_numpy().tolist()


def test_what_sessions_have_said_before_is_there(panel_page: PanelPage) -> None:
    panel_page.answer(lambda asked: f"To {asked.prompt}.")
    py, web = panel_page.manager.session("py"), panel_page.manager.session("web")
    for session, prompt in ((py, "Why py?"), (web, "Both?"), (py, "Both?"), (web, "Why web?")):
        session.ask(prompt)
    panel = ComparePanel([py, web], manager=panel_page.manager)
    shown = panel_page.show(panel)
    shown.get_by_text("Which one is best?").wait_for()
    assert shown.locator(".cnb-prompt:not(:empty)").all_inner_texts() == ["Why py?", "Both?", "Why web?"]
    answers = shown.locator(".cnb-answer:not(:empty)")
    assert answers.all_inner_texts() == ["To Why py?.", "To Both?.", "To Both?.", "To Why web?."]
    ask(shown, "Now?")
    shown.get_by_role("heading", name="Round 2").wait_for()
    titles = shown.locator(".cnb-round-title").all_inner_texts()
    assert titles == ["Asked separately", "Round 1", "Asked separately", "Round 2"]


def test_a_person_votes_on_the_answers_of_a_comparison_by_keys_and_is_told_the_names_at_the_end(
    panel_page: PanelPage, tmp_path: Path
) -> None:
    result = compared(tmp_path / "a.sqlite", panel_page.manager)
    panel = result.open_panel("ann")
    assert isinstance(panel, VotePanel)
    shown = panel_page.show(panel)
    shown.get_by_text("0 of 3 rounds voted; names hidden until the last vote").wait_for()
    for hidden in ("Prompt to all", "Blind", "Retry"):
        assert not shown.get_by_text(hidden, exact=True).is_visible()
    shown.get_by_role("button", name="Answer A is best").focus()
    panel_page.page.keyboard.press("2")
    shown.get_by_text("★ Best: Answer B").wait_for()
    second = shown.get_by_role("toolbar", name="Vote on round 2").get_by_role("button").first
    panel_page.page.wait_for_function("node => node === document.activeElement", arg=second.element_handle())
    assert "model" not in shown.inner_text()
    panel_page.page.keyboard.press("t")
    shown.get_by_text("wise-model · quick-model").wait_for()
    shown.locator(".cnb-wins").get_by_text("3 of 3 rounds voted, 2 ties, 0 with none good").wait_for()
    assert shown.get_by_text(f"★ Best: B: {panel.results[0].turns[1].session.name}").is_visible()
