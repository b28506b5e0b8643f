"""Runs cells in this process, on the sessions' event loop: each in a session of its own, deleted soon after its end."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import TurnState, Usage
from copilot_nb.errors import CopilotNBError
from copilot_nb.experiments.engines.base import Job, Outcome
from copilot_nb.experiments.store import AnsweredTurn
from copilot_nb.providers.byok import Byok
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.structured import Schema, second_try

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn

AHEAD = 2
"""Running cells for each answer that a model in this kernel gives concurrently, so that the model never idles."""
DELETED_AT_ONCE = 16
"""Ended sessions that the runtime deletes in one call (count): in half the time that one by one takes."""


class InKernelEngine:
    """Runs cells in the sessions of a manager.

    Parameters
    ----------
    manager : Manager
        Opens the sessions.
    schema : Schema, optional
        The schema of the answers; a model whose answer does not conform is asked once more.
    """

    def __init__(self, manager: Manager, schema: Schema | None = None) -> None:
        self._manager = manager
        self._schema = schema
        self._open: dict[str, Session] = {}
        self._turns: dict[str, Turn] = {}
        self._ended: list[Session] = []

    @property
    def seats(self) -> int:
        """The setting `max_parallel_turns`."""
        return self._manager.settings.max_parallel_turns

    def limit_of(self, provider: str) -> int:
        """Return the limit of a model in this kernel: more prompts would wait there, and reach the idle timeout."""
        source = self._manager.providers[provider]
        return AHEAD * source.model.parallel if isinstance(source, InKernel) else 0

    async def begin(self) -> None:
        """Do nothing: the first session starts the runtime."""

    async def ask(self, job: Job) -> Outcome | None:
        """Run a cell; its session stays open until `discard`. ``None``: it was cancelled before its prompt was sent."""
        turns: list[Turn] = []
        error: CopilotNBError | None = None
        session = self._open[job.session_id] = self._manager.open_sessions.open_new(
            job.session_id, job.options, is_temporary=not job.keeps_session
        )
        try:
            await self._talk(session, job, turns)
        except CopilotNBError as caught:
            error = caught
        except asyncio.CancelledError:
            await self.discard(job)  # first: until then it may still begin
            if any(turn.record.started_at for turn in turns):
                raise
            return None
        else:
            if job.keeps_session:
                del self._open[job.session_id]
        had = [turn for turn in turns if turn.usage or turn.state is TurnState.DONE]
        return Outcome(tuple(_answered(turn, self._usage(job.options.provider, turn)) for turn in had), error)

    async def _talk(self, session: Session, job: Job, turns: list[Turn]) -> None:
        for number, text in enumerate(job.turns):
            await self._sent(session.send(text, cell="", attach=job.images if number == 0 else ()), turns)
        if self._schema is not None and (error := self._schema.read(turns[-1].text).error):
            await self._sent(session.send(second_try(error), cell=""), turns)

    async def _sent(self, turn: Turn, turns: list[Turn]) -> None:
        turns.append(turn)
        self._turns[turn.session.session_id] = turn
        await turn

    def turn_of(self, session_id: str) -> Turn | None:
        """Return the running turn of a session, or its last one until `discard`."""
        return self._turns.get(session_id)

    def _usage(self, provider: str, turn: Turn) -> Usage:
        """Return a turn's usage. A cost of 0 is real only for models in this kernel and for a Copilot account.

        For providers that the user configured the runtime knows no prices, and reports 0.
        """
        usage, source = turn.usage or Usage(), self._manager.providers[provider]
        unpriced = 0.0 if isinstance(source, InKernel) else None if isinstance(source, Byok) else usage.cost
        return dataclasses.replace(usage, cost=usage.cost or unpriced)

    async def discard(self, job: Job) -> None:
        """Stop a job's turn, unload its session unless it is kept, and delete it soon: `end` deletes the last ones."""
        self._turns.pop(job.session_id, None)
        if (session := self._open.pop(job.session_id, None)) is not None:
            await self._manager.open_sessions.forget(session)
            self._ended.append(session)
            if len(self._ended) >= DELETED_AT_ONCE:
                await self._delete_ended()

    async def _delete_ended(self) -> None:
        ended, self._ended = self._ended, []
        with suppress(CopilotNBError):  # the answers are stored; leftover sessions do no harm
            await self._manager.open_sessions.delete_forgotten(ended)

    def stop(self) -> None:
        """Do nothing: `discard` stops the turn of a cancelled `ask`."""

    async def end(self) -> None:
        """Delete the sessions of the last jobs; the runtime stays for the other sessions."""
        await self._delete_ended()


def _answered(turn: Turn, usage: Usage) -> AnsweredTurn:
    record = turn.record
    return AnsweredTurn(
        prompt=record.prompt,
        text=record.text,
        model=record.model,
        input_tokens=usage.input_tokens if turn.usage else None,
        output_tokens=usage.output_tokens if turn.usage else None,
        cost=usage.cost,
        duration_s=record.duration_s,
        first_token_s=record.time_to_first_token_s,
        started_s=record.started_at.timestamp() if record.started_at else None,
    )
