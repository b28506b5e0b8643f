"""Where ``%%copilot`` and ``%copilot`` are served; what the subcommands do is in `subcommands`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import InputError
from copilot_nb.frontend import cell_id, is_headless, notebook_name
from copilot_nb.notebook import arguments
from copilot_nb.notebook.answer import answer
from copilot_nb.notebook.background import Background
from copilot_nb.notebook.kernel import evaluate
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.sessions.api import shared_manager
from copilot_nb.sessions.names import check_name
from copilot_nb.sessions.rerun import cell_key

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.sessions.manager import Manager
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
        self._sent: Counter[tuple[int, str, str]] = Counter()

    @property
    def manager(self) -> Manager:
        """The sessions of this kernel."""
        manager = shared_manager(self.settings)
        manager.notebook = notebook_name(self.shell)
        return manager

    def cell_key(self, name: str, text: str) -> str:
        """Return what stands for the prompt that the running cell sends to the session `name`; ``""``: nothing does.

        It is known by the cell's id and by its place among the cell's prompts to that session. A run without a page
        tells no ids: there it is known by its `text`, and by its place among those of the same text.
        """
        cell, run = cell_id(self.shell), self.shell.execution_count
        if not cell:
            if not is_headless(self.shell):
                return ""
            cell, run = text, 0
        place = self._sent[run, cell, name]
        self._sent[run, cell, name] += 1
        return cell_key(self.manager.notebook, f"{place} {cell}")

    def run_cell(self, line: str, body: str) -> None:
        """Serve ``%%copilot``: send the body and show the answer."""
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
            raise InputError(f"%copilot does not know {word!r}", "see %copilot help; to ask: %copilot ask NAME PROMPT")
        command = SUBCOMMANDS[name]
        if name == "ask":
            args, prompt = arguments.parse_ask(rest)
            return command.run(self, argparse.Namespace(**vars(args), prompt=prompt))
        return command.run(self, command.parse(rest))
