"""What a chat panel tells its page: in order, once, in step with the session, and not too much of it."""

from __future__ import annotations

import base64
import dataclasses
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.events import EventManager

from copilot_nb.conversation.changes import (
    Ended,
    ReasoningDelta,
    Retried,
    TextDelta,
    ToolFinished,
    ToolShowed,
    ToolStarted,
)
from copilot_nb.conversation.parts import Image, LiveOutput, Text, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError, SessionError
from copilot_nb.frontend import RunningCell
from copilot_nb.named_sessions.history import History
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import AT_ONCE
from copilot_nb.panels.chat import ChatPanel, in_main, with_files
from copilot_nb.panels.deltas import PAGE_TURNS, LiveTurn
from copilot_nb.panels.places import Places
from copilot_nb.panels.static_output import Static, StaticOutput
from copilot_nb.panels.worker import BEAT_S, Worker
from copilot_nb.settings import CopilotNB

PARAGRAPHS = "\n\n".join(
    f"Paragraph **{number}** says `something` of its own, and says it well." for number in range(99)
)


class Stored(Session):
    """A session whose stored turns are given, and that sends nothing."""

    turns: tuple[TurnRecord, ...] = ()

    def last_turns(self, number: int) -> History:
        some = self.turns[-number:]
        return History(self.name, self.provider, some, first=len(self.turns) - len(some) + 1, total=len(self.turns))

    def ask_for(self, prompt: str) -> Turn:
        """Begin a turn as `send` does, and let nobody run it."""
        turn = Turn(self, prompt, owner=self._queue)
        turn.on_change = self._turn_changed
        self._state.pending.append(turn)
        self._turn_changed(turn)
        return turn

    def end(self, turn: Turn) -> None:
        self._state.pending.remove(turn)
        turn.finish()
        self._state.tell("session")


class Watched(ChatPanel):
    """A panel whose page is a list."""

    def __init__(self, session: Session) -> None:
        self.sent: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        super().__init__(session)

    def send(self, content: dict[str, Any], buffers: Any = None) -> None:  # noqa: ARG002
        with self._arrived:
            self.sent.append(content)
            self._arrived.notify_all()

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Send as the page does, and return the answer."""
        self.settled()
        question = f"ask-{len(self.sent)}"
        self._received(self, {"do": what, "id": question, **more}, [])
        return self.wait_for(lambda message: message.get("re") == question)

    def wait_for(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(map(fits, self.sent)), 10)
            return next(message for message in reversed(self.sent) if fits(message))

    def settled(self) -> None:
        """Wait until all that has happened was told."""
        told = threading.Event()
        self._manager.loop.call_soon(lambda: self._manager.loop.call_soon(self._sender.put, told.set))
        assert told.wait(10)
        again = threading.Event()
        self._sender.put(lambda: (self._send_news(), again.set()))
        assert again.wait(10)


def is_answer(message: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Whether this is what came of something that was asked for."""
    return {name: value for name, value in message.items() if name != "seq"} == answer


class Ordered(Watched):
    """A panel that notes in which order it does things; those called ``slow`` wait for `gate`."""

    def __init__(self, session: Session) -> None:
        self.gate = threading.Event()
        self.done: list[str] = []
        super().__init__(session)

    def do_note(self, message: Mapping[str, Any]) -> None:
        if message["id"] == "slow":
            assert self.gate.wait(10)
        self.done.append(message["id"])

    def do_stop(self, message: Mapping[str, Any]) -> None:
        self.done.append(message["id"])

    def has_done(self, what: str) -> None:
        self.wait_for(lambda message: message.get("re") == what and "ok" in message)


class Page:
    """What the page shows after those messages (as transcript.js does it)."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.turns: dict[str, dict[str, Any]] = {}
        self.session: Mapping[str, Any] = {}
        for message in messages:
            if message.get("kind") == "whole":
                self.turns = {turn["key"]: {"answer": "", "tail": "", **turn} for turn in message["turns"]}
            for item in message.get("items", ()):
                self._take(item)

    def _take(self, item: dict[str, Any]) -> None:
        if item["kind"] == "session":
            self.session = item
            return
        turn = self.turns.setdefault(item["key"], {"answer": "", "tail": ""})
        turn.update({name: value for name, value in item.items() if name not in ("more", "text")})
        turn["answer"] += item.get("more", "")
        turn["tail"] += item.get("text", "")


def stored(manager: Manager, name: str, session_id: str) -> Stored:
    options = SessionOptions(provider="scripted", model="m")
    return Stored(SessionState(name=name, session_id=session_id, options=options), manager.engine, manager)


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager(CopilotNB(offline=True, provider="scripted"))
    yield manager
    manager.close()


@pytest.fixture
def session(manager: Manager) -> Stored:
    return stored(manager, "s1", "s1")


@pytest.fixture
def panel(session: Stored) -> Iterator[Watched]:
    panel = Watched(session)
    yield panel
    panel.close()


def done(number: int) -> TurnRecord:
    return TurnRecord(f"turn-{number}", f"ask {number}", (Text("t", f"say *{number}*", True),), TurnState.DONE)


def begun(session: Stored, prompt: str = "ask", turn_id: str = "id-1") -> Turn:
    turn = session.ask_for(prompt)
    turn.begin(TurnRecord(turn_id, prompt))
    return turn


def test_hello_gives_the_last_page_and_earlier_the_one_before(panel: Watched, session: Stored) -> None:
    session.turns = tuple(map(done, range(1, 1001)))
    whole = panel.ask("hello")
    assert [turn["prompt"] for turn in whole["turns"]] == [f"ask {n}" for n in range(1001 - PAGE_TURNS, 1001)]
    assert whole["turns"][-1]["answer"] == "<p>say <em>1000</em></p>\n"
    assert whole["first"] == 1001 - PAGE_TURNS
    page = panel.ask("earlier", before=whole["first"])
    assert [turn["prompt"] for turn in page["turns"]] == [
        f"ask {n}" for n in range(1001 - 2 * PAGE_TURNS, 1001 - PAGE_TURNS)
    ]
    assert panel.ask("earlier", before=5)["first"] == 1


def test_an_answer_is_sent_once_and_ends_as_it_is_rendered(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session)
    for start in range(0, len(PARAGRAPHS), 40):
        turn.apply(TextDelta("t", PARAGRAPHS[start : start + 40]))
        panel.settled()
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    rendered = LiveTurn(turn, "").whole()["answer"]
    assert shown["answer"] == rendered
    assert (shown["tail"], shown["state"]) == ("", "done")
    told = sum(
        len(str(item.get("more", "") + item.get("answer", ""))) for m in panel.sent for item in m.get("items", ())
    )
    assert told == len(rendered)  # each block of HTML once, and nothing again at the end


def test_what_is_sent_is_numbered_without_a_gap_and_bounded(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session)
    began_s = time.monotonic()
    for start in range(0, len(PARAGRAPHS), 4):
        turn.apply(TextDelta("t", PARAGRAPHS[start : start + 4]))
        time.sleep(0.0005)  # a stream takes its time; nothing is waited for here
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.wait_for(lambda m: any(item.get("state") == "done" for item in m.get("items", ())))
    took_s = time.monotonic() - began_s
    told = [message for message in panel.sent if "kind" in message]
    assert [message["seq"] for message in told] == list(range(1, len(told) + 1))
    assert len(told) <= took_s / BEAT_S + 3
    rendered = LiveTurn(turn, "").whole()["answer"]
    assert sum(len(str(message)) for message in told) <= 1.5 * len(rendered) + 1000 * len(told)


def test_a_page_that_joins_late_gets_everything_and_then_only_changes(panel: Watched, session: Stored) -> None:
    turn = begun(session)
    turn.apply(TextDelta("t", "One.\n\nTwo.\n\nThr"))
    whole = panel.ask("hello")
    (shown,) = whole["turns"]
    assert (shown["answer"], shown["tail"]) == ("<p>One.</p>\n", "Two.\n\nThr")
    turn.apply(TextDelta("t", "ee"))
    panel.settled()
    (item,) = (item for item in panel.sent[-1]["items"] if item["kind"] == "turn")
    assert item == {"kind": "turn", "key": shown["key"], "text": "ee"}
    assert panel.ask("seq")["seq"] == panel.sent[-2]["seq"]


def test_a_retry_takes_back_what_had_come(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session)
    turn.apply(TextDelta("t", "One.\n\nTwo.\n\nThr"))
    panel.settled()
    turn.apply(Retried("busy", 1))
    turn.apply(TextDelta("u", "Anew"))
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    assert (shown["answer"], shown["tail"]) == ("", "Anew")
    assert "busy" in shown["head"]


def test_tool_calls_and_reasoning_are_folded_around_the_text(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session)
    turn.apply(ReasoningDelta("r", "Let me look."))
    turn.apply(TextDelta("t", "I look."))
    turn.apply(ToolStarted("c", "read", "{}"))
    panel.settled()
    turn.apply(ToolFinished("c", True, "<b>found</b>"))
    turn.apply(TextDelta("u", "There it is."))
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    assert shown["head"].startswith("<details><summary>Reasoning</summary>")
    before, _, after = shown["answer"].partition("</details>")
    assert before.startswith("<p>I look.</p>\n<details><summary>Tool <code>read</code> ✓ done")
    assert "&lt;b&gt;found" in before
    assert after == "<p>There it is.</p>\n"


def test_what_running_code_shows_is_sent_apart_from_the_answer(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session)
    turn.apply(TextDelta("t", "I run it."))
    turn.apply(ToolStarted("c", "run_code", "{}"))
    panel.settled()
    sent = len(panel.sent)
    figure = Image("figure", "image/png", 1, b"1")
    for number in range(3):
        turn.apply(ToolShowed("c", LiveOutput(f"{number} %\n", number, (figure,))))
        panel.settled()
    items = [item for message in panel.sent[sent:] for item in message.get("items", ()) if item["kind"] == "turn"]
    assert [item.get("shown") for item in items if "shown" in item] == ["0 %", "1 %", "2 %"]
    assert sum("image/png" in item.get("drawn", "") for item in items) == 1
    assert not any("answer" in item for item in items)
    turn.apply(ToolFinished("c", True, "2 %"))
    turn.apply(TextDelta("u", "Done."))
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    assert (shown["shown"], shown["drawn"]) == ("", "")


def test_prompts_wait_in_a_queue_that_is_seen(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    first = begun(session)
    second = session.ask_for("later")
    third = session.ask_for("last")
    panel.settled()
    assert [(turn["state"], turn["before"]) for turn in Page(panel.sent).turns.values()] == [
        ("working", 0),
        ("queued", 1),
        ("queued", 2),
    ]
    key = next(key for key, turn in Page(panel.sent).turns.items() if turn["prompt"] == "last")
    assert "to cancel: %copilot stop" in third.label.note
    assert "%copilot" not in Page(panel.sent).turns[key]["head"]  # the page has a button for it
    panel.ask("stop", turn=key)
    assert third.stop_requested
    assert not first.stop_requested
    panel.ask("stop")
    assert first.stop_requested
    assert not second.stop_requested


def test_a_turn_that_is_put_before_the_waiting_ones_is_sent_before_them(panel: Watched, session: Stored) -> None:
    begun(session)
    session.ask_for("waiting")
    between = session.ask_for("correct it")
    pending = state_of(session).pending
    pending.insert(1, pending.pop())
    whole = panel.ask("hello")
    assert [turn["prompt"] for turn in whole["turns"]] == ["ask", "correct it", "waiting"]
    between.begin(TurnRecord("id-2", "correct it"))
    assert [turn["prompt"] for turn in panel.ask("hello")["turns"]] == ["ask", "correct it", "waiting"]


def test_turns_removed_elsewhere_make_every_page_start_over(panel: Watched, session: Stored) -> None:
    session.turns = (done(1), done(2))
    panel.ask("hello")
    session.turns = (done(1),)
    state_of(session).tell("history")
    whole = panel.wait_for(lambda message: message.get("kind") == "whole" and message["re"] == "")
    assert [turn["prompt"] for turn in whole["turns"]] == ["ask 1"]


def test_a_turn_keeps_its_key_when_it_is_read_back(panel: Watched, session: Stored) -> None:
    panel.ask("hello")
    turn = begun(session, turn_id="turn-1")
    turn.apply(TextDelta("t", "x"))
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.settled()
    (key,) = Page(panel.sent).turns
    session.turns = (done(1),)
    (shown,) = panel.ask("hello")["turns"]
    assert shown["key"] == key
    assert shown["answer"] == "<p>say <em>1</em></p>\n"  # from the log: the live one has been let go


def test_what_was_never_sent_is_shown_as_long_as_it_is_the_last(panel: Watched, session: Stored) -> None:
    failed = session.ask_for("nobody answers")
    state_of(session).pending.remove(failed)
    failed.finish(InputError("no model can answer", "log in"))
    (shown,) = panel.ask("hello")["turns"]
    assert shown["state"] == "failed"
    assert "no model can answer → log in" in shown["outcome"]


def test_events_of_another_session_are_ignored(panel: Watched, session: Stored, manager: Manager) -> None:
    panel.ask("hello")
    other = stored(manager, "s2", "s2")
    begun(other)
    panel.settled()
    assert Page(panel.sent).turns == {}


def test_a_session_that_is_gone_gives_way_to_the_next_of_its_name(
    panel: Watched, session: Stored, manager: Manager
) -> None:
    panel.ask("hello")
    state_of(session).is_gone = True
    state_of(session).tell("gone")
    panel.settled()
    assert Page(panel.sent).session["gone"]
    other = stored(manager, "s1", "s1-b")
    begun(other, "again")
    whole = panel.wait_for(lambda message: message.get("kind") == "whole" and message["re"] == "")
    assert whole["session"]["id"] == "s1-b"
    assert panel.session is other


def test_a_closed_panel_hears_nothing_and_its_thread_ends(session: Stored, manager: Manager) -> None:
    panel = Watched(session)
    panel.ask("hello")
    thread = panel._sender._thread
    assert thread is not None
    panel.close()
    thread.join(10)
    assert not thread.is_alive()
    sent = len(panel.sent)
    begun(session)
    told = threading.Event()
    manager.loop.call_soon(told.set)
    assert told.wait(10)
    assert len(panel.sent) == sent


def test_what_cannot_be_done_is_answered_in_one_line(panel: Watched, caplog: pytest.LogCaptureFixture) -> None:
    assert panel.ask("send", text="  ")["error"].startswith("the prompt is empty")
    assert panel.ask("dance")["error"] == "this panel cannot dance"
    assert panel.ask("resend", turn="nowhere", text="x")["error"].startswith("this turn is not in")
    assert panel.ask("rename")["error"] == "KeyError: 'name'"
    assert "could not rename" in caplog.text


def test_half_of_a_character_does_not_stop_the_page(panel: Watched, session: Stored) -> None:
    turn = begun(session, "\ud83d")
    turn.apply(TextDelta("t", "\ud83d"))
    (shown,) = panel.ask("hello")["turns"]
    assert (shown["prompt"], shown["tail"]) == ("�", "")
    turn.apply(TextDelta("t", "\ude00"))
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    assert shown["tail"] == "😀"


def test_what_is_asked_again_is_answered_again_and_done_once(panel: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, done = threading.Event(), []

    def do_slowly(_message: Mapping[str, Any]) -> dict[str, Any]:
        assert go_on.wait(10)
        done.append(1)
        return {"said": "done"}

    monkeypatch.setattr(panel, "do_slowly", do_slowly, raising=False)

    def ask(number: int) -> None:
        panel.sent.clear()
        panel._received(panel, {"do": "slowly", "id": "ask-1", "try": number}, [])

    ask(1)
    ask(2)
    panel.wait_for(lambda message: is_answer(message, {"re": "ask-1", "waits": True}))
    go_on.set()
    panel.wait_for(lambda message: is_answer(message, {"re": "ask-1", "ok": True, "said": "done"}))
    ask(3)
    panel.wait_for(lambda message: is_answer(message, {"re": "ask-1", "ok": True, "said": "done"}))
    assert done == [1]


def test_what_is_asked_again_long_after_is_not_done_again(panel: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(panel, "do_send", lambda message: sent.append(message["text"]))
    panel.receive({"do": "send", "id": "first", "text": "Once."})
    for number in range(99):
        panel.ask("send", text=f"{number}")
        panel.ask("usage")
    panel.sent.clear()
    panel.receive({"do": "send", "id": "first", "text": "Once.", "try": 2})
    panel.wait_for(lambda message: is_answer(message, {"re": "first", "ok": True}))
    assert sent == ["Once.", *map(str, range(99))]
    assert len(panel._answers) == 100  # what is only read is not remembered


def test_what_is_read_may_be_asked_again_and_is_not_read_twice_at_once(
    panel: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, read = threading.Event(), []

    def do_text(_message: Mapping[str, Any]) -> dict[str, Any]:
        read.append(1)
        assert go_on.wait(10)
        return {"text": "said"}

    monkeypatch.setattr(panel, "do_text", do_text)
    for number in (1, 2):
        panel.receive({"do": "text", "id": "ask-1", "try": number})
    panel.wait_for(lambda message: is_answer(message, {"re": "ask-1", "waits": True}))
    assert read == [1]
    go_on.set()
    for number in (3, 4):
        panel.wait_for(lambda message: is_answer(message, {"re": "ask-1", "ok": True, "text": "said"}))
        panel.sent.clear()
        panel.receive({"do": "text", "id": "ask-1", "try": number})


def test_a_comm_of_ipykernel_7_4_is_served_by_the_subshell_that_the_page_names(session: Stored) -> None:
    class Comm:
        def _reply_subshell_for(self, data: object, default: object) -> object:  # noqa: ARG002
            return "the shell of the cell that runs"

    from copilot_nb.panels.base import _serve_at_once

    comm = Comm()
    _serve_at_once(comm)
    assert comm._reply_subshell_for({}, "subshell-1") == "subshell-1"
    _serve_at_once(object())  # other kernels have nothing of the kind


def test_files_are_put_before_the_prompt_in_a_fence_of_their_own() -> None:
    files = [{"name": "a`b\n.md", "text": "```\n{{ x }}\n```\n"}]
    asked, images = with_files("Explain.", files)
    assert asked == "File `a'b .md`:\n\n````\n```\n{{ x }}\n```\n````\n\nExplain."
    assert images == []
    assert with_files("Explain.", files, lambda text: text.replace("x", "hidden"))[0] == asked.replace("x", "hidden", 1)
    for path in ("/etc/passwd", "..\\..\\passwd", "C:/passwd"):
        assert with_files("", [{"name": path, "text": "x"}])[0].startswith("File `passwd`:")
    with pytest.raises(InputError, match="200,001 characters"):
        with_files("", [{"name": "big", "text": "x" * 200_001}])
    with pytest.raises(InputError, match=r"x\.png is neither text nor an image"):
        with_files("", [{"name": "x.png", "base64": "AAAA"}])


def test_an_expression_sees_the_notebooks_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("__main__.answer_of_all", 42, raising=False)
    assert in_main("answer_of_all + 1") == 43


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("not\ntoday")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("1 / 0", "{{ 1 / 0 }} raised ZeroDivisionError: division by zero"),
        ("no_such_name", r"{{ no_such_name }}: name 'no_such_name' is not defined → define it in a cell; for"),
        ("await x", "{{ await x }} raised SyntaxError: 'await' outside function"),
        ("__import__('sys').exit(3)", "{{ __import__('sys').exit(3) }} raised SystemExit: 3"),
        ("unspeakable", "{{ unspeakable }} raised RuntimeError: not today"),
        ("1 +", "{{ 1 + }} is not a Python expression"),
    ],
)
def test_an_expression_that_raises_is_one_line_and_nothing_is_sent(
    panel: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, expression: str, said: str
) -> None:
    monkeypatch.setattr("__main__.unspeakable", Unspeakable(), raising=False)
    error = panel.ask("send", text=f"What is {{{{ {expression} }}}}?")["refused"]
    assert error.startswith(said)
    assert "\n" not in error
    assert not state_of(panel.session).pending
    assert caplog.text == ""


def test_secrets_are_hidden_in_values_and_files_and_not_in_what_is_typed(
    panel: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "value-of-environ")
    files = [{"name": "x.env", "text": "a=value-of-environ"}]
    message = {"text": "Is {{ 'value-' + 'of-environ' }} value-of-environ?", "files": files}
    prompt, _ = panel._written(message)
    assert prompt.endswith("Is ‹secret: PLANTED_TOKEN› value-of-environ?")
    assert "a=‹secret: PLANTED_TOKEN›" in prompt


def test_the_pump_outlives_a_job_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()
    pump = Worker(told.set)
    pump.put(lambda: 1 / 0)
    pump.put(pump.mark)
    assert told.wait(10)
    pump.stop()
    assert "ZeroDivisionError" in caplog.text


def test_a_worker_that_was_stopped_starts_no_thread_again() -> None:
    worker, threads = Worker(lambda: None), queue.SimpleQueue[threading.Thread]()
    worker.put(lambda: threads.put(threading.current_thread()))
    thread = threads.get(timeout=10)
    worker.stop()
    thread.join(10)
    worker.put(lambda: None)  # an event that was on its way
    assert worker._thread is None


def test_a_turn_that_was_read_before_it_was_heard_of_is_shown_once(panel: Watched, session: Stored) -> None:
    turn = Turn(session, "ask 1")  # its events are still on their way
    turn.on_change = session._turn_changed
    session.turns = (TurnRecord("turn-1", "ask 1", state=TurnState.INTERRUPTED),)  # what a log tells of it by then
    assert [shown["state"] for shown in panel.ask("hello")["turns"]] == ["interrupted"]
    session.turns = (done(1),)
    turn.begin(done(1))
    turn.finish()
    panel.settled()
    panel.settled()
    (shown,) = Page(panel.sent).turns.values()
    assert (shown["state"], shown["answer"]) == ("done", "<p>say <em>1</em></p>\n")


def test_leafing_back_does_not_read_the_history_for_each_page(panel: Watched, session: Stored) -> None:
    session.turns = tuple(map(done, range(1, 1001)))
    read: list[int] = []
    last_turns = session.last_turns
    session.last_turns = lambda number: (read.append(number), last_turns(number))[1]  # type: ignore[method-assign]
    first = panel.ask("hello")["first"]
    while first > 1:
        page = panel.ask("earlier", before=first)
        assert [turn["prompt"] for turn in page["turns"]] == [f"ask {n}" for n in range(page["first"], first)]
        first = page["first"]
    assert sum(read) < 4 * len(session.turns)


def test_thumbnails_are_made_one_at_a_time_and_nothing_is_read_for_them(
    panel: Watched, session: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pictured(number: int) -> TurnRecord:
        return dataclasses.replace(done(number), images=tuple(Image(f"{number}-{i}", "image/png", 1) for i in range(3)))

    making, most = [0], [0]

    def thumbnail(image: Image) -> Image:
        making[0] += 1
        most[0] = max(most[0], making[0])
        time.sleep(0.002)  # others would begin meanwhile; nothing is waited for here
        making[0] -= 1
        return dataclasses.replace(image, data=image.name.encode())

    monkeypatch.setattr("copilot_nb.panels.chat.thumbnail", thumbnail)
    session.turns = tuple(map(pictured, range(1, 31)))
    whole = panel.ask("hello")
    page = panel.ask("earlier", before=whole["first"])
    monkeypatch.delattr(Stored, "last_turns")
    monkeypatch.setattr(Session, "last_turns", None)
    monkeypatch.setattr(Session, "history", None)
    keys = [turn["key"] for turn in [*page["turns"], *whole["turns"]]]
    asked = [(key, index) for key in keys for index in range(3)]
    for key, index in asked:
        panel.receive({"do": "thumbnail", "id": f"{key}/{index}", "turn": key, "index": index})
    for key, index in asked:
        answer = panel.wait_for(lambda message, of=f"{key}/{index}": message.get("re") == of)  # type: ignore[misc]
        small = f"{key.removeprefix('turn-')}-{index}".encode()
        assert answer["src"] == f"data:image/png;base64,{base64.b64encode(small).decode()}"
    assert (len(asked), most) == (90, [1])


def test_the_images_of_an_early_turn_are_read_once(
    panel: Watched, session: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image("x", "image/png", 1, b"x")
    session.turns = (dataclasses.replace(done(1), images=(image,)), *map(done, range(2, 2 + PAGE_TURNS)))
    panel.ask("hello")
    read: list[int] = []
    monkeypatch.setattr(Stored, "history", property(lambda self: (read.append(1), self.last_turns(99))[1]))
    for _ in range(2):
        assert panel._deltas.images("turn-1") == (image,)
    assert len(read) == 1


class Shown:
    """A display that can be replaced."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, str]] = []
        self._arrived = threading.Condition()

    def display(self, bundle: dict[str, str], raw: bool, metadata: dict[str, Any]) -> None:  # noqa: ARG002
        with self._arrived:
            self.bundles.append(bundle)
            self._arrived.notify_all()

    update = display

    def wait_for(self, number: int) -> None:
        """Wait until so many bundles were shown."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.bundles) >= number, 10)


def test_a_page_that_has_the_notebook_asks_for_the_transcript_and_is_sent_it_then_only(
    panel: Watched, session: Stored
) -> None:
    shown = panel._static_output._handle = Shown()  # type: ignore[assignment]
    panel.ask("hello", keeps=True)
    turn = begun(session)
    turn.apply(TextDelta("t", "Said."))
    turn.apply(Ended(TurnState.DONE))
    session.end(turn)
    panel.settled()
    version = panel.wait_for(lambda message: "version" in message)["version"]
    assert version > 0
    session.turns = (turn.record,)
    for _ in range(2):
        transcript = panel.ask("keep")["transcript"]
        assert "Said." in transcript["data"]["text/html"]
        assert transcript["metadata"]["copilot_nb"] == {"panel": panel.panel_id, "version": version}
    assert shown.bundles == []


class Slow:
    """A transcript that takes its time: the first waits until it may be made."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.made = 0

    def __call__(self) -> Static:
        self.made += 1
        made = self.made
        if made == 1:
            self.begun.set()
            assert self.go_on.wait(10)
        return Static(f"number {made}", "")


def frozen(transcript: Callable[[], Static]) -> tuple[StaticOutput, Shown]:
    """Return a transcript that only changes when it is asked for, and where it is shown."""
    frozen = StaticOutput("panel", transcript, lambda: None, lambda: None)
    shown = frozen._handle = Shown()  # type: ignore[assignment]
    frozen.ask_only()
    frozen.changed()
    return frozen, shown


def test_two_hellos_at_once_each_get_the_newest_state() -> None:
    slow, kept = Slow(), {}
    transcript, _ = frozen(slow)

    def keep(name: str) -> None:
        kept[name] = transcript.keep()["data"]["text/html"]

    first, second = (threading.Thread(target=keep, args=(name,)) for name in ("first", "second"))
    first.start()
    assert slow.begun.wait(10)
    transcript.changed()
    second.start()
    second.join(0.1)  # it would be done by now, were it not to wait for the first
    slow.go_on.set()
    first.join(10)
    second.join(10)
    assert "number 1<" in kept["first"]
    assert "number 2<" in kept["second"]
    transcript.keep()
    assert slow.made == 2


def test_a_transcript_that_could_not_be_made_is_made_when_it_is_asked_for_again() -> None:
    rendered: list[Static] = []
    transcript, _ = frozen(lambda: rendered[0])
    with pytest.raises(IndexError):
        transcript.keep()
    rendered.append(Static("there", ""))
    assert "there" in transcript.keep()["data"]["text/html"]


def test_a_passing_error_does_not_take_the_place_of_a_transcript() -> None:
    def read() -> Static:
        if error:
            raise SessionError(error)
        return Static("there", "")

    transcript, _ = frozen(read)
    error = ""
    assert "there" in transcript.keep()["data"]["text/html"]
    transcript.changed()
    error = "the runtime is away"
    with pytest.raises(SessionError):
        transcript.keep()
    error = ""
    assert transcript.keep()["metadata"]["copilot_nb"]["version"] == transcript.version


def test_what_no_page_has_kept_is_sent_when_the_panel_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilot_nb.panels.static_output.PAUSE_S", 0.01)
    transcript, shown = frozen(lambda: Static("there", ""))
    transcript.keep()  # which the page may never get
    transcript.close()
    transcript.ask_only()  # a hello that came late
    shown.wait_for(1)
    assert "there" in shown.bundles[0]["text/html"]


def test_where_the_front_end_stays_the_transcript_comes_after_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_by: dict[str, Any] = {"metadata": {"cellId": "c1"}}
    events = EventManager(None, {"post_run_cell": lambda _result: None})
    kernel = SimpleNamespace(get_parent=lambda _channel: asked_by)
    shell = SimpleNamespace(kernel=kernel, user_ns={}, events=events)
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    transcript, shown = frozen(lambda: Static("<p>Said.</p>", "Said."))
    transcript.show({}, {})
    assert "Said." not in shown.bundles[-1]["text/html"]
    assert "<p>Said.</p>" in transcript.keep()["data"]["text/html"]
    transcript.show({}, {})  # in a second place
    assert "<p>Said.</p>" in shown.bundles[-1]["text/html"]
    in_vscode, shown = frozen(lambda: Static("<p>Said.</p>", "Said."))
    shell.user_ns["__vsc_ipynb_file__"] = "/home/a/b.ipynb"
    in_vscode.show({}, {})
    assert "<p>Said.</p>" in shown.bundles[-1]["text/html"]


def test_a_copy_by_the_other_way_is_not_answered_and_a_message_that_is_sent_again_is(panel: Watched) -> None:
    for number in (1, 1, 2):
        panel._received(panel, {"do": "hello", "id": "one", "try": number}, [])
        panel.settled()
    assert len([message for message in panel.sent if message.get("kind") == "whole"]) == 2


def test_a_panel_of_a_notebook_may_be_closed_twice(panel: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(events=EventManager(None, {"post_run_cell": lambda _result: None}))
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    panel._static_output.show({}, {})
    panel._static_output.show({}, {})
    assert len(shell.events.callbacks["post_run_cell"]) == 1
    panel.close()
    panel.close()
    assert shell.events.callbacks["post_run_cell"] == []


@pytest.fixture
def ordered(session: Stored) -> Iterator[Ordered]:
    panel = Ordered(session)
    yield panel
    panel.gate.set()
    panel.close()


def test_what_is_asked_for_does_not_overtake_what_was_asked_before(ordered: Ordered) -> None:
    ordered.receive({"do": "note", "id": "slow"})
    ordered.receive({"do": "note", "id": "quick", "after": "slow"})
    ordered.receive({"do": "stop", "id": "stop"})
    ordered.has_done("stop")
    assert ordered.done == ["stop"]
    ordered.gate.set()
    ordered.has_done("quick")
    assert ordered.done == ["stop", "slow", "quick"]


def test_a_message_that_comes_before_the_one_it_follows_is_left_to_be_sent_again(ordered: Ordered) -> None:
    ordered.receive({"do": "note", "id": "second", "after": "first"})
    ordered.receive({"do": "note", "id": "first"})
    ordered.has_done("first")
    ordered.receive({"do": "note", "id": "second", "after": "first"})  # by the other way, which was slower
    ordered.has_done("second")
    ordered.receive({"do": "note", "id": "second", "after": "first", "try": 2})
    assert ordered.done == ["first", "second"]


def test_the_page_knows_what_is_done_at_once() -> None:
    (listed,) = re.findall(r"^const AT_ONCE = (.*);", script("link.js"), re.MULTILINE)
    assert set(json.loads(listed)) == AT_ONCE | {"seq"}


def test_a_panel_whose_cell_shows_another_rests_until_a_page_says_hello(session: Stored) -> None:
    first, second, places = Watched(session), Watched(session), Places()
    for run, panel in (("1", first), ("2", second)):
        places.show(panel, RunningCell(run, "cell"))
        panel._received(panel, {"do": "hello", "id": f"hello-{run}"}, [])
        panel.settled()
    sent = len(first.sent)
    session.end(session.ask_for("hi"))
    session.turns = (done(1),)
    second.settled()
    assert any(message.get("kind") == "news" for message in second.sent)
    assert len(first.sent) == sent
    first._received(first, {"do": "hello", "id": "again"}, [])
    whole = first.wait_for(lambda message: message.get("re") == "again")
    assert [turn["prompt"] for turn in whole["turns"]] == ["ask 1"]
    first.close()
    second.close()


def test_a_panel_that_another_cell_shows_does_not_rest() -> None:
    places, rested = Places(), []

    class Shown:
        def rest(self) -> None:
            rested.append(self)

    first, second, third = Shown(), Shown(), Shown()
    places.show(first, RunningCell("1", "a"))
    places.show(first, RunningCell("2", "b"))
    places.show(second, RunningCell("3", "a"))
    places.show(third, RunningCell("3", "a"))
    places.show(third, None)
    assert rested == []
    places.show(second, RunningCell("4", "b"))
    assert rested == [first]


def test_the_page_knows_the_panel_by_the_id_of_its_comm(panel: Watched) -> None:
    assert panel.panel_id == panel.model_id
