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

_MEANT = {
    "%copilot ls": "list sessions",
    "%copilot use NAME": "switch select choose",
    "%copilot fork NAME NEW_NAME": "copy branch duplicate clone",
    "%copilot rewind NAME to take the last turn back, or %copilot rewind NAME --undo to bring it back": "undo redo",
    "%copilot rewind NAME --to 0": "clear reset",
    "%copilot rm NAME": "delete remove del",
    "%copilot show NAME": "history log print",
    "%copilot search TEXT": "find grep",
    "%copilot export NAME FILE": "save download",
    "%copilot import FILE": "load",
    "%copilot ask NAME PROMPT": "send prompt",
    "to run the cell of the prompt again, which replaces its turn": "retry edit resend",
    "%copilot stop NAME": "cancel abort interrupt kill quit exit close",
    "%copilot panel NAME": "chat open",
    "%copilot status": "info",
    "%copilot doctor": "version versions",
    "%config CopilotNB": "config set settings options",
}
OTHER_WORDS = {word: line for line, words in _MEANT.items() for word in words.split()}
"""What to type here for the words that other programs have."""


def suggestion(word: str) -> str:
    """Return ``"did you mean ls? "`` for a misspelt subcommand, and for the word that other programs have for one."""
    meant = OTHER_WORDS.get(word.lower())
    return f"did you mean {meant}? " if meant else did_you_mean(word, SUBCOMMANDS)


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
            f"{suggestion(word)}there are: {', '.join(SUBCOMMANDS)}",
        )
    return SUBCOMMANDS[word].parser().format_help()
