"""The turn queue of one session: turns run one at a time, in the order in which they were added.

All coroutines run on the loop thread. The runtime's own queue is not used, because it reorders prompts that are sent at
the same time and leaves waiters hanging when a turn is aborted.

Why: docs/decisions/0013-now-stops-the-answer.md.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, TurnFailed, TurnInterrupted
from copilot_nb.named_sessions.cells import second_key
from copilot_nb.named_sessions.checked_answer import does_not_fit
from copilot_nb.named_sessions.limits import allowance
from copilot_nb.named_sessions.metadata import PREFIX, cells_entry
from copilot_nb.named_sessions.options import UNSET, SessionOptions
from copilot_nb.named_sessions.rerun import take_back_cell
from copilot_nb.named_sessions.rewind import busy_error, remove_from, restore_turns
from copilot_nb.named_sessions.stored_history import read_all, refresh
from copilot_nb.named_sessions.toolbox import level_of
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.render.words import count
from copilot_nb.runtime.loop import LoopThread, PerLoop
from copilot_nb.structured import second_try
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.structured import Schema


@dataclass(frozen=True, slots=True)
class QueuedTurn:
    """A queued turn with its option changes, idle timeout and originating cell.

    Attributes
    ----------
    turn : Turn
        The turn.
    requested : SessionOptions
        The changes that its prompt makes to the session's options.
    timeout_s : float
        Stop the turn if the model sends nothing for this many seconds.
    cell : str
        The cell that sent it; ``""`` if none.
    may_append : bool
        Whether the turn is appended if the turn that it replaces is gone.
    of_session : SessionOptions
        The changes that were requested for the session before its prompt; the next prompt makes them if this one is
        withdrawn.
    """

    turn: Turn
    requested: SessionOptions
    timeout_s: float
    cell: str
    may_append: bool = False
    of_session: SessionOptions = UNSET


class TurnQueue:
    """The queued and running turns of one session.

    Parameters
    ----------
    state : SessionState
        The state of the session.
    engine : Engine
        The engine that runs the turns.
    """

    def __init__(self, state: SessionState, engine: Engine) -> None:
        self._state = state
        self._engine = engine
        self._adding = threading.Lock()
        self._moved = PerLoop(asyncio.Condition)
        self._served: Turn | None = None
        self._left = UNSET  # what the session was to change with turns that were withdrawn
        self._place: asyncio.Future[None] | None = None

    def add(self, queued: QueuedTurn, *, now: bool = False) -> None:
        """Queue a turn, from any thread; with `now`, stop the running turn and queue this one next.

        Raises
        ------
        SessionInUse
            If the turn replaces another one while turns are running or queued.
        """
        with self._adding:
            if queued.turn.replaces and self._state.pending:
                raise busy_error(self._state)
            self._state.pending.insert(1 if now else len(self._state.pending), queued.turn)
        for running in self._state.pending[:1] if now else ():  # read last: the one before may have ended meanwhile
            if running is not queued.turn:
                self.stop(running)
        self._engine.loop.call_soon(self._start, self._run(queued))
        self._state.tell("turn", queued.turn)

    @property
    def loop(self) -> LoopThread:
        """The event loop thread that receives the answers."""
        return self._engine.loop

    def loading_note(self) -> str:
        """Return what the provider is doing before it can answer; ``""`` if nothing."""
        return self._state.loading_note()

    def before(self, turn: Turn) -> int:
        """Return how many turns must end before `turn` begins."""
        with suppress(ValueError):  # it may begin or be withdrawn at any moment
            return self._state.pending.index(turn)
        return 0

    def stop(self, turn: Turn) -> None:
        """Stop a running or queued turn, or the correction of its answer, from any thread."""
        turn.stop_requested = True
        self._engine.approvals.withdraw(turn)  # first: the runtime would wait for the answer
        self._engine.loop.call_soon(self._start_abort, turn)
        if turn.correction is not None:
            self.stop(turn.correction)

    def stop_all(self) -> None:
        """Stop the running turn and all queued ones, from any thread."""
        for turn in list(self._state.pending):
            turn.stop()

    def _start_abort(self, turn: Turn) -> None:
        if turn is self._state.runner.current:
            self._start(self._state.runner.abort(turn))
        elif turn in self._state.pending and turn.state is TurnState.QUEUED:
            self._withdraw(turn)

    def _withdraw(self, turn: Turn) -> None:
        """Cancel a turn that has not been sent; one that is being prepared stays queued until `_run` removes it."""
        if turn is not self._served:
            self._state.pending.remove(turn)
            self._state.tell("session")
            self._start(self._notify())
        elif self._place is not None:
            self._place.cancel()
        turn.finish(_withdrawn(turn))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._engine.hold(asyncio.get_running_loop().create_task(coroutine))

    async def _run(self, queued: QueuedTurn) -> None:
        error: CopilotNBError | None = TurnFailed("copilot_nb could not handle this turn", "see the kernel's log")
        try:
            async with (moved := self._moved()):
                await moved.wait_for(lambda: queued.turn.done or self._state.pending[0] is queued.turn)
            self._left = self._left.merged_with(queued.of_session)  # before any later turn is served
            if queued.turn in self._state.pending:
                self._served = queued.turn
                async with self._state.lock:
                    error = await self._outcome(queued)
        finally:
            if queued.turn in self._state.pending:
                self._served = None
                self._state.pending.remove(queued.turn)
            self._engine.approvals.withdraw(queued.turn)
            queued.turn.finish(error)
            self._state.tell("session")
            await self._notify()

    async def _notify(self) -> None:
        async with (moved := self._moved()):
            moved.notify_all()

    async def stopped(self) -> None:
        """Stop the turns that are running or queued now, and wait until they have ended."""
        turns = list(self._state.pending)
        for turn in turns:
            turn.stop()
        async with (moved := self._moved()):
            await moved.wait_for(lambda: not any(turn in self._state.pending for turn in turns))

    async def quiesce(self) -> None:
        """Stop all turns, wait until they have ended, and unload the session from the runtime's memory."""
        self.stop_all()
        await self.emptied()
        async with self._state.lock:  # it may be stored or rewound, which is no turn
            with suppress(CopilotNBError):  # a runtime that is gone has no session in memory
                await self._state.runner.disconnect()

    async def emptied(self) -> None:
        """Wait until no turn is running or queued."""
        async with (moved := self._moved()):
            await moved.wait_for(lambda: not self._state.pending)

    async def _outcome(self, queued: QueuedTurn) -> CopilotNBError | None:
        state, engine, turn = self._state, self._engine, queued.turn
        is_new = not state.exists
        try:
            async with self._seat_for(turn):
                state.check_here()  # it may be deleted just as a prompt is sent
                changes, self._left = self._left.merged_with(queued.requested), UNSET
                await self._prepare(turn, changes)
                await self._send_turn(queued)
                if turn.schema is not None:
                    await self._check(queued, turn.schema)
        except CopilotNBError as error:
            if is_new and not turn.record.parts and not isinstance(error, TurnInterrupted):
                await engine.unstore(state)
            return error
        return None

    @asynccontextmanager
    async def _seat_for(self, turn: Turn) -> AsyncIterator[None]:
        """Hold a seat for the turn; waiting for it ends when the turn is stopped."""
        _check_not_stopped(turn)
        seats = self._engine.seats()
        place = seats.line_up()
        try:
            await self._seated(turn, place)
            yield
        finally:
            seats.leave(place)

    async def _seated(self, turn: Turn, place: asyncio.Future[None]) -> None:
        self._place = place
        try:
            await place
        except asyncio.CancelledError:
            _check_not_stopped(turn)
            raise
        finally:
            self._place = None

    async def _prepare(self, turn: Turn, requested: SessionOptions) -> None:
        """Load the session into the runtime's memory with the option changes of this turn."""
        await self._apply_options(turn, requested)
        await refresh(self._state, self._engine)
        await self._load()

    async def _load(self) -> None:
        """Load the session if it is not loaded, and again if its options or tools need that."""
        state, engine = self._state, self._engine
        before = state.applied  # not the options before this prompt: an earlier one may have failed to apply them
        connection, toolkit = state.runner.connection, engine.toolkit(state)
        if state.options.needs_reload(before) or (connection and toolkit.needs_reload(connection.toolkit)):
            await state.runner.disconnect()
        connection = await engine.loaded(state)
        if connection.toolkit != toolkit:
            await connection.use(toolkit)
        if (effort := state.options.effort or "") != (before.effort or ""):
            await connection.set_effort(effort)
        changed = {name: getattr(state.options, name) or "" for name in ("effort", "tools")}
        if changed != {name: getattr(before, name) or "" for name in changed}:
            await state.runner.annotate({f"{PREFIX}{name}": value for name, value in changed.items()})
        state.applied = state.options

    async def _apply_options(self, turn: Turn, requested: SessionOptions) -> None:
        """Apply the option changes of this turn to the session."""
        state, engine, selector = self._state, self._engine, self._engine.selector
        before = state.applied
        state.options = after = await selector.settled(state.options, requested, has_images=bool(turn.images))
        turn.notes += engine.providers.warnings(after.provider)
        if requested.tools not in (None, "", "none") and level_of(after, engine.settings, engine.providers) == "none":
            turn.notes.append(f"{after.label} cannot use tools; attach what it should see (-a NAME)")
        if state.exists and before.label != after.label:
            turn.notes.append(f"switched from {before.label} to {after.label}")
            is_blind = await selector.is_blind(after.provider, after.model)
            if is_blind and any(each.images for each in await read_all(state, engine)):
                turn.notes.append("it does not see the images of earlier turns")

    async def _send_turn(self, queued: QueuedTurn) -> None:
        state, engine, turn = self._state, self._engine, queued.turn
        taken_back, notes = await self._take_back(queued)
        turn.notes += notes
        try:
            await self._send_prompt(queued, is_again=bool(taken_back))
        except CopilotNBError:
            if taken_back and not turn.record.turn_id:  # the runtime did not accept the prompt
                turn.notes = [note for note in turn.notes if note not in notes]
                with suppress(CopilotNBError):
                    await restore_turns(state, engine)
            raise
        finally:
            await self._store_outcome(turn)

    async def _send_prompt(self, queued: QueuedTurn, *, is_again: bool = False) -> None:
        """Send the prompt and wait for the answer; raise an error if the turn did not end well."""
        state, turn = self._state, queued.turn

        def entries(turn_id: str) -> Mapping[str, str]:
            state.turn_count += 1
            if not queued.cell:
                return {}
            state.cells.mark(queued.cell, turn_id)
            return cells_entry(state)

        _check_not_stopped(turn)
        allowed = await allowance(state, self._engine, is_again=is_again)
        self._engine.gate(state).begin(allowed.more)
        await state.runner.run(turn, queued.timeout_s, entries, allowed.after)
        self._raise_if_failed(turn)

    async def _check(self, queued: QueuedTurn, schema: Schema) -> None:
        """Check the answer against the schema, and ask for a corrected one once.

        Raises
        ------
        TurnFailed
            If the corrected answer does not conform either.
        """
        turn = queued.turn
        checked = await in_thread(schema.read, turn.text)
        if checked.error:
            correction = Turn(turn.session, second_try(checked.error), owner=self)
            turn.correct(correction, checked.error)
            await self._ask_again(queued, correction)
            checked = await in_thread(schema.read, correction.text)
        turn.checked = checked
        if checked.error:
            raise TurnFailed(
                does_not_fit(checked.error),
                "the answers are in its history; run the cell again, or simplify the schema",
            )

    async def _ask_again(self, queued: QueuedTurn, correction: Turn) -> None:
        """Run the turn that asks for a corrected answer, ahead of the queued ones."""
        correction.on_change = queued.turn.on_change
        again = QueuedTurn(correction, SessionOptions(), queued.timeout_s, second_key(queued.cell))
        error: CopilotNBError | None = None
        with self._adding:
            self._state.pending.insert(1, correction)
        try:
            self._state.tell("turn", correction)
            _check_not_stopped(queued.turn)
            await self._engine.loaded(self._state)  # the runtime may have ended meanwhile
            await self._send_prompt(again)
        except CopilotNBError as failure:
            error = failure
            raise
        finally:
            if correction in self._state.pending:  # it may have been withdrawn
                self._state.pending.remove(correction)
            correction.finish(error)
            await self._store_outcome(correction)

    async def _take_back(self, queued: QueuedTurn) -> tuple[int, list[str]]:
        """Remove the turns that this one replaces; return how many, and the notes for the reader."""
        state, engine = self._state, self._engine
        if queued.turn.replaces:
            taken_back = await remove_from(state, engine, queued.turn.replaces, may_be_gone=queued.may_append)
            return taken_back, [f"took back {count(taken_back - 1, 'later turn')}"] if taken_back > 1 else []
        taken_back, note = await take_back_cell(state, engine, queued.cell)
        return taken_back, [note] if note else []

    def _raise_if_failed(self, turn: Turn) -> None:
        state = self._state
        if turn.state is TurnState.FAILED:
            raise self._engine.turn_error(state, turn.record.error)
        if turn.state is TurnState.INTERRUPTED:
            reason = turn.record.error or "interrupted"
            raise TurnInterrupted(f"{state.name}: {reason}", "the partial answer is kept; continue in the next cell")

    async def _store_outcome(self, turn: Turn) -> None:
        """Store whether the turn failed or was interrupted, if that differs from the last turn."""
        state = self._state
        last = turn.state.value if turn.state in (TurnState.FAILED, TurnState.INTERRUPTED) else ""
        if last != state.last_outcome:
            state.last_outcome = last
            await state.runner.annotate({f"{PREFIX}last": last})


def _check_not_stopped(turn: Turn) -> None:
    if turn.stop_requested:
        raise _withdrawn(turn)


def _withdrawn(turn: Turn) -> TurnInterrupted:
    return TurnInterrupted(f"the prompt to {turn.session.name} was withdrawn before it was sent")
