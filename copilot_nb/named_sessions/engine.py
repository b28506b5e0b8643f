"""What the sessions of a kernel run on: the loop, the runtime's client, the providers, the seats."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, RuntimeUnavailable
from copilot_nb.named_sessions.events import EventBus
from copilot_nb.named_sessions.seats import Seats
from copilot_nb.named_sessions.selector import ModelSelector
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.runtime.providers.registry import Providers

if TYPE_CHECKING:
    from copilot_nb.named_sessions.registry import SessionRegistry
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.providers.base import ModelInfo
    from copilot_nb.settings import CopilotNB

CLOSE_TIMEOUT_S = 8.0
"""For a runtime that has just begun to start; one that runs is stopped within 3 s."""
CLOSING = "the kernel is shutting down"
UNLOAD_EVERY_S = 30.0
"""How often idle sessions are looked for, at most (seconds)."""


class Engine:
    """The part of a `Manager` that starts the runtime, notices its end and stops it.

    Parameters
    ----------
    settings : CopilotNB
        Where the runtime and its home are. The runtime is started anew where these change.
    """

    registry: SessionRegistry

    def __init__(self, settings: CopilotNB) -> None:
        self.settings = settings
        self.loop = LoopThread()
        self.events = EventBus(self.loop)
        self.providers = Providers(settings)
        self.selector = ModelSelector(settings, self.providers, self.client)
        self.providers.github.ask = self._account_models
        self.seats = Seats(settings.max_parallel_turns)
        self._client: RuntimeClient | None = None
        self._home = ""
        self._unloading: asyncio.Task[None] | None = None
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        settings.observe(self._reseat, "max_parallel_turns")
        settings.observe(self._start_anew, ["home", "offline"])
        settings.home_in_use = self._home_in_use

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
                self.settings, self.providers.route, self.registry.is_busy, self._lost, self.registry.heard
            )
            self._unloading = asyncio.create_task(self._unload_by_time())
        await self._client.ready()
        return self._client

    async def _unload_by_time(self) -> None:
        while True:
            await asyncio.sleep(min(UNLOAD_EVERY_S, self.settings.unload_after_s))
            await self.unload_idle()

    async def unload_idle(self) -> None:
        """Take out of the runtime's memory what has not been used for `unload_after_s` seconds."""
        for session in self.registry:
            if session.runner.is_loaded and session.runner.silence_s >= self.settings.unload_after_s:
                with suppress(CopilotNBError):  # a dead runtime has forgotten it already
                    await session.unload()

    @property
    def running_client(self) -> RuntimeClient | None:
        """The runtime's client if it is running."""
        return self._client if self._client is not None and self._client.is_running else None

    async def _account_models(self) -> list[ModelInfo]:
        return await (await self.client()).account.models()

    def _reseat(self, _change: object) -> None:
        self.loop.call_soon(self.seats.resize, self.settings.max_parallel_turns)

    def warm_up(self) -> None:
        """Begin to import the SDK, start the runtime and load the embedded model, in the background."""
        self.loop.submit(self._warm_up())

    async def _warm_up(self) -> None:
        await self.client()
        if await self.selector.default_provider() == "local":
            self.providers["local"].preload()

    def _start_anew(self, _change: object) -> None:
        """Stop a runtime that was started with other settings."""
        if self._client is not None and self.loop.is_running:
            self.restart()

    def _home_in_use(self) -> str:
        is_used = self.loop.is_running and any(session.exists for session in self.registry)
        return self._home if is_used else ""

    def _lost(self, reason: str) -> None:
        self.selector.forget_login()
        self.registry.lost(reason)

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
        self._lost(reason)
        if client is not None:
            await client.stop()
        await self.providers.aclose()

    def close(self) -> None:
        """Stop everything this object started, and withdraw the prompts that wait; it can be used again."""
        if not self.loop.is_running:
            return
        self._is_closing = True  # else who still asks for the client would start a runtime that nobody stops
        try:
            self.registry.withdraw_all()
            with suppress(TimeoutError):  # what still hangs ends with the process
                self.loop.blocking(self._stop_runtime(CLOSING), CLOSE_TIMEOUT_S)
            self.providers.close()
            self.loop.stop()
        finally:
            self._is_closing = False

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a reference to a running task (the loop itself holds only a weak one)."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
