"""All sessions of this kernel: names to sessions, create or resume, list, delete.

There is no registry of ours. What belongs to a session beyond its history (its name, model, provider, system
message, notebook, number of turns) is kept in the runtime's own metadata of that session, under `PREFIX`; a session
of the runtime without it is somebody else's and is not listed.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from copilot_nb.errors import (
    CopilotNBError,
    InputError,
    SessionInUse,
    SessionNotFound,
)
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.runtime.providers.registry import Providers
from copilot_nb.sessions.choice import Choice
from copilot_nb.sessions.names import check_id, check_name, id_for, title_for
from copilot_nb.sessions.session import Session
from copilot_nb.sessions.store import Store
from copilot_nb.sessions.stored import StoredSession
from copilot_nb.sessions.wanted import Wanted

if TYPE_CHECKING:
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.connection import Connection
    from copilot_nb.settings import CopilotNB

COMPLETION_TIMEOUT_S = 1.0
TAKE_OVER_HINT = "close it there, or go on in a copy: --take-over"
MAX_SYSTEM_BYTES = 16_000
"""The runtime stores at most 16 KiB in one entry of a session's metadata."""


class Manager:
    """The sessions of this kernel and the runtime they share.

    Parameters
    ----------
    settings : CopilotNB
        Defaults of new sessions, and where the runtime and its home are.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self.settings = settings
        self.loop = LoopThread()
        self.providers = Providers(settings)
        self.store = Store(self.client)
        self.choice = Choice(settings, self.providers, self.client)
        self.notebook = ""
        self._sessions: dict[str, Session] = {}
        self._client: RuntimeClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self.seats = asyncio.Semaphore(settings.max_parallel_turns)
        settings.observe(self._reseat, "max_parallel_turns")

    async def client(self) -> RuntimeClient:
        """Return the runtime's client, connected.

        Raises
        ------
        RuntimeUnavailable
            If there is no runtime, or it cannot be started.
        """
        if self._client is None:
            from copilot_nb.runtime.client import RuntimeClient

            self._client = RuntimeClient(self.settings, self.providers.transports, self._is_answering, self._lost)
        await self._client.ready()
        return self._client

    def _reseat(self, _change: object) -> None:
        self.seats = asyncio.Semaphore(self.settings.max_parallel_turns)

    def warm_up(self) -> None:
        """Begin to import the SDK, start the runtime and load the embedded model, in the background."""
        self.loop.submit(self._warm_up())

    async def _warm_up(self) -> None:
        await self.client()
        if await self.choice.default_provider() == "local":
            self.providers["local"].preload()

    def _is_answering(self) -> bool:
        return any(session.exchange.current is not None for session in self._sessions.values())

    def _lost(self, reason: str) -> None:
        self.choice.forget_login()
        for session in self._sessions.values():
            session.exchange.lost(reason)

    def restart(self) -> None:
        """Stop the runtime; it is started again at the next use. Turns under way are interrupted."""
        self.loop.blocking(self._stop_runtime("the Copilot runtime was restarted"))

    async def _stop_runtime(self, reason: str) -> None:
        client, self._client = self._client, None
        self._lost(reason)
        if client is not None:
            await client.stop()

    def close(self) -> None:
        """Stop everything this object started; it can be used again."""
        if not self.loop.is_running:
            return
        self.loop.blocking(self._stop_runtime("the kernel is shutting down"))
        self.providers.close()
        self.loop.stop()

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a reference to a running task (the loop itself holds only a weak one)."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def turn_error(self, message: str, label: str) -> CopilotNBError:
        """Return the error of a turn that the runtime reported as failed."""
        from copilot_nb.runtime.faults import turn_error

        return turn_error(message, label)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def check_prompt(self, prompt: str) -> None:
        """Check a prompt before anything is done for it.

        Raises
        ------
        InputError
            If it is empty or larger than the setting `max_prompt_bytes`.
        """
        limit = self.settings.max_prompt_bytes
        if not prompt.strip():
            raise InputError("the prompt is empty", "write it below %%copilot NAME, or after %copilot ask NAME")
        if (size := len(prompt.encode("utf-8", "replace"))) > limit:
            raise InputError(
                f"the prompt has {size:,} bytes, {limit:,} are allowed",
                "send less, or raise it: %config CopilotNB.max_prompt_bytes = …",
            )

    def names(self) -> list[str]:
        """Return the names to complete: this kernel's and, without starting the runtime for it, the stored ones."""
        names = list(self._sessions)
        if self._client is not None and self._client.is_running:
            with suppress(CopilotNBError, TimeoutError):
                names += [stored.name for stored in self.loop.blocking(self.store.listing(), COMPLETION_TIMEOUT_S)]
        return list(dict.fromkeys(names))

    def default_choice(self) -> tuple[str, str]:
        """Return the provider and the model (``""``: its default one) that answer a new session.

        Raises
        ------
        RuntimeUnavailable
            If the Copilot runtime cannot be started.
        ProviderError
            If there is none.
        """
        return self.loop.blocking(self.choice.for_new(Wanted()))

    def session(
        self,
        name: str,
        *,
        model: str = "",
        provider: str = "",
        system: str | None = None,
        session_id: str = "",
        new: bool = False,
        take_over: bool = False,
    ) -> Session:
        """Return the session called `name`: this kernel's, else one stored before, else a new one.

        A new session is stored by its first prompt. The parameters are those of `copilot_nb.session`.
        """
        name = check_name(name)
        if session_id:
            check_id(session_id)
        if system is not None and len(system.encode()) > MAX_SYSTEM_BYTES:
            raise InputError(f"the system message is longer than {MAX_SYSTEM_BYTES:,} bytes")
        return self.loop.blocking(self._session(name, Wanted(model, provider, system, session_id, new, take_over)))

    async def _session(self, name: str, wanted: Wanted) -> Session:
        session_id = wanted.session_id
        async with self._opening:
            session = None if wanted.new else self._sessions.get(name)
            if wanted.take_over and (copy := await self._copied(name)) is not None:
                session = copy
            elif session is None:
                session = await self._found_or_fresh(name, wanted)
                self._sessions[name] = session
            elif wanted.provider or wanted.model:
                asked = wanted.over(Wanted(session.model, session.provider))
                self.choice.resolve(asked.provider, asked.model)
        session.wanted = wanted.over(session.wanted)
        if session_id and session.session_id != session_id:
            raise InputError(
                f"session {name!r} already has the id {session.session_id!r}", "use another name for that id"
            )
        return session

    async def _found_or_fresh(self, name: str, wanted: Wanted) -> Session:
        stored = await self.store.find(name, wanted.session_id)
        if stored is not None and not wanted.new:
            return await self._resumed(name, stored)
        provider, model = await self.choice.for_new(wanted)
        if stored is not None:
            await self._set_aside(stored)
        return Session(
            self,
            name,
            await self.store.free_id(wanted.session_id or id_for(name)),
            provider=provider,
            model=model,
            system=self.settings.system if wanted.system is None else wanted.system,
            exists=False,
        )

    async def _resumed(self, name: str, stored: StoredSession) -> Session:
        session = Session(
            self,
            name,
            stored.session_id,
            provider=stored.provider or await self.choice.default_provider(),
            model=stored.model,
            system=stored.system or self.settings.system,
            exists=True,
        )
        session.turns_stored = stored.turns
        session.resumed = stored.resumed_note(datetime.now().astimezone())
        return session

    async def _copied(self, name: str) -> Session | None:
        """Return a copy, under another name, of a session that another process has open; ``None`` if none has.

        Two processes that write to one session's log would mix two conversations in it.
        """
        client = await self.client()
        stored = await self.store.find(name)
        if stored is None or not await client.is_in_use(stored.session_id):
            return None
        copy_name = await self.store.free_name(name)
        copy_id = await client.fork(stored.session_id, title_for(copy_name))
        session = await self._resumed(copy_name, dataclasses.replace(stored, session_id=copy_id))
        session.resumed = f"{name} is open in another process; this goes on in a copy of it, {copy_name}"
        self._sessions[copy_name] = session
        return session

    async def _set_aside(self, stored: StoredSession) -> None:
        """Give an older session another name, so that a new one can have its name."""
        if (session := self._sessions.get(stored.name)) is not None:
            await self._forget(session)
        aside = await self._resumed(await self.store.free_name(stored.name), stored)
        connection = await self.attach(aside, exists=True)
        await connection.close()

    async def attach(self, session: Session, *, exists: bool) -> Connection:
        """Load a session into the runtime, making room for it.

        Raises
        ------
        SessionInUse
            If another process has it open.
        """
        client = await self.client()
        endpoint = self.providers[session.provider].endpoint(session.model)
        if exists and await client.is_in_use(session.session_id):
            raise SessionInUse(f"session {session.name!r} is open in another process", TAKE_OVER_HINT)
        await self._make_room()
        title = None if exists else title_for(session.name)
        if exists:
            session.exchange.remember((await client.tail(session.session_id)).last)
        connection = await client.open(
            session.session_id,
            endpoint,
            session.system,
            session.exchange.on_change,
            session.exchange.on_fault,
            title=title,
        )
        try:
            await connection.annotate(session.annotation(self.notebook))
        except CopilotNBError:
            if not exists:
                await client.delete(session.session_id)
            raise
        return connection

    async def _make_room(self) -> None:
        loaded = [session for session in self._sessions.values() if session.exchange.is_loaded]
        excess = max(0, len(loaded) + 1 - self.settings.max_loaded_sessions)
        for session in sorted(loaded, key=lambda session: session.exchange.last_sign_s)[:excess]:
            await session.unload()

    async def _forget(self, session: Session) -> None:
        """Let go of a session that another takes the place of, or none."""
        session.is_gone = True
        await session.quiesce()
        self._sessions.pop(session.name, None)

    async def discard(self, session: Session, *, is_stored: bool) -> None:
        """Forget a session whose very first prompt failed, and whatever the runtime stored of it."""
        session.is_gone = True
        self._sessions.pop(session.name, None)
        if is_stored and self._client is not None and self._client.is_running:
            with suppress(CopilotNBError):  # what is to be told is why the prompt failed
                await session.exchange.disconnect()
                await self._client.delete(session.session_id)

    def stored(self) -> list[StoredSession]:
        """Return the stored sessions that copilot_nb made, the one last changed first."""
        return self.loop.blocking(self.store.listing())

    def delete(self, name: str) -> None:
        """Delete a session and its history, irreversibly; a turn under way is stopped first.

        Raises
        ------
        SessionNotFound
            If there is none of that name.
        SessionInUse
            If another process has it open.
        """
        self.loop.blocking(self._delete(check_name(name)))

    async def _delete(self, name: str) -> None:
        session = self._sessions.get(name)
        stored = await self.store.find(name, session.session_id if session else "")
        if session is not None:
            await self._forget(session)
        if stored is not None:
            await (await self.client()).delete(stored.session_id)
        elif session is None:
            raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
