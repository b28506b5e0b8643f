"""Subcommands about conversations: show, search, usage, export, import."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.formats.import_json import import_session
from copilot_nb.named_sessions.session import state_of
from copilot_nb.notebook.arguments import Option
from copilot_nb.notebook.code import insert_code
from copilot_nb.notebook.subcommands.base import MAYBE_SESSIONS, ONE_SESSION, Argument, Subcommand

if TYPE_CHECKING:
    from copilot_nb.named_sessions.history import History
    from copilot_nb.named_sessions.search import SearchResults
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.usage import UsageReport
    from copilot_nb.notebook.context import MagicContext

SHOWN_TURNS = 10


def show(context: MagicContext, args: argparse.Namespace) -> History | None:
    """Return turns of a session, which the notebook renders; or put the code of the last one into the next cell."""
    session = context.manager.existing(args.name)
    shown = _chosen(session, args)
    if not args.code:
        return shown
    insert_code(context.shell, session.name, shown[-1] if shown else TurnRecord("", ""))
    return None


def _chosen(session: Session, args: argparse.Namespace) -> History:
    if args.number is not None and args.number < 1:
        raise InputError(f"-n takes a number of turns above 0, not {args.number}", "for example: -n 5")
    if args.turn is not None:
        history = session.history
        history.turn(args.turn)
        return history[args.turn - 1 : args.turn]
    if args.search:
        found = session.history.search(args.search)
        return found[:] if args.full else found
    if args.full:
        return session.history[:]
    return session.last_turns(args.number or SHOWN_TURNS)[:]


def search(context: MagicContext, args: argparse.Namespace) -> SearchResults:
    """Return the places where a text occurs in all sessions."""
    return context.manager.search(args.text)


def usage(context: MagicContext, args: argparse.Namespace) -> UsageReport:
    """Return the usage of sessions."""
    return context.manager.usage(args.names)


def export(context: MagicContext, args: argparse.Namespace) -> None:
    """Write a conversation to a file."""
    path = context.manager.existing(args.name).export(args.file, force=args.force)
    print(f"Wrote {path}")


def import_(context: MagicContext, args: argparse.Namespace) -> None:
    """Make a session from an exported conversation."""
    session = import_session(context.manager, args.file, args.as_name)
    print(f"{session.name}: {state_of(session).resume_note}")


COMMANDS = (
    Subcommand(
        "show",
        "Show the last turns of a session.",
        show,
        (ONE_SESSION,),
        (
            Option(("-n", "--number"), f"how many turns ({SHOWN_TURNS})", "N", (("type", int),)),
            Option(("--full",), "all turns"),
            Option(("--search",), "the turns that contain TEXT, marked", "TEXT"),
            Option(("--turn",), "this turn, counted from 1", "TURN", (("type", int),)),
            Option(("--code",), "put the code of the last turn into the next cell, which does not run"),
        ),
    ),
    Subcommand(
        "search",
        "Search the prompts and answers of all sessions.",
        search,
        (Argument("text", "the text; upper and lower case are the same"),),
        is_literal=True,
    ),
    Subcommand(
        "usage",
        "Show the tokens, time and cost of sessions, and how full the model's window is.",
        usage,
        (MAYBE_SESSIONS,),
    ),
    Subcommand(
        "export",
        "Write a conversation to a file: .md, .html, .json or .ipynb.",
        export,
        (ONE_SESSION, Argument("file", "the file to write")),
        (Option(("--force",), "replace an existing file"),),
    ),
    Subcommand(
        "import",
        "Make a session from a conversation that was exported as .json.",
        import_,
        (Argument("file", "the file to read"),),
        (
            Option(
                ("--as",),
                "the session's name (default: the one in the file)",
                "NAME",
                (("dest", "as_name"), ("default", "")),
            ),
        ),
    ),
)
