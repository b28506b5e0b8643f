"""A queue that other threads look at while the loop's thread removes turns that end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.turn import PastSession, Turn
from copilot_nb.named_sessions.turn_queue import QueuedTurn, TurnQueue


class Passing(list[Turn]):
    """Turns of which the first ends as soon as somebody has looked at them, or adds one."""

    def __contains__(self, turn: object) -> bool:
        return self._end_first(super().__contains__(turn))

    def __len__(self) -> int:
        return self._end_first(super().__len__())

    def insert(self, place: Any, turn: Turn) -> None:
        self._end_first(0)
        super().insert(place, turn)

    def _end_first(self, seen: int) -> Any:
        del self[:1]
        return seen


def a_turn() -> Turn:
    return Turn(PastSession("s1", "s1-id", "p"), "Hello")


@pytest.fixture
def state() -> SessionState:
    return SessionState(name="s1", session_id="s1-id")


@pytest.fixture
def queue(state: SessionState) -> TurnQueue:
    def call_soon(_function: object, argument: object) -> None:
        if asyncio.iscoroutine(argument):
            argument.close()

    approvals = SimpleNamespace(withdraw=lambda _turn: None)
    engine: Any = SimpleNamespace(loop=SimpleNamespace(call_soon=call_soon), approvals=approvals)
    return TurnQueue(state, engine)


def add(queue: TurnQueue, *, now: bool = False) -> Turn:
    turn = a_turn()
    queue.add(QueuedTurn(turn, SessionOptions(), 1.0, ""), now=now)
    return turn


def test_a_turn_that_begins_while_its_place_is_looked_for_waits_for_none(queue: TurnQueue, state: SessionState) -> None:
    turn = a_turn()
    state.pending = Passing([turn])
    assert queue.before(turn) == 0


def test_a_prompt_is_added_when_the_last_turn_ends_at_that_moment(queue: TurnQueue, state: SessionState) -> None:
    state.pending = Passing([a_turn()])
    turn = add(queue)
    assert state.pending[:] == [turn]
    assert not turn.stop_requested


def test_a_prompt_that_is_sent_now_stops_the_turn_that_begins_at_that_moment(
    queue: TurnQueue, state: SessionState
) -> None:
    ended, begun = a_turn(), a_turn()
    state.pending = Passing([ended, begun])
    turn = add(queue, now=True)
    assert [each.stop_requested for each in (ended, begun, turn)] == [False, True, False]
    assert state.pending[:] == [begun, turn]
