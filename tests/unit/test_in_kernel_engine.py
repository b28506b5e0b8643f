"""A cell that is cancelled in the kernel: whether its prompt had been sent decides whether that was an attempt."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.experiments.engines.base import Job
from copilot_nb.experiments.engines.in_kernel import InKernelEngine
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.turn import Turn

JOB = Job("ab-1", SessionOptions(), ("a question",))


class OneSession:
    """Opens a session whose one turn never ends."""

    session_id = "ab-1"

    def __init__(self) -> None:
        self.turn = Turn(cast(Any, self), "a question")
        self.forgotten = 0

    def open_new(self, *_: object, **__: object) -> OneSession:
        return self

    def send(self, *_: object, **__: object) -> Turn:
        return self.turn

    async def forget(self, _session: object) -> None:
        self.forgotten += 1


async def cancelled(session: OneSession, *, is_sent: bool) -> object:
    """Return what a cancelled cell returns."""
    engine = InKernelEngine(cast(Manager, SimpleNamespace(open_sessions=session)))
    asking = asyncio.create_task(engine.ask(JOB))
    await asyncio.sleep(0)
    if is_sent:
        session.turn.begin(dataclasses.replace(session.turn.record, started_at=datetime.now(UTC)))
    asking.cancel()
    return await asking


def test_a_cell_whose_prompt_was_not_sent_was_no_attempt() -> None:
    session = OneSession()
    assert asyncio.run(cancelled(session, is_sent=False)) is None
    assert session.forgotten == 1


def test_a_cell_whose_prompt_was_sent_was_one() -> None:
    session = OneSession()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled(session, is_sent=True))
    assert session.forgotten == 1
