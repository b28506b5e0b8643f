"""Subcommands about stored sessions: list, show, create, choose, delete."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.notebook.arguments import SESSION_OPTIONS, Option, system_message
from copilot_nb.notebook.kernel import is_headless
from copilot_nb.notebook.subcommands.base import MAYBE_ONE_SESSION, ONE_SESSION, SESSIONS, Subcommand
from copilot_nb.sessions.api import SessionList, sessions
from copilot_nb.sessions.names import check_name

if TYPE_CHECKING:
    from copilot_nb.notebook.commands import Desk
    from copilot_nb.sessions.history import History


def ls(desk: Desk, _args: argparse.Namespace) -> SessionList:
    """List the stored sessions."""
    _ = desk.manager
    return sessions()


def show(desk: Desk, args: argparse.Namespace) -> History:
    """Return the last turns of a session, which the notebook renders."""
    name = check_name(args.name)
    if name not in [stored.name for stored in desk.manager.stored()]:
        raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
    return desk.manager.session(name).history[-args.number :]


def new(desk: Desk, args: argparse.Namespace) -> None:
    """Create a session without asking it anything."""
    session = desk.manager.session(
        args.name,
        model=args.model or "",
        provider=args.provider or "",
        system=system_message(args.system),
        session_id=args.session_id or "",
        new=args.new,
        take_over=args.take_over,
    )
    session.create()
    print(f"Created {session!r}")


def use(desk: Desk, args: argparse.Namespace) -> None:
    """Choose the session of ``%%copilot`` cells that name none."""
    if args.name:
        desk.used = check_name(args.name)
    print(f"%%copilot without a name goes to: {desk.used or '(none chosen)'}")


def rm(desk: Desk, args: argparse.Namespace) -> None:
    """Delete sessions and their histories."""
    names = [check_name(name) for name in args.names]
    listing = {stored.name: stored for stored in desk.manager.stored()}
    doomed = [
        f"{name} (id {listing[name].session_id}, {listing[name].turns} turns)" for name in names if name in listing
    ]
    if doomed and not args.yes and not _confirmed(desk, doomed):
        print("Nothing was deleted.")
        return
    for name in names:
        desk.manager.delete(name)
        desk.used = "" if desk.used == name else desk.used
        print(f"Deleted {name}.")


def _confirmed(desk: Desk, doomed: list[str]) -> bool:
    if is_headless(desk.shell):
        raise InputError(f"nobody is here to confirm deleting {', '.join(doomed)}", "add -y to delete without asking")
    answer = input(f"Delete, irreversibly: {', '.join(doomed)}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


_YES = Option(("-y", "--yes"), "do not ask (needed where nobody can be asked)")

COMMANDS = (
    Subcommand("ls", "List the stored sessions that copilot_nb made.", ls),
    Subcommand(
        "show",
        "Show the last turns of a session.",
        show,
        (ONE_SESSION,),
        (Option(("-n", "--number"), "how many of its last turns (10)", "N", (("type", int), ("default", 10))),),
    ),
    Subcommand("new", "Create a session without asking it anything yet.", new, (ONE_SESSION,), SESSION_OPTIONS),
    Subcommand("use", "Choose the session of %%copilot cells that name none.", use, (MAYBE_ONE_SESSION,)),
    Subcommand("rm", "Delete sessions and their histories, irreversibly.", rm, (SESSIONS,), (_YES,)),
)
