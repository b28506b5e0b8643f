"""The error for a session that another process has open: it names the process and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import SessionInUse

if TYPE_CHECKING:
    from copilot_nb.runtime.archive import Holder


def in_use(name: str, happened: str, notebook: str, holders: tuple[Holder, ...]) -> SessionInUse:
    """Return the error for a session that another process has open."""
    where = " or ".join([*([notebook] if notebook else []), *map(_named, holders)]) or "another process"
    return SessionInUse(f"session {name!r} {happened} in {where}", _remedy(notebook, holders))


def in_use_by_page(own_name: str, happened: str) -> SessionInUse:
    """Return the error of `in_use` for the user of a web page, without process details."""
    return SessionInUse(f"{own_name!r} {happened} in another page", "close that page, then send it again")


def _named(holder: Holder) -> str:
    program = f" ({Path(holder.command[0]).name})" if holder.command else ""
    return f"process {holder.process_id}{program}"


def _remedy(notebook: str, holders: tuple[Holder, ...]) -> str:
    """Return the remedy. A lock may be stale: its process has ended and its id now belongs to another program."""
    stale = [each for each in holders if each.command and "copilot" not in " ".join(each.command).lower()]
    if stale:
        return f"that program is not Copilot: delete the lock that was left behind, {stale[0].lock}"
    there = f"type %copilot restart in {notebook}" if notebook else "close it there"
    return f"{there}, or go on in a copy: --take-over in a cell, /fork in a panel"
