"""Deletes the sessions of visitors who have not come back for a while.

A visitor is known by a secret in a browser, so most of them never return, and nobody else will delete what they said.
Each kernel that serves visitors deletes what has expired, because none of them runs for long. Sessions without a user
are the owner's, and are never deleted here.

Why: docs/decisions/0064-visitors-sessions-expire.md.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError
from copilot_nb.named_sessions.metadata import StoredSession

if TYPE_CHECKING:
    from copilot_nb.runtime.archive import Archive


async def delete_expired(archive: Archive, max_age: timedelta, here: Collection[str]) -> None:
    """Delete the stored sessions that belong to a user and have not been used for `max_age`.

    Parameters
    ----------
    archive : Archive
        The stored sessions.
    max_age : timedelta
        The time since a session had a turn or was opened.
    here : collection of str
        Ids of the sessions of this kernel, which stay. They are touched, because other kernels do not know of them: the
        runtime's lock says that a session is open only from its next prompt on.
    """
    for session_id in here:
        archive.touch(session_id)
    old = await archive.unused_since(datetime.now(UTC) - max_age)
    entries = await archive.annotations(old)
    for session_id in old:
        stored = StoredSession.from_metadata(session_id, entries.get(session_id, {}))
        if stored.user and not await archive.is_in_use(session_id):
            with suppress(CopilotNBError):  # another kernel has just deleted it
                await archive.delete(session_id)
