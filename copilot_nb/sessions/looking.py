"""Reading a session's turns: all of them, or the last ones only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from copilot_nb.render.words import count
from copilot_nb.sessions.history import History

if TYPE_CHECKING:
    from copilot_nb.runtime.archive import Reading
    from copilot_nb.sessions.session import Session


async def read_all(session: Session) -> History:
    """Return the whole history of `session`."""
    if not session.exists:
        return History(session.name, session.provider, ())
    await session.settle()
    archive = (await session.manager.client()).archive
    reading = await archive.history(session.session_id)
    return History(session.name, session.provider, reading.turns, note=_note(reading))


async def read_last(session: Session, number: int) -> History:
    """Return the last `number` turns of `session`, which know their place in it."""
    if not session.exists:
        return History(session.name, session.provider, ())
    await session.settle()
    archive = (await session.manager.client()).archive
    reading, total = await asyncio.gather(
        archive.last_turns(session.session_id, number), archive.count_turns(session.session_id)
    )
    total = max(total, len(reading.turns))
    return History(
        session.name,
        session.provider,
        reading.turns,
        first=total - len(reading.turns) + 1,
        total=total,
        note=_note(reading),
    )


def _note(reading: Reading) -> str:
    if not reading.damaged_lines:
        return ""
    return f"{count(reading.damaged_lines, 'line')} of the session's log cannot be read; this is what can"
