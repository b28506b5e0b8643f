"""Answers that servers word in their own way, in the wire formats of three APIs, behind the real runtime."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, TurnFailed
from copilot_nb.named_sessions.manager import Manager, manager_of
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.providers.spec import spec_of
from copilot_nb.settings import CopilotNB
from tests.loopback import (
    Asked,
    Fault,
    Loopback,
    Reply,
    answer,
    answered_in,
    answered_whole,
    error_body,
    text,
)

WIRES = {
    "completions": {"type": "openai-compatible"},
    "responses": {"type": "openai-compatible", "wire_api": "responses"},
    "messages": {"type": "anthropic"},
}
Data = dict[str, Any]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    manager = Manager(CopilotNB(home=str(tmp_path_factory.mktemp("odd")), offline=True))
    yield manager
    manager.close()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback("Hello.") as running:
        yield running


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> str:
    """Which API the session's provider speaks; a test may name it by a parameter of that name."""
    way: str = request.getfixturevalue("way") if "way" in request.fixturenames else "completions"
    return "completions" if way == "tags" else way.removesuffix(", tags")


@pytest.fixture
def session(manager: Manager, server: Loopback, wire: str) -> Session:
    """A session whose provider is `server`."""
    name = f"odd-{len(list(manager))}"
    suffix = "" if wire == "messages" else "/v1"
    manager.providers.add_own(spec_of(name, {"base_url": server.url + suffix, **WIRES[wire]}))
    return manager.session(name, provider=name, model="m-1")


def events(*sent: Data, done: str = "data: [DONE]\n\n") -> Fault:
    """Answer by these events."""
    return text("".join(f"data: {json.dumps(data)}\n\n" for data in sent) + done)


def chunk(delta: Data, reason: str | None = None) -> Data:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def completion(asked: str, text: str) -> list[Data]:
    """Return the events of an answer in the wire `asked`."""
    return [data for _, data in answer(Asked(f"/v1/{asked}", {}, {"model": "m-1"}), text)]


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "Text/Event-Stream", "application/x-ndjson", "x"])
@pytest.mark.parametrize("wire", WIRES)
def test_events_are_read_under_any_content_type(wire: str, kind: str, session: Session, server: Loopback) -> None:
    server.fail(answered_in(kind))
    assert session.ask("hi").text == "Hello."
    assert len(server.asked) == 1


@pytest.mark.parametrize(("behind", "kind"), [("", "application/json"), ("\n\ndata: [DONE]\n\n", "text/event-stream")])
@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_in_one_body_is_read(wire: str, behind: str, kind: str, session: Session, server: Loopback) -> None:
    server.fail(answered_whole(behind, kind))
    assert session.ask("hi").text == "Hello."
    assert session.ask("more").text == "Hello."
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "sent",
    [
        [chunk({"content": [{"type": "text", "text": "Hel"}]}), chunk({"content": "lo."}), chunk({}, "stop")],
        [chunk({"refusal": "Hello."}), chunk({}, "stop")],
        [chunk({"content": "Hello."})],
        [chunk({"content": "Hello."}, "")],
    ],
    ids=["parts", "refusal", "no reason", "empty reason"],
)
def test_an_answer_is_whole_and_asked_for_once(sent: list[Data], session: Session, server: Loopback) -> None:
    server.fail(events(*sent))
    assert session.ask("hi").text == "Hello."
    assert len(server.asked) == 1


TAGGED = completion("messages", "<think>Hm.</think>")
THOUGHTS = {
    "completions": [chunk({"role": "assistant", "content": None, "reasoning_content": "Hm."})],
    "tags": [chunk({"content": "<think>\nHm."}), chunk({"content": "</think>\n\n"})],
    "messages": [
        completion("messages", "")[0],
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_stop", "index": 0},
    ],
    "messages, tags": TAGGED[:3],
}
ENDS = {
    "completions": [chunk({}, "stop")],
    "tags": [chunk({}, "stop")],
    "messages": completion("messages", "")[-2:],
    "messages, tags": TAGGED[3:],
}
SAID = {
    "completions": [chunk({"content": "Hello."})],
    "tags": [chunk({"content": "Hello."})],
    "messages, tags": completion("messages", "Hello.")[2:3],
    "messages": [event | ({"index": 1} if "index" in event else {}) for event in completion("messages", "Hello.")[1:4]],
}


@pytest.mark.parametrize("way", THOUGHTS)
def test_reasoning_is_the_same_live_and_stored(way: str, session: Session, server: Loopback) -> None:
    server.fail(events(*THOUGHTS[way], *SAID[way], *ENDS[way], done=""))
    live = session.ask("hi").record
    (stored,) = session.history
    assert (live.reasoning, live.text) == (stored.reasoning, stored.text) == ("Hm.", "Hello.")
    assert live.parts == stored.parts


@pytest.mark.parametrize("way", THOUGHTS)
def test_reasoning_without_an_answer_says_so_and_the_session_goes_on(
    way: str, session: Session, server: Loopback
) -> None:
    server.fail(events(*THOUGHTS[way], *ENDS[way], done=""))
    with pytest.raises(TurnFailed) as caught:
        session.ask("hi")
    assert str(caught.value).startswith(
        f"{session.provider} gave no answer: only its reasoning came → run the cell again"
    )
    assert session.ask("and now?").text == "Hello."
    messages = server.asked[-1].body["messages"]
    assert [message for message in messages if message["role"] == "assistant" and not message["content"]] == []
    assert [(turn.state, turn.reasoning) for turn in session.history] == [
        (TurnState.FAILED, "Hm."),
        (TurnState.DONE, ""),
    ]


def test_an_answer_that_a_filter_cut_says_so(session: Session, server: Loopback) -> None:
    server.fail(events(chunk({"content": "The first step is"}), chunk({}, "content_filter")))
    live = session.ask("hi").record
    (stored,) = session.history
    assert live.notes == stored.notes == ("the provider's content filter cut this answer",)
    assert live.text == "The first step is"


def failing(beginning: str) -> Fault:
    """Refuse for good inside a stream, which may have begun."""

    def send(reply: Reply) -> None:
        reply.begin()
        if beginning:
            reply.events(answer(reply.asked, beginning, cut=True))
        reply.events([("error", error_body(reply.asked.wire, "too long", "invalid_request_error") | {"type": "error"})])
        reply.end()

    return send


@pytest.mark.parametrize("beginning", ["", "The beginning"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_final_error_in_a_stream_is_not_asked_for_again(
    wire: str, beginning: str, session: Session, server: Loopback
) -> None:
    session.ask("first")
    server.fail(failing(beginning))
    turn = session.send("hi")
    with pytest.raises(CopilotNBError) as caught:
        turn.wait()
    assert turn.record.notes == ()
    assert str(caught.value).startswith(f"{session.provider} cannot answer (400): too long →")
    assert len(server.asked) == 2
    assert session.ask("again").text == "Hello."


def test_a_comment_that_keeps_the_connection_open_is_a_sign_of_life(session: Session, server: Loopback) -> None:
    wanted: Queue[str] = Queue()

    def slow(reply: Reply) -> None:
        reply.begin()
        while (comment := wanted.get()) != "end":
            reply.raw(f": {comment}\n\n")
        reply.events(answer(reply.asked, "At last."))
        reply.end()

    server.fail(slow)
    turn = session.send("hi")
    until(session, lambda: bool(server.asked))
    for number in range(3):
        before_s = state_of(session).runner.last_activity_s
        wanted.put(f"still reading, {number}")
        until(session, lambda before_s=before_s: state_of(session).runner.last_activity_s > before_s)  # type: ignore[misc]
    wanted.put("end")
    assert turn.wait().text == "At last."


def until(session: Session, is_so: Callable[[], bool]) -> None:
    """Let the loop's thread run until it is so."""
    deadline_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline_s
        manager_of(session).loop.blocking(manager_of(session).client())
