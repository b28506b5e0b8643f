"""The magics ``%%copilot`` and ``%copilot``: parse, call, return. `dispatch` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.notebook.context import MagicContext, OpenPanel
    from copilot_nb.notebook.inline_requests import OpenAsker
    from copilot_nb.settings import CopilotNB


@magics_class
class CopilotMagics(Magics):
    """The magics of one shell.

    Parameters
    ----------
    shell : InteractiveShell
        The shell they are registered with.
    settings : CopilotNB
        The settings of its sessions.
    open_panel : callable
        What opens a panel: panels are on the same floor, so they are handed in from above.
    open_asker : callable
        What opens the panel that shows what turns ask.
    """

    def __init__(
        self, shell: InteractiveShell, settings: CopilotNB, open_panel: OpenPanel, open_asker: OpenAsker
    ) -> None:
        super().__init__(shell)
        self._open_panel = open_panel
        self._open_asker = open_asker
        self._settings = settings
        self._context: MagicContext | None = None

    @no_var_expand
    @line_cell_magic
    def copilot(self, line: str, cell: str | None = None) -> object:
        """Talk to named Copilot sessions.

        ``%%copilot NAME`` sends the body of the cell to the session NAME; ``%copilot`` shows where things stand;
        ``%copilot help`` lists what else there is.
        """
        from copilot_nb.notebook.dispatch import run_cell, run_line

        context = self._opened()
        return run_line(context, line) if cell is None else run_cell(context, line, cell)

    def _opened(self) -> MagicContext:
        from copilot_nb.notebook.context import MagicContext

        assert self.shell is not None
        if self._context is None:
            self._context = MagicContext(self.shell, self._settings, self._open_panel, self._open_asker)
        return self._context
