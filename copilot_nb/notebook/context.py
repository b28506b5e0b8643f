"""The objects that the magics of one shell use: its sessions, its settings, the outputs that stream behind it.

Why: docs/decisions/0015-panels-injected-into-the-magic.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.notebook.background import Background
from copilot_nb.notebook.looking import equip

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.notebook.inline_requests import OpenAsker
    from copilot_nb.settings import CopilotNB

OpenPanel = Callable[[Sequence[str], Callable[[str], object]], object]


class MagicContext:
    """The objects that the magics of one shell use.

    Parameters
    ----------
    shell : InteractiveShell
        The shell the calls come from.
    settings : CopilotNB
        The settings of its sessions.
    open_panel : callable
        Returns the panel for sessions of those names, and is told how an expression is evaluated.
    open_asker : callable
        Returns the panel that shows what turns ask.

    Attributes
    ----------
    default_session : str
        The session chosen by ``%copilot use``, ``""`` for none.
    last_session : Session or None
        The session that a cell asked last.
    background : Background
        The outputs that stream behind the running cell.
    """

    def __init__(
        self, shell: InteractiveShell, settings: CopilotNB, open_panel: OpenPanel, open_asker: OpenAsker
    ) -> None:
        self.shell = shell
        self.open_panel = open_panel
        self.open_asker = open_asker
        self.settings = settings
        self.default_session = ""
        self.last_session: Session | None = None
        self.background = Background()

    @property
    def manager(self) -> Manager:
        """The sessions of this kernel."""
        manager = shared_manager(self.settings)
        if not manager.toolbox.is_equipped:  # it was made before the extension was loaded
            equip(self.shell, manager)
        return manager
