"""What a panel shows of requests, and what its page may decide."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from copilot_nb.agent.policy import Call, Kind
from copilot_nb.conversation.parts import Decision
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.approvals import ApprovalRequest, Approvals
from copilot_nb.panels.approvals import Asks

DENY = {"request": "1", "outcome": "denied", "reason": " too slow "}


def asked(
    check: Callable[[Approvals], None], *, kind: Kind = "code", user: str = "", has_person: bool = True
) -> Decision:
    """Ask, let `check` look and decide, and return the decision."""
    approvals = Approvals(lambda: has_person, lambda: 0.05)

    async def ask() -> Decision:
        call = Call(call_id="c", kind=kind, tool="run_code", text="x = 1", language="python")
        decision: Awaitable[Decision] = asyncio.ensure_future(approvals.ask(("py", "py-id"), None, call, call.what))
        await asyncio.sleep(0)
        check(approvals)
        return await decision

    return asyncio.run(ask())


def asks_of(approvals: Approvals, user: str = "", *, hides: bool = False) -> Asks:
    return Asks(approvals, lambda request: request.session_id == "py-id", user, lambda: hides)


def test_a_panel_shows_a_request_once_and_decides_it() -> None:
    def check(approvals: Approvals) -> None:
        asks = asks_of(approvals)
        ((item,),) = (each["asks"] for each in asks.news())
        assert (item["title"], item["scope"], item["mayDecide"]) == ("py asks: run Python", "any code", True)
        assert list(asks.news()) == []
        assert asks.decide(DENY) == {}
        assert list(asks.news()) == [{"kind": "asks", "asks": []}]
        assert asks.decide(DENY) == {"said": "This was decided before: denied by you, in a panel: too slow."}

    decision = asked(check)
    assert (decision.outcome, decision.by, decision.reason) == ("denied", "you, in a panel", "too slow")


@pytest.mark.parametrize("outcome", ["rule", "withdrawn", "", None, "yes"])
def test_a_page_cannot_decide_in_another_way(outcome: str | None) -> None:
    def check(approvals: Approvals) -> None:
        with pytest.raises(InputError, match="cannot be decided as"):
            asks_of(approvals).decide({"request": "1", "outcome": outcome})

    assert asked(check).outcome == "expired"


def test_a_page_decides_only_about_what_it_shows() -> None:
    def check(approvals: Approvals) -> None:
        other = Asks(approvals, lambda request: request.session_id == "another")
        assert other.whole() == []
        assert "said" in other.decide({"request": "1", "outcome": "once"})

    assert asked(check).outcome == "expired"


def test_a_visitor_answers_questions_and_allows_nothing() -> None:
    def refused(approvals: Approvals) -> None:
        with pytest.raises(InputError, match="the owner of this page decides"):
            asks_of(approvals, "eve").decide({"request": "1", "outcome": "once"})

    def answered(approvals: Approvals) -> None:
        assert (
            asks_of(approvals, "eve").decide({"request": "1", "outcome": "once", "answers": {"answer": "blue"}}) == {}
        )

    assert asked(refused).outcome == "expired"
    assert asked(answered, kind="question").by == "eve, in a panel"


def test_a_blind_panel_does_not_say_who_asks() -> None:
    def check(approvals: Approvals) -> None:
        (item,) = asks_of(approvals, hides=True).whole()
        assert item["title"] == "a session asks: run Python"
        assert "py" not in item["html"]

    asked(check)


def test_an_open_page_can_answer_what_it_shows_and_that_of_a_visitor_only_questions() -> None:
    approvals = Approvals(lambda: False, lambda: 0.05)
    visitors, owners = asks_of(approvals, "eve"), asks_of(approvals)

    def answerable(kind: Kind, session_id: str = "py-id") -> bool:
        call = Call(call_id="c", kind=kind, tool="x")
        request = ApprovalRequest(request_id="1", session="py", session_id=session_id, turn=None, call=call, what="")
        return approvals.can_be_answered(request)

    visitors.attend()
    assert (answerable("question"), answerable("code")) == (True, False)
    owners.attend()
    owners.attend()
    assert (answerable("code"), answerable("code", "another"), answerable("question", "another")) == (
        True,
        False,
        False,
    )
    owners.leave()
    assert not answerable("code")
    visitors.leave()
    assert not answerable("question")


def test_a_page_fills_in_a_form_and_is_told_what_does_not_fit() -> None:
    def check(approvals: Approvals) -> None:
        asks = asks_of(approvals)
        assert asks.whole()[0]["fields"][0]["label"] == "Your answer"
        decide = {"request": "1", "outcome": "once"}
        for wrong in (None, {"answer": " "}, {"answer": None}, ["answer"]):
            fault = asks.decide({**decide, "answers": wrong})
            assert fault == {"fault": "Your answer needs an answer.", "field": "answer"}
        assert asks.decide({**decide, "answers": {"answer": "bl\ud83due"}}) == {}

    assert asked(check, kind="question").reason == "bl\ufffdue"
