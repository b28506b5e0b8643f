"""Answers that servers word in their own way, as the runtime is given them: events, thoughts, contents, ends."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.providers import sse
from copilot_nb.providers.answer_repair import fault_in, repair_for, repaired_request
from copilot_nb.providers.keys import Secret
from copilot_nb.providers.sse import Decoder, Event, is_stream
from copilot_nb.providers.thinking import Splitter

Data = dict[str, Any]


def decoded(data: bytes, size: int = 1000) -> list[Event]:
    decoder = Decoder()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [*(event for piece in pieces for event in decoder.feed(piece)), *decoder.end()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_read_wherever_they_are_cut(end: str, size: int) -> None:
    lines = ["\ufeffevent: a", 'data: {"é": 1}', "", ": ping", "data:two", "data:  lines", "id: 3", "", "data: last"]
    assert decoded(end.join(lines).encode(), size) == [
        Event('{"é": 1}', "a"),
        Event(),
        Event("two\n lines"),
        Event("last"),
    ]


def test_a_line_that_comes_in_many_pieces_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def split(text: str) -> list[str]:
        searched.append(len(text))
        return re.split(r"\r\n|\n|\r", text)

    monkeypatch.setattr(sse, "_LINE_END", SimpleNamespace(split=split))
    line = b"data: " + b"a" * 100_000
    assert decoded(line, 100) == [Event("a" * 100_000)]
    assert sum(searched) == len(line)


@pytest.mark.parametrize("line", ["data: " + "a" * 60, "data: a\n" * 20])
def test_an_event_without_an_end_is_refused(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_CHARS", 50)
    short = b"data: " + b"a" * 20 + b"\n\n"
    assert len(decoded(short * 10)) == 10
    with pytest.raises(sse.EventTooLong, match="more than 50 characters"):
        decoded(line.encode(), 7)


def test_an_event_that_is_sent_is_read_as_it_was() -> None:
    for event in (Event(), Event("a"), Event("a\n\nb", "name")):
        assert decoded(event.encoded()) == [event]


@pytest.mark.parametrize(
    ("beginning", "is_one"),
    [(b"data: {", True), (b"event:", True), (b": ping", True), (b'{"data:', False), (b"<html>", False), (b"", False)],
)
def test_a_stream_is_known_by_how_it_begins(beginning: bytes, is_one: bool) -> None:
    assert is_stream(beginning) is is_one


THOUGHTFUL = [
    ("<think>hm</think>Hello.", ("hm", "Hello.")),
    ("\n<think>\nhm\n</think>\n\nHello.", ("hm\n", "Hello.")),
    ("<thinking>a </think> b</thinking>Hello.", ("a </think> b", "Hello.")),
    ("<think></think>Hello.", ("", "Hello.")),
    ("<think>never ends", ("never ends", "")),
    ("<think>hm</think>", ("hm", "")),
    ("Hello <think>this</think> is said.", ("", "Hello <think>this</think> is said.")),
    ("<th>a header</th>", ("", "<th>a header</th>")),
    ("<thi", ("", "<thi")),
    ("", ("", "")),
]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(("said", "parts"), THOUGHTFUL)
def test_thoughts_are_separated_from_the_answer(said: str, parts: tuple[str, str], size: int) -> None:
    assert split(said, size) == parts


def split(said: str, size: int) -> tuple[str, str]:
    splitter = Splitter()
    pieces = [splitter.feed(said[start : start + size]) for start in range(0, len(said), size)]
    thoughts, answers = zip(*pieces, splitter.end(), strict=True)
    return "".join(thoughts), "".join(answers)


@given(st.text("<think>/ \nab", max_size=40), st.integers(1, 9))
def test_where_an_answer_is_cut_makes_no_difference(said: str, size: int) -> None:
    assert split(said, size) == split(said, 100)


def chunk(delta: Data, reason: str | None = None) -> Data:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def streamed(*events: Data, done: bool = True) -> tuple[str, str, list[str]]:
    """Return the text, the reasoning and the reasons for the end that the runtime reads in a stream."""
    mends = repair_for("completions")
    out = [mended for event in events for mended in mends.event(json.loads(json.dumps(event)))]
    choices = [choice for event in (*out, *(mends.done() if done else ())) for choice in event["choices"]]
    deltas = [choice["delta"] for choice in choices]
    assert not [delta for delta in deltas if not isinstance(delta.get("content") or "", str)]
    text = "".join(delta.get("content") or "" for delta in deltas)
    reasoning = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    return text, reasoning, [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hel"}]


@pytest.mark.parametrize(
    ("events", "read"),
    [
        ([chunk({"content": "Hello."}), chunk({}, "stop")], ("Hello.", "", ["stop"])),
        ([chunk({"content": PARTS}), chunk({"content": "lo."}), chunk({}, "stop")], ("Hello.", "hm", ["stop"])),
        ([chunk({"content": []}), chunk({"content": "Hello."}, "stop")], ("Hello.", "", ["stop"])),
        ([chunk({"content": "<thi"}), chunk({"content": "nk>hm</think>Hello."}, "stop")], ("Hello.", "hm", ["stop"])),
        ([chunk({"content": "<thi"}), chunk({"content": "s"}, "stop")], ("<this", "", ["stop"])),
        ([chunk({"content": "<thi"}, "stop")], ("<thi", "", ["stop"])),
        (
            [{"choices": [{"index": 0, "message": {"content": "Hello."}, "finish_reason": "stop"}]}],
            ("Hello.", "", ["stop"]),
        ),
        ([chunk({"content": "", "reasoning_content": "hm"}), chunk({"content": "Hello."})], ("Hello.", "hm", ["stop"])),
        ([chunk({"refusal": "I will not."}), chunk({}, "stop")], ("I will not.", "", ["stop"])),
        ([chunk({"content": "Hello."}, "")], ("Hello.", "", ["stop"])),
        ([chunk({"content": "Hello."})], ("Hello.", "", ["stop"])),
        ([chunk({"content": "<th"})], ("<th", "", ["stop"])),
        ([chunk({"tool_calls": [{"index": 0}]})], ("", "", ["tool_calls"])),
        ([chunk({"content": "cut"}, "content_filter"), {"choices": [], "usage": {}}], ("cut", "", ["content_filter"])),
        ([{"choices": None}, chunk({"content": "Hello."})], ("Hello.", "", ["stop"])),
    ],
)
def test_a_chat_completion_is_mended(events: list[Data], read: tuple[str, str, list[str]]) -> None:
    if events[0]["choices"] is None:
        events[0]["choices"] = []
    assert streamed(*events) == read


def test_an_answer_that_broke_off_gets_no_end() -> None:
    assert streamed(chunk({"content": "Hel"}), done=False) == ("Hel", "", [])


def test_a_whole_chat_completion_is_mended() -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "<think>hm</think>Hello."}]}
    body = repair_for("completions").whole({"choices": [{"index": 0, "message": message, "finish_reason": None}]})
    assert isinstance(body, dict)
    assert body["choices"][0]["message"] | {"refusal": None} == {
        "role": "assistant",
        "content": "Hello.",
        "reasoning_content": "hm",
        "refusal": None,
    }
    assert body["choices"][0]["finish_reason"] == "stop"


def test_a_whole_message_of_anthropics_becomes_the_events_of_a_stream() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Hello."},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
    ]
    usage = {"input_tokens": 11, "output_tokens": 3}
    body = {"id": "m", "role": "assistant", "content": blocks, "stop_reason": "tool_use", "usage": usage}
    events = repair_for("messages").whole(body)
    assert isinstance(events, list)
    assert [event["type"] for event in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert events[0]["message"]["content"] == []
    assert [event["delta"] for event in events if event["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "s"},
        {"type": "text_delta", "text": "Hello."},
        {"type": "input_json_delta", "partial_json": '{"at": 1}'},
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[-2]["usage"] == usage


def said_in_blocks(events: list[Data]) -> list[tuple[str, str]]:
    """Return the kind and the text of each block, whose events must come in order."""
    blocks: list[tuple[str, str]] = []
    is_open = False
    for event in events:
        match event:
            case {"type": "content_block_start", "index": index, "content_block": {"type": kind}}:
                assert not is_open
                assert index == len(blocks)
                blocks, is_open = [*blocks, (kind, "")], True
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                assert is_open
                assert index == len(blocks) - 1
                text = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                blocks[-1] = (blocks[-1][0], blocks[-1][1] + text)
            case {"type": "content_block_stop", "index": index}:
                assert is_open
                assert index == len(blocks) - 1
                is_open = False
    return blocks


def blocks(*texts: str) -> list[Data]:
    """Return the events of a text that comes in these pieces, and of a call after it."""
    start: Data = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts]
    call: Data = {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t"}}
    stops: list[Data] = [{"type": "content_block_stop", "index": index} for index in (0, 1)]
    return [{"type": "message_start"}, start, *deltas, stops[0], call, stops[1], {"type": "message_stop"}]


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (["Hel", "lo."], [("text", "Hello.")]),
        (["<thi", "nk>Hm", ".</think>", "\n\n", "Hel", "lo."], [("thinking", "Hm."), ("text", "Hello.")]),
        (["<think>Hm.</think>Hello."], [("thinking", "Hm."), ("text", "Hello.")]),
        (["<think>Hm."], [("thinking", "Hm.")]),
        (["<thi"], [("text", "<thi")]),
        ([], [("text", "")]),
    ],
)
def test_thoughts_in_a_message_of_anthropics_are_a_block_of_their_own(
    texts: list[str], read: list[tuple[str, str]]
) -> None:
    mends = repair_for("messages")
    events = [mended for event in blocks(*texts) for mended in mends.event(event)]
    assert said_in_blocks(events) == [*read, ("tool_use", "")]
    whole = repair_for("messages").whole({"content": [{"type": "text", "text": "".join(texts)}]})
    assert isinstance(whole, list)
    assert said_in_blocks(whole) == read


def test_a_refusal_in_the_responses_api_is_text() -> None:
    mends = repair_for("responses")
    (delta,) = mends.event({"type": "response.refusal.delta", "delta": "I will"})
    assert delta == {"type": "response.output_text.delta", "delta": "I will"}
    (done,) = mends.event({"type": "response.refusal.done", "refusal": "I will not."})
    assert done == {"type": "response.output_text.done", "text": "I will not."}
    part = {"type": "output_text", "text": "I will not.", "annotations": []}
    assert mends.whole({"output": [{"content": [{"type": "refusal", "refusal": "I will not."}]}]}) == {
        "output": [{"content": [part]}]
    }


def test_an_answer_of_nothing_does_not_go_back_to_the_server() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}
    asked = {"role": "user", "content": ""}
    request = {"model": "m", "messages": [asked, {"role": "assistant", "content": None}, call]}
    assert repaired_request(request)["messages"] == [asked, {"role": "assistant", "content": "(no answer)"}, call]
    assert repaired_request({"input": "hi"}) == {"input": "hi"}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"choices": [], "error": None}, None),
        ({"type": "response.completed", "response": {"error": None}}, None),
        ({"error": {"message": "no", "code": 402}, "choices": []}, 402),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, 400),
        ({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded", "message": "no"}}}, 400),
        ({"type": "response.failed", "response": {"error": None}}, 0),
        ({"type": "error", "code": "oops", "message": "no"}, 0),
        (chunk({"content": "half"}, "error"), 0),
    ],
)
def test_an_error_among_the_events_is_found(event: Data, status: int | None) -> None:
    fault = fault_in(event, Secret("planted-key"))
    assert (fault.status if fault else None) == status
