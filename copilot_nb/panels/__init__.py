"""Panels: views of the same sessions that the cells use. Heavy imports wait until a panel is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_nb.panels.sessions import SessionsPanel

_beside: list[SessionsPanel] = []


def open_panel(names: Sequence[str], evaluate: Callable[[str], object]) -> object:
    """Return the panel for some session names: a chat for one, a comparison for several, the session list for none.

    Parameters
    ----------
    names : sequence of str
        Names of the sessions.
    evaluate : callable
        Evaluates the expression of ``{{ expression }}`` in a prompt.
    """
    if len(names) == 1:
        from copilot_nb.panels.chat import ChatPanel

        return ChatPanel(names[0], evaluate=evaluate)
    if names:
        from copilot_nb.panels.compare import ComparePanel

        return ComparePanel(list(names))
    from copilot_nb.panels.sessions import SessionsPanel

    return SessionsPanel()


def panel_beside() -> SessionsPanel:
    """Return the panel that JupyterLab shows beside the notebook (labextension/scripts/side.js).

    A kernel has one, so that a page that was reloaded finds it as it was, with the conversation that is open in it.
    """
    from copilot_nb.panels.sessions import SessionsPanel

    if not _beside or _beside[0].comm is None:  # it was closed
        _beside[:] = [SessionsPanel()]
    return _beside[0]
