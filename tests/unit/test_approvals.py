"""Requests for permission: who waits, who answers, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.agent.forms import DoesNotFit, form_of, question_form
from copilot_nb.agent.policy import Call
from copilot_nb.agent.tools import ToolSpec
from copilot_nb.conversation.changes import Prompted, ToolStarted
from copilot_nb.conversation.parts import Decision, Outcome
from copilot_nb.conversation.transcript import Transcript, advance
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.named_sessions.approvals import ApprovalRequest, Approvals, asking_lines, to_answer
from copilot_nb.named_sessions.gate import Gate
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.notebook.subcommands.approvals import request_of
from copilot_nb.settings import CopilotNB

LONG_S = 60.0
CODE = Call(call_id="c1", kind="code", tool="run_code", text="print(1)")


class Desk:
    """A person who answers each request as soon as it comes, or not at all."""

    def __init__(self, *answers: tuple[Outcome, *tuple[str, ...]], timeout_s: float = LONG_S) -> None:
        self.approvals = Approvals(lambda: True, lambda: timeout_s)
        self.seen: list[ApprovalRequest] = []
        self._answers = list(answers)

    def tell(self, _turn: object = None) -> None:
        """Look at what is pending."""
        for request in self.approvals.pending:
            self.seen.append(request)
            if self._answers:
                self.approvals.decide(request.request_id, *self._answers.pop(0))

    async def ask(self, call: Call = CODE, turn: Turn | None = None) -> Decision:
        return await self.approvals.ask(("s1", "id1"), turn, call, call.what, tell=self.tell)


def outcome(decision: Decision) -> tuple[str, str, str]:
    return decision.outcome, decision.by, decision.reason


def a_turn(*call_ids: str) -> Turn:
    turn = Turn(cast(Any, SimpleNamespace(name="s1", model="a", provider="b")), "Hello")
    turn.begin(advance(Transcript(), Prompted("t1", "Hello")).turns[0])
    for call_id in call_ids:
        turn.apply(ToolStarted(call_id, "run_code"))
    return turn


def test_the_first_decision_counts_and_the_others_can_see_it() -> None:
    desk = Desk()

    async def run() -> Decision:
        asking = asyncio.ensure_future(desk.ask())
        await asyncio.sleep(0)
        (request,) = desk.approvals.pending
        assert (request.what, request.text, request.session_scope) == ("run Python", "print(1)", "any code")
        told: list[bool] = []
        threads = [
            threading.Thread(target=lambda by=by: told.append(desk.approvals.decide(request.request_id, "once", by)))
            for by in ("cell", "panel", "command")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == [False, False, True]
        assert desk.approvals.decision(request.request_id) == await asking
        return await asking

    decision = asyncio.run(run())
    assert decision.is_allowed
    assert decision.by in ("cell", "panel", "command")
    assert desk.approvals.pending == ()
    assert not desk.approvals.decide("99", "once", "nobody")


def test_without_an_answer_it_is_denied() -> None:
    assert outcome(asyncio.run(Desk(timeout_s=0.01).ask())) == ("expired", "", "")


def test_where_nobody_can_be_asked_it_is_denied_at_once_unless_a_panel_is_open() -> None:
    approvals = Approvals(lambda: False, lambda: 0.01)

    async def ask(session: str = "s1") -> str:
        return (await approvals.ask((session, "id"), None, CODE, "")).outcome

    assert asyncio.run(ask()) == "unattended"
    close = approvals.attend(lambda request: request.session == "s1")
    assert asyncio.run(ask()) == "expired"
    assert asyncio.run(ask("s2")) == "unattended"  # the panel does not show that
    close()
    close()
    assert asyncio.run(ask()) == "unattended"


def test_a_turn_that_stops_waits_for_no_answer() -> None:
    desk, turn = Desk(), a_turn()

    async def run() -> Decision:
        asking = asyncio.ensure_future(desk.ask(turn=turn))
        await asyncio.sleep(0)
        desk.approvals.withdraw(a_turn())
        assert desk.approvals.of(turn=turn) == desk.approvals.of("id1") == desk.approvals.pending != ()
        desk.approvals.withdraw(turn)
        return await asyncio.wait_for(asking, LONG_S)

    assert outcome(asyncio.run(run())) == ("withdrawn", "", "")


def test_a_request_whose_caller_is_gone_is_no_longer_shown() -> None:
    desk = Desk()

    async def run() -> None:
        asking = asyncio.ensure_future(desk.ask())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(run())
    assert desk.approvals.pending == ()


def test_what_can_only_be_allowed_once_is_not_allowed_for_the_session() -> None:
    desk = Desk(("session", "you"))
    assert asyncio.run(desk.ask(Call(call_id="c", kind="other", tool="x"))).outcome == "once"


class Runner:
    """The running turn of a session, and what is written to its log."""

    def __init__(self, turn: Turn | None = None) -> None:
        self.current = turn
        self.connection = self
        self.folder = "/work"
        self.kept: list[tuple[str, ...]] = []
        self.breaches: list[str] = []

    async def keep_decision(self, call_id: str, decision: Decision, question: str) -> None:
        self.kept.append((call_id, decision.outcome, *((decision.reason, question) if question else ())))

    def stop_at_limit(self, error: CopilotNBError) -> None:
        self.breaches.append(error.message)


def gate_of(desk: Desk, runner: Runner, **settings: Any) -> Gate:
    return Gate(
        names=lambda: ("s1", "id1"),
        runner=cast(Any, runner),
        approvals=desk.approvals,
        settings=CopilotNB(**settings),
        hide=str,
        tell=desk.tell,
        looked=lambda _turn, _tool: None,
    )


def decisions(gate: Gate, *calls: Call) -> list[tuple[str, str, str]]:
    async def run() -> list[Decision]:
        return [await gate.permit(call) for call in calls]

    return [outcome(decision) for decision in asyncio.run(run())]


def test_a_rule_is_applied_and_kept_in_the_log_and_what_is_harmless_is_not() -> None:
    runner = Runner(a_turn("c1"))
    look = Call(call_id="c1", kind="look", tool="describe", is_harmless=True)
    rules = [{"action": "deny", "kind": "code"}]
    gate = gate_of(Desk(), runner, permissions=rules)
    assert decisions(gate, look, CODE) == [("rule", "", ""), ("denied", "the rule for kind code", "")]
    assert runner.kept == [("c1", "denied")]


def test_a_call_is_asked_about_once_and_another_with_its_id_again() -> None:
    desk, runner = Desk(("once", "you"), ("denied", "you"), ("denied", "you")), Runner(a_turn("c1"))
    gate = gate_of(desk, runner)
    other = Call(call_id="c1", kind="code", tool="run_code", text="print(2)")

    async def run() -> list[str]:
        first = await asyncio.gather(gate.permit(CODE), gate.permit(CODE))
        second = await gate.permit(other)
        cast(Turn, runner.current).apply(ToolStarted("c1", "run_code"))  # the same call once more
        return [each.outcome for each in (*first, second, await gate.permit(CODE))]

    assert asyncio.run(run()) == ["once", "once", "denied", "denied"]
    assert len(desk.seen) == 3


def test_a_person_decides_what_managed_settings_reserve_though_a_rule_allowed_it_before() -> None:
    managed = dataclasses.replace(CODE, needs_human=True)
    rules = [{"action": "allow", "kind": "code"}]
    for outcome_ in ("once", "denied"):
        desk, runner = Desk((cast(Outcome, outcome_), "you")), Runner(a_turn("c1"))
        decided = decisions(gate_of(desk, runner, permissions=rules), CODE, managed, managed)
        assert decided == [("rule", "the rule for kind code", ""), *[(outcome_, "you", "")] * 2]
        assert runner.kept == [("c1", "rule"), ("c1", outcome_)]
        assert not desk.seen[0].session_scope
    desk = Desk(("once", "you"))
    assert {each[1] for each in decisions(gate_of(desk, Runner(a_turn("c1"))), CODE, managed)} == {"you"}
    assert len(desk.seen) == 1


def test_for_this_session_is_remembered_by_the_session_only() -> None:
    desk = Desk(("session", "you, in the cell"), ("denied", "you"))
    first, second = gate_of(desk, Runner(a_turn())), gate_of(desk, Runner(a_turn()))
    others = [Call(call_id=f"c{number}", kind="code", tool="run_code", text=str(number)) for number in (2, 3)]
    assert decisions(first, CODE, others[0]) == [
        ("session", "you, in the cell", ""),
        ("session", "you, for this session", ""),
    ]
    assert decisions(second, others[1]) == [("denied", "you", "")]


def test_a_call_without_an_id_or_a_turn() -> None:
    desk, runner = Desk(("once", "you"), ("denied", "you")), Runner(a_turn("c1"))
    unnamed = Call(call_id="", kind="code", tool="run_code", text="print(1)")
    assert [each[0] for each in decisions(gate_of(desk, runner), unnamed, unnamed)] == ["once", "denied"]
    for turn in (None, a_turn("c1")):
        if turn is not None:
            turn.stop_requested = True
        assert decisions(gate_of(Desk(), Runner(turn)), CODE) == [("withdrawn", "", "")]


def test_a_turn_that_is_stopped_while_it_asks_to_go_on_has_not_reached_a_limit() -> None:
    gate, runner, _, _ = limited(("withdrawn", ""))
    assert [each[0] for each in decisions(gate, look(3))] == ["denied"]
    assert runner.breaches == []


def look(number: int) -> Call:
    return Call(call_id=f"c{number}", kind="look", tool="describe", is_harmless=True)


def limited(*answers: tuple[Outcome, str]) -> tuple[Gate, Runner, Desk, list[str]]:
    desk, runner, allowed = Desk(*answers), Runner(a_turn(*(f"c{number}" for number in range(1, 7)))), []
    gate = gate_of(desk, runner, max_tool_calls=2)
    gate.begin(lambda: allowed.append("more"))
    return gate, runner, desk, allowed


def test_after_many_calls_somebody_is_asked_whether_to_go_on() -> None:
    gate, runner, desk, allowed = limited(("once", "you"), ("once", "you"))
    assert {each[0] for each in decisions(gate, *map(look, range(1, 7)))} == {"rule"}
    assert [request.what for request in desk.seen] == ["go on after 2 calls", "go on after 4 calls"]
    assert (allowed, runner.breaches) == (["more", "more"], [])


def test_calls_at_the_same_time_share_one_question_and_end_with_one_refusal() -> None:
    gate, runner, desk, _ = limited(("denied", "you"))

    async def run() -> list[Decision]:
        return await asyncio.gather(*(gate.permit(look(number)) for number in range(1, 7)))

    assert [each.is_allowed for each in asyncio.run(run())] == [True, True, False, False, False, False]
    assert len(desk.seen) == 1
    assert runner.breaches == ["session 's1' has made 2 calls of tools for one prompt"]


def test_a_limit_that_is_lifted_while_somebody_is_asked_asks_no_more() -> None:
    gate, _, desk, _ = limited(*[("once", "you")] * 3)
    tell = desk.tell

    def lift(turn: object = None) -> None:
        gate._settings.max_tool_calls = 0
        tell(turn)

    gate._tell = lift
    assert [each[0] for each in decisions(gate, look(3), look(4))] == ["rule", "rule"]
    assert len(desk.seen) == 1


QUESTION = Call(call_id="", kind="question", tool="ask_user", text="Which colour?")
FORM = form_of({"properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["age"]})


class Answering(Desk):
    """A person who answers a form after a mistake."""

    def tell(self, _turn: object = None) -> None:
        """Answer once wrong and once right."""
        for request in self.approvals.pending:
            self.seen.append(request)
            with pytest.raises(DoesNotFit, match="age needs an answer"):
                self.approvals.answer(request.request_id, {"name": "Bo"}, "you")
            assert self.approvals.answer(request.request_id, {"name": "token = hush-1234", "age": "7"}, "you")
            assert not self.approvals.answer(request.request_id, {"age": "8"}, "late")


def test_a_form_is_answered_in_its_fields_and_kept_in_words() -> None:
    turn = a_turn()
    turn.apply(ToolStarted("c7", "hello-greet"))
    desk, runner = Answering(), Runner(turn)
    gate = gate_of(desk, runner)
    gate.hide = lambda text: text.replace("hush-1234", "hidden")
    question = Call(call_id="", kind="question", tool="hello", text="Who?")
    decision = asyncio.run(gate.question(question, FORM))
    assert decision.answers == {"name": "token = hush-1234", "age": 7}
    assert runner.kept == [("c7", "once", "name: token = hidden, age: 7", "Who?")]
    assert desk.seen[0].title == "s1 asks for the server hello:"
    assert to_answer(desk.seen[0]) == "%copilot answer s1 name=… age=…"


def test_what_waits_is_listed_with_what_to_type() -> None:
    desk = Desk()

    async def run() -> list[str]:
        asking = [asyncio.ensure_future(desk.ask())]
        await asyncio.sleep(0)
        one = [line for _, line in asking_lines(desk.approvals.pending)]
        asking.append(asyncio.ensure_future(desk.ask(dataclasses.replace(QUESTION, text="Which\ncolour? " * 9))))
        await asyncio.sleep(0)
        for each in asking:
            each.cancel()
        return one + [line for _, line in asking_lines(desk.approvals.pending)]

    alone, first, second = asyncio.run(run())
    assert alone == "s1 asks: run Python; to answer: %copilot approve s1, or %copilot deny s1 REASON"
    assert first.endswith("%copilot approve #1, or %copilot deny #1 REASON")
    assert second.startswith("s1 asks: Which colour? Which colour? ")
    assert second.endswith("Which colo…; to answer: %copilot answer #2 TEXT")


def test_a_question_without_an_answer() -> None:
    desk, runner = Desk(timeout_s=0.01), Runner(a_turn())
    decision = asyncio.run(gate_of(desk, runner).question(QUESTION, question_form()))
    assert (decision.outcome, decision.waited_s > 0) == ("expired", True)
    assert (desk.seen[0].what, desk.seen[0].title, desk.seen[0].is_question) == ("s1 asks", "s1 asks:", True)
    assert to_answer(desk.seen[0]) == "%copilot answer s1 TEXT"
    assert runner.kept == [("", "expired", "", "Which colour?")]


def test_what_a_tool_is_asked_about() -> None:
    spec = ToolSpec("mine", "", lambda _arguments, _context: "", targets=lambda given: (given["to"],))
    call = spec.call("c1", {"to": "Ada", "text": "ü"})
    assert (call.kind, call.what, call.text) == ("tool", "mine: Ada", '{\n  "to": "Ada",\n  "text": "ü"\n}')


def test_a_session_called_like_a_number_is_not_taken_for_a_request() -> None:
    approvals = Approvals(lambda: True, lambda: LONG_S)
    context = cast(Any, SimpleNamespace(manager=SimpleNamespace(approvals=approvals)))

    async def run() -> None:
        asking = [asyncio.ensure_future(approvals.ask((name, name), None, CODE, "run")) for name in ("2", "py")]
        await asyncio.sleep(0)
        first, second = approvals.pending
        assert [request_of(context, name) for name in ("1", "#1", "#2", "py")] == [first, first, second, second]
        with pytest.raises(
            InputError, match=r"^2 requests wait .* give the number of one: #1 \(2 asks.*; #2 \(py asks"
        ):
            request_of(context, "2")
        assert to_answer(first) == "%copilot approve #1, or %copilot deny #1 REASON"
        assert to_answer(second).startswith("%copilot approve py, ")
        for each in asking:
            each.cancel()

    asyncio.run(run())
