"""The sessions of this kernel by name: opens, creates, resumes, renames, copies and deletes them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError, SessionNotFound
from copilot_nb.named_sessions.metadata import PREFIX, StoredSession
from copilot_nb.named_sessions.names import id_for, quoted, title_for
from copilot_nb.named_sessions.options import Opening, SessionOptions
from copilot_nb.named_sessions.rewind import check_stored, turn_number
from copilot_nb.named_sessions.session import Session, queue_of, state_of
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.users import for_user
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.session import Home


class OpenSessions:
    """The sessions of this kernel by name. Call coroutines on the loop thread; `get` and iteration are thread-safe.

    Parameters
    ----------
    engine : Engine
        The engine that runs the sessions.
    home : Home
        Passed to each session, which renames, copies and deletes itself through it.
    """

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._naming = PerLoop(asyncio.Lock)
        self._sessions: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def get(self, name: str) -> Session | None:
        """Return the session called `name` if this kernel has used it, else ``None``."""
        return self._sessions.get(name)

    def add(self, state: SessionState) -> Session:
        """Register a session under its name and return the user's handle on it."""
        session = self._sessions[state.name] = Session(state, self._engine, self._home)
        return session

    def _add_new(self, state: SessionState) -> Session:
        session = self.add(state)
        state.tell("listed")
        return session

    def open_new(self, session_id: str, options: SessionOptions, *, is_temporary: bool) -> Session:
        """Return a new session whose name is its id. The id must be free: unlike `open`, this does not check.

        No facts are stored about a temporary one, which takes 6 % of a short conversation; the caller discards it.
        """
        state = SessionState(name=session_id, session_id=session_id, options=options, is_temporary=is_temporary)
        return self._add_new(state)

    async def open(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        """Return the session called `name`: this kernel's, else a stored one, else a new one.

        Raises
        ------
        InputError
            If its id differs from the requested one, that id is taken, or it belongs to another user.
        """
        async with self._naming():
            await self.check_owner(name, opening.user, opening.session_id)
            session = None if opening.new else self._sessions.get(name)
            if session is not None:
                _check_same_id(session, opening.session_id)
            if opening.take_over and (copy := await self._copied(name)) is not None:
                session = copy
            elif session is None:
                session = self._add_new(await self._found_or_fresh(name, options, opening))
            elif options.provider or options.model:  # refuse unusable options now, not only with the next prompt
                await self._engine.selector.settled(session.options, options)
        state = state_of(session)
        state.requested = state.requested.merged_with(options)
        return session

    async def reopen(self, session: Session) -> Session:
        """Return the session that took the name of `session`, which is gone; else a new one with the same options."""
        async with self._naming():
            await self.check_owner(session.name, session.user)
            if (known := self._sessions.get(session.name)) is not None:
                return known
            opening = Opening(user=session.user)
            return self._add_new(await self._found_or_fresh(session.name, _restart_options(session.options), opening))

    async def _found_or_fresh(self, name: str, options: SessionOptions, opening: Opening) -> SessionState:
        stored_sessions = self._engine.stored_sessions
        stored = await stored_sessions.find(name, opening.session_id)
        if stored is not None and not opening.new:
            return await self._resumed(name, stored)
        if opening.session_id:
            self._check_id_free(name, opening.session_id, stored)
            stored = await stored_sessions.find(name)
            if stored is not None and not opening.new:
                _check_same_id(stored, opening.session_id)
        known = self._sessions.get(name)
        if (before := known or stored) is not None:
            options = _restart_options(before.options).merged_with(options)
        chosen = await self._engine.selector.for_new(options)
        if known is not None:
            await self.forget(known)
            stored = await stored_sessions.find(name)  # its first prompt may have stored it meanwhile
        if stored is not None:
            await self._set_aside(stored)
        ids = {session.session_id for session in self}
        free_id = await stored_sessions.free_id(opening.session_id or id_for(name), ids)
        return SessionState(name=name, session_id=free_id, options=chosen, user=opening.user)

    def _check_id_free(self, name: str, session_id: str, stored: StoredSession | None) -> None:
        """Check that a new session called `name` can have an id; `stored` is the stored session with it, if any."""
        owner = next((each.name for each in self if each.session_id == session_id), stored.name if stored else "")
        if owner:
            hint = "leave the id out" if owner == name else f"%%copilot {quoted(owner)}"
            raise InputError(f"the id {session_id!r} belongs to session {owner!r}", hint)

    async def _free_name(self, name: str) -> str:
        """Return the first name of the form ``name~NUMBER`` that no session has, here or stored."""
        return await self._engine.stored_sessions.free_name(name, self._sessions)

    async def find_stored(self, name: str, user: str = "") -> Session:
        """Return the session called `name`: this kernel's, else a stored one.

        Raises
        ------
        InputError
            If it belongs to another user.
        SessionNotFound
            If there is no such session.
        """
        async with self._naming():
            await self.check_owner(name, user)
            if (session := self._sessions.get(name)) is not None:
                return session
            if (stored := await self._engine.stored_sessions.find(name)) is None:
                raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
            return self.add(await self._resumed(name, stored))

    async def unknown(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are not the name of a session."""
        async with self._naming():
            find = self._engine.stored_sessions.find
            return [name for name in names if name not in self._sessions and not await find(name)]

    async def _resumed(self, name: str, stored: StoredSession) -> SessionState:
        engine = self._engine
        options = dataclasses.replace(
            stored.options,
            provider=stored.provider or await engine.selector.default_provider(),
            system=stored.system or engine.settings.system,
            tools=stored.options.tools if stored.is_own else "none",
        )
        engine.providers.recall(stored.provider, stored.provider_line)
        archive = (await engine.client()).archive
        turn_count = await archive.count_turns(stored.session_id)  # a terminal may have added turns
        if stored.user:
            archive.touch(stored.session_id)  # they are here: it does not expire
        state = SessionState(
            name=name,
            session_id=stored.session_id,
            user=stored.user,
            options=options,
            exists=True,
            turn_count=turn_count,
        )
        state.cells.read(stored.cells)
        as_found = dataclasses.replace(stored, name=engine.own_name(state), turns=turn_count)
        state.resume_note = as_found.resumed_note(datetime.now().astimezone())
        return state

    async def _copied(self, name: str) -> Session | None:
        """Return a copy, under a new name, of a session that another process has open; ``None`` if none has it open.

        If two processes wrote to the log of one session, their conversations would mix.
        """
        archive = (await self._engine.client()).archive
        stored = await self._engine.stored_sessions.find(name)
        if stored is None or not await archive.is_in_use(stored.session_id):
            return None
        copy_name = await self._free_name(name)
        copy_id = await archive.fork(stored.session_id, title_for(copy_name))
        state = await self._resumed(copy_name, dataclasses.replace(stored, session_id=copy_id))
        state.resume_note = f"{name} is open in another process; continuing in a copy, {copy_name}"
        return self._add_new(state)

    async def fork(self, state: SessionState, name: str | None, at: int | str | None) -> Session:
        """Copy a session up to turn `at` (``None``: all turns) and return the new session, called `name`.

        Without `name`, the new name is the original name with a number. A running turn is not copied.

        Raises
        ------
        InputError
            If the name is taken or there is no such turn.
        """
        check_stored(state)
        engine = self._engine
        archive = (await engine.client()).archive
        async with self._naming():
            name = self._checked_name(state, await self._free_name(state.name) if name is None else name)
            await self.check_free(name)
            await engine.settle(state)
            turns = (await archive.history(state.session_id)).turns
            under_way = state.runner.current
            if under_way is not None and turns and turns[-1].turn_id == under_way.record.turn_id:
                at = len(turns) - 1 if at is None else at
            kept = len(turns) if at is None else turn_number(state, at, turns)
            before = turns[kept].event_id if kept < len(turns) else ""
            copy = SessionState(
                name=name,
                session_id=await archive.fork(state.session_id, title_for(name), before),
                user=state.user,
                options=state.options,
                exists=True,
                turn_count=kept,
                cells=state.cells.copied(),
            )
            session = self.add(copy)
        try:
            await engine.loaded(copy)  # writes the new name to the runtime's metadata, which still has the original's
        except BaseException:  # also an interrupt: a copy under the name of the original must not stay
            with suppress(CopilotNBError):
                await self.forget(session)
                await self.delete_forgotten([session])
            raise
        copy.tell("listed")
        return session

    async def rename(self, state: SessionState, name: str) -> None:
        """Rename a session; its id stays the same.

        Raises
        ------
        InputError
            If the name is invalid or another session has it.
        SessionNotFound
            If the session has been deleted.
        """
        name = self._checked_name(state, name)
        if name == state.name:
            return
        async with self._naming():
            state.check_here()
            await self.check_free(name)
            if state.exists or state.is_busy:  # busy: its first prompt is about to store it
                connection = await self._engine.loaded(state)
                await connection.rename(title_for(name))
                await connection.annotate({f"{PREFIX}name": name})
            session = self._sessions.pop(state.name, None)
            self._engine.toolbox.renamed(state.name, name)
            state.name = name
            if session is not None:
                self._sessions[name] = session
            state.tell("session")

    def _checked_name(self, state: SessionState, name: str) -> str:
        return for_user(name, state.user, self._engine.settings.user_template)[1]

    async def check_owner(self, name: str, user: str, session_id: str = "") -> None:
        """Check that the session called `name`, if it exists, belongs to `user` (``""``: skip the check).

        Raises
        ------
        InputError
            If it belongs to another user; the message does not say to whom.
        """
        if not user:
            return
        known = self._sessions.get(name) or await self._engine.stored_sessions.find(name, session_id)
        if known is not None and known.user != user:
            raise InputError(f"the name {name!r} is taken", "choose another name")

    async def check_free(self, name: str) -> None:
        """Check that no session is called `name`.

        Raises
        ------
        InputError
            If a session has that name.
        """
        if name in self._sessions or await self._engine.stored_sessions.find(name) is not None:
            raise InputError(f"there is a session {name!r} already", "choose another name")

    async def _set_aside(self, stored: StoredSession) -> None:
        """Rename an older session so that a new one can use its name."""
        aside = await self._resumed(await self._free_name(stored.name), stored)
        await self._engine.loaded(aside)
        await aside.runner.disconnect()

    async def forget(self, session: Session) -> None:
        """Stop the turns of a session and remove it from this kernel; its stored history stays."""
        state = state_of(session)
        state.is_gone = True
        try:
            await queue_of(session).quiesce()
        except BaseException:  # also an interrupt: the session stays
            state.is_gone = False
            raise
        if self._sessions.get(state.name) is session:
            del self._sessions[state.name]
        state.tell("gone")

    async def delete_forgotten(self, sessions: Iterable[Session]) -> None:
        """Delete sessions that `forget` has removed from this kernel, and their histories, irreversibly."""
        if stored := [session.session_id for session in sessions if state_of(session).exists]:
            await (await self._engine.client()).archive.delete_all(stored)

    async def delete(self, name: str, user: str = "") -> None:
        """Delete a session and its history irreversibly; a running turn is stopped first.

        Raises
        ------
        SessionNotFound
            If there is no session of that name, or it belongs to another user.
        SessionInUse
            If another process has the session open.
        """
        async with self._naming():
            session = self._sessions.get(name)
            stored = await self._engine.stored_sessions.find(name) if session is None else None
            known = session or stored
            if known is None or (user and known.user != user):
                hint = "see cp.sessions(user=…)" if user else "see %copilot ls"
                raise SessionNotFound(f"there is no session {name!r}", hint)
            if stored is not None:
                await (await self._engine.client()).archive.delete(stored.session_id)
                self._never_used(stored).tell("gone")
        if session is not None:
            await self.discard(session)

    async def discard(self, session: Session) -> None:
        """Delete a session of this kernel and its history irreversibly; a running turn is stopped first.

        Raises
        ------
        SessionNotFound
            If it has been deleted before, or another one has replaced it.
        SessionInUse
            If another process has the session open.
        """
        await queue_of(session).stopped()  # it may take seconds, in which others open sessions
        async with self._naming():
            state = state_of(session)
            state.check_here()
            archive = (await self._engine.client()).archive
            stored = await self._engine.stored_sessions.find(state.name, state.session_id)
            if stored is not None and await archive.is_in_use(state.session_id):
                raise await self._engine.in_use(state)
            await self.forget(session)  # until then its first prompt may store it
            if stored is not None or state.exists:
                await archive.delete(state.session_id)

    def _never_used(self, stored: StoredSession) -> SessionState:
        """Return the state of a session that this kernel has never used, so that observers can identify it."""
        state = SessionState(name=stored.name, session_id=stored.session_id, options=stored.options)
        Session(state, self._engine, self._home)
        return state


def _check_same_id(session: Session | StoredSession, wanted: str) -> None:
    """Check that a session has the id that is wanted for its name, if any."""
    if wanted not in ("", session.session_id):
        said = f"session {session.name!r} already has the id {session.session_id!r}"
        raise InputError(said, "use another name for that id")


def _restart_options(options: SessionOptions) -> SessionOptions:
    """Return the options for starting a session again; without a system message, the setting `system` applies."""
    return dataclasses.replace(options, system=options.system or None)
