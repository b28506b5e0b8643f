"""Lists, reads, copies and deletes the sessions on disk, by the runtime's own calls.

A log is read in pages, the newest first if only the last turns are needed. If the runtime refuses to read a damaged
log, its lines are read one by one: the readable ones are shown and the others counted.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot.generated import rpc
from copilot.session_events import SessionEvent

from copilot_nb.errors import SessionError
from copilot_nb.foreign_json import parsed
from copilot_nb.runtime.events import history
from copilot_nb.runtime.logfile import LogFacts, facts_of, last_turn_id
from copilot_nb.runtime.sdk_errors import CALL_TIMEOUT_S, DAMAGED_HINT, SDK_ERRORS, translated
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot import CopilotClient

    from copilot_nb.conversation.transcript import TurnRecord

EVENTS_PER_TURN = 8
"""What a plain turn leaves in a log, rounded up; a page is sized by it."""
MAX_PAGE_EVENTS = 1000
PARALLEL_READS = 4
"""Sessions' logs read at the same time; the runtime allows eight, and counts one it has not forgotten yet."""
LOGS, LOG_NAME = "session-state", "events.jsonl"
"""Where the runtime keeps a session's log in its home (its call that tells the path is not for SDK users)."""
LOCK = re.compile(r"inuse\.(\d+)\.lock")
"""What it puts beside the log while a process has the session open; the process's number is in the name."""
STAMP_TICK_NS = 100_000_000
"""Two changes of a folder that are closer may leave the same stamp (a tick of Linux takes 10 ms at most)."""
METADATA_BATCH = 1000
"""The most that the runtime answers at once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Turns read from a session's log.

    Attributes
    ----------
    turns : tuple of TurnRecord
        Oldest first.
    damaged_lines : int
        Lines of the log that could not be read (count).
    """

    turns: tuple[TurnRecord, ...]
    damaged_lines: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a session open: its id, and its lock beside the session's log."""

    process_id: int
    lock: Path

    @property
    def command(self) -> tuple[str, ...]:
        """Its command line; empty where the system does not give it (only Linux does)."""
        try:
            words = Path(f"/proc/{self.process_id}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ()
        return tuple(word.decode("utf-8", "replace") for word in words if word)


class Archive:
    """The stored sessions; they need not be loaded.

    Parameters
    ----------
    ready : callable
        Returns the SDK's client, connected.
    home : callable
        Returns the folder in which the runtime keeps its sessions.

    Attributes
    ----------
    opened : set of str
        Ids of the sessions that have been loaded: the runtime writes their logs with a delay.
    """

    def __init__(self, ready: Callable[[], Awaitable[CopilotClient]], home: Callable[[], Path]) -> None:
        self._ready = ready
        self._home = home
        self.opened: set[str] = set()
        self._reading = asyncio.Semaphore(PARALLEL_READS)
        self._as_left: dict[str, int] = {}  # the stamps of the sessions' folders when we were alone with them

    async def ids(self) -> dict[str, str]:
        """Return the ids of all stored sessions, newest first, with the time each was last changed (ISO 8601)."""
        client = await self._ready()
        async with translated("listing sessions"):
            listed = await client.rpc.sessions.list(rpc.SessionsListRequest(metadata_limit=0))
        return {entry.session_id: str(entry.modified_time) for entry in listed.sessions}

    async def stamps(self) -> dict[str, int]:
        """Return the ids of all stored sessions, each with the time its folder was last changed (ns).

        The runtime writes a session's metadata anew in its folder, so another stamp tells that they may have changed:
        for 5,000 sessions in 15 ms, where asking the runtime takes a second.
        """
        return await in_thread(_stamps, self._home() / LOGS)

    def touch(self, session_id: str) -> None:
        """Note that a session is used now, for `unused_since`; nothing else changes."""
        with suppress(OSError):  # it is not stored yet, was deleted elsewhere, or cannot be written to
            os.utime(self.log_path(session_id).parent)

    async def unused_since(self, before: datetime) -> list[str]:
        """Return the ids of the sessions that have had no turn since `before`, nor been touched."""
        return await in_thread(_unused_since, self._home() / LOGS, before.timestamp())

    async def titles(self, count: int) -> dict[str, str]:
        """Return the runtime's titles of the `count` sessions last changed."""
        client = await self._ready()
        async with translated("listing sessions"):
            listed = await client.rpc.sessions.list(rpc.SessionsListRequest(metadata_limit=count))
        return {entry.session_id: str(entry.name or entry.summary or "") for entry in listed.sessions[:count]}

    async def annotations(self, session_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the metadata that `Connection.annotate` stored, for those of `session_ids` that exist."""
        client = await self._ready()
        batches = [session_ids[start : start + METADATA_BATCH] for start in range(0, len(session_ids), METADATA_BATCH)]
        async with translated("reading the sessions' metadata"):
            answers: list[Any] = await asyncio.gather(
                *(
                    client.rpc.sessions.get_client_metadata(
                        rpc.SessionsGetClientMetadataRequest(session_ids=list(batch))
                    )
                    for batch in batches
                )
            )
        return {
            entry["sessionId"]: entry["metadata"] for answer in answers for entry in answer if entry["status"] == "ok"
        }

    async def in_use(self, session_ids: Sequence[str]) -> set[str]:
        """Return those of `session_ids` that another process has open."""
        client = await self._ready()
        async with translated("looking at sessions"):
            request = rpc.SessionsCheckInUseRequest(session_ids=list(session_ids))
            return set((await client.rpc.sessions.check_in_use(request)).in_use)

    async def is_in_use(self, session_id: str) -> bool:
        """Whether another process has the session open."""
        return session_id in await self.in_use([session_id])

    def holders(self, session_id: str) -> tuple[Holder, ...]:
        """Return the processes that say they have the session open, by the locks the runtime leaves beside the log."""
        folder = self.log_path(session_id).parent
        try:
            with os.scandir(folder) as entries:
                locks = [found for entry in entries if (found := LOCK.fullmatch(entry.name))]
        except OSError:
            return ()
        locks.sort(key=itemgetter(0))
        return tuple(Holder(int(lock[1]), folder / lock[0]) for lock in locks)

    def is_as_left(self, session_id: str, turn_id: str, process_id: int) -> bool:
        """Whether `turn_id` is a session's last turn and only the process `process_id` has the session open.

        It looks at the session's folder only, so ``False`` may also mean that the folder does not tell: a lock that was
        left behind, a log that is not written yet. It blocks for 0.1 ms; another thread would take four times that
        before each prompt, and asking the runtime a tenth of a turn. A process that opens the session puts a lock into
        the folder, which changes the folder's stamp: while that stays the same, no other process has opened it.
        """
        stamp_ns = _stamp_ns(self.log_path(session_id).parent)
        if stamp_ns and stamp_ns == self._as_left.get(session_id):
            return True
        holders = [holder.process_id for holder in self.holders(session_id)]
        is_as_left = holders == [process_id] and last_turn_id(self.log_path(session_id)) == turn_id
        if is_as_left and stamp_ns < time.time_ns() - STAMP_TICK_NS:
            self._as_left[session_id] = stamp_ns
        return is_as_left

    async def used_at(self, session_id: str) -> datetime | None:
        """Return when the session was last used; ``None`` if it does not exist."""
        if (found := await in_thread(facts_of, self.log_path(session_id))).used_at is not None:
            return found.used_at
        client = await self._ready()
        async with translated(f"looking at session {session_id}"):
            metadata = await client.get_session_metadata(session_id)
        return metadata.modified_time if metadata else None

    def by_last_use(self, changed: Mapping[str, str]) -> Iterator[tuple[str, LogFacts]]:
        """Yield the sessions of `changed`, which is as `ids` returns it, and what their logs say, the last used first.

        A session is never changed before it is used, so only few logs are read (30 µs each, in the caller's thread)
        before the first comes. One whose log does not tell counts as used when it was changed.
        """
        waiting: list[tuple[float, int, str, LogFacts]] = []
        logs = self.logs_of(changed)
        for place, (session_id, at) in enumerate(changed.items()):
            changed_at, facts = datetime.fromisoformat(at), facts_of(logs[session_id])
            while waiting and -waiting[0][0] >= changed_at.timestamp():
                yield heapq.heappop(waiting)[2:]
            used_at = facts.used_at or changed_at
            heapq.heappush(waiting, (-used_at.timestamp(), place, session_id, LogFacts(facts.turns, used_at)))
        while waiting:
            yield heapq.heappop(waiting)[2:]

    async def last_turns(self, session_id: str, count: int) -> Reading:
        """Read the last `count` turns of a session."""
        size = min(EVENTS_PER_TURN * (count + 1), MAX_PAGE_EVENTS)
        reading = await self._read(session_id, rpc.EventsReadDirection.BACKWARD, size, count)
        return Reading(reading.turns[-count:] if count else (), reading.damaged_lines)

    async def history(self, session_id: str) -> Reading:
        """Read all turns of a session."""
        return await self._read(session_id, rpc.EventsReadDirection.FORWARD, MAX_PAGE_EVENTS)

    async def count_turns(self, session_id: str) -> int:
        """Return how many prompts a session's log holds, without reading their text; 0 without a log."""
        return (await in_thread(facts_of, self.log_path(session_id))).turns

    async def _read(
        self,
        session_id: str,
        direction: rpc.EventsReadDirection,
        page_events: int,
        enough_turns: int | None = None,
    ) -> Reading:
        client = await self._ready()
        events: list[SessionEvent] = []
        cursor: str | None = None
        try:
            if session_id in self.opened:
                await client.rpc.sessions.save(rpc.SessionsSaveRequest(session_id=session_id))
            async with self._reading, asyncio.timeout(CALL_TIMEOUT_S):
                while True:
                    request = rpc.SessionsReadPersistedEventsRequest(
                        session_id=session_id, cursor=cursor, direction=direction, max=page_events
                    )
                    page = await client.rpc.sessions.read_persisted_events(request)
                    is_backward = direction is rpc.EventsReadDirection.BACKWARD
                    events = [*page.events, *events] if is_backward else [*events, *page.events]
                    if not page.has_more:
                        return Reading(history(events).turns)
                    if enough_turns is not None and len(turns := history(events).turns) >= enough_turns:
                        return Reading(turns)
                    cursor = page.cursor
        except (*SDK_ERRORS, AssertionError):  # the SDK asserts the shape of an event
            return await self._salvaged(session_id)

    async def _salvaged(self, session_id: str) -> Reading:
        """Read a log that the runtime refuses, line by line."""
        events, damaged = await in_thread(_events_of, self.require_log(session_id))
        return Reading(history(events).turns, damaged)

    def log_path(self, session_id: str) -> Path:
        """Return where a session's log is, or would be."""
        return Path(self._home(), LOGS, session_id, LOG_NAME)

    def logs_of(self, session_ids: Iterable[str]) -> dict[str, Path]:
        """Return where the logs of many sessions are, or would be."""
        folder = self._home() / LOGS
        return {each: Path(folder, each, LOG_NAME) for each in session_ids}

    def require_log(self, session_id: str) -> Path:
        """Return the file that is a session's log.

        Raises
        ------
        SessionError
            If there is none, or nothing in it.
        """
        path = self.log_path(session_id)
        if not path.is_file() or not path.stat().st_size:
            raise SessionError(f"the log of session {session_id} is missing: nothing of it can be read", DAMAGED_HINT)
        return path

    async def fork(self, session_id: str, title: str, before_event: str = "") -> str:
        """Copy a session with its history, or with what came before an event of it; return the copy's id."""
        client = await self._ready()
        request = rpc.SessionsForkRequest(session_id=session_id, name=title, to_event_id=before_event or None)
        async with translated(f"copying session {session_id}"):
            return (await client.rpc.sessions.fork(request)).session_id

    async def delete(self, session_id: str) -> None:
        """Delete a session and its history from disk."""
        client = await self._ready()
        async with translated(f"deleting session {session_id}"):
            await client.delete_session(session_id)
        self.opened.discard(session_id)

    async def delete_all(self, session_ids: Collection[str]) -> None:
        """Delete unloaded sessions and their histories from disk, in about half the time that one by one takes.

        One that cannot be deleted stays, without an error.
        """
        client = await self._ready()
        async with translated("deleting sessions"):
            await client.rpc.sessions.bulk_delete(rpc.SessionsBulkDeleteRequest(session_ids=list(session_ids)))
        self.opened.difference_update(session_ids)


def _stamp_ns(path: Path) -> int:
    """Return when a file was last written, or something was last added to a folder or removed; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _stamps(folder: Path) -> dict[str, int]:
    """Return the stamps of a folder's entries, without those that another process deletes meanwhile."""
    stamps: dict[str, int] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                stamps[entry.name] = entry.stat().st_mtime_ns
    return {name: stamp_ns for name, stamp_ns in stamps.items() if not name.startswith(".")}


def _unused_since(folder: Path, before_s: float) -> list[str]:
    """Return the sessions whose folders and logs are older; a loaded session has its lock put into its folder."""
    before_ns = before_s * 1e9
    old = [each for each, stamp_ns in _stamps(folder).items() if stamp_ns < before_ns]
    return [each for each in old if 0 < _stamp_ns(folder / each / LOG_NAME) < before_ns]


def _events_of(path: Path) -> tuple[list[SessionEvent], int]:
    """Return the readable events of a log, and how many lines are not readable."""
    events: list[SessionEvent] = []
    damaged = 0
    for line in path.read_bytes().splitlines():
        try:
            events.append(SessionEvent.from_dict(parsed(line)))
        except (ValueError, AssertionError, KeyError, TypeError):  # what the SDK raises on a malformed event
            damaged += bool(line.strip(b"\0 \t\r"))
    return events, damaged
