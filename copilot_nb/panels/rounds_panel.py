"""The panel of rounds: prompts, their answers side by side, and votes; the base of the panels that compare.

Of a hidden round the page receives only the fields that `compare_view` permits. While names are hidden, it receives
neither their list nor the count of wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from copilot_nb.experiments import rounds
from copilot_nb.experiments.rounds import Round
from copilot_nb.panels import compare_view
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.compare_view import Column
from copilot_nb.panels.deltas import Fields
from copilot_nb.panels.static_output import Static
from copilot_nb.render.escape import well_formed

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.render.table import Table

PAGE_ROUNDS = 5
"""Rounds that the page receives at once, the last ones (count)."""


class Ballot(Protocol):
    """Rounds that can be voted on."""

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds, oldest first."""

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on a round, store it, and return it."""


class RoundsPanel(Panel):
    """Rounds with a vote on each; a subclass says whose answers they are.

    Parameters
    ----------
    manager : Manager
        Owns the sessions of this kernel.
    ballot : Ballot
        The rounds.
    """

    _esm = script("compare.js")

    def __init__(self, manager: Manager, ballot: Ballot) -> None:
        self._ballot = ballot
        self._columns: dict[int, list[Column]] = {}
        self._sent_rounds: dict[int, Round] = {}
        self._sent_frame: Fields = {}
        super().__init__(manager)

    @property
    def results(self) -> list[Round]:
        """The rounds so far, with prompts, answers and votes."""
        return list(self._ballot.rounds)

    @property
    def summary(self) -> Table:
        """How often each was voted best."""
        raise NotImplementedError

    def to_frame(self) -> DataFrame:
        """Return the rounds as a pandas frame with one row for each answer.

        The columns: ``round``, ``prompt``, ``blind``; ``column`` (1 is the left one), ``session``, ``model``,
        ``provider``, ``state``; ``vote`` on the round (``best``, ``tie``, ``none good``) and whether this answer
        ``won`` it; ``text``, ``started_at``, ``ttft_s`` (time to first token, seconds), ``duration_s``,
        ``input_tokens``, ``output_tokens``, ``cost``, ``error``. Unknown values are missing values.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return rounds.to_frame(self._ballot.rounds)

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on a round, and return it.

        Parameters
        ----------
        number : int
            Of the round, counted from 1.
        choice : int or str
            The best answer's column, counted from 1; ``"tie"`` or ``"none good"``.

        Raises
        ------
        InputError
            If there is no such round or choice, the round is not over, or its names have been shown after a blind vote.
        """
        voted = self._ballot.vote(number, choice)
        self._after_vote()
        self._static_output.changed()
        return voted

    def whole(self) -> dict[str, Any]:
        """Return the last rounds, and the fields around them."""
        shown = self._ballot.rounds
        first = max(0, len(shown) - PAGE_ROUNDS)
        self._sent_rounds = {each.number: each for each in shown}
        self._columns = {each.number: [Column(turn) for turn in each.turns] for each in shown[first:]}
        self._sent_frame = self._frame(shown)
        told = [compare_view.whole(each, self._columns[each.number]) for each in shown[first:]]
        return {
            "rounds": told,
            "earlier": first,
            "frame": self._sent_frame,
            "note": self._note(),
            **self._unshared(first + 1, len(shown) + 1),
        }

    def news(self) -> list[dict[str, Any]]:
        """Return new rounds, new votes and the changes of the answers."""
        shown, items = self._ballot.rounds, []
        for asked in shown:
            told, self._sent_rounds[asked.number] = self._sent_rounds.get(asked.number), asked
            if told is None:
                self._columns[asked.number] = [Column(turn) for turn in asked.turns]
                items.append({"kind": "round", **compare_view.whole(asked, self._columns[asked.number])})
            elif told is not asked:
                known = self._columns.get(asked.number, [None] * len(asked.turns))
                columns = [
                    each if each and each.turn is turn else Column(turn)
                    for each, turn in zip(known, asked.turns, strict=True)
                ]
                self._columns[asked.number] = columns
                facts = [each.revealed(asked) if each in known else each.whole(asked) for each in columns]
                items.append({"kind": "voted", **compare_view.facts(asked, facts)})
            else:
                items += self._answer_changes(asked)
        if (frame := self._frame(shown)) != self._sent_frame:
            self._sent_frame = frame
            items.append({"kind": "frame", "frame": frame})
        return items

    def _answer_changes(self, asked: Round) -> list[dict[str, Any]]:
        """Return the changes of a round's answers."""
        columns = [(at, each) for at, each in enumerate(self._columns.get(asked.number, ())) if not each.is_sent]
        return [
            {"kind": "answer", "round": asked.number, "column": at, **patch}
            for at, each in columns
            if (patch := each.patch(asked))
        ]

    def transcript(self) -> Static:
        """Return the last rounds as a saved notebook shows them; a blind round reveals no more than on the page."""
        shown = self._ballot.rounds
        wins = None if self._hides_names(shown) else self.summary
        return compare_view.transcript(shown[-PAGE_ROUNDS:], wins, self._between())

    def _after_vote(self) -> None:
        """Show a vote."""
        self.mark()

    def _note(self) -> str:
        """Return a remark for the reader, shown above the rounds."""
        return ""

    def _unshared(self, first: int, last: int) -> dict[str, Any]:  # noqa: ARG002 - subclasses use them
        """Return the turns that not all sessions have, before the rounds `first` to `last`."""
        return {"unshared": []}

    def _between(self) -> dict[int, Static]:
        """Return the transcript of those turns, by the number of the round that follows them."""
        return {}

    def _hides_names(self, shown: Sequence[Round]) -> bool:
        """Whether the page may not know any name yet."""
        raise NotImplementedError

    def _names(self) -> list[str]:
        """Return the names of those that are compared."""
        raise NotImplementedError

    def _texts(self, shown: Sequence[Round]) -> Fields:
        """Return the texts around the rounds."""
        raise NotImplementedError

    def _frame(self, shown: Sequence[Round]) -> Fields:
        """Return the fields around the rounds; without names while these are hidden."""
        is_hidden = self._hides_names(shown)
        table = self.summary
        has_wins = not is_hidden and any(each.vote is not None for each in shown)
        return {
            "names": [] if is_hidden else [well_formed(name) for name in self._names()],
            "heads": list(table.columns),
            "rows": [[well_formed(cell) for cell in row] for row in table.rows] if has_wins else [],
            "caption": table.caption,
            **self._texts(shown),
        }

    def do_vote(self, message: Message) -> None:
        """Vote on a round."""
        self.vote(message["round"], message["choice"])

    def do_csv(self, _message: Message) -> dict[str, Any]:
        """Return the rounds as a CSV file."""
        return {"name": "comparison.csv", "text": rounds.to_csv(self._ballot.rounds)}

    def do_earlier(self, message: Message) -> dict[str, Any]:
        """Return the page of rounds before a round."""
        end = max(0, message["before"] - 1)
        first = max(0, end - PAGE_ROUNDS)
        shown = self._ballot.rounds[first:end]
        return {
            "rounds": [compare_view.whole(each, [Column(turn) for turn in each.turns]) for each in shown],
            "earlier": first,
            **self._unshared(first + 1, end),
        }
