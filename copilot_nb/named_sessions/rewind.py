"""Removes the last turns of a session (rewind), and restores them (undo).

A rewind truncates the runtime's log. A copy of the log before the last rewind is kept in the same folder, so that this
rewind can be undone until new turns are added. Undoing it restores the copy while the session is not loaded.

Turns are numbered from 1; "rewind to turn 3" means that turn 3 becomes the last one.

Why: docs/decisions/0008-undo-by-log-copy.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, SessionInUse, SessionNotFound
from copilot_nb.named_sessions.metadata import PREFIX, cells_entry
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.stored_history import refresh
from copilot_nb.render.words import count
from copilot_nb.runtime.logfile import prompt_ids
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState

BEFORE_REWIND = "copilot_nb-before-rewind.jsonl"
"""The copy of the log before the last rewind, in the session's folder."""
MARKS_BEFORE = f"{PREFIX}cells_before"
"""The metadata key of the cell marks before the last rewind."""


async def rewind(state: SessionState, engine: Engine, to: int | str | None) -> int:
    """Remove the turns after `to`: a number or an id; ``None`` to remove only the last turn.

    Returns
    -------
    int
        How many turns were removed.

    Raises
    ------
    InputError
        If there is no such turn.
    SessionInUse
        If a turn is running or queued, or another process has the session open.
    """
    check_stored(state)
    _check_quiet(state)
    async with state.lock:
        await refresh(state, engine)
        await engine.loaded(state)
        turns = (await (await engine.client()).archive.history(state.session_id)).turns
        if not turns:
            raise InputError(f"session {state.name!r} has no turns to take back")
        kept = len(turns) - 1 if to is None else turn_number(state, to, turns)
        await remove_after(state, engine, turns, kept)
        return len(turns) - kept


async def remove_after(state: SessionState, engine: Engine, turns: Sequence[TurnRecord], kept: int) -> None:
    """Keep the first `kept` of `turns`, which are the last turns of a session; remove the others. Requires the lock."""
    if kept >= len(turns):
        return
    connection = await engine.loaded(state)
    archive = (await engine.client()).archive
    await connection.flush()
    log = archive.require_log(state.session_id)
    await in_thread(shutil.copy, log, log.with_name(BEFORE_REWIND))
    await connection.truncate(turns[kept].event_id)
    state.turn_count = max(0, state.turn_count - (len(turns) - kept))
    marks = state.cells.written()
    state.cells.forget(turns[kept:])
    state.runner.rewound(turns[:kept])
    await connection.annotate(cells_entry(state) | {MARKS_BEFORE: marks})
    state.tell("history")


async def remove_from(state: SessionState, engine: Engine, turn_id: str, *, may_be_gone: bool = False) -> int:
    """Remove the turn `turn_id` and all later turns, and return how many were removed. Requires the lock.

    Raises
    ------
    InputError
        If there is no such turn, unless it `may_be_gone`.
    """
    turns = (await (await engine.client()).archive.history(state.session_id)).turns
    if may_be_gone and all(turn.turn_id != turn_id for turn in turns):
        return 0
    kept = turn_number(state, turn_id, turns) - 1
    await remove_after(state, engine, turns, kept)
    return len(turns) - kept


async def undo_rewind(state: SessionState, engine: Engine) -> int:
    """Undo the last rewind and return how many turns were restored.

    Raises
    ------
    InputError
        If there is no rewind to undo, or new turns have been added since.
    SessionInUse
        If a turn is running or queued, or another process has the session open.
    """
    check_stored(state)
    _check_quiet(state)
    async with state.lock:
        await refresh(state, engine)
        return await restore_turns(state, engine)


async def restore_turns(state: SessionState, engine: Engine) -> int:
    """Restore the turns that were removed last, and return how many. Requires the lock."""
    await engine.loaded(state)  # fails if another process has it open, because its file is replaced
    await state.runner.disconnect()
    archive = (await engine.client()).archive
    log = archive.require_log(state.session_id)
    before = await archive.count_turns(state.session_id)
    await in_thread(_restore_log, state.name, log)
    after = await archive.count_turns(state.session_id)
    marks = (await archive.annotations([state.session_id])).get(state.session_id, {})
    state.cells.read(marks.get(MARKS_BEFORE, ""))
    connection = await engine.loaded(state)
    await connection.annotate(cells_entry(state))
    state.tell("history")
    return after - before


def _restore_log(name: str, log: Path) -> None:
    old = log.with_name(BEFORE_REWIND)
    if not old.is_file():
        raise InputError(f"session {name!r} has no rewind to undo")
    if not prompt_ids(log) <= prompt_ids(old):
        raise InputError(f"the rewind of {name!r} cannot be undone: the session has newer turns")
    old.replace(log)


def turn_number(state: SessionState, number: int | str, turns: Sequence[TurnRecord]) -> int:
    """Return the number of a turn that is given by its number or its id.

    Raises
    ------
    InputError
        If there is no such turn.
    """
    if isinstance(number, str):
        ids = [turn.turn_id for turn in turns]
        if number not in ids:
            raise InputError(f"session {state.name!r} has no such turn")
        return ids.index(number) + 1
    if not 0 <= number <= len(turns):
        raise InputError(f"session {state.name!r} has {count(len(turns), 'turn')}, there is no turn {number}")
    return number


def _check_quiet(state: SessionState) -> None:
    if state.is_busy:
        raise busy_error(state)


def busy_error(state: SessionState) -> SessionInUse:
    """Return the error for an operation that is not possible while turns are running or queued."""
    return SessionInUse(f"session {state.name!r} is answering", f"stop it first: %copilot stop {quoted(state.name)}")


def check_stored(state: SessionState) -> None:
    """Check that the session is stored, and has not been deleted.

    Raises
    ------
    SessionNotFound
        If it is not, or has been.
    """
    state.check_here()
    if not state.exists:
        raise SessionNotFound(f"session {state.name!r} is not stored yet", f"%%copilot {quoted(state.name)}")
