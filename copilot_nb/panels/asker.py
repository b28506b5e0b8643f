"""The panel in a cell whose turns ask something: their requests, each with a button that stops its turn.

The cell shows it in an output of its own, below the answer, until the requests are decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.panels.approvals import Asks
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.static_output import Static

if TYPE_CHECKING:
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.named_sessions.turn import Turn


class AskPanel(Panel):
    """What some turns ask.

    Parameters
    ----------
    manager : Manager
        Owns their sessions.
    turns : sequence of Turn
        The turns; it may be changed.
    """

    _esm = script("asker.js")
    _asks: Asks

    def __init__(self, manager: Manager, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._asks = Asks(manager.approvals, self._concerns)
        super().__init__(manager)

    def _concerns(self, request: ApprovalRequest) -> bool:
        return any(request.turn is turn for turn in self._turns)

    @property
    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The panel as the data and metadata of an output; empty if the front end has no widgets."""
        return self._repr_mimebundle_() or ({}, {})

    def whole(self) -> dict[str, Any]:
        """Return what is asked."""
        return {"asks": self._asks.whole()}

    def news(self) -> list[dict[str, Any]]:
        """Return what is asked, if that has changed."""
        return list(self._asks.news())

    def wants(self, event: Event) -> bool:
        """Whether something was asked or decided."""
        return event.kind == "ask"

    def do_stop(self, message: Message) -> None:
        """Stop the turn that makes a request."""
        for each in self._manager.approvals.pending:
            if each.request_id == message.get("request") and each.turn is not None and self._concerns(each):
                each.turn.stop()

    def transcript(self) -> Static:
        """Return nothing: the turn's own output says what was decided."""
        return Static("", "")
