"""The stored sessions: finds them by name or id, lists them, and finds free ids and names."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.metadata import PREFIX, StoredSession
from copilot_nb.named_sessions.names import id_for, quoted
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.logfile import LogFacts

STEADY_NS = 100_000_000
"""A session changed more recently than this is read again: its time stamp may not show another change (nanoseconds)."""
MIN_BATCH = 100
"""Smallest number of sessions whose metadata is read in one call, except where only one is looked up."""


class StoredSessions:
    """The sessions that the runtime has stored on disk.

    Parameters
    ----------
    client : callable
        Returns the runtime's client, connected.
    """

    def __init__(self, client: Callable[[], Awaitable[RuntimeClient]]) -> None:
        self._client = client
        self._names: dict[str, tuple[int, str]] = {}

    async def listing(self, limit: int | None = None) -> list[StoredSession]:
        """Return the sessions that copilot_nb created, at most `limit` of them, most recently used first."""
        changed = await (await self._client()).archive.ids()
        return await self._last_used(changed, len(changed) if limit is None else limit)

    async def _last_used(
        self, changed: Mapping[str, str], limit: int, *, everything: bool = False
    ) -> list[StoredSession]:
        """Return the `limit` sessions last used among `changed`: those of copilot_nb, or all."""
        archive = (await self._client()).archive
        order = archive.by_last_use(changed)
        found: list[StoredSession] = []
        while len(found) < limit and (used := await in_thread(_next, order, max(limit, MIN_BATCH))):
            entries = await archive.annotations(list(used))
            for each, facts in used.items():
                stored = StoredSession.from_metadata(each, entries.get(each, {}), facts.used_at)
                if stored.is_own or everything:
                    found.append(dataclasses.replace(stored, turns=facts.turns))
        return found[:limit]

    async def everything(self, limit: int) -> list[StoredSession]:
        """Return the `limit` sessions last used; those of other programs are named by the runtime's title."""
        archive = (await self._client()).archive
        changed = await archive.ids()
        listed = await self._last_used(changed, limit, everything=True)
        others = {each.session_id for each in listed if not each.is_own}
        places = [place for place, each in enumerate(changed, 1) if each in others]
        titles = await archive.titles(places[-1]) if places else {}
        return [
            dataclasses.replace(each, name=titles.get(each.session_id, each.name)) if not each.is_own else each
            for each in listed
        ]

    async def seen_elsewhere(self, sessions: Sequence[StoredSession]) -> list[StoredSession]:
        """Return `sessions` with `is_elsewhere` set: whether another process has the session open."""
        in_use = await (await self._client()).archive.in_use([each.session_id for each in sessions])
        return [dataclasses.replace(each, is_elsewhere=each.session_id in in_use) for each in sessions]

    async def find(self, name: str, session_id: str = "") -> StoredSession | None:
        """Return the session with the id `session_id` if one is given, else the session called `name`.

        Raises
        ------
        InputError
            If the session with that id has another name.
        """
        archive = (await self._client()).archive
        direct = session_id or id_for(name)
        entries = await archive.annotations([direct])
        stored_name = entries.get(direct, {}).get(f"{PREFIX}name", name)
        if direct in entries and stored_name == name:
            return StoredSession.from_metadata(direct, entries[direct], await archive.used_at(direct))
        if direct in entries and session_id:
            raise InputError(
                f"the id {session_id!r} belongs to session {stored_name!r}", f"%%copilot {quoted(stored_name)}"
            )
        if session_id:
            return None
        return await self._called(name)

    async def _called(self, name: str) -> StoredSession | None:
        """Return the session called `name`; if there are several, the most recently used one."""
        archive = (await self._client()).archive
        stamps = await archive.stamps()
        called = [each for each, found in (await self._names_of(stamps)).items() if found == name]
        if not called:
            return None
        used = {each: await archive.used_at(each) for each in called}
        session_id = max(called, key=lambda each: at.timestamp() if (at := used[each]) else 0.0)
        entry = (await archive.annotations([session_id])).get(session_id, {})
        return StoredSession.from_metadata(session_id, entry, used[session_id])

    async def names(self) -> dict[str, str]:
        """Return the names of the sessions that copilot_nb created, by session id."""
        names = await self._names_of(await (await self._client()).archive.stamps())
        return {session_id: name for session_id, name in names.items() if name}

    async def _names_of(self, stamps: Mapping[str, int]) -> dict[str, str]:
        """Return the names of sessions by id, ``""`` for other programs' sessions; reads only what may have changed."""
        archive = (await self._client()).archive
        steady_ns = time.time_ns() - STEADY_NS
        changed = [each for each, stamp in stamps.items() if self._names.get(each, (0, ""))[0] != stamp]
        entries = await archive.annotations(changed) if changed else {}
        for each in changed:
            stamp = stamps[each] if stamps[each] < steady_ns else 0
            self._names[each] = stamp, entries.get(each, {}).get(f"{PREFIX}name", "")
        return {each: self._names[each][1] for each in stamps}

    async def free_id(self, wanted: str, used: Collection[str] = ()) -> str:
        """Return `wanted`, with a number appended if that id is stored or is one of those `used`."""
        archive = (await self._client()).archive
        numbered = (f"{wanted[:240]}-{number}" for number in itertools.count(2))
        candidates = [wanted]
        while True:
            taken = {*used, *await archive.annotations(candidates)}
            for each in candidates:
                if each not in taken:
                    return each
            candidates = list(islice(numbered, MIN_BATCH))

    async def free_name(self, name: str, used: Collection[str] = ()) -> str:
        """Return the first name of the form ``name~NUMBER`` that is neither stored nor one of those `used`."""
        taken = {*used, *(await self.names()).values()}
        return next(other for number in range(1, len(taken) + 2) if (other := f"{name}~{number}") not in taken)


def _next(order: Iterator[tuple[str, LogFacts]], count: int) -> dict[str, LogFacts]:
    return dict(islice(order, count))
