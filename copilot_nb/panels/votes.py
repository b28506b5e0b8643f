"""The panel of votes: a person votes on the answers of a comparison, blind, prompt by prompt (`experiments.ballot`).

The page receives one round after the other, and no name before the last vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.experiments.rounds import Round
from copilot_nb.panels.deltas import Fields
from copilot_nb.panels.rounds_panel import RoundsPanel
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.experiments.ballot import Ballot
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.render.table import Table


class VotePanel(RoundsPanel):
    """The votes of one person on the answers of a comparison; opened by `Comparison.open_panel`.

    Parameters
    ----------
    manager : Manager
        Owns the sessions of this kernel.
    ballot : Ballot
        The rounds.
    """

    def __init__(self, manager: Manager, ballot: Ballot) -> None:
        self._votes = ballot
        super().__init__(manager, ballot)

    def __repr__(self) -> str:
        return f"<VotePanel: {self._votes.voted} of {count(self._votes.total, 'round')} voted>"

    @property
    def summary(self) -> Table:
        """How often each variant was voted best; a look at it ends the blindness of a person who still votes."""
        return self._votes.wins()

    def wants(self, event: Event) -> bool:  # noqa: ARG002 - the signature is the base class's
        """Whether the event may change the panel: none does."""
        return False

    def _after_vote(self) -> None:
        if self._votes.is_over:
            self.start_over()  # with all names
        else:
            self.mark()

    def _hides_names(self, shown: Sequence[Round]) -> bool:  # noqa: ARG002 - the signature is the base class's
        return not self._votes.is_over

    def _names(self) -> list[str]:
        return list(self._votes.variants)

    def _texts(self, shown: Sequence[Round]) -> Fields:  # noqa: ARG002 - the signature is the base class's
        voted, total = self._votes.voted, self._votes.total
        return {
            "hidden": f"{voted:,} of {count(total, 'round')} voted; names hidden until the last vote",
            "empty": "",
            "fixed": True,
        }
