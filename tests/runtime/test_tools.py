"""Tools on the real runtime: what they are asked about, what they return, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from copilot_nb.agent.functions import tool_of
from copilot_nb.agent.tools import ToolSpec, schema_of
from copilot_nb.conversation.parts import Outcome, ToolCall, TurnState
from copilot_nb.errors import BudgetReached, TurnInterrupted
from copilot_nb.named_sessions.approvals import ApprovalRequest
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Event
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.providers.pieces import FunctionCall
from copilot_nb.testing import Reply, ScriptedModel

from .conftest import script

Answer = Callable[[ApprovalRequest], tuple[Outcome, str]]
SECRET = "planted-secret-4711"


class Person:
    """Somebody who answers each request for permission as soon as it comes."""

    def __init__(self, manager: Manager) -> None:
        self.seen: list[ApprovalRequest] = []
        self.answers: list[Outcome] = []
        self.reason = ""
        self._manager = manager

    def __call__(self, event: Event) -> None:
        if event.kind == "ask":
            for request in self._manager.approvals.pending:
                if request not in self.seen:
                    self.seen.append(request)
                    if self.answers:
                        self._manager.approvals.decide(request.request_id, self.answers.pop(0), "you", self.reason)

    def wait_for(self, number: int) -> ApprovalRequest:
        """Wait until so many requests have come, and return the last of them."""
        deadline_s = time.monotonic() + 10
        while len(self.seen) < number:
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        return self.seen[number - 1]


@pytest.fixture
def person(manager: Manager) -> Iterator[Person]:
    """A person at the front end, who does not answer until a test says how."""
    somebody = Person(manager)
    ends = [manager.approvals.attend(lambda _request: True), manager.events.add(somebody)]
    yield somebody
    for end in ends:
        end()


def calls(*names: str, **arguments: object) -> Reply:
    return Reply(calls=tuple(FunctionCall(name, json.dumps(arguments)) for name in names))


def answered(manager: Manager, *replies: Reply) -> ScriptedModel:
    return script(manager, ScriptedModel([*replies, "Done."]))


def told(model: ScriptedModel) -> list[str]:
    """What the model was told of its calls."""
    return [message.text for message in model.requests[-1].messages if message.role == "tool"]


def calls_of(turn: Turn) -> list[ToolCall]:
    return [part for part in turn.record.parts if isinstance(part, ToolCall)]


def decisions(parts: Sequence[ToolCall]) -> list[tuple[str, str, str]]:
    return [(p.decision.outcome, p.decision.by, p.decision.reason) for p in parts if p.decision is not None]


def own(manager: Manager, session: str, function: Callable[..., object], *, asks: bool = True) -> None:
    manager.toolbox.add(tool_of(function, asks=asks), session)


def act(word: str = "") -> str:
    """Act."""
    return f"acted {word}"


def test_each_answer_is_obeyed_told_and_kept(manager: Manager, person: Person) -> None:
    own(manager, "asked", act)
    session = manager.session("asked", tools="read")
    person.answers = ["once", "denied", "session"]
    person.reason = "not today"
    said = []
    for number in range(4):  # the fourth is allowed by the third answer
        model = answered(manager, calls("act", word=str(number)))
        turn = session.ask("Act")
        said.append(told(model)[-1])
        assert calls_of(turn) == [part for part in session.history[-1].parts if isinstance(part, ToolCall)]
    assert ["acted" in each for each in said] == [True, False, True, True]
    assert "The user did not allow this, so it was not run: not today." in said[1]
    assert [request.text for request in person.seen] == [f'{{\n  "word": "{number}"\n}}' for number in range(3)]
    kept = [part for turn in session.history for part in turn.parts if isinstance(part, ToolCall)]
    assert decisions(kept) == [
        ("once", "you", "not today"),
        ("denied", "you", "not today"),
        ("session", "you", "not today"),
        ("session", "you, for this session", ""),
    ]
    assert all(part.duration_s is not None for part in kept)


def test_nobody_to_ask_and_nobody_who_answers(manager: Manager, person: Person) -> None:
    own(manager, "unanswered", act)
    manager.settings.answer_timeout_s = 0.02
    model = answered(manager, calls("act"))
    (late,) = calls_of(manager.session("unanswered").ask("Act"))
    manager.settings.answer_timeout_s = 600.0
    assert "Nobody answered the request for permission" in told(model)[-1]
    assert decisions([late]) == [("expired", "", "")]
    assert len(person.seen) == 1


def test_where_nobody_is_there_nothing_runs(manager: Manager) -> None:
    own(manager, "headless", act)
    model = answered(manager, calls("act"))
    (call,) = calls_of(manager.session("headless").ask("Act"))
    assert "no one could answer" in told(model)[-1]
    assert (call.succeeded, decisions([call])) == (False, [("unattended", "", "")])


def test_a_turn_that_is_stopped_while_it_asks_ends_at_once(manager: Manager, person: Person) -> None:
    own(manager, "stopped-asking", act)
    session = manager.session("stopped-asking")
    answered(manager, calls("act"))
    turn = session.send("Act")
    person.wait_for(1)
    assert calls_of(turn)[0].is_asking
    begun_s = time.monotonic()
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    assert time.monotonic() - begun_s < 1.0  # 0.03 s on a quiet machine
    assert manager.approvals.pending == ()
    for (call,) in (calls_of(turn), [part for part in session.history[-1].parts if isinstance(part, ToolCall)]):
        assert (call.is_stopped, call.is_open, decisions([call])) == (True, False, [("withdrawn", "", "")])
    answered(manager)
    assert session.ask("Go on").state is TurnState.DONE  # a late event of the first turn does not end this one


def test_a_question_that_waits_is_not_silence(manager: Manager, person: Person) -> None:
    own(manager, "patient", act)
    answered(manager, calls("act"))
    turn = manager.session("patient").send("Act", timeout_s=0.3)
    request = person.wait_for(1)
    with pytest.raises(TimeoutError):
        turn.wait(timeout_s=1.0)  # three times the silence that ends a turn
    manager.approvals.decide(request.request_id, "once", "you")
    assert turn.wait().text == "Done."


def test_what_the_terminal_was_allowed_for_good_does_not_run_unasked(
    own_manager: Callable[..., Manager], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    manager = own_manager(model := ScriptedModel([calls("act"), "Done."]))
    home = Path(manager.settings.home)
    home.mkdir(parents=True)
    stored = {"tool_approvals": [{"kind": "custom-tool", "toolName": "act"}]}
    (home / "permissions-config.json").write_text(json.dumps({"locations": {str(tmp_path): stored}}))
    own(manager, "", act)
    (call,) = calls_of(manager.session("s1").ask("Act"))
    assert decisions([call]) == [("unattended", "", "")]
    assert "Nobody can be asked for permission here" in told(model)[-1]


def test_a_rule_decides_before_anybody_is_asked(manager: Manager, person: Person) -> None:
    own(manager, "ruled", act)
    for action, expected in (("allow", "acted"), ("deny", "The rule for tool act did not allow this")):
        manager.settings.permissions = [{"action": action, "tool": "act"}]
        model = answered(manager, calls("act"))
        turn = manager.session("ruled").ask("Act")
        assert expected in told(model)[-1]
        assert decisions(calls_of(turn))[0][1] == "the rule for tool act"
    manager.settings.permissions = []
    assert person.seen == []


def fails(kind: str) -> str:
    """Fail."""
    raise ValueError(f"no {kind} {SECRET}")


def long() -> str:
    """Return much."""
    return "é" * 100_000


async def gathered() -> dict[str, int]:
    """Work asynchronously."""
    await asyncio.sleep(0)
    return {"n": 1}


def exits() -> None:
    """End the interpreter."""
    raise SystemExit(3)


def test_what_a_function_returns_or_raises_reaches_the_model(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_SECRET", SECRET)
    for function in (fails, long, gathered, exits):
        own(manager, "free", function, asks=False)
    model = answered(
        manager,
        calls("fails", kind="luck"),
        calls("fails"),
        calls("long", "gathered"),
        calls("exits"),
        calls("nothing"),
    )
    turn = manager.session("free").ask("Try")
    raised, wrong, much, counted, ended, _unknown = told(model)
    assert "ValueError: no luck ‹secret: PLANTED_SECRET›" in raised
    assert "hidden; it is no error" in raised
    assert wrong == "the arguments are wrong: kind: Field required"
    assert len(much.encode()) < 16_000
    assert "characters left out" in much
    assert '{"n": 1}' in counted
    assert "SystemExit: 3" in ended
    assert [call.succeeded for call in calls_of(turn)] == [False, False, True, True, False, False]
    assert SECRET not in (Path(manager.settings.home) / "session-state" / "free" / "events.jsonl").read_text()


def test_a_model_that_never_stops_calling_is_stopped(manager: Manager, person: Person) -> None:
    own(manager, "loop", act, asks=False)
    manager.settings.max_tool_calls = 5
    model = script(manager, ScriptedModel(lambda _request: calls("act")))
    person.answers = ["once", "denied"]
    with pytest.raises(BudgetReached, match="has made 10 calls of tools for one prompt"):
        manager.session("loop").ask("Go")
    manager.settings.max_tool_calls = 50
    assert [request.what for request in person.seen] == ["go on after 5 calls", "go on after 10 calls"]
    assert len(model.requests) == 11


def test_a_tool_is_defined_again_follows_a_rename_and_is_taken_away(manager: Manager) -> None:
    def version(text: str) -> ToolSpec:
        return ToolSpec("version", "Which?", lambda *_: text, schema_of(), asks=False)

    model = answered(manager, calls("version"), "One.", calls("version"), "Two.", "None.")
    session = manager.session("before", tools="read")
    manager.toolbox.add(version("one"), "before")
    session.ask("Which?")
    manager.toolbox.add(version("two"), "before")
    session.rename("after")
    session.ask("And now?")
    manager.toolbox.remove("version")
    session.ask("Still?")
    assert [said.splitlines()[-2] for said in told(model)] == ["one", "two"]
    assert [request.tools for request in model.requests] == [("version",)] * 4 + [()]


def test_tools_change_without_a_reload_and_come_again_with_a_resumed_session(
    own_manager: Callable[..., Manager],
) -> None:
    manager = own_manager(model := ScriptedModel())
    manager.toolbox.offer("kernel", [ToolSpec("run", "Run.", lambda *_: "", schema_of())])
    session = manager.session("s1", tools="kernel")
    session.ask("one")
    connection = session._state.runner.connection
    own(manager, "", act)
    for tools in ("kernel", "read", "none", "kernel"):
        session.ask("again", tools=tools)
    assert session._state.runner.connection is connection
    offered = [request.tools for request in model.requests]
    assert offered == [("run",), ("run", "act"), ("act",), (), ("run", "act")]
    manager.close()
    again = own_manager(model)
    again.toolbox.offer("kernel", [ToolSpec("run", "Run.", lambda *_: "", schema_of())])
    again.session("s1").ask("two")
    assert (model.requests[-1].tools, again.session("s1").tools) == (("run",), "kernel")
