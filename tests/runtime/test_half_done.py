"""What a refused, failed or withdrawn call leaves behind: nothing that changes what the next one does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from copilot_nb.errors import InputError, RuntimeUnavailable, SessionError, SessionInUse, SessionNotFound
from copilot_nb.named_sessions import turn_queue
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import Opening, SessionOptions
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.system.threads import in_thread
from copilot_nb.testing import Reply, ScriptedModel
from tests.runtime.conftest import script

Makes = Callable[..., Manager]


@pytest.fixture
def manager(manager: Manager) -> Manager:
    """Have a second provider, and one whose answers to "go on" stop after some words."""
    script(manager, ScriptedModel("Here I am."), "elsewhere")
    stalls = {"go on": 99}
    answer = ScriptedModel(lambda asked: Reply("word " * 99, stall_after_chars=stalls.get(asked.prompt)))
    script(manager, answer, "stalling")
    return manager


def stored(manager: Manager, start: str) -> list[tuple[str, str]]:
    return sorted((each.name, each.session_id) for each in manager.stored() if each.name.startswith(start))


def answering(session: Session) -> Turn:
    """Return a turn that has begun to answer and does not end by itself."""
    turn = session.send("go on", provider="stalling")
    while not turn.text and not turn.done:
        turn.wait_for_change(1.0)
    return turn


def test_a_refused_prompt_leaves_the_chosen_provider_to_the_next(manager: Manager) -> None:
    session = manager.session("left-chosen")
    last = session.ask("one")
    running = answering(session)
    manager.session("left-chosen", provider="elsewhere")
    with pytest.raises(SessionInUse):
        session.send("two", replaces=last)
    session.send("withdrawn before it began").stop()
    running.stop()
    assert session.ask("three").text == "Here I am."


def test_a_refused_id_changes_nothing(manager: Manager) -> None:
    session = manager.session("left-refused")
    session.ask("one")
    with pytest.raises(InputError, match="already has the id"):
        manager.session("left-refused", session_id="another", provider="elsewhere")
    with pytest.raises(InputError, match="belongs to session 'left-refused' → leave the id out"):
        manager.session("left-refused", session_id="left-refused", new=True)
    assert session.ask("two").text != "Here I am."
    assert stored(manager, "left-refused") == [("left-refused", "left-refused")]


def test_a_stored_session_has_one_id(manager: Manager) -> None:
    session = manager.session("left-known")
    session.ask("one")
    manager.loop.blocking(manager.open_sessions.forget(session))  # as in another kernel
    with pytest.raises(InputError, match="session 'left-known' already has the id 'left-known'"):
        manager.session("left-known", session_id="left-other")
    manager.session("left-known", session_id="left-other", new=True).ask("two")
    assert stored(manager, "left-known") == [("left-known", "left-other"), ("left-known~1", "left-known")]


def test_two_sessions_that_are_not_stored_yet_have_two_ids(manager: Manager) -> None:
    first = manager.session("left-unstored", provider="elsewhere")
    second = manager.session("left-unstored", new=True)
    assert second.provider == "elsewhere"
    with pytest.raises(SessionNotFound, match="is gone"):
        first.send("one")
    second.rename("left-unstored-still")
    third = manager.session("left-unstored")
    with pytest.raises(InputError, match="belongs to session 'left-unstored'"):
        manager.session("left-unstored-too", session_id=third.session_id)
    assert [[turn.prompt for turn in each.ask(each.name).session.history] for each in (second, third)] == [
        ["left-unstored-still"],
        ["left-unstored"],
    ]


def test_a_free_name_is_none_of_a_session_that_is_not_stored_yet(manager: Manager) -> None:
    session = manager.session("left-copied")
    session.ask("one")
    manager.session("left-copied~1")
    with ThreadPoolExecutor() as threads:
        names = [each.name for each in threads.map(lambda _: session.fork(), range(2))]
    assert sorted(names) == ["left-copied~2", "left-copied~3"]


def test_the_hundredth_session_of_a_name_has_an_id(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = manager.loop.blocking(manager.client()).archive

    async def annotations(ids: list[str]) -> dict[str, dict[str, str]]:
        return {each: {} for each in ids if each != "often-250"}

    monkeypatch.setattr(archive, "annotations", annotations)
    assert manager.loop.blocking(manager.engine.stored_sessions.free_id("often")) == "often-250"


def test_a_copy_that_cannot_be_loaded_does_not_stay(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    session, loaded, opened = manager.session("left-original"), manager.engine.loaded, list[Session]()
    session.ask("one")

    async def failing(state: Any) -> Any:
        if state.name != "left-original-copy":
            return await loaded(state)
        opened.append(await manager.open_sessions.open(state.name, SessionOptions(), Opening(new=True)))
        raise RuntimeUnavailable("gone")

    monkeypatch.setattr(manager.engine, "loaded", failing)
    with pytest.raises(RuntimeUnavailable):
        session.fork("left-original-copy")
    assert stored(manager, "left-original") == [("left-original", "left-original")]
    assert manager.open_sessions.get("left-original-copy") is opened[0]


def test_a_session_is_copied_up_to_a_turn(manager: Manager) -> None:
    session = manager.session("left-cut")
    first = session.ask("one")
    session.ask("two")
    copies = [session.fork(f"left-cut-{number}", at=at) for number, at in enumerate((1, first, session.history[0]))]
    assert [[turn.prompt for turn in copy.history] for copy in copies] == [["one"]] * 3
    wrong: Any = 1.5
    with pytest.raises(InputError, match="a turn is a Turn or its number, not float"):
        session.fork("left-cut-never", at=wrong)


def test_a_session_is_deleted_although_its_first_prompt_is_about_to_store_it(manager: Manager) -> None:
    session = manager.session("left-short-lived")
    session.send("one")
    session.delete()
    assert not stored(manager, "left-short-lived")


def test_a_session_is_deleted_although_it_is_just_being_stored(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, loaded, forget = manager.session("left-born"), manager.engine.loaded, manager.open_sessions.forget
    forgetting, deleted = asyncio.Event(), list[Future[None]]()

    async def noted_forget(session: Session) -> None:
        forgetting.set()
        await forget(session)

    with ThreadPoolExecutor() as threads:

        async def deleted_meanwhile(state: SessionState) -> Any:
            deleted.append(threads.submit(session.delete))
            await forgetting.wait()
            return await loaded(state)

        monkeypatch.setattr(manager.engine, "loaded", deleted_meanwhile)
        monkeypatch.setattr(manager.open_sessions, "forget", noted_forget)
        session.create()
        deleted[0].result()
    assert not stored(manager, "left-born")


def test_a_prompt_that_is_sent_as_its_session_is_deleted_stores_it_no_more(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = manager.session("left-late")
    session.ask("one")

    def deleted_meanwhile(*_: object) -> str:
        session.delete()
        return ""

    monkeypatch.setattr(state_of(session).cells, "key_of", deleted_meanwhile)
    with pytest.raises(SessionNotFound, match="'left-late' is gone"):
        session.ask("two")
    assert not stored(manager, "left-late")


def test_sessions_are_opened_while_the_turn_of_a_deleted_one_is_being_stopped(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = manager.session("left-slow")
    running, aborting, go_on = answering(session), threading.Event(), threading.Event()
    runner = state_of(session).runner
    abort = runner.abort

    async def slow_abort(turn: Turn) -> None:
        aborting.set()
        await in_thread(go_on.wait, 10)
        await abort(turn)

    monkeypatch.setattr(runner, "abort", slow_abort)
    with ThreadPoolExecutor() as threads:
        deleting = threads.submit(session.delete)
        assert aborting.wait(10)
        manager.session("left-other")
        assert not running.done
        go_on.set()
        deleting.result()
    assert not stored(manager, "left-slow")


def test_a_session_that_is_opened_during_the_deletion_of_one_of_its_name_is_a_new_one(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = manager.session("left-heir")
    old.ask("one")
    opens, archive = manager.open_sessions, manager.loop.blocking(manager.client()).archive
    delete, opening = archive.delete, list[asyncio.Task[Session]]()

    async def opened_meanwhile(session_id: str) -> None:
        opening.append(asyncio.create_task(opens.open("left-heir", SessionOptions(), Opening())))
        if not opens._naming().locked():
            await opening[0]
        await delete(session_id)

    async def opened() -> Session:
        return await opening[0]

    monkeypatch.setattr(archive, "delete", opened_meanwhile)
    old.delete()
    new = manager.loop.blocking(opened())
    assert opens.get("left-heir") is new
    assert [turn.prompt for turn in new.ask("two").session.history] == ["two"]


def test_a_session_that_is_replaced_while_it_is_stored_is_set_aside(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, for_new = manager.session("left-begun"), manager.selector.for_new

    async def begun_meanwhile(options: SessionOptions) -> SessionOptions:
        await old.send("one")
        return await for_new(options)

    monkeypatch.setattr(manager.selector, "for_new", begun_meanwhile)
    manager.session("left-begun", new=True)
    assert [name for name, _ in stored(manager, "left-begun")] == ["left-begun~1"]


def test_an_interrupted_deletion_leaves_the_session(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    session = manager.session("left-kept")
    session.ask("one")

    async def interrupted() -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(state_of(session).runner, "disconnect", interrupted)
        with pytest.raises(CancelledError):
            session.delete()
    assert manager.session("left-kept") is session
    assert [turn.prompt for turn in session.ask("two").session.history] == ["one", "two"]


def test_a_session_is_deleted_although_the_runtime_cannot_unload_it(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = manager.session("left-unloadable")
    session.ask("one")

    async def lost() -> None:
        raise RuntimeUnavailable("gone")

    monkeypatch.setattr(state_of(session).runner.connection, "close", lost)
    session.delete()
    assert not stored(manager, "left-unloadable")
    assert session.session_id not in manager.loop.blocking(manager.client()).archive.opened
    assert manager.open_sessions.get("left-unloadable") is None


def test_the_handle_of_a_replaced_session_changes_no_other(manager: Manager) -> None:
    old = manager.session("left-replaced")
    old.ask("one")
    new = manager.session("left-replaced", new=True)
    new.ask("two")
    for change in (
        old.delete,
        old.create,
        old.fork,
        old.rewind,
        partial(old.rename, "left-replaced-not"),
        partial(old.ask, "x"),
    ):
        with pytest.raises(SessionNotFound, match="'left-replaced' is gone → open it again"):
            change()
    late: list[Coroutine[Any, Any, None]] = [
        manager.rename(state_of(old), "left-replaced-not"),
        manager.discard(old),
        old._create(),
    ]
    for coroutine in late:  # as of calls that waited for the one that replaced it
        with pytest.raises(SessionNotFound, match="'left-replaced' is gone"):
            manager.loop.blocking(coroutine)
    assert manager.open_sessions.get("left-replaced") is new
    assert [[turn.prompt for turn in each.history] for each in (old, new)] == [["one"], ["two"]]
    assert stored(manager, "left-replaced") == [
        ("left-replaced", "left-replaced-2"),
        ("left-replaced~1", "left-replaced"),
    ]
    new.delete()
    with pytest.raises(SessionNotFound, match="is gone"):
        new.history  # noqa: B018 - reads the log


def test_a_restored_turn_ends_the_reminder_of_an_earlier_one(manager: Manager) -> None:
    session = manager.session("left-reminded")
    answering(session).stop()
    session.ask("two", provider="scripted")
    session.rewind()
    session.undo_rewind()
    assert "interrupted by the user" not in session.ask("three").text


def test_the_provider_is_changed_although_the_first_attempt_failed(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = manager.session("left-changed")
    session.ask("one")

    async def in_use(*_: object) -> None:
        raise SessionInUse("is open elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr(turn_queue, "refresh", in_use)
        with pytest.raises(SessionInUse):
            session.ask("two", provider="elsewhere")
    turn = session.ask("three")
    assert (turn.text, turn.notes) == ("Here I am.", ["switched from scripted (scripted) to scripted (elsewhere)"])


def test_tools_are_changed_although_the_first_attempt_failed(manager: Manager) -> None:
    session = manager.session("left-tooled", tools="none")
    session.ask("one")
    connection: Any = state_of(session).runner.connection
    set_tools, calls = connection._session.set_tools, []

    async def failing_once(tools: Any) -> None:
        calls.append(tools)
        if len(calls) == 1:
            raise ValueError("no")
        await set_tools(tools)

    connection._session.set_tools = failing_once
    with pytest.raises(SessionError):
        session.ask("two", tools="read")
    session.ask("three")
    assert len(calls) == 2


def test_a_prompt_that_the_runtime_does_not_take_is_not_counted(manager: Manager) -> None:
    session = manager.session("left-counted")
    session.ask("one")
    connection: Any = state_of(session).runner.connection

    async def refusing(*_: object, **__: object) -> None:
        raise ValueError("no")

    connection._session.send = refusing
    with pytest.raises(SessionError):
        session.ask("two")
    assert state_of(session).turn_count == 1


def test_a_deletion_that_is_refused_leaves_the_session(own_manager: Makes) -> None:
    manager, other = own_manager(), own_manager()
    session = manager.session("left-shared")
    session.ask("one")
    manager.loop.blocking(manager.engine.unload(state_of(session)))
    there = other.session("left-shared")
    there.ask("two")
    with pytest.raises(SessionInUse, match="is open in process"):
        session.delete()
    other.loop.blocking(other.engine.unload(state_of(there)))
    assert [turn.prompt for turn in session.ask("three").session.history] == ["one", "two", "three"]


def test_no_second_runtime_is_started_by_what_still_uses_the_first(own_manager: Makes) -> None:
    manager = own_manager()
    before = manager.loop.blocking(manager.client())
    manager.restart()
    with pytest.raises(RuntimeUnavailable, match="was restarted meanwhile"):
        manager.loop.blocking(before.archive.ids())
    assert not before.process_id


def test_a_restart_while_the_client_is_requested_gives_no_nothing(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = manager.engine
    client = manager.loop.blocking(engine.client())
    ready = client.ready

    async def restarted_meanwhile() -> Any:
        try:
            return await ready()
        finally:
            monkeypatch.setattr(engine, "_client", None)

    monkeypatch.setattr(client, "ready", restarted_meanwhile)
    assert manager.loop.blocking(engine.client()) is client
