from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_nb.conversation.changes import (
    Asked,
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
    ToolShowed,
    ToolStarted,
    UsageReported,
)
from copilot_nb.conversation.parts import Decision, Image, LiveOutput, Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import Transcript, TurnRecord, advance, advance_turn, replay

START = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Prompted("t1", "why?", START, "e1")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def turn(*changes: Change) -> TurnRecord:
    (only,) = replay([ASKED, *changes]).turns
    return only


def test_deltas_are_joined_and_replaced_by_the_whole() -> None:
    assert turn(TextDelta("m", "Hel"), TextDelta("m", "lo")).parts == (Text("m", "Hello"),)
    assert turn(TextDelta("m", "Hel"), TextDone("m", "Hello.", "gpt")).parts == (Text("m", "Hello.", complete=True),)
    assert turn(TextDone("m", "Hello.", "gpt")).model == "gpt"
    assert turn(ReasoningDelta("r", "hm"), ReasoningDone("r", "hm.")).parts == (Reasoning("r", "hm.", complete=True),)


def test_an_empty_message_is_no_part() -> None:
    assert turn(TextDone("m", "")).parts == ()


def test_times() -> None:
    record = turn(
        *(TextDelta("m", "a", at(1)), TextDelta("m", "b", at(2)), TextDone("m", "ab", "gpt", at(3))), Ended(at=at(4))
    )
    assert (record.time_to_first_token_s, record.duration_s) == (1.0, 4.0)
    assert turn().time_to_first_token_s is None
    assert turn().duration_s is None
    assert turn(TextDone("m", "a", at=at(3)), Ended()).duration_s == 3.0


def test_text_is_joined_within_and_parted_by_tool_calls() -> None:
    record = turn(
        *(TextDone("m1", "One, "), ReasoningDone("r", "hm"), TextDone("m2", "two.")),
        *(ToolStarted("c", "look"), TextDone("m3", "Three.")),
    )
    assert record.text == "One, two.\n\nThree."
    assert record.reasoning == "hm"


def test_tool_calls() -> None:
    record = turn(ToolStarted("c1", "look", "{}"), ToolStarted("c2", "run"), ToolFinished("c1", True, "found"))
    assert record.parts == (ToolCall("c1", "look", "{}", "found", succeeded=True), ToolCall("c2", "run"))
    assert turn(ToolFinished("unknown", True)).parts == ()


def call_after(*changes: Change) -> ToolCall:
    (part,) = turn(ToolStarted("c1", "run", "{}", at(1)), *changes).parts
    assert isinstance(part, ToolCall)
    return part


def test_a_call_is_asked_about_decided_and_timed() -> None:
    asked = call_after(Asked("c1"))
    assert (asked.is_asking, asked.is_open, asked.decision) == (True, True, None)
    ran = call_after(Asked("c1"), Decided("c1", "once", "you", at=at(2)), ToolFinished("c1", True, "2", at(3)))
    assert (ran.is_asking, ran.is_open, ran.duration_s) == (False, False, 2.0)
    assert ran.decision == Decision("once", "you", "", at(2))
    late = call_after(Decided("c1", "rule", "a rule"), Decided("c1", "once", "you"), Decided("c2", "denied"))
    assert late.decision == Decision("once", "you")


def test_the_runtimes_account_of_a_decision_counts_only_where_there_is_none_of_ours() -> None:
    ours, theirs = Decided("c1", "once", "you"), Decided("c1", "session", is_runtimes=True)
    for told in ((ours, theirs), (theirs, ours)):
        assert call_after(*told).decision == Decision("once", "you")
    assert call_after(theirs).decision == Decision("session")


@pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED, TurnState.INTERRUPTED])
def test_the_end_of_a_turn_settles_what_it_has_called(state: TurnState) -> None:
    stopped = call_after(Asked("c1"), Ended(state))
    assert (stopped.is_open, stopped.is_asking, stopped.is_stopped, stopped.succeeded) == (False, False, True, None)
    assert not call_after(ToolFinished("c1", True), Ended(state)).is_stopped
    assert not call_after(Ended(state), Asked("c1")).is_asking


def test_the_last_that_a_tool_shows_while_it_runs_is_kept_without_figures() -> None:
    figure = Image("figure", "image/png", 1, b"1")
    shown, later = ToolShowed("c1", LiveOutput("one\n")), ToolShowed("c1", LiveOutput("one\ntwo\n", 0, (figure,)))
    assert call_after(shown, later).output == later.output
    ended = call_after(shown, later, ToolFinished("c1", True, "one\ntwo\n"), shown)
    assert ended.output == LiveOutput("one\ntwo\n")


def test_usage_is_summed_over_the_calls() -> None:
    record = turn(UsageReported(Usage(10, 2, 0.5), "gpt"), UsageReported(Usage(20, 3)))
    assert (record.usage, record.model) == (Usage(30, 5, 0.5), "gpt")
    assert Usage(1, 1) + Usage(1, 1) == Usage(2, 2, None)


def test_a_retry_drops_what_was_incomplete() -> None:
    record = turn(
        *(TextDone("m1", "Kept. "), ToolStarted("c", "look"), TextDelta("m2", "half"), ReasoningDelta("r", "hm")),
        *(Retried("cut"), TextDelta("m3", "whole")),
    )
    assert record.text == "Kept. \n\nwhole"
    assert record.reasoning == ""
    assert record.notes == ("retried: cut",)


def test_notes() -> None:
    assert turn(Noted("model: a → b")).notes == ("model: a → b",)


def test_a_turn_that_we_kept_replaces_the_stored_one() -> None:
    kept = Kept("t1", "why?", "half an ans")
    for stored in ([], [TextDone("m", "hal")], [ToolStarted("c", "look")]):
        record = turn(*stored, kept)
        assert (record.text, record.state) == ("half an ans", TurnState.INTERRUPTED)
    unknown = replay([ASKED, TextDone("m", "one"), Kept("t2", "lost?", "hal")])
    assert [(each.prompt, each.text) for each in unknown.turns] == [("why?", "one"), ("lost?", "hal")]


@pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED, TurnState.INTERRUPTED])
def test_what_has_ended_stays_ended(state: TurnState) -> None:
    record = turn(Ended(state, "why", at(1)))
    assert advance_turn(record, Ended(TurnState.DONE, "", at(9))) is record
    assert (record.state, record.error, record.finished_at) == (state, "why", at(1))
    assert record.state.is_final


def test_a_turn_is_not_begun_inside_another() -> None:
    with pytest.raises(TypeError, match="Prompted"):
        advance_turn(turn(), ASKED)


def test_a_change_before_the_first_prompt_changes_nothing() -> None:
    assert advance(Transcript(), TextDelta("m", "x")) == replay([TextDelta("m", "x")]) == Transcript()
    assert Transcript().last is None


def test_a_prompt_begins_a_turn_of_its_own() -> None:
    transcript = replay([ASKED, TextDone("m", "one"), Ended(), Prompted("t2", "and?"), TextDone("m", "two")])
    assert [(each.prompt, each.text, each.state) for each in transcript.turns] == [
        ("why?", "one", TurnState.DONE),
        ("and?", "two", TurnState.WORKING),
    ]
    assert transcript.last is transcript.turns[1]


IDS = st.sampled_from(["m", "n"])
TEXTS = st.text(max_size=5)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Prompted, st.sampled_from(["t1", "t2"]), TEXTS),
    st.builds(TextDelta, IDS, TEXTS),
    st.builds(TextDone, IDS, TEXTS),
    st.builds(ReasoningDelta, IDS, TEXTS),
    st.builds(ReasoningDone, IDS, TEXTS),
    st.builds(ToolStarted, IDS, TEXTS),
    st.builds(ToolFinished, IDS, st.booleans()),
    st.builds(Asked, IDS),
    st.builds(Decided, IDS, st.sampled_from(["once", "denied", "expired"])),
    st.builds(UsageReported, st.builds(Usage, st.integers(0, 9), st.integers(0, 9))),
    st.builds(Retried, TEXTS),
    st.builds(Noted, TEXTS),
    st.builds(Kept, st.sampled_from(["t1", "t2"]), TEXTS, TEXTS),
    st.builds(Ended, st.sampled_from([TurnState.DONE, TurnState.FAILED, TurnState.INTERRUPTED]), TEXTS),
)


@settings(max_examples=60)
@given(st.lists(CHANGES, max_size=20))
def test_live_and_read_back_cannot_differ(changes: list[Change]) -> None:
    live = Transcript()
    for change in changes:
        live = advance(live, change)
    assert live == replay(changes)


def test_records_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        turn().prompt = "other"  # type: ignore[misc]
