"""The subcommands of ``%copilot``: one table, put together from modules of related words."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.notebook.arguments import cell_parser
from copilot_nb.notebook.subcommands import (
    account,
    approvals,
    comparing,
    history,
    kernel,
    panel,
    providers,
    sessions,
    turns,
)
from copilot_nb.notebook.subcommands.base import Argument, Subcommand
from copilot_nb.render.words import did_you_mean

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext


def help_(_context: MagicContext, args: argparse.Namespace) -> None:
    """Print the subcommands, or the help of one."""
    print(help_text(args.command))


_ALL: tuple[Subcommand, ...] = (
    *kernel.STATUS_COMMANDS,
    *sessions.COMMANDS,
    *history.COMMANDS,
    *turns.COMMANDS,
    *approvals.COMMANDS,
    *comparing.COMMANDS,
    *panel.COMMANDS,
    *account.COMMANDS,
    *providers.COMMANDS,
    *kernel.RUNTIME_COMMANDS,
    Subcommand(
        "help",
        "Show this list, or the help of one subcommand (also: %copilot ls?).",
        help_,
        (Argument("command", "the subcommand", "?", kind="command"),),
    ),
)
SUBCOMMANDS = {subcommand.word: subcommand for subcommand in _ALL}


def help_text(word: str) -> str:
    """Return the help of a subcommand; ``""``: of all.

    Raises
    ------
    InputError
        If there is no such subcommand.
    """
    if not word:
        lines = [f"  {subcommand.word:<9}{subcommand.summary}" for subcommand in _ALL]
        return f"{cell_parser().format_help()}\n%copilot SUBCOMMAND\n" + "\n".join(lines)
    if word == "copilot":
        return cell_parser().format_help()
    if word not in SUBCOMMANDS:
        raise InputError(
            f"%copilot has no subcommand {word!r}",
            f"{did_you_mean(word, SUBCOMMANDS)}there are: {', '.join(SUBCOMMANDS)}",
        )
    return SUBCOMMANDS[word].parser().format_help()
