"""What changes a session's history or name: rename, fork, rewind, and the undo of a rewind.

A rewind cuts the runtime's log. The log as it was is kept beside it until the next rewind, so that the last one can be
undone as long as nothing has been said since: undoing it puts the file back while the session is not loaded.

A turn is numbered from 1; "to turn 3" means that turn 3 becomes the last one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, SessionInUse, SessionNotFound
from copilot_nb.named_sessions.metadata import PREFIX, cells_entry
from copilot_nb.named_sessions.names import title_for, typed
from copilot_nb.named_sessions.reading import refresh
from copilot_nb.render.words import count
from copilot_nb.runtime.logfile import prompt_ids
from copilot_nb.runtime.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.session import Session

BEFORE_REWIND = "copilot_nb-before-rewind.jsonl"
"""The log as it was before the last rewind, in the session's own folder."""
MARKS_BEFORE = f"{PREFIX}cells_before"
"""Which cell had made which turn then, in the session's metadata."""


async def rename(session: Session, name: str) -> None:
    """Give `session` another name; its id stays.

    Raises
    ------
    InputError
        If the name cannot be used, or another session has it.
    """
    _, name = session.manager.for_user(name, session.user)
    if name == session.name:
        return
    async with session.manager.registry.naming:
        await session.manager.registry.check_free(name)
        if session.exists or session.is_busy:  # busy: its first prompt is about to store it
            connection = await session.loaded()
            await connection.rename(title_for(name))
            await connection.annotate({f"{PREFIX}name": name})
        session.manager.registry.move(session, name)
        session.tell("session")


async def fork(session: Session, name: str, at: int | None) -> Session:
    """Return a new session called `name` with the history of `session`, up to turn `at` (``None``: all of it).

    A turn under way is not copied.

    Raises
    ------
    InputError
        If the name is taken or there is no such turn.
    """
    _check_stored(session)
    manager = session.manager
    _, name = manager.for_user(name, session.user)
    archive = (await manager.client()).archive
    async with manager.registry.naming:
        await manager.registry.check_free(name)
        await session.settle()
        turns = (await archive.history(session.session_id)).turns
        under_way = session.runner.current
        if under_way is not None and turns and turns[-1].turn_id == under_way.record.turn_id:
            at = len(turns) - 1 if at is None else at
        kept = len(turns) if at is None else _checked(session, at, turns)
        before = turns[kept].event_id if kept < len(turns) else ""
        copy_id = await archive.fork(session.session_id, title_for(name), before)
        copy = manager.registry.adopt_copy(session, name, copy_id, turns=kept)
    await copy.loaded()  # which gives the copy its name in the runtime's metadata: until then it has the original's
    copy.tell("listed")
    return copy


async def rewind(session: Session, to: int | str | None) -> int:
    """Let turn `to` be the last one of `session` (its number, or its id; ``None``: the last but one).

    Returns
    -------
    int
        How many turns were removed.

    Raises
    ------
    InputError
        If there is no such turn.
    SessionInUse
        If the session is answering.
    """
    _check_stored(session)
    _check_quiet(session)
    async with session.queue.lock:
        await refresh(session)
        await session.loaded()
        turns = (await (await session.manager.client()).archive.history(session.session_id)).turns
        if not turns:
            raise InputError(f"session {session.name!r} has no turns to take back")
        kept = len(turns) - 1 if to is None else _checked(session, to, turns)
        await cut(session, turns, kept)
        return len(turns) - kept


async def cut(session: Session, turns: Sequence[TurnRecord], kept: int) -> None:
    """Keep the first `kept` of `turns`, the last ones of a session, and remove the others; call it under the lock."""
    if kept >= len(turns):
        return
    connection = await session.loaded()
    archive = (await session.manager.client()).archive
    await connection.flush()
    log = archive.log(session.session_id)
    await in_thread(shutil.copy, log, log.with_name(BEFORE_REWIND))
    await connection.truncate(turns[kept].event_id)
    session.turns_stored = max(0, session.turns_stored - (len(turns) - kept))
    marks = session.cells.written()
    session.cells.forget(turns[kept:])
    session.runner.rewound(turns[:kept])
    await connection.annotate(cells_entry(session) | {MARKS_BEFORE: marks})
    session.tell("history")


async def cut_from(session: Session, turn_id: str) -> int:
    """Remove the turn `turn_id` and all after it; call it under the lock. Return how many were removed.

    Raises
    ------
    InputError
        If there is no such turn.
    """
    turns = (await (await session.manager.client()).archive.history(session.session_id)).turns
    kept = _checked(session, turn_id, turns) - 1
    await cut(session, turns, kept)
    return len(turns) - kept


async def undo_rewind(session: Session) -> int:
    """Undo the last rewind and return how many turns came back.

    Raises
    ------
    InputError
        If there is none, or something has been said since.
    SessionInUse
        If the session is answering.
    """
    _check_stored(session)
    _check_quiet(session)
    async with session.queue.lock:
        await refresh(session)
        return await bring_back(session)


async def bring_back(session: Session) -> int:
    """Bring back what was last cut, and return how many turns that were; call it under the lock."""
    await session.loaded()  # nobody else may have it open while its file is replaced
    await session.runner.disconnect()
    archive = (await session.manager.client()).archive
    log = archive.log(session.session_id)
    before = await archive.count_turns(session.session_id)
    await in_thread(_put_back, session.name, log)
    after = await archive.count_turns(session.session_id)
    marks = (await archive.annotations([session.session_id])).get(session.session_id, {})
    session.cells.read(marks.get(MARKS_BEFORE, ""))
    connection = await session.loaded()
    await connection.annotate(cells_entry(session))
    session.tell("history")
    return after - before


def _put_back(name: str, log: Path) -> None:
    old = log.with_name(BEFORE_REWIND)
    if not old.is_file():
        raise InputError(f"there is no rewind of {name!r} to undo")
    if not prompt_ids(log) <= prompt_ids(old):
        raise InputError(f"the rewind of {name!r} cannot be undone: something has been said since")
    old.replace(log)


def _checked(session: Session, number: int | str, turns: Sequence[TurnRecord]) -> int:
    if isinstance(number, str):
        ids = [turn.turn_id for turn in turns]
        if number not in ids:
            raise InputError(f"session {session.name!r} has no such turn")
        return ids.index(number) + 1
    if not 0 <= number <= len(turns):
        raise InputError(f"session {session.name!r} has {count(len(turns), 'turn')}, there is no turn {number}")
    return number


def _check_quiet(session: Session) -> None:
    if session.is_busy:
        raise answering(session)


def answering(session: Session) -> SessionInUse:
    """Return the error of what cannot be done while a turn is under way or waits."""
    return SessionInUse(f"session {session.name!r} is answering", f"stop it first: %copilot stop {typed(session.name)}")


def _check_stored(session: Session) -> None:
    if session.is_gone or not session.exists:
        raise SessionNotFound(f"nothing is stored of session {session.name!r} yet", f"%%copilot {typed(session.name)}")
