"""Subcommands about the whole: where things stand, help, the runtime."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.notebook import inspection
from copilot_nb.notebook.subcommands.base import Argument, Subcommand

if TYPE_CHECKING:
    from copilot_nb.notebook.commands import Desk


def status(desk: Desk, _args: argparse.Namespace) -> object:
    """Return the card that says where things stand."""
    return inspection.status_card(desk.manager, desk.used)


def help_(_desk: Desk, args: argparse.Namespace) -> None:
    """Print the subcommands, or the help of one."""
    from copilot_nb.notebook.subcommands import help_text

    print(help_text(args.command))


def doctor(desk: Desk, _args: argparse.Namespace) -> object:
    """Check everything an answer needs."""
    return inspection.checkup(desk.shell, desk.settings)


def restart(desk: Desk, _args: argparse.Namespace) -> None:
    """Stop the runtime; the next use starts it again."""
    desk.manager.restart()
    print("The Copilot runtime is stopped; the next prompt starts it again. Sessions are kept.")


LOOK = (
    Subcommand("status", "Show which model answers and what this kernel's sessions do (also: %copilot alone).", status),
)
CARE = (
    Subcommand("doctor", "Check the runtime, the versions, the provider and the model.", doctor),
    Subcommand("restart", "Stop the Copilot runtime; the next prompt starts it again. Sessions are kept.", restart),
    Subcommand(
        "help",
        "Show this list, or the help of one subcommand.",
        help_,
        (Argument("command", "the subcommand", "?", kind="command"),),
    ),
)
