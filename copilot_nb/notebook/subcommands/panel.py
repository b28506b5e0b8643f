"""The subcommand that opens a panel."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.frontend import has_kernel
from copilot_nb.named_sessions.names import check_name
from copilot_nb.notebook.subcommands.base import Argument, Subcommand
from copilot_nb.notebook.workspace import evaluate

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext


def panel(context: MagicContext, args: argparse.Namespace) -> object:
    """Open a panel."""
    if not has_kernel(context.shell):
        raise InputError("a panel needs a notebook", "in a terminal: %copilot ask NAME PROMPT, %copilot show NAME")
    names = list(dict.fromkeys(check_name(name) for name in args.names))
    _ = context.manager  # made with the settings of this shell, and told the notebook's name
    return context.open_panel(names, partial(evaluate, context.shell))


COMMANDS = (
    Subcommand(
        "panel",
        "Open a panel: a chat with one session, a comparison of several, or without a name the list of sessions.",
        panel,
        (Argument("names", "the sessions", "*", kind="session"),),
    ),
)
