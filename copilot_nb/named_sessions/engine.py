"""What the sessions of a kernel run on: the loop, the runtime's client, the providers, the seats; and their loading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, RuntimeUnavailable, SessionInUse
from copilot_nb.frontend import notebook_name, running_shell
from copilot_nb.named_sessions.elsewhere import in_use, in_use_by_page
from copilot_nb.named_sessions.metadata import annotation
from copilot_nb.named_sessions.names import title_for
from copilot_nb.named_sessions.repository import SessionRepository
from copilot_nb.named_sessions.seats import Seats
from copilot_nb.named_sessions.selector import ModelSelector
from copilot_nb.named_sessions.users import own_name
from copilot_nb.providers.registry import Providers
from copilot_nb.providers.secrets import redactor
from copilot_nb.render.markdown import preload
from copilot_nb.runtime.loop import LoopThread, PerLoop
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.providers.base import ModelInfo
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.connection import Connection
    from copilot_nb.settings import CopilotNB

CLOSE_TIMEOUT_S = 8.0
"""For a runtime that has just begun to start; one that runs is stopped within 3 s."""
CLOSING = "the kernel is shutting down"
UNLOAD_EVERY_S = 30.0
"""How often idle sessions are looked for, at most (seconds)."""


class Engine:
    """Starts the runtime, notices its end and stops it; loads sessions into it.

    Parameters
    ----------
    settings : CopilotNB
        Where the runtime and its home are. The runtime is started anew where these change.
    states : callable
        Returns the sessions of this kernel.

    Attributes
    ----------
    loop : LoopThread
        Where all coroutines run.
    providers : Providers
        Where answers come from.
    selector : ModelSelector
        Chooses a provider and a model.
    repository : SessionRepository
        The stored sessions.
    """

    def __init__(self, settings: CopilotNB, states: Callable[[], Iterable[SessionState]]) -> None:
        self.settings = settings
        self.loop = LoopThread()
        self.providers = Providers(settings)
        self.selector = ModelSelector(settings, self.providers, self.client)
        self.providers.github.ask = self._account_models
        self.repository = SessionRepository(self.client)
        self._states = states
        self._seats = PerLoop(lambda: Seats(settings.max_parallel_turns))
        self._client: RuntimeClient | None = None
        self._home = ""
        self._unloading: asyncio.Task[None] | None = None
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        settings.observe(self._reseat, "max_parallel_turns")
        settings.observe(self._start_anew, ["home", "offline"])
        settings.home_in_use = self._home_in_use

    @property
    def notebook(self) -> str:
        """The path of the notebook this kernel runs, as far as the front end tells it."""
        shell = running_shell()
        return notebook_name(shell) if shell is not None else ""

    async def client(self) -> RuntimeClient:
        """Return the runtime's client, connected.

        Raises
        ------
        RuntimeUnavailable
            If there is no runtime, it cannot be started, or this is being closed.
        """
        if self._is_closing:
            raise RuntimeUnavailable(CLOSING)
        if self._client is None:
            from copilot_nb.runtime.client import RuntimeClient

            self._home = self.settings.home
            self._client = RuntimeClient(
                self.settings, self.providers.route, self._is_busy, self._lost_runtime, self._heard
            )
            self._unloading = asyncio.create_task(self._unload_by_time())
        await self._client.ready()
        return self._client

    @property
    def running_client(self) -> RuntimeClient | None:
        """The runtime's client if it is running."""
        return self._client if self._client is not None and self._client.is_running else None

    def seats(self) -> Seats:
        """Return the seats for turns (on the loop's thread)."""
        return self._seats()

    def hide_secrets(self, text: str) -> str:
        """Return a text that the user did not type as a model may see it (see the setting `hide_secrets`)."""
        return redactor(self.providers).hide(text) if self.settings.hide_secrets else text

    def turn_error(self, state: SessionState, message: str) -> CopilotNBError:
        """Return the error of a turn that the runtime reported as failed with `message`."""
        provider, model = state.options.provider, state.options.model
        if (known := self.providers.error(provider, state.session_id, message, model)) is not None:
            return known
        from copilot_nb.runtime.sdk_errors import turn_error

        return turn_error(message, f"{model} ({provider})" if model else "")

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a reference to a running task (the loop itself holds only a weak one)."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def loaded(self, state: SessionState) -> Connection:
        """Return a session's connection: loaded into the runtime if it is not.

        Raises
        ------
        SessionInUse
            If another process has it open.
        """
        async with state.loading:
            if (connection := state.runner.connection) is not None:
                return connection
            connection = await self._connected(state)
            await state.runner.connect(connection)
            state.exists = True
            return connection

    async def _connected(self, state: SessionState) -> Connection:
        client, options = await self.client(), state.options
        endpoint = self.providers[options.provider].endpoint(options.model)
        state.loading_note = endpoint.note
        if state.exists:
            if await client.archive.is_in_use(state.session_id):
                raise await self.in_use(state)
            missing = state.runner.remember((await client.archive.last_turns(state.session_id, 1)).turns)
            state.turn_count = await client.archive.count_turns(state.session_id) + missing
        connection = await client.open(
            state.session_id,
            endpoint.with_effort(options.effort or "").with_context(options.context or ""),
            options.system or "",
            state.runner.on_change,
            state.runner.on_fault,
            title=None if state.exists else title_for(state.name),
        )
        try:
            await self.annotate(state, connection)
        except CopilotNBError:
            if not state.exists:
                await client.archive.delete(state.session_id)
            raise
        return connection

    async def annotate(self, state: SessionState, connection: Connection) -> None:
        """Have all that is kept of a session beside its history written to its metadata."""
        await connection.annotate(annotation(state, self.notebook, self.providers.line_of(state.options.provider)))

    async def in_use(self, state: SessionState, happened: str = "is open") -> SessionInUse:
        """Return the error of a session that another process has open."""
        if state.user:
            return in_use_by_page(self.own_name(state), happened)
        client = await self.client()
        stored = await self.repository.find(state.name, state.session_id)
        notebook = stored.notebook_name if stored is not None else ""
        return in_use(state.name, happened, notebook, client.archive.holders(state.session_id))

    def own_name(self, state: SessionState) -> str:
        """Return what its user calls a session; the name, if it belongs to nobody in particular."""
        return own_name(state.name, state.user, self.settings.user_template) if state.user else state.name

    async def settle(self, state: SessionState) -> None:
        """Have written to the log what was lost with a runtime; where another process has it open, that waits."""
        if state.runner.has_unkept:
            with suppress(SessionInUse):
                await self.loaded(state)

    async def unload(self, state: SessionState) -> bool:
        """Take a session out of the runtime's memory, unless it is working; whether it was unloaded."""
        if state.pending or state.lock.locked() or not state.runner.is_loaded:
            return False
        await state.runner.disconnect()
        return True

    async def unstore(self, state: SessionState) -> None:
        """Remove what the runtime stored of a session whose very first prompt failed; it stays as it was before."""
        client = self.running_client
        if not state.exists or client is None:
            return
        with suppress(CopilotNBError):  # what is to be told is why the prompt failed
            await state.runner.disconnect()
            await client.archive.delete(state.session_id)
            state.exists, state.turn_count, state.last_outcome = False, 0, ""

    async def _unload_by_time(self) -> None:
        while True:
            await asyncio.sleep(min(UNLOAD_EVERY_S, self.settings.unload_after_s))
            await self.unload_idle()

    async def unload_idle(self) -> None:
        """Take out of the runtime's memory what has not been used for `unload_after_s` seconds."""
        for state in self._states():
            if state.runner.is_loaded and state.runner.silence_s >= self.settings.unload_after_s:
                with suppress(CopilotNBError):  # a dead runtime has forgotten it already
                    await self.unload(state)

    async def _account_models(self) -> list[ModelInfo]:
        return await (await self.client()).account.models()

    def _reseat(self, _change: object) -> None:
        self.loop.call_soon(lambda: self._seats().resize(self.settings.max_parallel_turns))

    def warm_up(self) -> None:
        """Import the SDK, start the runtime, load the renderer and the embedded model: in the background."""
        self.loop.submit(self._warm_up())

    async def _warm_up(self) -> None:
        await self.client()
        if not self._is_busy():  # a prompt that was sent at once is not made to share the processor
            await in_thread(preload)
        if await self.selector.default_provider() == "local":
            self.providers["local"].preload()

    def _start_anew(self, _change: object) -> None:
        """Stop a runtime that was started with other settings."""
        if self._client is not None and self.loop.is_running:
            self.restart()

    def _home_in_use(self) -> str:
        is_used = self.loop.is_running and any(state.exists for state in self._states())
        return self._home if is_used else ""

    def _is_busy(self) -> bool:
        return any(state.is_busy for state in self._states())

    def _heard(self, session_id: str) -> None:
        """Note that the runtime gave a sign of life for a session (on the loop's thread)."""
        for state in self._states():
            if state.session_id == session_id:
                state.runner.sign()

    def _lost_runtime(self, reason: str) -> None:
        """Let the runtime's connections go: it is gone. The turns under way are interrupted (on the loop's thread)."""
        self.selector.forget_login()
        for state in self._states():
            state.runner.lost(reason)

    def account_changed(self) -> None:
        """Ask for the login, and for what its account may use, when it next matters."""
        self.selector.forget_login()
        self.providers.github.forget()

    def restart(self) -> None:
        """Stop the runtime; it is started again at the next use. Turns under way are interrupted."""
        self.loop.blocking(self._stop_runtime("the Copilot runtime was restarted"))

    async def _stop_runtime(self, reason: str) -> None:
        client, self._client = self._client, None
        if self._unloading is not None:
            self._unloading.cancel()
        self._lost_runtime(reason)
        if client is not None:
            await client.stop()
        await self.providers.aclose()

    def close(self) -> None:
        """Stop everything this object started, and withdraw the prompts that wait; it can be used again."""
        if not self.loop.is_running:
            return
        self._is_closing = True  # else who still asks for the client would start a runtime that nobody stops
        try:
            for turn in [turn for state in self._states() for turn in state.pending]:
                if turn.state is TurnState.QUEUED:
                    turn.stop()
            with suppress(TimeoutError):  # what still hangs ends with the process
                self.loop.blocking(self._stop_runtime(CLOSING), CLOSE_TIMEOUT_S)
            self.providers.close()
            self.loop.stop()
        finally:
            self._is_closing = False
