"""A call of a tool in one line."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from copilot_nb.conversation.parts import Answer, Decision, ToolCall
from copilot_nb.render.calls import answers_text, call_facts, call_target

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMED = ToolCall("c", "run", succeeded=True, started_at=START, ended_at=START + timedelta(seconds=0.4))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": "df"}, "df"),
        ({"why": "to see", "command": "git status"}, "git status"),
        ({"code": "x = 1"}, "x = 1"),
        ({"code": "x = 1\ny = 2\n"}, "2 lines"),
        ({"city": "Rome"}, "Rome"),
        ({"file_text": "x\n" * 100, "path": "a" * 61}, f"{'a' * 60}…"),
        ({"last": 10}, ""),
        ({}, ""),
        ([1], ""),
    ],
)
def test_what_a_call_acts_on(arguments: object, expected: str) -> None:
    assert call_target(ToolCall("c", "x", json.dumps(arguments))) == expected


def test_arguments_that_are_no_json() -> None:
    assert call_target(ToolCall("c", "x", "{")) == ""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (TIMED, "✓ done · 0.4 s"),
        (ToolCall("c", "x", succeeded=False), "✗ failed"),
        (ToolCall("c", "x"), "… running"),
        (ToolCall("c", "x", is_asking=True), "… waits for your answer"),
        (ToolCall("c", "x", is_stopped=True), "■ stopped"),
        (ToolCall("c", "x", is_stopped=True, decision=Decision("withdrawn")), "■ stopped before anybody answered"),
        (ToolCall("c", "x", decision=Decision("once", "you")), "… running · allowed once by you"),
    ],
)
def test_how_a_call_stands(call: ToolCall, expected: str) -> None:
    assert call_facts(call) == expected


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (Decision("once", "you, in the cell"), "✓ done · 0.4 s · allowed once by you, in the cell"),
        (Decision("session", "you"), "✓ done · 0.4 s · allowed for this session by you"),
        (Decision("rule", "the rule for tool bash"), "✓ done · 0.4 s · allowed by the rule for tool bash"),
        (Decision("once"), "✓ done · 0.4 s · allowed"),
        (Decision("denied", "you", "not\nnow"), "✗ denied by you: not now"),
        (Decision("expired"), "✗ denied: nobody answered in time"),
        (Decision("unattended"), "✗ denied: nobody could be asked"),
    ],
)
def test_who_decided(decision: Decision, expected: str) -> None:
    succeeded = decision.is_allowed
    call = ToolCall("c", "x", succeeded=succeeded, decision=decision, started_at=START, ended_at=TIMED.ended_at)
    assert call_facts(call) == expected


@pytest.mark.parametrize(
    ("decision", "expected", "told"),
    [
        (Decision("once", "you, in a panel", "blue"), "answered by you, in a panel", "blue"),
        (Decision("denied", "you"), "declined by you", "declined by you"),
        (Decision("expired"), "nobody answered in time", "nobody answered in time"),
        (Decision("unattended"), "nobody could be asked", "nobody could be asked"),
        (Decision("withdrawn"), "not answered", "not answered"),
    ],
)
def test_what_came_of_a_question(decision: Decision, expected: str, told: str) -> None:
    call = dataclasses.replace(TIMED, answers=(Answer("Which?", decision), Answer("And?", decision)))
    assert call_facts(call) == f"✓ done · 0.4 s · {expected}"
    assert answers_text(call) == f"Which?\n→ {told}\n\nAnd?\n→ {told}"


def test_the_time_of_a_call_is_without_that_of_asking() -> None:
    end = START + timedelta(seconds=60.4)
    allowed, answer = Decision("once", waited_s=50), Answer("Which?", Decision("once", waited_s=10))
    call = dataclasses.replace(TIMED, ended_at=end, decision=allowed, answers=(answer,))
    assert call.duration_s == pytest.approx(0.4)
    assert dataclasses.replace(call, ended_at=START).duration_s == 0
