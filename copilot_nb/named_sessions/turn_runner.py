"""The talk of one session with the runtime: one prompt at a time goes out, what comes is folded into its turn.

Everything here runs on the loop's thread. The runtime does not store the partial answer of a turn that was
interrupted, nor does its model see it again; both are made good here: it is kept in the session's log, and the next
prompt tells the model what it had said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.agent.redaction import MARK, hidden_count
from copilot_nb.conversation.changes import Change, Ended, Kept, Prompted
from copilot_nb.conversation.parts import Text, TurnState
from copilot_nb.conversation.transcript import Transcript, TurnRecord, advance
from copilot_nb.errors import CopilotNBError, RuntimeUnavailable, TurnTimeout
from copilot_nb.named_sessions.options import model_label
from copilot_nb.render.escape import well_formed
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.runtime.connection import Connection

ABORT_GRACE_S = 2.0
"""How long the runtime has to confirm an abort, in seconds, before its session is let go (it takes 0.02 s)."""

MAX_TOLD_CHARS = 20_000
"""How much of a partial answer the model is told it had said, in characters."""


class TurnRunner:
    """What is under way between a session and the runtime.

    Attributes
    ----------
    current : Turn or None
        The turn whose prompt is with the runtime.
    last_sign_s : float
        The loop's time when the runtime was last heard of.
    last_turn_id : str
        The last turn that the loaded session knows of; ``""`` for none.
    """

    def __init__(self) -> None:
        self.current: Turn | None = None
        self.last_sign_s = 0.0
        self.last_turn_id = ""
        self._connection: Connection | None = None
        self._over = asyncio.Event()
        self._stirred = asyncio.Event()
        self._stopped: Turn | None = None
        self._stopping = PerLoop(asyncio.Lock)
        self._breach_after: Callable[[Change], CopilotNBError | None] = lambda _change: None
        self._breach: CopilotNBError | None = None
        self._sending: asyncio.Future[str] | None = None
        self._told = ""
        self._unkept: TurnRecord | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the runtime holds the session in memory."""
        return self._connection is not None

    @property
    def has_unkept(self) -> bool:
        """Whether a turn was lost with the runtime and waits for the next connection to be kept."""
        return self._unkept is not None

    @property
    def silence_s(self) -> float:
        """Seconds since the runtime was last heard of."""
        return asyncio.get_running_loop().time() - self.last_sign_s

    async def connect(self, connection: Connection) -> None:
        """Talk through `connection` from now on, which first keeps what could not be kept when the last one broke."""
        self._connection = connection
        self.sign()
        if self._unkept is not None:
            await connection.keep(self._unkept)
            self._unkept = None

    async def disconnect(self) -> None:
        """Take the session out of the runtime's memory, whatever it is doing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @property
    def connection(self) -> Connection | None:
        """How the runtime is reached; ``None`` while the session is not loaded."""
        return self._connection

    async def annotate(self, entries: Mapping[str, str]) -> None:
        """Have `entries` written to the session's own metadata: a call of the runtime, unless there are none."""
        if self._connection is None or not entries:
            return
        with suppress(RuntimeUnavailable):  # `lost` follows, and what is missing is kept for the next connection
            await self._connection.annotate(entries)

    def remember(self, turns: Sequence[TurnRecord]) -> int:
        """Recall, when the session is loaded, what its log holds of the last turn; return how many are missing there.

        What is missing is written by `connect`.
        """
        last = turns[-1] if turns else None
        self.last_turn_id = last.turn_id if last else ""
        unkept = self._unkept
        if unkept is not None and last is not None and last.turn_id == unkept.turn_id and last.state is TurnState.DONE:
            self._unkept, self._told = None, ""
        elif not self._told and last is not None and last.state is TurnState.INTERRUPTED:
            self._told = well_formed(last.text[-MAX_TOLD_CHARS:])
        return int(self._unkept is not None and self._unkept.turn_id != self.last_turn_id)

    def rewound(self, turns: Sequence[TurnRecord]) -> None:
        """Recall what the model is to be told, now that `turns` are the last of the session."""
        self._told, self._unkept = "", None
        self.remember(turns)

    async def run(
        self,
        turn: Turn,
        timeout_s: float,
        entries: Callable[[str], Mapping[str, str]],
        breach_after: Callable[[Change], CopilotNBError | None] = lambda _change: None,
    ) -> None:
        """Send the prompt of `turn` and return when the turn has ended, however.

        While the model answers, what `entries` makes of the turn's id is stored in the session's metadata. An answer is
        on disk before the runtime says that the session is idle; a prompt whose runtime is killed before it was is kept
        by `_keep`.

        Raises
        ------
        TurnTimeout
            If nothing comes for `timeout_s` seconds.
        BudgetReached
            If `breach_after` a change says that the turn may not go on.
        RuntimeUnavailable
            If the runtime cannot be reached.
        """
        assert self._connection is not None
        prompt = reminded(explained(turn.prompt), self._told)
        display = turn.prompt if prompt != turn.prompt else None
        self.current, self._breach_after, self._breach = turn, breach_after, None
        self._over, self._stirred = asyncio.Event(), asyncio.Event()
        self.sign()
        try:
            self._sending = asyncio.ensure_future(self._connection.send(prompt, display, turn.record.images))
            if not (turn_id := await self._sent(turn, timeout_s)):
                return
            self._told, self.last_turn_id = "", turn_id
            if turn.stop_requested:
                await self.abort(turn)
            await asyncio.gather(self._until_over(turn, timeout_s), self.annotate(entries(turn_id)))
        finally:
            async with self._stopping():  # a stop that crosses the end must not meet the next prompt
                self.current = None
            await self._keep(turn)

    async def _sent(self, turn: Turn, timeout_s: float) -> str:
        """Return the id that the runtime gives the turn; ``""``: the connection was lost before that."""
        assert self._sending is not None
        try:
            return await asyncio.wait_for(self._sending, timeout_s)
        except TimeoutError as error:
            self.lost("")
            raise _silent(turn, timeout_s) from error
        except asyncio.CancelledError:
            if self._connection is None:
                return ""
            raise
        finally:
            self._sending = None

    async def _until_over(self, turn: Turn, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        while not self._over.is_set():
            if self._breach is not None:
                await self.abort(turn)
                raise self._breach
            if turn.owner is not None and turn.owner.loading_note():  # a model that is loaded gives no other sign
                self.sign()
            left_s = self.last_sign_s + timeout_s - loop.time()
            if left_s <= 0:
                await self.abort(turn)
                raise _silent(turn, timeout_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), left_s)

    async def abort(self, turn: Turn) -> None:
        """Stop `turn`, if its prompt is with the runtime."""
        async with self._stopping():
            if turn is not self.current or self._connection is None or self._over.is_set():
                return
            self._stopped = turn
            try:
                await asyncio.wait_for(self._connection.abort(), ABORT_GRACE_S)
                await asyncio.wait_for(self._over.wait(), ABORT_GRACE_S)
            except (TimeoutError, CopilotNBError):
                # An abort that crosses a prompt just sent can be lost; the session is loaded afresh at the next use.
                self.lost("")

    def lost(self, reason: str) -> None:
        """Let the connection go, because it is dead: the turn under way is interrupted, the next use loads anew."""
        self._connection = None
        if self.current is not None:
            self.current.apply(Ended(TurnState.INTERRUPTED, reason))
            self._end()
        if self._sending is not None:
            self._sending.cancel()

    async def _keep(self, turn: Turn) -> None:
        """Keep what the runtime does not store: what had come of an answer, and all of it where the runtime is gone."""
        is_partial = any(isinstance(part, Text) and not part.complete for part in turn.record.parts)
        is_lost = self._connection is None and bool(turn.record.turn_id)
        if not is_partial and not is_lost:
            return
        self._told = well_formed(turn.text[-MAX_TOLD_CHARS:])
        self._unkept = turn.record
        if self._connection is not None:
            with suppress(RuntimeUnavailable):
                await self._connection.keep(turn.record)
                self._unkept = None

    def on_change(self, change: Change) -> None:
        """Fold what the runtime reports into the turn under way."""
        self.sign()
        turn = self.current
        if turn is None or isinstance(change, Kept):
            return
        if isinstance(change, Ended) and change.state is TurnState.INTERRUPTED and turn is not self._stopped:
            return  # of the turn before, whose stop crossed its end
        if isinstance(change, Prompted):
            turn.begin(advance(Transcript(), change).turns[0])
        elif turn.record.turn_id or (isinstance(change, Ended) and change.state is not TurnState.DONE):
            turn.apply(change)
            # `session.error` and `abort` carry a time and are followed by `session.idle`, which is the end.
            if isinstance(change, Ended) and change.at is None:
                self._end()
            elif (breach := self._breach_after(change)) is not None:
                self._breach = breach
                self._stirred.set()

    def on_fault(self, error: Exception) -> None:
        """End the turn under way because handling an event of it failed."""
        if self.current is not None:
            self.current.apply(Ended(TurnState.FAILED, f"{type(error).__name__}: {error}"))
            self._end()

    def _end(self) -> None:
        self._over.set()
        self._stirred.set()

    def sign(self) -> None:
        """Note that the runtime, or the model behind it, was heard of."""
        self.last_sign_s = asyncio.get_running_loop().time()


def _silent(turn: Turn, timeout_s: float) -> TurnTimeout:
    label = model_label(turn.session.provider, turn.session.model)
    return TurnTimeout(f"nothing came from {label} for {timeout_s:g} s", "run the cell again, or raise --timeout")


def reminded(prompt: str, said: str) -> str:
    """Return `prompt`, after what the model had said when it was interrupted (the runtime drops that), if anything."""
    if not said:
        return prompt
    return (
        "[The answer before this was interrupted by the user and is not in the conversation above. "
        f"What had been said:\n\n{said}\n\nEnd of the interrupted answer.]\n\n{prompt}"
    )


def explained(prompt: str) -> str:
    """Return `prompt`, after a line on what stands in it for hidden secrets, if any does."""
    if not hidden_count(prompt):
        return prompt
    return f"[{MARK}NAME› stands for a secret that is set and was hidden before sending; it is no error.]\n\n{prompt}"
