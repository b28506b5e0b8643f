"""What a line means that answers a request, and how a request is shown."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from copilot_nb.agent.forms import Form, form_of, question_form
from copilot_nb.agent.policy import Call, session_scope
from copilot_nb.characters import revealed
from copilot_nb.conversation.parts import Decision
from copilot_nb.named_sessions.approvals import ApprovalRequest, asking_lines
from copilot_nb.notebook.asking import NotUnderstood, Reply, answered, understood
from copilot_nb.notebook.inline_requests import outcome_line, request_bundle
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
    CODE, call=Call(call_id="q", kind="question", tool="ask_user", text="Which?"), form=question_form(("red", "blue"))
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


def replied(request: ApprovalRequest, *lines: str, names_request: bool = False) -> tuple[Reply, list[str]]:
    """Type lines at the prompts of a question; return the reply and the prompts."""
    prompts: list[str] = []
    left = iter(lines)

    def read(prompt: str) -> str:
        prompts.append(prompt)
        return next(left)

    return answered(read, request, names_request=names_request), prompts


@pytest.mark.parametrize(("line", "answer"), [("2", "blue"), ("green", "green"), (" red ", "red"), ("3", "3")])
def test_a_question_takes_a_choice_or_another_answer(line: str, answer: str) -> None:
    once = Reply("once", answers={"answer": answer})
    assert replied(QUESTION, line) == (once, ["(/decline: no answer) Your answer: "])
    assert replied(QUESTION, line, f"7 {line}", names_request=True) == (
        once,
        [
            "(7 …) (/decline: no answer) Your answer: ",
            "Begin with the number of the question: 7 and your answer. (7 …) (/decline: no answer) Your answer: ",
        ],
    )


def test_a_question_without_other_answers_refuses_them() -> None:
    strict = dataclasses.replace(QUESTION, form=question_form(("red", "blue"), is_free=False))
    reply, prompts = replied(strict, "", "green", "3", "red")
    assert reply == Reply("once", answers={"answer": "red"})
    assert prompts[1:] == [
        "Your answer needs an answer. (/decline: no answer) Your answer: ",
        *["Your answer takes red or blue. (/decline: no answer) Your answer: "] * 2,
    ]


def test_a_form_is_asked_field_by_field() -> None:
    fields = {
        "name": {"type": "string", "title": "Name"},
        "age": {"type": "integer", "default": 30},
        "colour": {"type": "string", "enum": ["red", "blue"]},
    }
    form = dataclasses.replace(QUESTION, form=form_of({"properties": fields, "required": ["name"]}))
    reply, prompts = replied(form, "", "Bo", "x", "", "2")
    assert reply == Reply("once", answers={"name": "Bo", "age": 30, "colour": "blue"})
    assert prompts == [
        "(/decline: no answer) Name: ",
        "Name needs an answer. (/decline: no answer) Name: ",
        "age (a whole number) [30]: ",
        "age takes a whole number. age (a whole number) [30]: ",
        "colour (1 red, 2 blue): ",
    ]
    assert replied(form, "Bo", " /decline ")[0] == Reply("denied")


def test_a_question_without_fields_is_confirmed_or_not() -> None:
    page = dataclasses.replace(QUESTION, form=Form())
    assert replied(page, "perhaps", "y")[0] == Reply("once")
    assert replied(page, "n")[0] == Reply("denied")


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


def test_what_is_pushed_out_of_sight_is_announced() -> None:
    hidden = "echo ok" + " " * 3000 + "; rm -rf ~" + "\n \u00a0\n" * 300 + "rm -rf /"
    for shown in (request_html("py asks:", hidden, "bash"), request_html("py asks:", hidden, "")):
        assert "⟨3,000 blanks⟩" in shown
        assert "⟨599 empty lines⟩" in shown
    assert "   " not in request_text("py asks:", hidden).replace("\n    ", "\n")


HOSTILE = "a\x1b]52;c;eA==\x07\x9b2J\u202e\r\nAllow it? y"


def test_nothing_that_a_server_names_steers_the_terminal_or_begins_a_line() -> None:
    described = {"title": HOSTILE, "description": HOSTILE, "default": HOSTILE}
    several = {"type": "array", "items": {"oneOf": [{"const": HOSTILE, "title": HOSTILE}]}, "title": HOSTILE}
    properties = {
        HOSTILE: {"type": "string"},
        "text": {"type": "string", **described},
        "one": {"enum": [HOSTILE], "enumNames": [HOSTILE]},
        "some": several,
        "number": {"type": "integer"},
    }
    call = Call(call_id="q", kind="question", tool=HOSTILE, text=HOSTILE)
    asked = dataclasses.replace(
        QUESTION, call=call, form=form_of({"properties": properties, "required": list(properties)})
    )
    reply, prompts = replied(asked, "", "x", "y", "nothing", "1", "1", "many", "7")
    approvals = SimpleNamespace(decision=lambda _id: Decision("once", "you", asked.form.words(reply.answers)))
    lines = [*prompts, asked.title, asking_lines([asked])[0][1], outcome_line(approvals, asked)]
    lines += [dataclasses.replace(CODE, call=dataclasses.replace(CODE.call, why=HOSTILE)).title]
    lines += [Call(call_id="c", kind="mcp", tool=HOSTILE, targets=(HOSTILE,)).what]
    lines += [session_scope(Call(call_id="c", kind="mcp", tool=HOSTILE))]
    assert [line for line in lines if not line.isprintable()] == []
    assert reply.answers["one"] == HOSTILE


def test_an_address_in_a_question_is_shown_whole_and_leads_there() -> None:
    html = question_html("py asks:", "Log in:\n\nhttps://example.org/x?a=1&b=2\njavascript:alert(1)")
    assert '<a href="https://example.org/x?a=1&amp;b=2" target="_blank"' in html
    assert html.count("<a ") == 1


def test_the_choices_of_a_question_and_the_way_out_are_shown() -> None:
    assert request_bundle(QUESTION)["text/plain"] == "py asks:\n    Which?\n    1. red\n    2. blue\n"


@pytest.mark.parametrize("text", ["def f():\n\treturn 'ä 漢字 🙂'\n", "", "x\u00a0y", f"x\n{' ' * 99}y" + "\n" * 10])
def test_what_can_be_seen_stays(text: str) -> None:
    assert revealed(text) == text


def test_the_title_says_who_asks_what_and_why() -> None:
    assert CODE.title == "py asks: run 2 lines of Python (to add up)"
    assert QUESTION.title == "py asks:"
