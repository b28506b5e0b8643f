"""The engine that runs the sessions of a kernel: the event loop, the runtime's client, the providers and the seats.

Why: docs/decisions/0021-unload-when-idle.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from copilot_nb.agent.describe import Describer
from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, RuntimeUnavailable, SessionInUse
from copilot_nb.frontend import is_headless, is_web_app, notebook_name, running_shell
from copilot_nb.named_sessions.approvals import Approvals
from copilot_nb.named_sessions.expiry import delete_expired
from copilot_nb.named_sessions.gate import Gate
from copilot_nb.named_sessions.in_use import in_use, in_use_by_page
from copilot_nb.named_sessions.metadata import annotation
from copilot_nb.named_sessions.names import title_for
from copilot_nb.named_sessions.seats import Seats
from copilot_nb.named_sessions.selector import ModelSelector
from copilot_nb.named_sessions.stored_sessions import StoredSessions
from copilot_nb.named_sessions.toolbox import ToolBox, level_of
from copilot_nb.named_sessions.users import own_name
from copilot_nb.providers.registry import Providers
from copilot_nb.providers.secrets import redactor
from copilot_nb.render.markdown import preload
from copilot_nb.runtime.loop import LoopThread, PerLoop
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.agent.redaction import Redactor
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.named_sessions.turn_runner import TurnRunner
    from copilot_nb.providers.base import ModelInfo
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.connection import Connection
    from copilot_nb.runtime.tools import Toolkit
    from copilot_nb.settings import CopilotNB

CLOSE_TIMEOUT_S = 8.0
"""Maximum time to stop a runtime that is still starting (seconds); a running one stops within 3 s."""
CLOSING = "the kernel is shutting down"
UNLOAD_EVERY_S = 30.0
"""Longest interval between two checks for idle sessions (seconds)."""
EXPIRE_EVERY_S = 3600.0
"""Interval between two checks for expired sessions of visitors (seconds)."""


def _has_person() -> bool:
    """Whether somebody at the kernel's front end can be asked."""
    shell = running_shell()
    return shell is not None and not is_headless(shell)


class Engine:
    """Starts and stops the runtime, detects when it ends, and loads sessions into it.

    Parameters
    ----------
    settings : CopilotNB
        The locations of the runtime and its home, and other settings. When `home` or `offline` changes, the runtime
        is restarted.
    states : callable
        Returns the sessions of this kernel.

    Attributes
    ----------
    loop : LoopThread
        The event loop thread on which all coroutines run.
    providers : Providers
        The model providers.
    selector : ModelSelector
        Selects the provider and the model of a session.
    stored_sessions : StoredSessions
        The stored sessions.
    toolbox : ToolBox
        The tools that sessions may have.
    approvals : Approvals
        The requests for permission.
    """

    def __init__(self, settings: CopilotNB, states: Callable[[], Iterable[SessionState]]) -> None:
        self.settings = settings
        self.loop = LoopThread()
        self.providers = Providers(settings)
        self.selector = ModelSelector(settings, self.providers, self.client)
        self.providers.github.ask = self._account_models
        self.stored_sessions = StoredSessions(self.client)
        self.toolbox = ToolBox()
        self.approvals = Approvals(_has_person, lambda: settings.answer_timeout_s)
        self._has_looked = False
        self._states = states
        self._runners: WeakValueDictionary[str, TurnRunner] = WeakValueDictionary()  # of loaded sessions, by their ids
        self._seats = PerLoop(lambda: Seats(settings.max_parallel_turns))
        self._client: RuntimeClient | None = None
        self._home = ""
        self._tidying: asyncio.Task[None] | None = None
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        settings.observe(self._reseat, "max_parallel_turns")
        settings.observe(self._restart_if_started, ["home", "offline"])
        settings.home_in_use = self._home_in_use

    @property
    def notebook(self) -> str:
        """The path of the notebook this kernel runs; ``""`` if the front end does not report it."""
        shell = running_shell()
        return notebook_name(shell) if shell is not None else ""

    async def client(self) -> RuntimeClient:
        """Return the runtime's client, connected.

        Raises
        ------
        RuntimeUnavailable
            If the runtime is missing or cannot be started, or the engine is closing.
        """
        if self._is_closing:
            raise RuntimeUnavailable(CLOSING)
        if (client := self._client) is None:
            from copilot_nb.runtime.client import RuntimeClient

            self._home = self.settings.home
            client = self._client = RuntimeClient(
                self.settings, self.providers.route, self._is_busy, self._lost_runtime, self._note_activity
            )
            self._tidying = asyncio.create_task(self._tidy_by_time())
        await client.ready()
        return client  # not the attribute: a restart clears it at any moment

    @property
    def running_client(self) -> RuntimeClient | None:
        """The runtime's client if the runtime is running, else ``None``."""
        return self._client if self._client is not None and self._client.is_running else None

    def seats(self) -> Seats:
        """Return the seats for turns; call on the loop thread."""
        return self._seats()

    def hide_secrets(self, text: str) -> str:
        """Return `text`, which the user did not type, without secrets (see the setting `hide_secrets`)."""
        return self._redactor().hide(text) if self.settings.hide_secrets else text

    def describer(self) -> Describer:
        """Return what describes values without secrets, as they are known now (see the setting `hide_secrets`)."""
        hides = self.settings.hide_secrets
        return Describer(self._redactor().hide if hides else str, hides_by_name=hides)

    def _redactor(self) -> Redactor:
        return redactor(self.providers, self.settings.mcp_servers)

    def turn_error(self, state: SessionState, message: str) -> CopilotNBError:
        """Return the error for a turn that the runtime reported as failed with `message`."""
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
        """Return the connection of a session; the session is loaded into the runtime first if necessary.

        Raises
        ------
        SessionInUse
            If another process has the session open.
        """
        async with state.loading:
            if (connection := state.runner.connection) is not None:
                return connection
            connection = await self._connected(state)
            await state.runner.connect(connection)
            self._runners[state.session_id] = state.runner
            state.exists = True
            return connection

    async def _connected(self, state: SessionState) -> Connection:
        client, options = await self.client(), state.options
        endpoint = self.providers[options.provider].endpoint(options.model)
        state.loading_note = partial(endpoint.note, state.session_id)
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
            host=self.gate(state),
            toolkit=self.toolkit(state),
            title=None if state.exists else title_for(state.name),
            is_temporary=state.is_temporary,
        )
        if state.is_temporary:
            return connection
        try:
            await self.annotate(state, connection)
        except CopilotNBError:
            if not state.exists:
                await client.archive.delete(state.session_id)
            raise
        return connection

    def gate(self, state: SessionState) -> Gate:
        """Return what decides about the tools of a session."""
        if state.gate is None:
            state.gate = Gate(
                names=lambda: (state.name, state.session_id),
                runner=state.runner,
                approvals=self.approvals,
                settings=self.settings,
                hide=self.hide_secrets,
                tell=lambda turn: state.tell("ask", turn),
                looked=lambda turn, tool: self._looked(state, turn, tool),
            )
        return state.gate

    def toolkit(self, state: SessionState) -> Toolkit:
        """Return the tools of a session, as they are now."""
        from copilot_nb.runtime.tools import Toolkit

        is_visitors = bool(state.user) or is_web_app()
        level = level_of(state.options, self.settings, self.providers, is_visitors=is_visitors)
        servers = self.settings.mcp_servers if level == "all" else {}
        return Toolkit(level, self.toolbox.of(level, state.name), {**servers})

    def _looked(self, state: SessionState, turn: Turn | None, tool: str) -> None:
        """Say once in a kernel that a model has looked at the notebook."""
        if turn is not None and not self._has_looked:
            self._has_looked = True
            turn.notes.append(
                f"{state.options.label} looked at this notebook, and was sent what {tool} returned; "
                "to turn that off: -t none, or %config CopilotNB.tools = 'none'"
            )

    async def annotate(self, state: SessionState, connection: Connection) -> None:
        """Write the facts that are stored about a session, apart from its history, to its metadata."""
        await connection.annotate(annotation(state, self.notebook, self.providers.line_of(state.options.provider)))

    async def in_use(self, state: SessionState, happened: str = "is open") -> SessionInUse:
        """Return the error for a session that another process has open."""
        if state.user:
            return in_use_by_page(self.own_name(state), happened)
        client = await self.client()
        stored = await self.stored_sessions.find(state.name, state.session_id)
        notebook = stored.notebook_name if stored is not None else ""
        return in_use(state.name, happened, notebook, client.archive.holders(state.session_id))

    def own_name(self, state: SessionState) -> str:
        """Return the name by which its user knows a session; the full name if it belongs to no user."""
        return own_name(state.name, state.user, self.settings.user_template) if state.user else state.name

    async def settle(self, state: SessionState) -> None:
        """Write a turn that was lost with a runtime to the log; skipped while another process has the session open."""
        if state.runner.has_unstored_turn:
            with suppress(SessionInUse):
                await self.loaded(state)

    async def unload(self, state: SessionState) -> bool:
        """Unload a session from the runtime's memory unless it is busy, and return whether it was unloaded."""
        if state.pending or state.lock.locked() or not state.runner.is_loaded:
            return False
        await state.runner.disconnect()
        return True

    async def unstore(self, state: SessionState) -> None:
        """Delete the stored session after its first prompt failed, so that it is new again."""
        client = self.running_client
        if not state.exists or client is None:
            return
        with suppress(CopilotNBError):  # the error to report is why the prompt failed
            await state.runner.disconnect()
            await client.archive.delete(state.session_id)
            state.exists, state.turn_count, state.last_outcome = False, 0, ""

    async def _tidy_by_time(self) -> None:
        expires_at_s = 0.0
        while True:
            await asyncio.sleep(min(UNLOAD_EVERY_S, self.settings.unload_after_s))
            await self.unload_idle()
            if self.settings.visitor_sessions_max_age_days and time.monotonic() >= expires_at_s:
                with suppress(CopilotNBError):  # a dead runtime deletes nothing
                    await self.delete_expired()
                expires_at_s = time.monotonic() + EXPIRE_EVERY_S

    async def unload_idle(self) -> None:
        """Unload the sessions that have not been used for `unload_after_s` seconds from the runtime's memory."""
        for state in self._states():
            if state.runner.is_loaded and state.runner.silence_s >= self.settings.unload_after_s:
                with suppress(CopilotNBError):  # a dead runtime has no session in memory
                    await self.unload(state)

    async def delete_expired(self) -> None:
        """Delete the visitors' sessions that are older than the setting `visitor_sessions_max_age_days`."""
        max_age = timedelta(days=self.settings.visitor_sessions_max_age_days)
        here = {state.session_id for state in self._states()}
        await delete_expired((await self.client()).archive, max_age, here)

    async def _account_models(self) -> list[ModelInfo]:
        return await (await self.client()).account.models()

    def _reseat(self, _change: object) -> None:
        self.loop.call_soon(lambda: self._seats().resize(self.settings.max_parallel_turns))

    def warm_up(self) -> None:
        """Import the SDK, start the runtime, load the renderer and the embedded model, in the background."""
        self.loop.submit(self._warm_up())

    async def _warm_up(self) -> None:
        await self.client()
        if not self._is_busy():  # a prompt sent right away should not have to share the processor
            await in_thread(preload)
        if await self.selector.default_provider() == "local":
            self.providers["local"].preload()

    def _restart_if_started(self, _change: object) -> None:
        """Restart a runtime that was started with other settings."""
        if self._client is not None and self.loop.is_running:
            self.restart()

    def _home_in_use(self) -> str:
        is_used = self.loop.is_running and any(state.exists for state in self._states())
        return self._home if is_used else ""

    def _is_busy(self) -> bool:
        return any(state.is_busy for state in self._states())

    def _note_activity(self, session_id: str) -> None:
        """Record that the runtime sent something for a session; called on the loop thread."""
        if (runner := self._runners.get(session_id)) is not None:
            runner.note_activity()

    def _lost_runtime(self, reason: str) -> None:
        """Drop all connections after the runtime ended; running turns are interrupted. Called on the loop thread."""
        self.selector.forget_login()
        for state in self._states():
            state.runner.lost(reason)

    def account_changed(self) -> None:
        """Discard the cached login and the account's models; both are requested again at the next use."""
        self.selector.forget_login()
        self.providers.github.forget()

    def restart(self) -> None:
        """Stop the runtime; it starts again at the next use. Running turns are interrupted."""
        self.loop.blocking(self._stop_runtime("the Copilot runtime was restarted"))

    async def _stop_runtime(self, reason: str) -> None:
        client, self._client = self._client, None
        if self._tidying is not None:
            self._tidying.cancel()
        self._lost_runtime(reason)
        if client is not None:
            await client.stop()
        await self.providers.aclose()

    def close(self) -> None:
        """Stop everything this object started and cancel the queued prompts; the object can be used again."""
        if not self.loop.is_running:
            return
        self._is_closing = True  # otherwise a late call of `client` would start a runtime that nobody stops
        try:
            for turn in [turn for state in self._states() for turn in state.pending]:
                if turn.state is TurnState.QUEUED:
                    turn.stop()
            with suppress(TimeoutError):  # a runtime that still hangs ends with the process
                self.loop.blocking(self._stop_runtime(CLOSING), CLOSE_TIMEOUT_S)
            self.providers.close()
            self.loop.stop()
        finally:
            self._is_closing = False
