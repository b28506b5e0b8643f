"""A session as its user holds it, and as a test does: plain data."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from copilot_nb.conversation.transcript import TurnRecord, TurnState
from copilot_nb.errors import ProviderError
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.session import Session
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.turn import PastSession, Turn

SHOWN = {
    *("ask", "create", "delete", "export", "fork", "last_turns", "rename", "rewind", "send", "stop", "undo_rewind"),
    *("context", "effort", "history", "is_busy", "model", "name", "options", "own_name", "provider", "session_id"),
    *("state", "system", "tools", "usage", "user"),
}


def test_tab_shows_what_a_user_wants() -> None:
    session = Session(SessionState(name="s1", session_id="s1-id"), *([None] * 2))  # type: ignore[list-item]
    assert {name for name in dir(session) if not name.startswith("_")} == SHOWN


def test_what_a_session_does_is_read_from_its_state() -> None:
    told: list[tuple[Any, ...]] = []
    state = SessionState(name="s1", session_id="s1-id", options=SessionOptions(model="m", provider="p"))
    state.on_event = lambda *event: told.append(event)
    assert (state.activity, state.options.label, state.options.system) == ("idle", "m (p)", "")
    state.last_outcome = "failed"
    assert state.activity == "failed"
    turn = Turn(PastSession("s1", "s1-id", "p"), "Hello")
    state.pending.append(turn)
    assert state.activity == "queued"
    state.tell("turn", turn)
    assert told == [("turn", turn)]


@pytest.mark.parametrize(
    ("user", "said"), [("", "srv refused the key → check MY_KEY"), ("alice", "srv refused the key")]
)
def test_a_failed_turn_says_what_its_error_says_and_a_visitor_no_remedy(user: str, said: str) -> None:
    turn = Turn(PastSession("s1", "s1-id", "srv", user=user), "Hello")
    turn.begin(TurnRecord("m", "Hello", state=TurnState.FAILED, error="401 at http://srv.copilot-nb.invalid/v1"))
    turn.finish(ProviderError("srv refused the key", "check MY_KEY"))
    assert turn.record.error == said
    assert pickle.loads(pickle.dumps(turn)).record.error == said
