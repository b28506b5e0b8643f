"""The events that observers get, wherever a change came from."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.session import Event
from copilot_nb.testing import ScriptedModel
from tests.runtime.conftest import script


def test_the_events_that_an_observer_gets(manager: Manager) -> None:
    script(manager, ScriptedModel(["First.", "Second."]))
    told: list[Event] = []
    is_gone = threading.Event()

    def watch(event: Event) -> None:
        told.append(event)
        if event.kind == "gone":
            is_gone.set()

    remove = manager.events.add(watch)
    session = manager.session("watched")
    turn = session.ask("one")
    session.ask("two")
    session.rewind()
    session.rename("watched-still")
    session.fork("watched-too").delete()
    session.delete()
    assert is_gone.wait(5)
    remove()
    own = [event for event in told if event.session is session]
    kinds = [event.kind for event in own]
    assert kinds[:2] == ["listed", "turn"]
    assert next(event.turn for event in own if event.kind == "turn") is turn
    assert any(event.turn is turn and turn.text == "First." for event in own)
    assert kinds.index("history") < len(kinds) - 1 - kinds[::-1].index("session") < kinds.index("gone")
    assert [event.kind for event in told if event.session.name == "watched-too"] == ["listed", "gone"]
    manager.session("unwatched").ask("x")
    assert all(event.session.name != "unwatched" for event in told)


def test_a_copy_is_announced_once_it_is_stored_under_its_own_name(manager: Manager) -> None:
    script(manager, ScriptedModel("Yes."))
    session = manager.session("original")
    session.ask("hi")
    listings: list[Future[list[StoredSession]]] = []
    stored_sessions = manager.engine.stored_sessions

    def list_at(event: Event) -> None:
        if event.kind == "listed":  # the turn before may still tell of its end
            listings.append(manager.loop.submit(stored_sessions.listing()))

    remove = manager.events.add(list_at)
    session.fork("copied-once")
    remove()
    names = [[each.name for each in listing.result(10)] for listing in listings]
    assert [(each.count("original"), each.count("copied-once")) for each in names] == [(1, 1)]
