"""The error for a session that another process has open: it names the process and what to type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import SessionInUse

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.runtime.archive import Holder


async def in_use(session: Session, happened: str = "is open") -> SessionInUse:
    """Return the error of a session that another process has open."""
    if session.user:  # the reader is the visitor of a page, who knows nothing of processes
        return SessionInUse(f"{session.own_name!r} {happened} in another page", "close that page, then send it again")
    client = await session.manager.client()
    stored = await session.manager.repository.find(session.name, session.session_id)
    notebook = stored.notebook_name if stored is not None else ""
    holders = client.archive.holders(session.session_id)
    where = " or ".join([*([notebook] if notebook else []), *map(_named, holders)]) or "another process"
    return SessionInUse(f"session {session.name!r} {happened} in {where}", _remedy(notebook, holders))


def _named(holder: Holder) -> str:
    program = f" ({Path(holder.command[0]).name})" if holder.command else ""
    return f"process {holder.process_id}{program}"


def _remedy(notebook: str, holders: tuple[Holder, ...]) -> str:
    """Say how to get at it; a lock may have been left by a process whose number another program has by now."""
    stale = [each for each in holders if each.command and "copilot" not in " ".join(each.command).lower()]
    if stale:
        return f"that program is not Copilot: delete the lock that was left behind, {stale[0].lock}"
    there = f"type %copilot restart in {notebook}" if notebook else "close it there"
    return f"{there}, or go on in a copy: --take-over in a cell, /fork in a panel"
