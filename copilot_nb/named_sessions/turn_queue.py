"""The prompts of one session: they wait in line, and one turn runs at a time.

What is a coroutine here runs on the loop's thread. The runtime's own queue is not used: it reorders prompts that are
sent at the same time, and leaves waiters hanging when a turn is aborted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, TurnFailed, TurnInterrupted
from copilot_nb.named_sessions.limits import allowance
from copilot_nb.named_sessions.metadata import PREFIX, cells_entry
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.reading import read_all, refresh
from copilot_nb.named_sessions.rerun import make_way
from copilot_nb.named_sessions.rewind import answering, bring_back, cut_from
from copilot_nb.named_sessions.wording import label
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn


@dataclass(frozen=True, slots=True)
class QueuedTurn:
    """A turn on its way.

    Attributes
    ----------
    turn : Turn
        The turn.
    wanted : SessionOptions
        What the call wants changed.
    timeout_s : float
        Seconds without a sign from the model after which the turn is given up.
    cell : str
        The cell that sent it; ``""``: none.
    """

    turn: Turn
    wanted: SessionOptions
    timeout_s: float
    cell: str


class TurnQueue:
    """The prompts of one session.

    Parameters
    ----------
    session : Session
        Whose they are.

    Attributes
    ----------
    pending : list of Turn
        The turn under way and those that wait, in order.
    lock : asyncio.Lock
        Held while a turn runs, or while the history is changed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.pending: list[Turn] = []
        self.lock = asyncio.Lock()
        self._adding = threading.Lock()
        self._moved = asyncio.Condition()
        self._served: Turn | None = None
        self._seat: asyncio.Future[None] | None = None

    def add(self, errand: QueuedTurn, *, now: bool = False) -> None:
        """Let a turn wait for its turn (from any thread); `now`: as the next one, the answer under way is stopped.

        Raises
        ------
        SessionInUse
            If it replaces a turn, and others are under way or wait.
        """
        with self._adding:
            first = self.pending[0] if self.pending else None
            if errand.turn.replaces and first is not None:
                raise answering(self._session)
            self.pending.insert(1 if now else len(self.pending), errand.turn)
        if now and first is not None:
            self.stop(first)
        self._session.manager.loop.call_soon(self._start, self._run(errand))
        self._session.tell("turn", errand.turn)

    def before(self, turn: Turn) -> int:
        """Return how many turns must end before `turn` begins."""
        return self.pending.index(turn) if turn in self.pending else 0

    def stop(self, turn: Turn) -> None:
        """Stop a turn: the one under way, or one that waits (from any thread)."""
        turn.stop_requested = True
        self._session.manager.loop.call_soon(self._start_abort, turn)

    def stop_all(self) -> None:
        """Stop the turn under way and those that wait (from any thread)."""
        for turn in list(self.pending):
            turn.stop()

    def withdraw_all(self) -> None:
        """Stop the turns that have not been sent (from any thread)."""
        for turn in list(self.pending):
            if turn.state is TurnState.QUEUED:
                turn.stop()

    def _start_abort(self, turn: Turn) -> None:
        if turn is self._session.runner.current:
            self._start(self._session.runner.abort(turn))
        elif turn in self.pending and turn.state is TurnState.QUEUED:
            self._withdraw(turn)

    def _withdraw(self, turn: Turn) -> None:
        """End a turn that has not been sent; the one that is being prepared keeps its place until that can end."""
        if turn is not self._served:
            self.pending.remove(turn)
            self._session.tell("session")
            self._start(self._notify())
        elif self._seat is not None:
            self._seat.cancel()
        turn.finish(_withdrawn(turn))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._session.manager.hold(asyncio.get_running_loop().create_task(coroutine))

    async def _run(self, errand: QueuedTurn) -> None:
        error: CopilotNBError | None = TurnFailed("copilot_nb could not handle this turn", "see the kernel's log")
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: errand.turn.done or self.pending[0] is errand.turn)
            if errand.turn in self.pending:
                self._served = errand.turn
                async with self.lock:
                    error = await self._outcome(errand)
        finally:
            if errand.turn in self.pending:
                self._served = None
                self.pending.remove(errand.turn)
            errand.turn.finish(error)
            self._session.tell("session")
            await self._notify()

    async def _notify(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def emptied(self) -> None:
        """Wait until no turn is under way and none waits."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self.pending)

    async def _outcome(self, errand: QueuedTurn) -> CopilotNBError | None:
        session, turn = self._session, errand.turn
        is_new = not session.exists
        try:
            async with self._seat_for(turn):
                await self._prepare(turn, errand.wanted)
                await self._talk(errand)
        except CopilotNBError as error:
            if is_new and not turn.record.parts and not isinstance(error, TurnInterrupted):
                await session.manager.registry.unstore(session)
            return error
        return None

    @asynccontextmanager
    async def _seat_for(self, turn: Turn) -> AsyncIterator[None]:
        """Wait for a seat, as long as the turn is not stopped."""
        _check_wanted(turn)
        seats = self._session.manager.seats
        self._seat = asyncio.ensure_future(seats.take())
        try:
            await self._seat
        except asyncio.CancelledError:
            _check_wanted(turn)
            raise
        finally:
            self._seat = None
        try:
            yield
        finally:
            seats.leave()

    async def _prepare(self, turn: Turn, wanted: SessionOptions) -> None:
        """Bring the session into the runtime's memory, with what this call wants changed."""
        session, exchange = self._session, self._session.runner
        before = session.options
        await self._adopt(turn, wanted)
        await refresh(session)
        if session.options.needs_reload(before):
            await exchange.disconnect()
        connection = await session.loaded()
        if session.effort != (before.effort or ""):
            await connection.set_effort(session.effort)
            await exchange.annotate({f"{PREFIX}effort": session.effort})

    async def _adopt(self, turn: Turn, wanted: SessionOptions) -> None:
        """Take over what the call wants changed."""
        session, choice = self._session, self._session.manager.selector
        before = session.options
        asked = before.merged_with(wanted)
        provider, model = await choice.resolve(asked.provider, asked.model)
        await choice.check_effort(provider, model, wanted.effort or "")
        if turn.images:
            await choice.check_images(provider, model)
        turn.notes += session.manager.providers.warnings(provider)
        session.options = dataclasses.replace(asked, provider=provider, model=model).settled()
        if session.exists and (before.provider, before.model) != (provider, model):
            turn.notes.append(f"switched from {label(before.provider, before.model)} to {session.model_label}")
            if await choice.is_blind(provider, model) and any(t.images for t in await read_all(session)):
                turn.notes.append("it does not see the images of earlier turns")

    async def _talk(self, errand: QueuedTurn) -> None:
        session, turn = self._session, errand.turn
        taken_back, notes = await self._take_back(errand)
        turn.notes += notes

        def entries(turn_id: str) -> Mapping[str, str]:
            if not errand.cell:
                return {}
            session.cells.mark(errand.cell, turn_id)
            return cells_entry(session)

        try:
            _check_wanted(turn)
            allowed = await allowance(session, session.manager.settings, is_again=bool(taken_back))
            session.turns_stored += 1
            await session.runner.run(turn, errand.timeout_s, entries, allowed)
            self._judge(turn)
        except CopilotNBError:
            if taken_back and not turn.record.turn_id:  # the runtime has not taken the prompt
                turn.notes = [note for note in turn.notes if note not in notes]
                with suppress(CopilotNBError):
                    await bring_back(session)
            raise
        finally:
            await self._remember(turn)

    async def _take_back(self, errand: QueuedTurn) -> tuple[int, list[str]]:
        """Remove the turns whose place this one takes; return how many, and what a reader should know of it."""
        session = self._session
        if errand.turn.replaces:
            taken_back = await cut_from(session, errand.turn.replaces)
            return taken_back, [f"took back {count(taken_back - 1, 'later turn')}"] if taken_back > 1 else []
        taken_back, note = await make_way(session, errand.cell, session.manager.settings.rerun)
        return taken_back, [note] if note else []

    def _judge(self, turn: Turn) -> None:
        session = self._session
        if turn.state is TurnState.FAILED:
            raise session.manager.turn_error(turn.record.error, session)
        if turn.state is TurnState.INTERRUPTED:
            reason = turn.record.error or "interrupted"
            raise TurnInterrupted(f"{session.name}: {reason}", "what had come is kept; ask on in the next cell")

    async def _remember(self, turn: Turn) -> None:
        """SessionRepository how a turn ended that did not end well."""
        session = self._session
        last = turn.state.value if turn.state in (TurnState.FAILED, TurnState.INTERRUPTED) else ""
        if last != session.last_outcome:
            session.last_outcome = last
            await session.runner.annotate({f"{PREFIX}last": last})


def _check_wanted(turn: Turn) -> None:
    if turn.stop_requested:
        raise _withdrawn(turn)


def _withdrawn(turn: Turn) -> TurnInterrupted:
    return TurnInterrupted(f"the prompt to {turn.session.name} was withdrawn before it was sent")
