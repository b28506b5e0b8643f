"""The talk with a runtime that does not answer: nothing may wait for ever."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import TurnTimeout
from copilot_nb.sessions.exchange import Exchange
from copilot_nb.sessions.turn import Turn

LONG_S = 60.0


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
    return Turn(cast(Any, SimpleNamespace(model_label="a (b)", preparing=str)), "Hello")


def test_a_prompt_that_the_runtime_does_not_take_is_given_up() -> None:
    exchange, turn = Exchange(), a_turn()

    async def send() -> None:
        await exchange.connect(cast(Any, Deaf()))
        await exchange.run(turn, 0.01, lambda _id: {})

    with pytest.raises(TurnTimeout, match=r"nothing came from a \(b\) for 0.01 s"):
        asyncio.run(send())
    assert not exchange.is_loaded


def test_a_prompt_that_the_runtime_does_not_take_can_be_stopped() -> None:
    exchange, turn = Exchange(), a_turn()

    async def send() -> None:
        deaf = Deaf()
        await exchange.connect(cast(Any, deaf))
        running = asyncio.create_task(exchange.run(turn, LONG_S, lambda _id: {}))
        await deaf.is_asked.wait()
        await exchange.abort(turn)
        await asyncio.wait_for(running, LONG_S)

    asyncio.run(send())
    assert turn.state is TurnState.INTERRUPTED
