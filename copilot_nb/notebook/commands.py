"""Where ``%%copilot`` and ``%copilot`` are served; what the subcommands do is in `subcommands`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.names import check_name
from copilot_nb.notebook import arguments
from copilot_nb.notebook.answer import answer
from copilot_nb.notebook.background import Background
from copilot_nb.notebook.code import HELD
from copilot_nb.notebook.kernel import evaluate
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.render.words import did_you_mean

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.settings import CopilotNB

OpenPanel = Callable[[Sequence[str], Callable[[str], object]], object]


class Desk:
    """Where the magics of one shell are served.

    Parameters
    ----------
    shell : InteractiveShell
        The shell the calls come from.
    settings : CopilotNB
        The settings of its sessions.
    open_panel : callable
        Returns the panel for sessions of those names, and is told how an expression is evaluated.

    Attributes
    ----------
    used : str
        The session chosen by ``%copilot use``, ``""`` for none.
    background : Background
        The outputs that stream behind the running cell.
    """

    def __init__(self, shell: InteractiveShell, settings: CopilotNB, open_panel: OpenPanel) -> None:
        self.shell = shell
        self.open_panel = open_panel
        self.settings = settings
        self.used = ""
        self.background = Background()

    @property
    def manager(self) -> Manager:
        """The sessions of this kernel."""
        return shared_manager(self.settings)

    def run_cell(self, line: str, body: str) -> None:
        """Serve ``%%copilot``: send the body and show the answer."""
        if line.split()[:1] == [HELD]:
            print("Not run: a model wrote this code. To run it, delete the first line of the cell.")
            return
        args = arguments.parse_cell(line)
        names = [check_name(name) for name in args.names] or ([self.used] if self.used else [])
        if not names:
            raise InputError("which session?", "name it (%%copilot session1), or choose one (%copilot use session1)")
        prompt = interpolate(body.strip("\n"), lambda expression: evaluate(self.shell, expression))
        answer(self, names, prompt, args)

    def run_line(self, line: str) -> object:
        """Serve ``%copilot``: a subcommand, or the status card."""
        word, _, rest = line.strip().partition(" ")
        name = word or "status"
        if name not in SUBCOMMANDS:
            hint = f"{did_you_mean(word, SUBCOMMANDS)}see %copilot help; to ask: %copilot ask NAME PROMPT"
            raise InputError(f"%copilot does not know {arguments.masked(repr(word))}", hint)
        command = SUBCOMMANDS[name]
        if name == "ask":
            args, prompt = arguments.parse_ask(rest)
            return command.run(self, argparse.Namespace(**vars(args), prompt=prompt))
        return command.run(self, command.parse(rest))
