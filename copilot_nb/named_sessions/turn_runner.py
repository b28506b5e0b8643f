"""The turn runner of one session: sends one prompt at a time to the runtime and applies its events to the turn.

Everything here runs on the loop thread. When a turn is interrupted, the runtime does not store the partial answer, so
the model does not see it again. The turn runner therefore writes the partial answer to the session's log and puts it
before the next prompt.

Why: docs/decisions/0006-keep-what-the-runtime-loses.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.agent.redaction import MARK, hidden_count
from copilot_nb.conversation.changes import Change, Ended, Kept, Prompted, ServerMissing
from copilot_nb.conversation.parts import Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import Transcript, TurnRecord, advance
from copilot_nb.errors import CopilotNBError, RuntimeUnavailable, TurnTimeout
from copilot_nb.named_sessions.options import model_label
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import shortened
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.runtime.connection import Connection

ABORT_GRACE_S = 2.0
"""Time for the runtime to confirm an abort (seconds; 0.02 s is usual); after that the connection is dropped."""

MAX_REASON_CHARS = 200
MAX_REMINDER_CHARS = 20_000
"""The most of a partial answer that is put before the next prompt (characters)."""


class TurnRunner:
    """The connection of a session to the runtime, and the turn that is running on it.

    Attributes
    ----------
    current : Turn or None
        The running turn: its prompt has been sent to the runtime.
    last_activity_s : float
        The loop's time when the runtime last sent something (seconds).
    last_turn_id : str
        The id of the last turn in the loaded session; ``""`` if it has none.
    """

    def __init__(self) -> None:
        self.current: Turn | None = None
        self.last_activity_s = 0.0
        self.last_turn_id = ""
        self._connection: Connection | None = None
        self._over = asyncio.Event()
        self._woken = asyncio.Event()
        self._stopped: Turn | None = None
        self._stopping = PerLoop(asyncio.Lock)
        self._limit_error_of: Callable[[Change], CopilotNBError | None] = lambda _change: None
        self._limit_reached: CopilotNBError | None = None
        self._sending: asyncio.Timeout | None = None
        self._reminder = ""
        self._unstored: TurnRecord | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the session is loaded into the runtime's memory."""
        return self._connection is not None

    @property
    def has_unstored_turn(self) -> bool:
        """Whether a turn was lost with the runtime and is still to be written to the log by `connect`."""
        return self._unstored is not None

    @property
    def silence_s(self) -> float:
        """Seconds since the runtime last sent something."""
        return asyncio.get_running_loop().time() - self.last_activity_s

    async def connect(self, connection: Connection) -> None:
        """Use `connection` from now on; first write the turn that was lost with the last connection to the log."""
        self._connection = connection
        self.note_activity()
        if self._unstored is not None:
            await connection.keep(self._unstored)
            self._unstored = None

    async def disconnect(self) -> None:
        """Unload the session from the runtime's memory, even if a turn is running."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @property
    def connection(self) -> Connection | None:
        """The connection to the runtime; ``None`` while the session is not loaded."""
        return self._connection

    async def annotate(self, entries: Mapping[str, str]) -> None:
        """Write `entries` to the session's metadata. Without entries the runtime is not called."""
        if self._connection is None or not entries:
            return
        with suppress(RuntimeUnavailable):  # `lost` is called next; the next connection writes the missing entries
            await self._connection.annotate(entries)

    def remember(self, turns: Sequence[TurnRecord]) -> int:
        """Compare the last turn with the log when the session is loaded; return how many turns are missing in the log.

        `connect` writes the missing turn.
        """
        last = turns[-1] if turns else None
        known, self.last_turn_id = self.last_turn_id, last.turn_id if last else ""
        unstored = self._unstored
        if (
            unstored is not None
            and last is not None
            and last.turn_id == unstored.turn_id
            and last.state is TurnState.DONE
        ):
            self._unstored, self._reminder = None, ""
        elif unstored is None and (not self._reminder or known != self.last_turn_id):  # else it is of the last turn
            partial = last.text if last is not None and last.state is TurnState.INTERRUPTED else ""
            self._reminder = well_formed(partial[-MAX_REMINDER_CHARS:])
        return int(self._unstored is not None and self._unstored.turn_id != self.last_turn_id)

    def rewound(self, turns: Sequence[TurnRecord]) -> None:
        """Determine again what to put before the next prompt, after a rewind to `turns`."""
        self._reminder, self._unstored = "", None
        self.remember(turns)

    async def run(
        self,
        turn: Turn,
        timeout_s: float,
        entries: Callable[[str], Mapping[str, str]],
        limit_error: Callable[[Change], CopilotNBError | None] = lambda _change: None,
    ) -> None:
        """Send the prompt of `turn` and return when the turn has ended, successfully or not.

        While the model answers, the entries that `entries` returns for the turn's id are written to the session's
        metadata. The runtime writes an answer to disk before it reports the session as idle; if the runtime is killed
        before that, `_keep` keeps the turn.

        Raises
        ------
        TurnTimeout
            If the model sends nothing for `timeout_s` seconds.
        BudgetReached
            If `limit_error` returns an error for a change: the turn has reached a limit.
        RuntimeUnavailable
            If the runtime cannot be reached.
        """
        assert self._connection is not None
        self.current, self._limit_error_of, self._limit_reached = turn, limit_error, None
        self._over, self._woken = asyncio.Event(), asyncio.Event()
        self.note_activity()
        try:
            if not (turn_id := await self._send(turn, self._connection, timeout_s)):
                return
            self._reminder, self.last_turn_id = "", turn_id
            if turn.stop_requested:
                await self.abort(turn)
            if marks := entries(turn_id):
                await asyncio.gather(self._until_over(turn, timeout_s), self.annotate(marks))
            else:
                await self._until_over(turn, timeout_s)
        finally:
            async with self._stopping():  # a stop sent just as the turn ends must not abort the next prompt
                self.current = None
            await self._keep(turn)

    async def _send(self, turn: Turn, connection: Connection, timeout_s: float) -> str:
        """Return the id that the runtime gives the turn; ``""`` if the connection was lost before that."""
        prompt = reminded(explained(turn.prompt), self._reminder)
        display = turn.prompt if prompt != turn.prompt else None
        try:
            async with asyncio.timeout(timeout_s) as self._sending:
                return await connection.send(prompt, display, turn.record.images)
        except TimeoutError as error:
            if self._connection is None:
                return ""
            self.lost("")
            raise _silent(turn, timeout_s) from error
        finally:
            self._sending = None

    async def _until_over(self, turn: Turn, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        while not self._over.is_set():
            if self._limit_reached is not None:
                await self.abort(turn)
                raise self._limit_reached
            if _is_at_work(turn):
                self.note_activity()
            left_s = self.last_activity_s + timeout_s - loop.time()
            if left_s <= 0:
                await self.abort(turn)
                raise _silent(turn, timeout_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()

    async def abort(self, turn: Turn) -> None:
        """Stop `turn` if its prompt has been sent to the runtime."""
        async with self._stopping():
            if turn is not self.current or self._connection is None or self._over.is_set():
                return
            self._stopped = turn
            try:
                await asyncio.wait_for(self._connection.abort(), ABORT_GRACE_S)
                await asyncio.wait_for(self._over.wait(), ABORT_GRACE_S)
            except (TimeoutError, CopilotNBError):
                # An abort can get lost if the prompt was sent just before; the next use loads the session again.
                self.lost("")

    def lost(self, reason: str) -> None:
        """Drop a dead connection. The running turn is interrupted; the next use loads the session again."""
        self._connection = None
        if self.current is not None:
            self.current.apply(Ended(TurnState.INTERRUPTED, reason))
            self._end()
        if self._sending is not None and not self._sending.expired():
            self._sending.reschedule(asyncio.get_running_loop().time())

    async def _keep(self, turn: Turn) -> None:
        """Keep what the runtime does not store: a partial answer, or the whole turn if the runtime is gone."""
        is_partial = any(isinstance(part, Text) and not part.complete for part in turn.record.parts)
        is_lost = self._connection is None and bool(turn.record.turn_id)
        if not is_partial and not is_lost:
            return
        self._reminder = well_formed(turn.text[-MAX_REMINDER_CHARS:])
        self._unstored = turn.record
        if self._connection is not None:
            with suppress(RuntimeUnavailable):
                await self._connection.keep(turn.record)
                self._unstored = None

    def on_change(self, change: Change) -> None:
        """Apply a change that the runtime reports to the running turn."""
        self.note_activity()
        turn = self.current
        if turn is None or isinstance(change, Kept):
            return
        if isinstance(change, ServerMissing):  # it comes before the turn begins
            turn.notes.append(_missing(change))
            return
        if isinstance(change, Ended) and change.state is TurnState.INTERRUPTED and turn is not self._stopped:
            return  # it belongs to the previous turn, which was stopped just as it ended
        if isinstance(change, Prompted):
            turn.begin(advance(Transcript(), change).turns[0])
        elif turn.record.turn_id or (isinstance(change, Ended) and change.state is not TurnState.DONE):
            turn.apply(change)
            # `session.error` and `abort` carry a time and are followed by `session.idle`, which is the end.
            if isinstance(change, Ended) and change.at is None:
                self._end()
            elif (error := self._limit_error_of(change)) is not None:
                self.stop_at_limit(error)

    def on_fault(self, error: Exception) -> None:
        """End the running turn because handling one of its events failed."""
        if self.current is not None:
            self.current.apply(Ended(TurnState.FAILED, f"{type(error).__name__}: {error}"))
            self._end()

    def stop_at_limit(self, error: CopilotNBError) -> None:
        """Stop the running turn, which has reached a limit; `run` raises `error`."""
        self._limit_reached = error
        self._woken.set()

    def _end(self) -> None:
        self._over.set()
        self._woken.set()

    def note_activity(self) -> None:
        """Record that the runtime, or the model behind it, sent something."""
        self.last_activity_s = asyncio.get_running_loop().time()


def _is_at_work(turn: Turn) -> bool:
    """Whether a turn goes on although nothing comes: the model loads or answers others, or a tool runs or waits."""
    is_loading = turn.owner is not None and bool(turn.owner.loading_note())
    return is_loading or any(isinstance(part, ToolCall) and part.is_open for part in turn.record.parts)


def _missing(server: ServerMissing) -> str:
    why = shortened(server.reason, MAX_REASON_CHARS)
    return f"MCP server {server.name} is missing{f': {why}' if why else ''}; check it: %config CopilotNB.mcp_servers"


def _silent(turn: Turn, timeout_s: float) -> TurnTimeout:
    label = model_label(turn.session.provider, turn.session.model)
    return TurnTimeout(f"nothing came from {label} for {timeout_s:g} s", "run the cell again, or raise --timeout")


def reminded(prompt: str, said: str) -> str:
    """Return `prompt`, preceded by the partial answer `said`, if any, that the runtime dropped at an interrupt."""
    if not said:
        return prompt
    return (
        "[The answer before this was interrupted by the user and is not in the conversation above. "
        f"What had been said:\n\n{said}\n\nEnd of the interrupted answer.]\n\n{prompt}"
    )


def explained(prompt: str) -> str:
    """Return `prompt`, preceded by a line that explains the placeholders of hidden secrets, if it contains any."""
    if not hidden_count(prompt):
        return prompt
    return f"[{MARK}NAME› stands for a secret that is set and was hidden before sending; it is no error.]\n\n{prompt}"
