"""A named session: prompts queue up, and one turn runs at a time.

What is a coroutine here runs on the loop's thread. The runtime's own queue is not used: it reorders prompts that are
sent at the same time, and leaves waiters hanging when a turn is aborted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.parts import TurnState
from copilot_nb.conversation.transcript import Transcript
from copilot_nb.errors import CopilotNBError, InputError, SessionInUse, SessionNotFound, TurnFailed, TurnInterrupted
from copilot_nb.sessions.exchange import Exchange
from copilot_nb.sessions.history import History
from copilot_nb.sessions.stored import PREFIX
from copilot_nb.sessions.turn import Turn
from copilot_nb.sessions.wanted import Wanted
from copilot_nb.sessions.wording import label

if TYPE_CHECKING:
    from copilot_nb.runtime.connection import Connection
    from copilot_nb.sessions.manager import Manager


LOOK_AGAIN_S = 1.0
"""After so many seconds of silence another process may have opened the session (asking costs a tenth of a turn)."""


class Session:
    """A conversation with a history, a model and options of its own; made by `copilot_nb.session`.

    Attributes
    ----------
    name : str
        What the user calls it.
    session_id : str
        What the runtime stores it under (`copilot --resume` takes it).
    provider, model, system : str
        Where answers come from, which model gives them (``""``: the provider's default), and its system message.
    """

    def __init__(
        self, manager: Manager, name: str, session_id: str, *, provider: str, model: str, system: str, exists: bool
    ) -> None:
        self.manager = manager
        self.name = name
        self.session_id = session_id
        self.provider = provider
        self.model = model
        self.system = system
        self.exchange = Exchange()
        self.turns_stored = 0
        self.resumed = ""
        self.wanted = Wanted()
        self.is_gone = False
        self._exists = exists
        self._lock = asyncio.Lock()
        self._pending: list[Turn] = []

    def __repr__(self) -> str:
        return f"<Session {self.name!r}: {self.model_label}, {self.state}>"

    @property
    def model_label(self) -> str:
        """The model and where it comes from, as one reads it."""
        return label(self.provider, self.model)

    @property
    def state(self) -> str:
        """``"working"`` while a turn is under way, else ``"idle"``."""
        return "working" if self._pending else "idle"

    @property
    def history(self) -> History:
        """All turns, oldest first, as the runtime stored them.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return History(self.name, self.provider, self.manager.loop.blocking(self._transcript()).turns)

    async def _transcript(self) -> Transcript:
        if not self._exists:
            return Transcript()
        client = await self.manager.client()
        return await client.history(self.session_id)

    def send(
        self, prompt: str, *, model: str = "", provider: str = "", system: str | None = None, timeout_s: float = 0.0
    ) -> Turn:
        """Send a prompt and return its turn at once; it runs when the turns before it have ended.

        Parameters
        ----------
        prompt : str
            Literal text.
        model, provider : str, optional
            Switch the session to another model or provider, from this turn on.
        system : str, optional
            Change the session's system message, from this turn on.
        timeout_s : float, optional
            Seconds without a sign from the model after which the turn is given up; 0: the setting `timeout_s`.

        Raises
        ------
        InputError
            If the prompt is empty or larger than the setting `max_prompt_bytes`.
        SessionNotFound
            If the session has been deleted since.
        """
        self.manager.check_prompt(prompt)
        if self.is_gone:
            raise SessionNotFound(f"session {self.name!r} is gone", f'begin it anew: copilot_nb.session("{self.name}")')
        turn = Turn(self, prompt)
        turn.notes += [self.resumed] if self.resumed else []
        self.resumed = ""
        self._pending.append(turn)
        wanted, self.wanted = Wanted(model, provider, system).over(self.wanted), Wanted()
        timeout_s = timeout_s or self.manager.settings.timeout_s
        self.manager.loop.call_soon(self._start, self._run(turn, wanted, timeout_s))
        return turn

    def ask(self, prompt: str, **options: Any) -> Turn:
        """Send a prompt and wait for the answer: `send` and `Turn.wait` in one."""
        return self.send(prompt, **options).wait()

    def turns_before(self, turn: Turn) -> int:
        """Return how many turns of this session must end before `turn` begins."""
        return self._pending.index(turn) if turn in self._pending else 0

    def create(self) -> None:
        """Store the session without asking it anything.

        Raises
        ------
        InputError
            If it exists already.
        """
        if self._exists:
            raise InputError(f"session {self.name!r} exists already", "use it, or begin anew with --new")
        self.manager.loop.blocking(self._create())

    async def _create(self) -> None:
        async with self._lock:
            await (await self._load()).flush()  # before that the runtime does not list a session without a prompt

    def stop(self) -> None:
        """Stop the turn under way and withdraw the prompts that wait."""
        for turn in list(self._pending):
            self.stop_turn(turn)

    def stop_turn(self, turn: Turn) -> None:
        """Stop one turn of this session: the one under way, or one that waits."""
        turn.stop_requested = True
        self.manager.loop.call_soon(self._start_abort, turn)

    def _start_abort(self, turn: Turn) -> None:
        self._start(self.exchange.abort(turn))

    def delete(self) -> None:
        """Delete the session and its history, irreversibly; a turn under way is stopped first."""
        self.manager.delete(self.name)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.manager.hold(asyncio.get_running_loop().create_task(coroutine))

    async def _run(self, turn: Turn, wanted: Wanted, timeout_s: float) -> None:
        error: CopilotNBError | None = TurnFailed("copilot_nb could not handle this turn", "see the kernel's log")
        try:
            async with self._lock:
                error = await self._outcome(turn, wanted, timeout_s)
        finally:
            self._pending.remove(turn)
            turn.finish(error)

    async def _outcome(self, turn: Turn, wanted: Wanted, timeout_s: float) -> CopilotNBError | None:
        is_new = not self._exists
        try:
            if turn.stop_requested:
                raise TurnInterrupted(f"the prompt to {self.name} was withdrawn before it was sent")
            async with self.manager.seats:
                await self._prepare(turn, wanted)
                self.turns_stored += 1
                await self.exchange.run(turn, timeout_s, {f"{PREFIX}turns": str(self.turns_stored)})
            self._judge(turn)
        except CopilotNBError as error:
            is_alone = self._pending == [turn]  # else the prompts behind it still want the session
            if is_new and is_alone and not turn.text and not isinstance(error, TurnInterrupted):
                await self.manager.discard(self, is_stored=self._exists)
            return error
        return None

    async def _prepare(self, turn: Turn, wanted: Wanted) -> None:
        """Bring the session into the runtime's memory, with what this call wants changed."""
        changed = self._adopt(turn, wanted)
        client = await self.manager.client()  # a dead runtime is noticed here, and takes its connections with it
        if (
            self.exchange.is_loaded
            and self.exchange.silence_s > LOOK_AGAIN_S
            and await client.is_in_use(self.session_id)
        ):
            raise SessionInUse(f"session {self.name!r} has been opened in another process", "close it there")
        if changed and self.exchange.is_loaded:
            await self.exchange.disconnect()
        if not self.exchange.is_loaded:
            await self._load()

    async def _load(self) -> Connection:
        connection = await self.manager.attach(self, exists=self._exists)
        await self.exchange.connect(connection)
        self._exists = True
        return connection

    def _adopt(self, turn: Turn, wanted: Wanted) -> bool:
        """Take over what the call wants changed; whether the runtime has to load the session anew for that."""
        before = (self.provider, self.model, self.system)
        asked = wanted.over(Wanted(self.model, self.provider, self.system))
        self.provider, self.model = self.manager.choice.resolve(asked.provider, asked.model)
        self.system = asked.system or ""
        if self._exists and before[:2] != (self.provider, self.model):
            turn.notes.append(f"switched from {label(*before[:2])} to {self.model_label}")
        return before != (self.provider, self.model, self.system)

    def _judge(self, turn: Turn) -> None:
        if turn.state is TurnState.FAILED:
            raise self.manager.turn_error(turn.record.error, self.model_label)
        if turn.state is TurnState.INTERRUPTED:
            reason = turn.record.error or "interrupted"
            raise TurnInterrupted(f"{self.name}: {reason}", "what had come is kept; ask on in the next cell")

    async def unload(self) -> bool:
        """Take the session out of the runtime's memory, unless it is working; whether it was unloaded."""
        if self._pending or not self.exchange.is_loaded:
            return False
        await self.exchange.disconnect()
        return True

    async def quiesce(self) -> None:
        """Stop what is under way and wait until nothing is (before the session is deleted)."""
        self.stop()
        async with self._lock:
            await self.exchange.disconnect()

    def annotation(self, notebook: str) -> dict[str, str]:
        """Return what the runtime is to keep of the session beside its history."""
        values = {
            "name": self.name,
            "model": self.model,
            "provider": self.provider,
            "system": self.system,
            "notebook": notebook,
            "turns": str(self.turns_stored),
        }
        return {f"{PREFIX}{key}": value for key, value in values.items()}
