"""Subcommands about stored sessions: ls, new, use, rename, fork, rewind, rm, prune."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.frontend import agrees, is_headless
from copilot_nb.named_sessions.listing import SORTS, SessionList
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.names import check_name, quoted
from copilot_nb.named_sessions.session import state_of
from copilot_nb.notebook.arguments import SESSION_OPTIONS, Option, opening_of, options_of
from copilot_nb.notebook.subcommands.base import (
    MAYBE_ONE_SESSION,
    ONE_SESSION,
    Argument,
    Subcommand,
)
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext

LISTED = 100
"""How many sessions `ls` lists by default: of thousands, the last used are found sooner (count)."""
MAX_NAMED = 20
"""Up to so many sessions are named in the question before they are deleted (count)."""


def ls(context: MagicContext, args: argparse.Namespace) -> SessionList:
    """List the stored sessions."""
    notebook = _this_notebook(context) if args.here else args.notebook
    is_narrow = args.pattern or args.model or notebook or args.older_than or args.sort != "used"
    limit = args.number or (None if is_narrow else LISTED)
    found = context.manager.sessions(limit, everything=args.all)
    fitting = found.filter(args.pattern, model=args.model, notebook=notebook, older_than=args.older_than)
    return fitting.sorted_by(args.sort).marked_ready(context.background.ready)


def _this_notebook(context: MagicContext) -> str:
    if not context.manager.notebook:
        raise InputError("the front end does not say which notebook this is", "name it: --notebook NAME")
    return context.manager.notebook


def new(context: MagicContext, args: argparse.Namespace) -> None:
    """Create a session without sending a prompt."""
    session = context.manager.open(args.name, options_of(args), opening_of(args))
    session.create()
    print(f"Created {session!r}")


def use(context: MagicContext, args: argparse.Namespace) -> None:
    """Choose the session of ``%%copilot`` cells without a name."""
    if args.name:
        context.default_session = check_name(args.name)
    print(f"%%copilot without a name goes to: {context.default_session or '(none chosen)'}")


def rename(context: MagicContext, args: argparse.Namespace) -> None:
    """Give a session another name."""
    session = context.manager.existing(args.name)
    before = session.name
    session.rename(args.new_name)
    context.default_session = session.name if context.default_session == before else context.default_session
    print(f"{before} is now called {session.name} (its id stays {session.session_id}).")


def fork(context: MagicContext, args: argparse.Namespace) -> None:
    """Copy a session under a name of its own."""
    source = context.manager.existing(args.name)
    copy = source.fork(args.new_name, args.at)
    begins = f"{copy.name} begins with {count(state_of(copy).turn_count, 'turn')} of {source.name}"
    print(f"{begins}; go on: %%copilot {quoted(copy.name)}")


def rewind(context: MagicContext, args: argparse.Namespace) -> None:
    """Take turns back, or bring them back."""
    session = context.manager.existing(args.name)
    if args.undo:
        if args.to is not None:
            raise InputError("--undo brings turns back and --to takes turns back", "give only one of them")
        print(f"Brought back {count(session.undo_rewind(), 'turn')} of {session.name}.")
        return
    removed = session.rewind(args.to)
    undo = f"; bring back: %copilot rewind {quoted(session.name)} --undo" if removed else ""
    print(f"Took back {count(removed, 'turn')} of {session.name}{undo}")


def rm(context: MagicContext, args: argparse.Namespace) -> None:
    """Delete sessions and their histories."""
    if bool(args.names) == bool(args.older_than):
        raise InputError(
            "name the sessions to delete, or their age", "%copilot rm NAME…, or %copilot rm --older-than 30d"
        )
    if args.older_than:
        doomed: Sequence[StoredSession] = context.manager.sessions().filter(older_than=args.older_than)
    else:
        doomed = _named(context, [check_name(name) for name in args.names])
    _delete(context, doomed, is_confirmed=args.yes)


def prune(context: MagicContext, args: argparse.Namespace) -> None:
    """Delete the sessions that were never sent a prompt."""
    _delete(context, context.manager.sessions().without_turns(), is_confirmed=args.yes)


def _named(context: MagicContext, names: Sequence[str]) -> list[StoredSession]:
    """Return the sessions of those names, also those that exist in this kernel only."""
    known = {each.name: each for each in context.manager.known()}
    for name in names:
        if name not in known:
            raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
    return [known[name] for name in dict.fromkeys(names)]


def _delete(context: MagicContext, doomed: Sequence[StoredSession], *, is_confirmed: bool) -> None:
    if not doomed:
        print("There is nothing to delete.")
        return
    if not is_confirmed and not _agreed(context, doomed):
        print("Nothing was deleted.")
        return
    for stored in doomed:
        context.manager.delete(stored.name)
        context.default_session = "" if context.default_session == stored.name else context.default_session
        print(f"Deleted {stored.name}.")


def _agreed(context: MagicContext, doomed: Sequence[StoredSession]) -> bool:
    named = [f"{each.name} (id {each.session_id}, {count(each.turns, 'turn')})" for each in doomed]
    if is_headless(context.shell):
        raise InputError(f"nobody can be asked whether to delete {', '.join(named)}", "add -y to delete without asking")
    if len(named) > MAX_NAMED:
        print("\n".join(named))
        named = [count(len(named), "session")]
    return agrees(f"Delete, irreversibly: {', '.join(named)}?")


_YES = Option(("-y", "--yes"), "do not ask; needed in a headless run")
_OLDER = Option(("--older-than",), "not used for this long: 30d, 12h, 45m, 2w", "AGE", (("default", ""),))
_NEW_NAME = Argument("new_name", "the new name")

COMMANDS = (
    Subcommand(
        "ls",
        "List the stored sessions that copilot_nb made, the last used first.",
        ls,
        (Argument("pattern", "a part of names, with * and ?", "?"),),
        (
            Option(("--model",), "only sessions whose model or provider contains this", "MODEL", (("default", ""),)),
            Option(
                ("--notebook",), "only sessions whose notebook's path contains this", "NOTEBOOK", (("default", ""),)
            ),
            Option(("--here",), "only sessions of this notebook"),
            _OLDER,
            Option(("--sort",), f"the order: {', '.join(SORTS)}", "KEY", (("choices", SORTS), ("default", "used"))),
            Option(
                ("-n", "--number"),
                "how many, the last used (100; all when filtered or sorted)",
                "N",
                (("type", int), ("default", 0)),
            ),
            Option(("--all",), "also list your other Copilot sessions, marked as such"),
        ),
    ),
    Subcommand("new", "Create a session without sending a prompt.", new, (ONE_SESSION,), SESSION_OPTIONS),
    Subcommand("use", "Choose the session of %%copilot cells without a name.", use, (MAYBE_ONE_SESSION,)),
    Subcommand("rename", "Give a session another name; its id stays.", rename, (ONE_SESSION, _NEW_NAME)),
    Subcommand(
        "fork",
        "Make a new session that begins with the history of another.",
        fork,
        (ONE_SESSION, _NEW_NAME),
        (Option(("--at",), "the last turn to copy (default: all)", "TURN", (("type", int),)),),
    ),
    Subcommand(
        "rewind",
        "Take back the last turn of a session, or all after a turn.",
        rewind,
        (ONE_SESSION,),
        (
            Option(("--to",), "the turn that becomes the last one; 0 removes all", "TURN", (("type", int),)),
            Option(("--undo",), "bring the turns back, if no prompt was sent since"),
        ),
    ),
    Subcommand(
        "rm",
        "Delete sessions and their histories, irreversibly; asks first.",
        rm,
        (Argument("names", "the sessions", "*", kind="session"),),
        (_OLDER, _YES),
    ),
    Subcommand("prune", "Delete the sessions that were never sent a prompt.", prune, (), (_YES,)),
)
