"""The subcommand that opens a panel."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.frontend import has_kernel
from copilot_nb.named_sessions.names import check_name
from copilot_nb.notebook.kernel import evaluate
from copilot_nb.notebook.subcommands.base import Argument, Subcommand

if TYPE_CHECKING:
    from copilot_nb.notebook.commands import Desk


def panel(desk: Desk, args: argparse.Namespace) -> object:
    """Open a panel."""
    if not has_kernel(desk.shell):
        raise InputError("a panel needs a notebook", "in a terminal: %copilot ask NAME PROMPT, %copilot show NAME")
    names = list(dict.fromkeys(check_name(name) for name in args.names))
    _ = desk.manager  # made with the settings of this shell, and told the notebook's name
    return desk.open_panel(names, partial(evaluate, desk.shell))


COMMANDS = (
    Subcommand(
        "panel",
        "Open a panel: of one session to chat in, of several to compare them, without a name: the list of all.",
        panel,
        (Argument("names", "the sessions", "*", kind="session"),),
    ),
)
