"""Named Copilot sessions in a notebook: many conversations at once, one client in the kernel.

``%load_ext copilot_nb`` registers the magics; the same sessions are Python objects::

    import copilot_nb as cp

    s1 = cp.session("session1")
    turn = s1.send("How do I create a virtual environment?")  # returns at once
    turn.wait().text

Nothing heavy is imported here: names are looked up when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from copilot_nb.experiments import opening as _opening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.errors import (
        BudgetReached,
        CopilotNBError,
        InputError,
        ProviderError,
        RuntimeUnavailable,
        SessionError,
        SessionInUse,
        SessionNotFound,
        TurnError,
        TurnFailed,
        TurnInterrupted,
        TurnTimeout,
    )
    from copilot_nb.experiments.ballot import Ballot
    from copilot_nb.named_sessions.api import (
        delete,
        import_conversation,
        remove_tool,
        search,
        session,
        sessions,
        tool,
        usage,
    )
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.named_sessions.waiting import as_completed, wait
    from copilot_nb.notebook.comparing import compare
    from copilot_nb.panels.asker import AskPanel
    from copilot_nb.panels.chat import ChatPanel
    from copilot_nb.panels.compare import ComparePanel
    from copilot_nb.panels.sessions import SessionsPanel
    from copilot_nb.settings import CopilotNB

    __version__: str

_HOMES = {
    "copilot_nb.errors": (
        "BudgetReached",
        "CopilotNBError",
        "InputError",
        "ProviderError",
        "RuntimeUnavailable",
        "SessionError",
        "SessionInUse",
        "SessionNotFound",
        "TurnError",
        "TurnFailed",
        "TurnInterrupted",
        "TurnTimeout",
    ),
    "copilot_nb.settings": ("CopilotNB",),
    "copilot_nb.notebook.comparing": ("compare",),
    "copilot_nb.panels.chat": ("ChatPanel",),
    "copilot_nb.panels.compare": ("ComparePanel",),
    "copilot_nb.panels.sessions": ("SessionsPanel",),
    "copilot_nb.panels.visitor": ("Visitor",),
    "copilot_nb.named_sessions.api": (
        "delete",
        "import_conversation",
        "remove_tool",
        "search",
        "session",
        "sessions",
        "tool",
        "usage",
    ),
    "copilot_nb.named_sessions.session": ("Session",),
    "copilot_nb.named_sessions.turn": ("Turn",),
    "copilot_nb.named_sessions.waiting": ("as_completed", "wait"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BudgetReached",
    "ChatPanel",
    "ComparePanel",
    "CopilotNB",
    "CopilotNBError",
    "InputError",
    "ProviderError",
    "RuntimeUnavailable",
    "Session",
    "SessionError",
    "SessionInUse",
    "SessionNotFound",
    "SessionsPanel",
    "Turn",
    "TurnError",
    "TurnFailed",
    "TurnInterrupted",
    "TurnTimeout",
    "Visitor",
    "__version__",
    "as_completed",
    "compare",
    "delete",
    "import_conversation",
    "load_ipython_extension",
    "remove_tool",
    "search",
    "session",
    "sessions",
    "tool",
    "unload_ipython_extension",
    "usage",
    "wait",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("copilot-nb")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'copilot_nb' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _open_panel(names: Sequence[str], evaluate: Callable[[str], object]) -> object:
    from copilot_nb.panels import open_panel

    return open_panel(names, evaluate)


def _open_votes(manager: Manager, ballot: Ballot) -> object:
    from copilot_nb.panels.votes import VotePanel

    return VotePanel(manager, ballot)


_opening.hand_in(_open_votes)


def _open_asker(manager: Manager, turns: Sequence[Turn]) -> AskPanel:
    from copilot_nb.panels.asker import AskPanel

    return AskPanel(manager, turns)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, their completion and the settings with `shell` (``%load_ext copilot_nb``)."""
    from copilot_nb.notebook.extension import load

    load(shell, _open_panel, _open_asker)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics back and stop the runtime (``%unload_ext copilot_nb``)."""
    from copilot_nb.notebook.extension import unload

    unload(shell)
