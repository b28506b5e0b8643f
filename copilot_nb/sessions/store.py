"""The stored sessions: found by name or id, listed, and given ids that are free."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.sessions.names import id_for
from copilot_nb.sessions.stored import PREFIX, StoredSession

if TYPE_CHECKING:
    from copilot_nb.runtime.client import RuntimeClient

MAX_NAMESAKES = 100


class Store:
    """What is on disk, as the runtime tells it.

    Parameters
    ----------
    client : callable
        Returns the runtime's client, connected.
    """

    def __init__(self, client: Callable[[], Awaitable[RuntimeClient]]) -> None:
        self._client = client

    async def listing(self) -> list[StoredSession]:
        """Return the sessions that copilot_nb made, the one last changed first."""
        client = await self._client()
        changed = await client.list_ids()
        entries = await client.annotations(list(changed))
        return [
            StoredSession.from_metadata(session_id, entry, changed[session_id])
            for session_id in changed
            if f"{PREFIX}name" in (entry := entries.get(session_id, {}))
        ]

    async def find(self, name: str, session_id: str = "") -> StoredSession | None:
        """Return the session of that name, or of that id.

        Raises
        ------
        InputError
            If the session of that id has another name.
        """
        client = await self._client()
        direct = session_id or id_for(name)
        entries = await client.annotations([direct])
        stored_name = entries.get(direct, {}).get(f"{PREFIX}name", name)
        if direct in entries and stored_name == name:
            return StoredSession.from_metadata(direct, entries[direct], await client.changed_at(direct))
        if direct in entries and session_id:
            raise InputError(f"the id {session_id!r} belongs to session {stored_name!r}", f"%%copilot {stored_name}")
        if session_id:
            return None
        return next((stored for stored in await self.listing() if stored.name == name), None)

    async def free_id(self, wanted: str) -> str:
        """Return `wanted`, with a number behind it if it is taken."""
        client = await self._client()
        candidates = [wanted, *(f"{wanted[:240]}-{number}" for number in range(2, MAX_NAMESAKES))]
        taken = await client.annotations(candidates)
        return next(candidate for candidate in candidates if candidate not in taken)

    async def free_name(self, name: str) -> str:
        """Return ``name~1``, or the next such name that is free."""
        taken = {stored.name for stored in await self.listing()}
        return next(other for number in range(1, len(taken) + 2) if (other := f"{name}~{number}") not in taken)
