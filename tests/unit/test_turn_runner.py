"""The talk with a runtime that does not answer: nothing may wait for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from copilot_nb.conversation.changes import (
    Change,
    Decided,
    Ended,
    Prompted,
    RoundStarted,
    TextDone,
    ToolFinished,
    UsageReported,
)
from copilot_nb.conversation.parts import TurnState, Usage
from copilot_nb.errors import BudgetReached, TurnTimeout
from copilot_nb.named_sessions.limits import Allowance
from copilot_nb.named_sessions.turn import PastSession, Turn
from copilot_nb.named_sessions.turn_runner import TurnRunner

LONG_S = 60.0
AT = datetime(2026, 1, 2, tzinfo=UTC)


class Deaf:
    """A connection whose runtime takes what is sent and says nothing."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    async def send(self, *_prompt: object) -> str:
        self.is_asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def abort(self) -> None:
        raise TimeoutError


def a_turn() -> Turn:
    return Turn(PastSession("s1", "s1-id", provider="b", model="a"), "Hello")


def test_a_prompt_that_the_runtime_does_not_take_is_given_up() -> None:
    runner, turn = TurnRunner(), a_turn()

    async def send() -> None:
        await runner.connect(cast(Any, Deaf()))
        await runner.run(turn, 0.01, lambda _id: {})

    with pytest.raises(TurnTimeout, match=r"nothing came from a \(b\) for 0.01 s"):
        asyncio.run(send())
    assert not runner.is_loaded


def test_a_prompt_that_the_runtime_does_not_take_can_be_stopped() -> None:
    runner, turn = TurnRunner(), a_turn()

    async def send() -> None:
        deaf = Deaf()
        await runner.connect(cast(Any, deaf))
        running = asyncio.create_task(runner.run(turn, LONG_S, lambda _id: {}))
        await deaf.is_asked.wait()
        await runner.abort(turn)
        await asyncio.wait_for(running, LONG_S)

    asyncio.run(send())
    assert turn.state is TurnState.INTERRUPTED


class Ready:
    """A connection whose runtime takes what is sent; `abort` is answered when the test lets it."""

    def __init__(self) -> None:
        self.sent = 0
        self.aborts = 0
        self.is_aborting = asyncio.Event()
        self.answers_aborts = asyncio.Event()
        self.has_sent = asyncio.Event()

    async def send(self, *_prompt: object) -> str:
        self.sent += 1
        self.has_sent.set()
        return f"u{self.sent}"

    async def abort(self) -> None:
        self.aborts += 1
        self.is_aborting.set()
        await self.answers_aborts.wait()

    async def annotate(self, _entries: object) -> None:
        pass

    async def keep(self, _turn: object) -> None:
        pass


async def started(runner: TurnRunner, turn: Turn, *, rounds: int = 0) -> asyncio.Task[None]:
    """Send a turn's prompt, and return when the runtime has it."""
    allowance = Allowance("a", rounds=rounds)
    ready = cast(Any, runner.connection)
    ready.has_sent.clear()
    task = asyncio.create_task(runner.run(turn, LONG_S, lambda _id: {}, allowance.after))
    await asyncio.wait_for(ready.has_sent.wait(), LONG_S)
    await asyncio.sleep(0)
    return task


def test_a_stop_that_crosses_the_end_of_its_turn_does_not_end_the_next() -> None:
    first, second = a_turn(), a_turn()

    async def cross() -> None:
        runner, ready = TurnRunner(), Ready()
        await runner.connect(cast(Any, ready))
        running = await started(runner, first)
        runner.on_change(Prompted("u1", "Hello"))
        stopping = asyncio.create_task(runner.abort(first))
        await asyncio.wait_for(ready.is_aborting.wait(), LONG_S)
        runner.on_change(TextDone("m1", "Hi."))
        runner.on_change(Ended(TurnState.DONE))
        await asyncio.sleep(0)
        assert not running.done(), "the next prompt waits until the stop is through"
        ready.answers_aborts.set()
        await asyncio.gather(stopping, running)
        running = await started(runner, second)
        late: list[Change] = [Ended(TurnState.INTERRUPTED, at=AT), Ended(TurnState.INTERRUPTED)]
        late += [Decided("c1", "withdrawn"), ToolFinished("c1", False)]
        for change in (*late, Prompted("u2", "Hello"), *late, TextDone("m2", "Hi again.")):
            runner.on_change(change)
        runner.on_change(Ended(TurnState.DONE))
        await running

    asyncio.run(cross())
    assert (first.state, second.state, second.text) == (TurnState.DONE, TurnState.DONE, "Hi again.")


def test_a_turn_that_has_ended_is_not_stopped() -> None:
    turn = a_turn()

    async def late() -> int:
        runner, ready = TurnRunner(), Ready()
        await runner.connect(cast(Any, ready))
        running = await started(runner, turn)
        runner.on_change(Prompted("u1", "Hello"))
        runner.on_change(Ended(TurnState.DONE))
        await runner.abort(turn)
        await running
        return ready.aborts

    assert asyncio.run(late()) == 0


def test_what_a_turn_may_take_is_counted_between_the_calls_of_the_model() -> None:
    def stopped_at(allowance: Allowance) -> int | None:
        for number in range(1, 9):
            if allowance.after(RoundStarted()):
                return number
            assert allowance.after(UsageReported(Usage(5, 5))) is None, "an answer that has come is not taken back"
        return None

    assert stopped_at(Allowance("a")) is None
    assert stopped_at(Allowance("a", rounds=3)) == 4
    assert stopped_at(Allowance("a", tokens=20)) == 3
    assert stopped_at(Allowance("a", tokens=-1)) == 2


def test_a_turn_that_took_what_it_may_is_stopped() -> None:
    turn = a_turn()

    async def breach() -> None:
        runner, ready = TurnRunner(), Ready()
        ready.answers_aborts.set()
        await runner.connect(cast(Any, ready))
        running = await started(runner, turn, rounds=1)
        for change in (Prompted("u1", "Hello"), RoundStarted(), RoundStarted()):
            runner.on_change(change)
        await asyncio.wait_for(ready.is_aborting.wait(), LONG_S)
        runner.on_change(Ended(TurnState.INTERRUPTED))
        await running

    with pytest.raises(BudgetReached, match="the limit of 1 model call for one prompt"):
        asyncio.run(breach())
    assert turn.state is TurnState.INTERRUPTED
