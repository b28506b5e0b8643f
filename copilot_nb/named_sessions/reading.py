"""Looking at a session as it is stored: all its turns or the last ones, and whether others went on with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.elsewhere import in_use
from copilot_nb.named_sessions.history import History
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.runtime.archive import Reading


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


async def refresh(session: Session) -> None:
    """Let go of a loaded session if another process has gone on with it: its next use loads it anew.

    Raises
    ------
    SessionInUse
        If another process has it open.
    """
    client = await session.manager.client()  # a dead runtime is noticed here, and takes its connections with it
    exchange = session.runner
    if not exchange.is_loaded:
        return
    if await client.archive.is_as_left(session.session_id, exchange.last_turn_id, client.process_id):
        return
    if await client.archive.is_in_use(session.session_id):
        raise await in_use(session, "has been opened")
    turns = (await client.archive.last_turns(session.session_id, 1)).turns
    if turns and turns[-1].turn_id != exchange.last_turn_id:
        await exchange.disconnect()


def _note(reading: Reading) -> str:
    if not reading.damaged_lines:
        return ""
    return f"{count(reading.damaged_lines, 'line')} of the session's log cannot be read; this is what can"
