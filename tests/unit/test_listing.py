"""The stored sessions as a list, and together with those of this kernel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_nb.named_sessions.listing import SessionList
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.search import Match, SearchResults
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.usage import SessionUsage, UsageReport
from copilot_nb.settings import CopilotNB

Tabular = SessionList | SearchResults | UsageReport
USED = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def stored(name: str, **facts: Any) -> StoredSession:
    return StoredSession(f"{name}-id", name, **{"options": SessionOptions(), "used_at": USED, **facts})


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A manager with two sessions, of which one is stored; another one is stored, too."""
    manager = Manager(CopilotNB(offline=True))
    for name in ("both", "here"):
        manager.open_sessions.add(SessionState(name=name, session_id=f"{name}-id", options=SessionOptions()))
    monkeypatch.setattr(manager, "stored", lambda: [stored("there", turns=1), stored("both")])
    yield manager
    manager.close()


def test_each_session_is_known_once(manager: Manager) -> None:
    assert [each.name for each in manager.known()] == ["here", "there", "both"]


@pytest.mark.parametrize(
    ("empty", "filled"),
    [
        (SessionList(), SessionList([stored("a", turns=1)])),
        (SearchResults("x", []), SearchResults("x", [Match("a", 1, "you", "x")])),
        (UsageReport(), UsageReport([SessionUsage("a", 1, 2, 3, 4.0, 0.5, 6, None, ())])),
    ],
    ids=["list", "matches", "usage"],
)
def test_the_types_of_a_table_do_not_depend_on_its_values(empty: Tabular, filled: Tabular) -> None:
    assert empty.to_frame().dtypes.equals(filled.to_frame().dtypes)
    assert "object" not in empty.to_frame().dtypes.astype(str).tolist()


def test_completion_offers_the_sessions_of_a_kernel_without_a_runtime(manager: Manager) -> None:
    assert manager.names() == ["both", "here"]


def test_only_what_was_never_asked_and_is_not_in_use_counts_as_without_turns() -> None:
    found = SessionList(
        [
            stored("empty"),
            stored("asked", turns=1),
            stored("working"),
            stored("elsewhere", is_elsewhere=True),
            stored("foreign", is_own=False),
            stored("not stored", used_at=None),
        ],
        {"working-id": "working"},
    )
    assert [each.name for each in found.without_turns()] == ["empty"]


def test_the_list_says_what_its_sessions_ask() -> None:
    asks = [("py-id", "py asks: run Python"), ("hers-id", "hers asks: run Python")]
    found = SessionList([stored("py"), stored("hers")], {"py-id": "asking"}, "the last used", asks)
    assert found.filter("py").table().caption == "py asks: run Python\nthe last used"
    assert "? asks you" in str(found)


def test_a_place_of_few_columns_shows_what_matters_most_of_each_session() -> None:
    options = SessionOptions(provider="local", model="smollm2-135m:creative")
    found = SessionList([stored("thesis, chapter 3", turns=12, options=options, notebook="figures.ipynb")])
    assert found.table().columns == ("name", "state", "turns", "last used", "model", "notebook", "session id")
    assert [line[:48].split("  ")[:3] for line in str(found).splitlines()[2:]] == [
        ["thesis, chapter 3", "○ idle", "12"]
    ]
