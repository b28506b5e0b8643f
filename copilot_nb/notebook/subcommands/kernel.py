"""Subcommands about this kernel and its runtime: status, doctor, restart."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.notebook.status import checkup, status_card
from copilot_nb.notebook.subcommands.base import Subcommand

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext


def status(context: MagicContext, _args: argparse.Namespace) -> object:
    """Return the status card."""
    return status_card(context.manager, context.default_session)


def doctor(context: MagicContext, _args: argparse.Namespace) -> object:
    """Check everything an answer needs."""
    return checkup(context.shell, context.manager)


def restart(context: MagicContext, _args: argparse.Namespace) -> None:
    """Stop the runtime; the next use starts it again."""
    context.manager.restart()
    print("The Copilot runtime is stopped; the next prompt starts it again. Sessions are kept.")


STATUS_COMMANDS = (
    Subcommand("status", "Show which model answers and what this kernel's sessions do (also: %copilot alone).", status),
)
RUNTIME_COMMANDS = (
    Subcommand("doctor", "Check the runtime, the versions, the provider and the model.", doctor),
    Subcommand("restart", "Stop the Copilot runtime; the next prompt starts it again. Sessions are kept.", restart),
)
