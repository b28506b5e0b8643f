"""Prompts that wait, are withdrawn, take the place of others, or fail before anything is stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from copilot_nb.errors import InputError, ProviderError, RuntimeUnavailable, SessionInUse, TurnFailed, TurnInterrupted
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Session, queue_of, state_of
from copilot_nb.named_sessions.waiting import wait
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import script

WAIT_S = 20.0
LONG_AGO_S = 60.0
WITHDRAWN = "was withdrawn before it was sent"


@pytest.fixture
def one_seat(manager: Manager) -> Iterator[None]:
    """Let one turn at a time be under way."""
    before = manager.settings.max_parallel_turns
    manager.settings.max_parallel_turns = 1
    yield
    manager.settings.max_parallel_turns = before


def hold_preparation(manager: Manager, patch: pytest.MonkeyPatch) -> tuple[threading.Event, Callable[[], None]]:
    """Let each turn be prepared until the returned function is called; the event tells when the first one is."""
    is_preparing, may_go_on = threading.Event(), asyncio.Event()
    resolve = manager.selector.resolve

    async def resolve_later(provider: str, model: str) -> tuple[str, str]:
        is_preparing.set()
        await may_go_on.wait()
        return await resolve(provider, model)

    patch.setattr(manager.selector, "resolve", resolve_later)
    return is_preparing, lambda: manager.loop.call_soon(may_go_on.set)


def talked(manager: Manager, name: str, *prompts: str) -> Session:
    session = manager.session(name)
    for prompt in prompts:
        session.ask(prompt)
    return session


def prompts(session: Session) -> list[str]:
    return [turn.prompt for turn in session.history]


@pytest.mark.usefixtures("one_seat")
def test_a_prompt_that_waits_for_a_seat_can_be_stopped_and_overtaken(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = talked(manager, "seatless", "one")
    model.hold()
    other = manager.session("seated").send("first")
    stopped = session.send("two")
    stopped.stop()
    manager.loop.blocking(queue_of(session).emptied(), WAIT_S)
    overtaken = session.send("three")
    at_once = session.send("four", now=True)
    for turn in (stopped, overtaken):
        with pytest.raises(TurnInterrupted, match=WITHDRAWN):
            turn.wait(WAIT_S)
    assert not other.done
    model.release()
    at_once.wait(WAIT_S)
    assert prompts(session) == ["one", "four"]


def test_a_prompt_that_is_being_prepared_can_be_stopped_and_overtaken(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = talked(manager, "unready", "one")
    is_preparing, go_on = hold_preparation(manager, monkeypatch)
    first, behind = session.send("two"), session.send("three")
    assert is_preparing.wait(WAIT_S)
    at_once = session.send("four", now=True)
    behind.stop()
    for turn in (first, behind):
        with pytest.raises(TurnInterrupted, match=WITHDRAWN):
            turn.wait(WAIT_S)
    still = list(state_of(session).pending)
    go_on()
    assert still == [first, at_once]  # what is begun of the first is finished before the next
    at_once.wait(WAIT_S)
    assert prompts(session) == ["one", "four"]


def test_a_session_in_which_a_prompt_waits_for_a_seat_can_be_deleted(manager: Manager, one_seat: None) -> None:
    model = script(manager, ScriptedModel())
    session = talked(manager, "doomed-queued", "one")
    model.hold()
    other = manager.session("seated-too").send("first")
    turn = session.send("two")
    session.delete()
    with pytest.raises(TurnInterrupted, match=WITHDRAWN):
        turn.wait(WAIT_S)
    assert not other.done
    model.release()
    other.wait(WAIT_S)


def test_a_prompt_can_take_the_place_of_earlier_ones(manager: Manager) -> None:
    session = talked(manager, "replaced", "one", "two", "three")
    session.ask("two again", replaces=session.history[1])
    assert prompts(session) == ["one", "two again"]
    turn = session.ask("last", replaces=session.ask("three again"))
    assert prompts(session) == ["one", "two again", "last"]
    assert state_of(session).turn_count == 3
    assert turn.session.history[2].turn_id == turn.record.turn_id


def test_a_prompt_that_cannot_be_sent_takes_no_place(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    session = talked(manager, "whole", "one", "two")
    second = session.history[1]
    with pytest.raises(InputError, match="the prompt is empty"):
        session.send(" ", replaces=second)
    with pytest.raises(ProviderError):
        session.ask("x", provider="nowhere", replaces=second)
    with pytest.raises(InputError, match="has no such turn"):
        session.ask("x", replaces="0000")

    async def refuse(*_: object) -> None:
        raise RuntimeUnavailable("not today")

    with monkeypatch.context() as patch:
        patch.setattr(state_of(session).runner, "run", refuse)
        with pytest.raises(RuntimeUnavailable, match="not today"):
            session.ask("x", replaces=second)
    assert prompts(session) == ["one", "two"]
    assert session.ask("three").text
    assert state_of(session).turn_count == 3


def test_a_prompt_takes_no_place_while_another_is_answered(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = talked(manager, "place-taken", "one")
    first = session.history[0]
    model.hold()
    turn = session.send("two")
    with pytest.raises(SessionInUse, match="is answering"):
        session.send("x", replaces=first)
    model.release()
    turn.wait(WAIT_S)
    assert prompts(session) == ["one", "two"]


def test_a_session_whose_first_prompt_failed_keeps_its_options(manager: Manager) -> None:
    failing = [ChatError(401, "no key")]
    model = script(manager, ScriptedModel(lambda _: Reply(error=failing[0]) if failing else "Fine."))
    script(manager, ScriptedModel("Elsewhere."), "elsewhere")
    session = manager.session("first-failed", model="scripted-b", system="Be brief.")
    manager.settings.provider = "elsewhere"
    try:
        with pytest.raises(TurnFailed):
            session.ask("one")
        assert "first-failed" not in [stored.name for stored in manager.stored()]
        failing.clear()
        assert session.ask("two").text == "Fine."
        assert manager.reopen(session) is session
    finally:
        manager.settings.provider = "scripted"
    assert (model.requests[-1].model, model.requests[-1].system_text) == ("scripted-b", "Be brief.")
    assert prompts(session) == ["two"]


def test_a_deleted_session_is_reopened_with_its_options(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = manager.session("deleted", model="scripted-b", system="Be brief.", user="ann")
    session.ask("one")
    session.delete()
    reopened = manager.reopen(session)
    reopened.ask("two")
    assert (reopened.name, reopened.user, prompts(reopened)) == (session.name, "ann", ["two"])
    assert (model.requests[-1].model, model.requests[-1].system_text) == ("scripted-b", "Be brief.")
    assert manager.reopen(session) is reopened


def test_a_later_turn_asks_the_runtime_for_nothing_but_the_answer(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = talked(manager, "quick", "first")
    archive = manager.loop.blocking(manager.client()).archive
    asked: list[str] = []
    monkeypatch.setattr(archive, "in_use", lambda _ids: asked.append("whether others have it open"))
    monkeypatch.setattr(archive, "last_turns", lambda _id, _count: asked.append("what others have said"))
    monkeypatch.setattr(
        state_of(session).runner.connection, "annotate", lambda _entries: asked.append("to keep the same")
    )
    state_of(session).runner.last_activity_s -= LONG_AGO_S
    session.ask("second")
    assert asked == []


def test_a_later_turn_takes_one_task(manager: Manager) -> None:
    session = talked(
        manager, "one-task", "first"
    )  # each further task is two more rounds of the loop that a turn waits for
    started: list[str] = []

    def start(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        if "named_sessions" in coroutine.cr_code.co_filename:
            started.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    manager.loop.loop.set_task_factory(start)
    try:
        session.ask("second")
    finally:
        manager.loop.loop.set_task_factory(None)
    assert started == ["TurnQueue._run"]


def test_a_session_that_is_held_while_its_manager_is_closed_can_be_asked_again(
    own_manager: Callable[[], Manager],
) -> None:
    manager = own_manager()
    session = manager.session("held")
    for prompts_at_once in (("one", "two", "three"), ("four", "five", "six")):
        wait([session.send(prompt) for prompt in prompts_at_once], WAIT_S)  # they wait for each other, on a loop
        manager.close()
    assert prompts(session) == ["one", "two", "three", "four", "five", "six"]
