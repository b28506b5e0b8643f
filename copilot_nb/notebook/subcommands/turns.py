"""Subcommands about turns: ask, fix, wait, stop."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import check_name
from copilot_nb.named_sessions.session import state_of
from copilot_nb.named_sessions.waiting import as_completed
from copilot_nb.notebook.answer import answer
from copilot_nb.notebook.arguments import ASK_OPTIONS, SESSION_OPTIONS, TURN_OPTIONS, Option
from copilot_nb.notebook.fix import fix
from copilot_nb.notebook.progress import wait_for
from copilot_nb.notebook.subcommands.base import MAYBE_ONE_SESSION, MAYBE_SESSIONS, ONE_SESSION, Subcommand
from copilot_nb.system.main_thread import MAIN_THREAD

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.notebook.context import MagicContext


def ask(context: MagicContext, args: argparse.Namespace) -> None:
    """Send one line to a session and show the answer."""
    answer(context, [args.name], args.prompt, args)


def wait(context: MagicContext, args: argparse.Namespace) -> None:
    """Wait for the turns of background cells and for all that are under way, and raise if one of them failed."""
    names = [check_name(name) for name in args.names]
    turns = context.background.take_turns(names)
    turns += [turn for turn in _under_way(context, names) if turn not in turns]
    stopped = [turn for turn in turns if turn.stop_requested]
    going = [turn for turn in turns if turn not in stopped]
    if not going:
        print("No turn is left to wait for.")
    try:
        for _ in as_completed(stopped):
            pass  # stopped on purpose, so not a failure
        if going:
            wait_for(context.shell, going)
    finally:
        context.background.settle()


def _under_way(context: MagicContext, names: Sequence[str]) -> list[Turn]:
    """Return the turns that run or are queued, also those of panels and of Python code, of the sessions `names`.

    Without names, of all sessions but those whose model runs the code that waits.
    """
    waited = [
        session
        for session in context.manager
        if (session.name in names if names else session.session_id not in MAIN_THREAD.owners)
    ]
    return [turn for session in waited for turn in list(state_of(session).pending)]


def stop(context: MagicContext, args: argparse.Namespace) -> None:
    """Stop the turns of one session or of all: those under way and those that wait."""
    if bool(args.name) == args.all:
        raise InputError("name the session to stop, or all of them", "%copilot stop NAME, or %copilot stop --all")
    name = "" if args.all else check_name(args.name)
    busy = [session for session in context.manager if session.is_busy and name in ("", session.name)]
    for session in busy:
        session.stop()
    print(f"Stopped: {', '.join(session.name for session in busy)}" if busy else "Nothing was under way.")


_OUTPUT = ("--quiet", "--out", "--timeout")
_CELL = Option(
    ("--cell",),
    "the cell that failed: its number, or at least 8 characters of its id (default: the last)",
    "CELL",
    (("default", ""),),
)
_FIX_OPTIONS = tuple(option for option in TURN_OPTIONS if set(option.flags) & set(_OUTPUT))

COMMANDS = (
    Subcommand(
        "ask",
        "Send one line to a session.",
        ask,
        (ONE_SESSION,),
        ASK_OPTIONS,
        prompt="PROMPT",
    ),
    Subcommand(
        "fix",
        "Ask about the cell that failed last; the corrected cell is inserted below and does not run.",
        fix,
        (MAYBE_ONE_SESSION,),
        (_CELL, *SESSION_OPTIONS, *_FIX_OPTIONS),
    ),
    Subcommand(
        "wait",
        "Wait for the turns under way, sent by a cell with -b, a panel or Python, and say how each ended; "
        "fails if one of them failed.",
        wait,
        (MAYBE_SESSIONS,),
    ),
    Subcommand(
        "stop",
        "Stop the turns under way; partial answers are kept.",
        stop,
        (MAYBE_ONE_SESSION,),
        (Option(("--all",), "every session of this kernel"),),
    ),
)
