"""Reads a stored session: all its turns or the last ones, and whether another process has continued it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.history import History
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.runtime.archive import Archive, Reading


async def read_all(state: SessionState, engine: Engine) -> History:
    """Return the whole history of a session."""
    if not state.exists:
        return History(state.name, state.options.provider, ())
    archive = await _archive(state, engine)
    reading = await archive.history(state.session_id)
    return History(state.name, state.options.provider, reading.turns, note=_note(reading))


async def read_last(state: SessionState, engine: Engine, number: int) -> History:
    """Return the last `number` turns of a session, with their numbers in the session."""
    if not state.exists:
        return History(state.name, state.options.provider, ())
    archive = await _archive(state, engine)
    reading, total = await asyncio.gather(
        archive.last_turns(state.session_id, number), archive.count_turns(state.session_id)
    )
    total = max(total, len(reading.turns))
    return History(
        state.name,
        state.options.provider,
        reading.turns,
        first=total - len(reading.turns) + 1,
        total=total,
        note=_note(reading),
    )


async def _archive(state: SessionState, engine: Engine) -> Archive:
    """Return the archive to read a session from; one that was replaced can be read, one that was deleted cannot."""
    archive = (await engine.client()).archive
    if not archive.log_path(state.session_id).exists():
        state.check_here()
    if not state.is_gone:
        await engine.settle(state)
    return archive


async def refresh(state: SessionState, engine: Engine) -> None:
    """Unload a session if another process has added turns to it, so that the next use loads it again.

    Raises
    ------
    SessionInUse
        If another process has the session open.
    """
    client = await engine.client()  # detects a dead runtime and drops its connections
    runner = state.runner
    if not runner.is_loaded:
        return
    if client.archive.is_as_left(state.session_id, runner.last_turn_id, client.process_id):
        return
    if await client.archive.is_in_use(state.session_id):
        raise await engine.in_use(state, "has been opened")
    turns = (await client.archive.last_turns(state.session_id, 1)).turns
    if turns and turns[-1].turn_id != runner.last_turn_id:
        await runner.disconnect()


def _note(reading: Reading) -> str:
    if not reading.damaged_lines:
        return ""
    return f"{count(reading.damaged_lines, 'line')} of the session's log cannot be read; the rest is shown"
