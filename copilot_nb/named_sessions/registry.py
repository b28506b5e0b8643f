"""The sessions of this kernel by name: opened, created or resumed; renamed, copied, set aside, deleted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError, SessionNotFound
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.names import id_for, title_for
from copilot_nb.named_sessions.options import Opening, SessionOptions
from copilot_nb.named_sessions.session import Session

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager


class SessionRegistry:
    """Who is called what in this kernel. All of it runs on the loop's thread, but for looking.

    Parameters
    ----------
    manager : Manager
        What the sessions share.

    Attributes
    ----------
    naming : asyncio.Lock
        Held while a name is looked for or given.
    """

    def __init__(self, manager: Manager) -> None:
        self.naming = asyncio.Lock()
        self._manager = manager
        self._sessions: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def is_busy(self) -> bool:
        """Whether a turn of any session is under way or waits."""
        return any(session.is_busy for session in self)

    def lost(self, reason: str) -> None:
        """Let the runtime's connections go: it is gone. The turns under way are interrupted (on the loop's thread)."""
        for session in self:
            session.runner.lost(reason)

    def withdraw_all(self) -> None:
        """Stop the turns that have not been sent (from any thread)."""
        for session in self:
            session.queue.withdraw_all()

    def heard(self, session_id: str) -> None:
        """Note that the runtime gave a sign of life for a session (on the loop's thread)."""
        for session in self:
            if session.session_id == session_id:
                session.runner.sign()

    def get(self, name: str) -> Session | None:
        """Return this kernel's session of that name, if it has been used here."""
        return self._sessions.get(name)

    async def open(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        """Return the session called `name`: this kernel's, else one stored before, else a new one.

        Raises
        ------
        InputError
            If it has another id than the one that is wanted, or is not that user's.
        """
        async with self.naming:
            await self.check_owner(name, opening.user, opening.session_id)
            session = None if opening.new else self._sessions.get(name)
            if opening.take_over and (copy := await self._copied(name)) is not None:
                session = copy
            elif session is None:
                session = await self._added(name, options, opening)
            elif options.provider or options.model:
                asked = session.options.merged_with(options)
                await self._manager.selector.resolve(asked.provider, asked.model)
        session.requested = session.requested.merged_with(options)
        if opening.session_id and session.session_id != opening.session_id:
            raise InputError(
                f"session {session.name!r} already has the id {session.session_id!r}", "use another name for that id"
            )
        return session

    async def reopen(self, session: Session) -> Session:
        """Return the session that has the name of `session`, which is gone; a new one has the same options."""
        async with self.naming:
            await self.check_owner(session.name, session.user)
            if (known := self._sessions.get(session.name)) is not None:
                return known
            return await self._added(session.name, _begun_anew(session.options), Opening(user=session.user))

    async def _added(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        session = self._sessions[name] = await self._found_or_fresh(name, options, opening)
        session.tell("listed")
        return session

    async def _found_or_fresh(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        store = self._manager.repository
        stored = await store.find(name, opening.session_id)
        if stored is not None and not opening.new:
            return await self._resumed(name, stored)
        if (before := self._sessions.get(name) or stored) is not None:
            options = _begun_anew(before.options).merged_with(options)
        chosen = await self._manager.selector.for_new(options)
        if stored is not None:
            await self._set_aside(stored)
        free_id = await store.free_id(opening.session_id or id_for(name))
        return Session(self._manager, name, free_id, chosen, user=opening.user, exists=False)

    async def find_stored(self, name: str) -> Session:
        """Return the session called `name`: this kernel's, else one stored before.

        Raises
        ------
        SessionNotFound
            If there is none.
        """
        async with self.naming:
            if (session := self._sessions.get(name)) is not None:
                return session
            if (stored := await self._manager.repository.find(name)) is None:
                raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
            self._sessions[name] = await self._resumed(name, stored)
            return self._sessions[name]

    async def unknown(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that no session has."""
        async with self.naming:
            return [
                name for name in names if name not in self._sessions and not await self._manager.repository.find(name)
            ]

    async def _resumed(self, name: str, stored: StoredSession) -> Session:
        options = dataclasses.replace(
            stored.options,
            provider=stored.provider or await self._manager.selector.default_provider(),
            system=stored.system or self._manager.settings.system,
        )
        session = Session(self._manager, name, stored.session_id, options, user=stored.user, exists=True)
        self._manager.providers.recall(stored.provider, stored.provider_line)
        archive = (await self._manager.client()).archive
        session.turns_stored = await archive.count_turns(stored.session_id)  # a terminal may have added some
        session.cells.read(stored.cells)
        as_found = dataclasses.replace(stored, name=session.own_name, turns=session.turns_stored)
        session.resume_note = as_found.resumed_note(datetime.now().astimezone())
        return session

    async def _copied(self, name: str) -> Session | None:
        """Return a copy, under another name, of a session that another process has open; ``None`` if none has.

        Two processes that write to one session's log would mix two conversations in it.
        """
        archive = (await self._manager.client()).archive
        stored = await self._manager.repository.find(name)
        if stored is None or not await archive.is_in_use(stored.session_id):
            return None
        copy_name = await self._manager.repository.free_name(name)
        copy_id = await archive.fork(stored.session_id, title_for(copy_name))
        session = await self._resumed(copy_name, dataclasses.replace(stored, session_id=copy_id))
        session.resume_note = f"{name} is open in another process; this goes on in a copy of it, {copy_name}"
        self._sessions[copy_name] = session
        session.tell("listed")
        return session

    def adopt_copy(self, source: Session, name: str, session_id: str, *, turns: int) -> Session:
        """Return the session that a copy of `source` is, under a name that `check_free` has found free."""
        copy = Session(self._manager, name, session_id, source.options, user=source.user, exists=True)
        copy.turns_stored = turns
        copy.cells = source.cells.copied()
        self._sessions[name] = copy
        return copy

    async def check_owner(self, name: str, user: str, session_id: str = "") -> None:
        """Check that a session of that name, if there is one, is `user`'s (``""``: who may do anything).

        Raises
        ------
        InputError
            If it is not; whose it is is not told.
        """
        if not user:
            return
        known = self._sessions.get(name) or await self._manager.repository.find(name, session_id)
        if known is not None and known.user != user:
            raise InputError(f"the name {name!r} is taken", "choose another name")

    async def check_free(self, name: str) -> None:
        """Check that no session is called `name`.

        Raises
        ------
        InputError
            If one is.
        """
        if name in self._sessions or await self._manager.repository.find(name) is not None:
            raise InputError(f"there is a session {name!r} already", "choose another name")

    def move(self, session: Session, name: str) -> None:
        """Let `session` be called `name`."""
        self._sessions.pop(session.name, None)
        session.name = name
        self._sessions[name] = session

    async def _set_aside(self, stored: StoredSession) -> None:
        """Give an older session another name, so that a new one can have its name."""
        if (session := self._sessions.get(stored.name)) is not None:
            await self.forget(session)
        aside = await self._resumed(await self._manager.repository.free_name(stored.name), stored)
        connection = await self._manager.attach(aside, exists=True)
        await connection.close()

    async def forget(self, session: Session) -> None:
        """Let go of a session that another takes the place of, or none; a turn under way is stopped."""
        session.is_gone = True
        await session.quiesce()
        self._sessions.pop(session.name, None)
        session.tell("gone")

    async def unstore(self, session: Session) -> None:
        """Remove what the runtime stored of a session whose very first prompt failed; it stays as it was before."""
        client = self._manager.running_client
        if not session.exists or client is None:
            return
        with suppress(CopilotNBError):  # what is to be told is why the prompt failed
            await session.runner.disconnect()
            await client.archive.delete(session.session_id)
            session.exists, session.turns_stored, session.last_outcome = False, 0, ""

    async def delete(self, name: str, user: str = "") -> None:
        """Delete a session and its history, irreversibly; a turn under way is stopped first.

        Raises
        ------
        SessionNotFound
            If there is none of that name, or it is not that user's.
        SessionInUse
            If another process has it open.
        """
        session = self._sessions.get(name)
        stored = await self._manager.repository.find(name, session.session_id if session else "")
        if user and any(known is not None and known.user != user for known in (session, stored)):
            raise SessionNotFound(f"there is no session {name!r}", "see cp.sessions(user=…)")
        if session is not None:
            await self.forget(session)
        if stored is not None:
            await (await self._manager.client()).archive.delete(stored.session_id)
            if session is None:
                self._unused(stored).tell("gone")
        elif session is None:
            raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")

    def _unused(self, stored: StoredSession) -> Session:
        """Return a session that this kernel has never used, for who watches to know which one it was."""
        return Session(self._manager, stored.name, stored.session_id, stored.options, exists=False)


def _begun_anew(options: SessionOptions) -> SessionOptions:
    """Return the options of a session that is begun anew; where it had no system message, the settings' counts."""
    return dataclasses.replace(options, system=options.system or None)
