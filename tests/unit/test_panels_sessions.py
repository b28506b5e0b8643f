"""The list of sessions as the page is told it: what is stored, what this kernel does, and nothing twice."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.named_sessions.listing import SessionList
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.panels import panel_beside
from copilot_nb.panels.sessions import SessionsPanel
from copilot_nb.settings import CopilotNB

USED = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


class OnDisk(Manager):
    """A manager whose stored sessions are a list of the test's own; there is no runtime."""

    def __init__(self) -> None:
        super().__init__(CopilotNB(offline=True))
        self.disk = [stored("alpha"), stored("beta", last="failed")]
        self.problem: RuntimeUnavailable | None = None
        self.deleted: list[str] = []

    def sessions(self, limit: int | None = None, *, everything: bool = False) -> SessionList:  # noqa: ARG002
        if self.problem:
            raise self.problem
        return SessionList(self.disk[:limit], {each.session_id: each.state for each in self})

    def delete(self, name: str) -> None:
        self.deleted.append(name)
        self.disk = [each for each in self.disk if each.name != name]

    def here(self, name: str) -> Session:
        """Return a session of this kernel."""
        options = SessionOptions(provider="p", model="m2")
        return self.open_sessions.add(SessionState(name=name, session_id=f"{name}-id", options=options, exists=True))


def stored(name: str, **facts: Any) -> StoredSession:
    options = SessionOptions(provider="p", model="m")
    return StoredSession(f"{name}-id", name, options=options, turns=3, used_at=USED, **facts)


class Page:
    """What a page is to a panel: it gets its messages and sends some."""

    def __init__(self, panel: SessionsPanel) -> None:
        self.panel = panel
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        vars(panel)["send"] = lambda message, *_: self._arrived.put(json.loads(json.dumps(message)))

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        self.panel._handle_custom_msg({"do": do, "id": do, **fields}, [])
        return self.until(lambda message: message.get("re") == do)

    def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not fits(message := self._arrived.get(timeout=10)):
            pass
        return message

    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.until(lambda message: message.get("kind") == "news")["items"]
        return found


@pytest.fixture
def manager() -> Iterator[OnDisk]:
    manager = OnDisk()
    yield manager
    manager.close()


@pytest.fixture
def page(manager: OnDisk) -> Iterator[Page]:
    panel = SessionsPanel(manager)
    yield Page(panel)
    panel.close()


def test_a_page_gets_every_row_once(page: Page) -> None:
    whole = page.ask("hello")
    assert whole["rows"][0] == {
        "id": "alpha-id",
        "name": "alpha",
        "model": "m (p)",
        "turns": 3,
        "used": USED.timestamp(),
        "notebook": "",
        "state": "○ idle",
    }
    assert [row["state"] for row in whole["rows"]] == ["○ idle", "✗ failed"]
    assert whole["open"] is None


def test_a_kernel_has_one_panel_beside_the_notebook(manager: OnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilot_nb.panels.sessions.shared_manager", lambda: manager)
    first = panel_beside()
    assert panel_beside() is first
    first.close()
    assert panel_beside() is not first
    panel_beside().close()


def test_only_the_row_that_changed_is_sent(page: Page, manager: OnDisk) -> None:
    page.ask("hello")
    session = manager.here("alpha")
    state_of(session).turn_count = 4
    state_of(session).tell("session")
    (item,) = page.items()
    assert (item["kind"], item["row"]["id"], item["row"]["model"], item["row"]["turns"]) == (
        "row",
        "alpha-id",
        "m2 (p)",
        4,
    )


def test_the_pieces_of_an_answer_change_no_row(page: Page, manager: OnDisk) -> None:
    session = manager.here("alpha")
    page.ask("hello")
    wants = page.panel._rows
    assert wants.is_current(session)
    state_of(session).turn_count = 1
    assert not wants.is_current(session)


def test_a_deleted_session_goes_at_once_though_it_is_still_stored(page: Page, manager: OnDisk) -> None:
    session = manager.here("beta")
    page.ask("hello")
    manager.open_sessions._sessions.pop("beta")
    state_of(session).tell("gone")
    assert page.items() == [{"kind": "gone", "id": "beta-id"}]
    state_of(session).tell("listed")  # begun anew under the same id
    (item,) = page.items()
    assert item["row"]["name"] == "beta"


def test_what_is_deleted_here_is_read_again(page: Page, manager: OnDisk) -> None:
    page.ask("hello")
    page.panel._handle_custom_msg({"do": "delete", "id": "d", "name": "alpha"}, [])
    assert page.items() == [{"kind": "gone", "id": "alpha-id"}]
    assert manager.deleted == ["alpha"]


def test_what_another_kernel_made_comes_with_the_next_look(page: Page, manager: OnDisk) -> None:
    page.ask("hello")
    manager.disk = [stored("made elsewhere"), *manager.disk]
    page.panel._handle_custom_msg({"do": "refresh", "id": "r"}, [])
    (item,) = page.items()
    assert item["row"]["name"] == "made elsewhere"


def test_without_a_runtime_the_page_shows_why(page: Page, manager: OnDisk) -> None:
    manager.problem = RuntimeUnavailable("there is no runtime", "copilot-nb install-runtime")
    whole = page.ask("hello")
    assert whole["rows"] == []
    assert whole["problem"] == "there is no runtime → copilot-nb install-runtime"
    manager.problem = None
    page.panel._handle_custom_msg({"do": "refresh", "id": "r"}, [])
    assert {item["kind"] for item in page.items()} == {"row", "problem"}


def test_a_thousand_sessions_are_sent_in_less_than_a_megabyte(page: Page, manager: OnDisk) -> None:
    manager.disk = [stored(f"session number {number}") for number in range(1000)]
    whole = page.ask("hello")
    assert len(whole["rows"]) == 1000
    assert len(json.dumps(whole)) < 250_000
    session = manager.here("session number 7")
    state_of(session).tell("session")
    assert len(page.items()) == 1


def test_a_closed_panel_hears_nothing_more(page: Page, manager: OnDisk) -> None:
    page.ask("hello")
    watched = len(manager.events._observers)
    page.panel.close()
    assert len(manager.events._observers) == watched - 1
    assert page.panel._is_closed
