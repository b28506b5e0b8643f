"""What a line means that answers a request, and how a request is shown."""

from __future__ import annotations

import dataclasses

import pytest

from copilot_nb.agent.policy import Call
from copilot_nb.characters import revealed
from copilot_nb.named_sessions.approvals import ApprovalRequest
from copilot_nb.notebook.asking import NotUnderstood, Reply, understood
from copilot_nb.render.asking import question_html, request_html, request_text

CODE = ApprovalRequest(
    request_id="7",
    session="py",
    session_id="py",
    turn=None,
    call=Call(call_id="c", kind="code", tool="run_code", text="x = 1\ny = 2", language="python", why="to add up"),
    what="run 2 lines of Python",
    session_scope="any code",
)
QUESTION = dataclasses.replace(
    CODE, call=Call(call_id="q", kind="question", tool="ask_user", text="Which?"), choices=("red", "blue")
)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("y", Reply("once")),
        (" YES ", Reply("once")),
        ("s", Reply("session")),
        ("n", Reply("denied")),
        ("no it's slow", Reply("denied", "it's slow")),
    ],
)
def test_a_line_decides(line: str, reply: Reply) -> None:
    assert understood(line, CODE, names_request=False) == reply


@pytest.mark.parametrize("line", ["", "  ", "maybe", "y please", "yes 7", "1", "ｙ"])
def test_what_is_not_clear_decides_nothing(line: str) -> None:
    with pytest.raises(NotUnderstood, match="Type y, s or n"):
        understood(line, CODE, names_request=False)


def test_what_can_only_be_allowed_once_is_not_allowed_for_the_session() -> None:
    with pytest.raises(NotUnderstood, match="only be allowed once"):
        understood("s", dataclasses.replace(CODE, session_scope=""), names_request=False)


@pytest.mark.parametrize("line", ["y", "s", "n", "y 6", "7 y", "y 77", "n because 7"])
def test_after_a_prompt_that_may_still_be_open_an_answer_must_name_its_request(line: str) -> None:
    with pytest.raises(NotUnderstood, match="Name the request"):
        understood(line, CODE, names_request=True)


def test_an_answer_that_names_its_request_decides() -> None:
    assert understood("y 7", CODE, names_request=True) == Reply("once")
    assert understood("n 7 too slow", CODE, names_request=True) == Reply("denied", "too slow")


@pytest.mark.parametrize(("line", "answer"), [("2", "blue"), ("green", "green"), (" red ", "red"), ("3", "3")])
def test_a_question_takes_a_choice_or_another_answer(line: str, answer: str) -> None:
    assert understood(line, QUESTION, names_request=False) == Reply("once", answer)
    assert understood(f"7 {line}", QUESTION, names_request=True) == Reply("once", answer)


@pytest.mark.parametrize(
    ("line", "named"), [("", False), ("green", False), ("3", False), ("red", True), ("8 red", True)]
)
def test_a_question_without_other_answers_refuses_them(line: str, named: bool) -> None:
    with pytest.raises(NotUnderstood):
        understood(line, dataclasses.replace(QUESTION, is_free=False), names_request=named)


def test_all_of_a_request_is_shown_and_nothing_in_it_hides() -> None:
    hostile = "is_admin = False  # \u202e } \u2066 if admin\u2069\n" + "x\n" * 900 + "end()</pre><script>"
    html = request_html("py asks: run <b>", hostile, "python")
    assert "⟨U+202E⟩" in html
    assert "\u202e" not in html
    assert html.count("x\n") >= 900 or html.count(">x<") >= 900
    assert "<script>" not in html
    assert "<b>" not in html
    assert request_text("py asks: run Python", "a\nb\u200b") == "py asks: run Python\n    a\n    b⟨U+200B⟩\n"
    assert "<i>" not in question_html("py asks:", "<i>$x$</i>")


@pytest.mark.parametrize("text", ["def f():\n\treturn 'ä 漢字 🙂'\n", "", "x\u00a0y"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert revealed(text) == text


def test_the_title_says_who_asks_what_and_why() -> None:
    assert CODE.title == "py asks: run 2 lines of Python (to add up)"
    assert QUESTION.title == "py asks:"
