"""The way from a comparison to its panel: panels are above this folder, so the package hands in what opens one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_nb.experiments.ballot import Ballot
    from copilot_nb.named_sessions.manager import Manager

OpenPanel = Callable[["Manager", "Ballot"], object]
_handed_in: list[OpenPanel] = []


def hand_in(open_panel: OpenPanel) -> None:
    """Say what opens the panel of a ballot."""
    _handed_in[:] = [open_panel]


def open_panel(manager: Manager, ballot: Ballot) -> object:
    """Return the panel of a ballot."""
    return _handed_in[0](manager, ballot)
