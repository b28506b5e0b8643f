"""Panels that ask again in the place of an answer: in one step, and what cannot be sent loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from copilot_nb.errors import RuntimeUnavailable, SessionInUse
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Event, Session, state_of
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.panels.chat import ChatPanel
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.testing import ScriptedModel

from .conftest import script

WAIT_S = 20


def talked(manager: Manager, name: str, *texts: str) -> Session:
    session = manager.session(name)
    for text in texts:
        session.ask(text)
    return session


def prompts(session: Session) -> list[str]:
    return [turn.prompt for turn in session.history]


def keys(panel: ChatPanel) -> list[str]:
    return [turn["key"] for turn in panel.whole()["turns"]]


def sent(session: Session, act: Callable[[], object]) -> Turn:
    """Return the turn that `act` sends, when it has ended."""
    act()
    (turn,) = state_of(session).pending or [None]
    assert turn is not None
    turn.ended.result(WAIT_S)
    return turn


@contextmanager
def sending_when_taken_back(manager: Manager, session: Session, text: str) -> Iterator[list[Turn]]:
    """Let somebody else send a prompt at the moment when turns of the session are taken back."""
    others: list[Turn] = []

    def watch(event: Event) -> None:
        if event.kind == "history" and event.session is session and not others:
            others.append(session.send(text))

    stop = manager.events.add(watch)
    yield others
    stop()


@contextmanager
def refusing(session: Session) -> Iterator[None]:
    """Let the runtime take no prompt of the session."""

    async def refuse(*_: object) -> None:
        raise RuntimeUnavailable("not today")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_of(session).runner, "run", refuse)
        yield


def test_no_prompt_comes_between_in_a_chat(manager: Manager) -> None:
    session = talked(manager, "chat-between", "one", "two", "three")
    panel = ChatPanel(session)
    with sending_when_taken_back(manager, session, "another's") as others:
        turn = sent(session, lambda: panel.do_resend({"turn": keys(panel)[1], "text": "second"}))
    others[0].wait(WAIT_S)
    assert prompts(session) == ["one", "second", "another's"]
    assert turn.notes == ["took back 1 later turn"]
    panel.close()


def test_a_chat_that_is_answering_takes_nothing_back(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = talked(manager, "chat-busy", "one", "two")
    panel = ChatPanel(session)
    model.hold()
    turn = session.send("three")
    with pytest.raises(SessionInUse, match="is answering"):
        panel.do_resend({"turn": keys(panel)[0], "text": "first"})
    model.release()
    turn.wait(WAIT_S)
    assert prompts(session) == ["one", "two", "three"]
    panel.close()


def test_a_prompt_that_a_chat_cannot_send_removes_no_turn_and_can_be_sent_again(manager: Manager) -> None:
    session = talked(manager, "chat-refused", "one", "two", "three")
    panel = ChatPanel(session)
    first = keys(panel)[0]
    with refusing(session):
        turn = sent(session, lambda: panel.do_resend({"turn": first, "text": "first"}))
    assert "not today" in str(turn.error)
    assert turn.notes == []
    *stored, failed = keys(panel)
    assert len(stored) == len(prompts(session)) == 3
    sent(session, lambda: panel.do_resend({"turn": failed, "text": None}))
    assert prompts(session) == ["first"]
    panel.close()


def test_a_prompt_whose_place_is_gone_is_sent_at_the_end(manager: Manager) -> None:
    session = talked(manager, "chat-gone", "one", "two")
    panel = ChatPanel(session)
    with refusing(session):
        sent(session, lambda: panel.do_resend({"turn": keys(panel)[1], "text": "second"}))
    session.rewind(1)
    sent(session, lambda: panel.do_resend({"turn": keys(panel)[-1], "text": None}))
    assert prompts(session) == ["one", "second"]
    panel.close()


def test_no_prompt_comes_between_in_a_comparison(manager: Manager) -> None:
    left, right = manager.session("left-between"), manager.session("right-between")
    panel = ComparePanel([left, right], manager=manager)
    for turn in panel.ask("one").turns:
        turn.wait(WAIT_S)
    with sending_when_taken_back(manager, right, "another's") as others:
        again = panel.retry(1, 2).turns[1].wait(WAIT_S)
    others[0].wait(WAIT_S)
    assert [turn.turn_id for turn in right.history] == [again.record.turn_id, others[0].record.turn_id]
    assert prompts(right) == ["one", "another's"]
    panel.close()


def test_an_answer_of_a_comparison_that_cannot_be_asked_for_again_stays(manager: Manager) -> None:
    left, right = manager.session("left-refused"), manager.session("right-refused")
    panel = ComparePanel([left, right], manager=manager)
    for turn in panel.ask("one").turns:
        turn.wait(WAIT_S)
    before = right.history[0].turn_id
    with refusing(right):
        panel.retry(1, 2).turns[1].ended.result(WAIT_S)
    assert [turn.turn_id for turn in right.history] == [before]
    panel.retry(1, 2).turns[1].wait(WAIT_S)
    assert prompts(right) == ["one"]
    assert right.history[0].turn_id != before
    panel.close()
