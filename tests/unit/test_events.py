"""The SDK's events, made by hand, as changes."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from copilot import session_events as sdk

from copilot_nb.conversation.changes import (
    Change,
    Decided,
    Ended,
    Kept,
    Noted,
    Prompted,
    ReasoningDelta,
    ReasoningDone,
    Retried,
    TextDelta,
    TextDone,
    ToolFinished,
    ToolStarted,
    UsageReported,
)
from copilot_nb.conversation.parts import Answer, Decision, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import ONLY_REASONING
from copilot_nb.runtime.events import DECIDED_PREFIX, changes, decided_line, history, keep_line

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = uuid.UUID(int=1)


def event(kind: str, **data: Any) -> sdk.SessionEvent:
    """An event as the runtime sends it: JSON, decoded by the SDK."""
    return sdk.SessionEvent.from_dict(
        {"type": kind, "id": str(ID), "parentId": None, "timestamp": NOW.isoformat(), "data": data}
    )


def asked(text: str = "why?", **data: Any) -> sdk.SessionEvent:
    return event("user.message", content=text, messageId="u1", **data)


def said(text: str, message_id: str = "m1") -> sdk.SessionEvent:
    return event("assistant.message", messageId=message_id, content=text, model="gpt")


CASES: list[tuple[sdk.SessionEvent, list[Change]]] = [
    (asked(), [Prompted("u1", "why?", NOW, str(ID))]),
    (asked(source="user"), [Prompted("u1", "why?", NOW, str(ID))]),
    (asked(source="system"), []),
    (event("assistant.message_delta", messageId="m1", deltaContent="It"), [TextDelta("m1", "It", NOW)]),
    (said("It is."), [TextDone("m1", "It is.", "gpt", NOW)]),
    (event("assistant.reasoning_delta", reasoningId="r1", deltaContent="hm"), [ReasoningDelta("r1", "hm", NOW)]),
    (event("assistant.reasoning", reasoningId="r1", content="hm."), []),
    (
        event("assistant.usage", model="gpt", inputTokens=3, outputTokens=2),
        [UsageReported(Usage(3, 2, None, 5), "gpt")],
    ),
    (
        event("assistant.usage", model="gpt", inputTokens=3, outputTokens=2, finishReason="content_filter"),
        [UsageReported(Usage(3, 2, None, 5), "gpt"), Noted("the provider's content filter cut this answer")],
    ),
    (
        event("session.usage_record", usage={"model": "gpt", "inputTokens": 3, "finishReason": "content_filter"}),
        [UsageReported(Usage(3, 0, None, 3), "gpt"), Noted("the provider's content filter cut this answer")],
    ),
    (
        event("tool.execution_start", toolCallId="c1", toolName="look", arguments={"at": 1}),
        [ToolStarted("c1", "look", '{"at": 1}', NOW)],
    ),
    (
        event("tool.execution_complete", toolCallId="c1", success=True, result={"content": "found"}),
        [ToolFinished("c1", True, "found", NOW)],
    ),
    (
        event("tool.execution_complete", toolCallId="c1", success=False, error={"message": "no"}),
        [ToolFinished("c1", False, "no", NOW)],
    ),
    (event("session.error", errorType="query", message="down"), [Ended(TurnState.FAILED, "down", NOW)]),
    (event("abort", reason="user_initiated"), [Ended(TurnState.INTERRUPTED, at=NOW)]),
    (event("session.idle"), [Ended(TurnState.DONE)]),
    (event("session.idle", aborted=True), [Ended(TurnState.INTERRUPTED)]),
    (event("session.info", infoType="other", message="Something."), []),
    (event("session.model_change", previousModel="a", newModel="b"), [Noted("model: a → b")]),
    (event("session.model_change", previousModel="a", newModel="a"), []),
    (event("session.model_change", newModel="a"), []),
    (event("something.new", whatever=1), []),
]


@pytest.mark.parametrize(
    ("given", "expected"), CASES, ids=lambda value: getattr(value, "type", None) and value.type.value
)
def test_an_event_is_a_change_or_none(given: sdk.SessionEvent, expected: list[Change]) -> None:
    assert list(changes(given)) == expected


def test_reasoning_that_comes_with_the_message() -> None:
    given = event("assistant.message", messageId="m1", content="It is.", reasoningText="hm")
    assert list(changes(given)) == [ReasoningDone("m1:reasoning", "hm"), TextDone("m1", "It is.", "", NOW)]


def test_a_sub_agents_events_are_its_own() -> None:
    given = event("assistant.message", messageId="m1", content="inner", parentToolCallId="c1")
    assert list(changes(given)) == []
    assert list(changes(dataclasses.replace(asked(), agent_id="a1"))) == []


def permitted(kind: str, **facts: str) -> sdk.SessionEvent:
    return event("permission.completed", requestId="r", toolCallId="c1", result={"kind": kind, **facts})


def test_a_decision_is_read_back_and_comes_before_the_runtimes_own_account_of_it() -> None:
    decision = Decision("denied", "you, in a panel", "not now")
    line = event("session.info", infoType="notification", message=decided_line("c1", decision))
    told = dataclasses.replace(decision, at=NOW)
    assert list(changes(line)) == [Decided("c1", "denied", "you, in a panel", "not now", NOW)]
    call = event("tool.execution_start", toolCallId="c1", toolName="bash", arguments={})
    (turn,) = history([asked(), call, line, permitted("approved")]).turns
    assert [part.decision for part in turn.parts if isinstance(part, ToolCall)] == [told]


def test_answers_are_read_back_beside_the_decision_about_their_call() -> None:
    decisions = [Decision("once", "you", reason, waited_s=1.5) for reason in ("", "Bo", "blue")]
    questions = ("", "Who?", "Which?")
    lines = [
        event("session.info", infoType="notification", message=decided_line("c1", decision, question))
        for decision, question in zip(decisions, questions, strict=True)
    ]
    call = event("tool.execution_start", toolCallId="c1", toolName="hello-greet", arguments={})
    (turn,) = history([asked(), call, *lines]).turns
    (part,) = (part for part in turn.parts if isinstance(part, ToolCall))
    told = [dataclasses.replace(decision, at=NOW) for decision in decisions]
    assert part.decision == told[0]
    assert part.answers == (Answer("Who?", told[1]), Answer("Which?", told[2]))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (permitted("approved"), Decided("c1", "once", at=NOW, is_runtimes=True)),
        (
            permitted("denied-interactively-by-user", feedback="no"),
            Decided("c1", "denied", "", "no", NOW, is_runtimes=True),
        ),
        (
            permitted("denied-no-approval-rule-and-could-not-request-from-user"),
            Decided("c1", "unattended", at=NOW, is_runtimes=True),
        ),
        (permitted("cancelled", reason="gone"), Decided("c1", "withdrawn", at=NOW, is_runtimes=True)),
    ],
)
def test_what_the_terminal_decided_is_shown_too(given: sdk.SessionEvent, expected: Change) -> None:
    assert list(changes(given)) == [expected]


def test_a_line_that_only_looks_like_a_decision_is_none() -> None:
    for said in ("{", "{}", '{"call_id": "c", "outcome": "always", "by": "", "reason": ""}'):
        assert list(changes(event("session.info", infoType="other", message=DECIDED_PREFIX + said))) == []


def test_a_call_that_a_log_leaves_open_was_stopped() -> None:
    call = event("tool.execution_start", toolCallId="c1", toolName="bash", arguments={})
    (turn,) = history([asked(), call, event("abort", reason="user_initiated")]).turns
    assert [part.is_stopped for part in turn.parts if isinstance(part, ToolCall)] == [True]


def test_a_retry_has_a_reason() -> None:
    given = event("assistant.turn_retry", turnId="1", reason="cut")
    assert list(changes(given)) == [Retried("cut")]


def test_history_settles_the_turn_that_a_log_ends_in() -> None:
    ended = event("session.error", errorType="query", message="down")
    assert [turn.state for turn in history([asked(), said("It is.")]).turns] == [TurnState.DONE]
    assert [turn.state for turn in history([asked()]).turns] == [TurnState.INTERRUPTED]
    assert [turn.state for turn in history([asked(), ended]).turns] == [TurnState.FAILED]
    assert history([]).turns == ()


def test_history_of_several_turns() -> None:
    log = [asked("one"), said("first"), asked("two"), said("second")]
    assert [(turn.prompt, turn.text) for turn in history(log).turns] == [("one", "first"), ("two", "second")]


def test_what_was_kept_of_a_turn_is_read_back() -> None:
    (turn,) = history([asked()]).turns
    kept = dataclasses.replace(turn, parts=(Text("m", "half an ans"),))
    line = event("session.info", infoType="other", message=keep_line(kept))
    assert list(changes(line)) == [
        Kept("u1", "why?", "half an ans", TurnState.INTERRUPTED, line.timestamp, str(line.id))
    ]
    assert history([asked(), line]).turns[0].text == "half an ans"


def test_a_line_that_only_begins_like_ours_is_somebody_elses() -> None:
    beginning = keep_line(history([asked()]).turns[0]).partition("{")[0]
    for rest in ("", "{}", "[]", '{"turn_id": 1}'):
        assert list(changes(event("session.info", infoType="other", message=beginning + rest))) == []


def thought(message_id: str, content: str, reasoning: str) -> sdk.SessionEvent:
    return event("assistant.message", messageId=message_id, content=content, model="gpt", reasoningText=reasoning)


def test_reasoning_is_shown_once_live_and_stored() -> None:
    """Live, pieces come first and the runtime's own event for the whole comes after the message."""
    tool = event("tool.execution_start", toolCallId="c1", toolName="look", arguments={})
    live = [
        asked(),
        event("assistant.reasoning_delta", reasoningId="r1", deltaContent="Let me "),
        event("assistant.reasoning_delta", reasoningId="r1", deltaContent="look."),
        thought("m1", "", "Let me look."),
        event("assistant.reasoning", reasoningId="r1", content="Let me look."),
        tool,
        event("assistant.reasoning_delta", reasoningId="r2", deltaContent="Now I know."),
        event("assistant.message_delta", messageId="m2", deltaContent="It "),
        thought("m2", "It is.", "Now I know."),
        event("assistant.reasoning", reasoningId="r2", content="Now I know."),
    ]
    stored = [asked(), thought("m1", "", "Let me look."), tool, thought("m2", "It is.", "Now I know.")]
    (shown,), (kept,) = (history(events).turns for events in (live, stored))
    assert shown.parts == kept.parts
    assert (kept.reasoning, kept.text) == ("Let me look.\n\nNow I know.", "It is.")


def test_a_turn_of_reasoning_alone_has_failed_live_and_stored() -> None:
    stored = [asked(), thought("m1", "", "Only thoughts."), event("assistant.turn_end", turnId="0")]
    (live,), (kept,) = (history(events).turns for events in ([*stored, event("session.idle")], stored))
    assert (live.state, live.error) == (kept.state, kept.error) == (TurnState.FAILED, ONLY_REASONING)
    assert history([asked(), said("It is."), event("session.idle")]).turns[0].state is TurnState.DONE
