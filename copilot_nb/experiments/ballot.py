"""The ballot of a comparison: one person votes on its stored answers, blind, prompt by prompt.

A round is one prompt (and repeat) with the answers of all variants, in an order that is random and the same each time
the person returns. The rounds up to the first without a vote are shown. Names stay hidden until the last vote, because
a person who is told whose answer was best recognises its style in the next round. Answers that all have the same text
are a tie without a vote.

Why: docs/decisions/0040-blind-until-the-last-vote.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from copilot_nb.errors import InputError
from copilot_nb.experiments.grid import Cell, Grid
from copilot_nb.experiments.ratings import Opinion
from copilot_nb.experiments.rounds import BEST, NONE_GOOD, TIE, Round, past_turn
from copilot_nb.experiments.shown_answers import record_of
from copilot_nb.experiments.store import Answer, Store, Vote
from copilot_nb.named_sessions.turn import PastSession, Turn
from copilot_nb.render.table import Table
from copilot_nb.render.words import count

LEAST = 2
"""The fewest answers that can be voted on (count)."""


class Ballot:
    """The rounds of one person.

    Parameters
    ----------
    grid : Grid
        The cells of the comparison.
    answers : mapping of str to Answer
        Their answers, by the cells' keys.
    rater : str
        The person's name.
    opened : callable
        Opens the file that stores the votes.

    Attributes
    ----------
    rounds : tuple of Round
        The rounds with a vote, and the next one.
    total : int
        All rounds (count).

    Raises
    ------
    InputError
        If no prompt has two answers, or the file cannot be written.
    """

    def __init__(self, grid: Grid, answers: Mapping[str, Answer], rater: str, opened: Callable[[], Store]) -> None:
        self.variants = tuple(variant.name for variant in grid.variants)
        self._answers = answers
        self._rater = rater
        self._opened = opened
        self._lock = threading.Lock()
        self._columns = {round_key(cells, answers): _shuffled(cells, rater) for cells in rounds_of(grid, answers)}
        self.total = len(self._columns)
        if not self.total:
            raise InputError("there is nothing to vote on: no prompt has two answers", "compare two variants or more")
        with opened() as store:
            self._votes = {vote.round: vote for vote in store.votes() if vote.rater == rater}
        self.rounds: tuple[Round, ...] = ()
        self._go_on()

    @property
    def is_over(self) -> bool:
        """Whether each round has its vote."""
        return self.voted == self.total

    @property
    def voted(self) -> int:
        """Rounds with a vote (count)."""
        return sum(each.vote is not None for each in self.rounds)

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on round `number` for a column (both from 1), ``"tie"`` or ``"none good"``; return the round, stored.

        Raises
        ------
        InputError
            If there is no such round or choice, or the names were shown after the last vote.
        """
        with self._lock:
            if not 1 <= number <= len(self.rounds):
                raise InputError(f"there is no round {number!r}", f"there are {len(self.rounds)}")
            voted = self.rounds[number - 1].voted(choice - 1 if isinstance(choice, int) else choice)
            self._keep(voted)
            self.rounds = (*self.rounds[: number - 1], voted, *self.rounds[number:])
            self._go_on()
        return self.rounds[number - 1]

    def _keep(self, voted: Round) -> None:
        place: int | str = voted.vote or ""
        if voted.winner is not None:
            place = voted.turns.index(voted.winner)
        vote = Vote(self._rater, voted.key, tuple(cell.key for cell in self._columns[voted.key]), place)
        with self._opened() as store:
            store.keep_vote(vote)
        self._votes[voted.key] = vote

    def _go_on(self) -> None:
        """Add the rounds up to the next one without a vote; reveal all of them after the last vote."""
        keys = list(self._columns)
        while len(self.rounds) < self.total and not (self.rounds and self.rounds[-1].vote is None):
            asked = self._round(len(self.rounds) + 1, keys[len(self.rounds)])
            if asked.vote is None and len({turn.text for turn in asked.turns}) == 1:
                asked = asked.voted(TIE)
                self._keep(asked)
            self.rounds = (*self.rounds, asked)
        if self.is_over:
            self.rounds = tuple(dataclasses.replace(each, is_sealed=False) for each in self.rounds)

    def _round(self, number: int, key: str) -> Round:
        cells, vote = self._columns[key], self._votes.get(key)
        turns = tuple(self._turn(cell) for cell in cells)
        asked = Round(number, "\n\n".join(cells[0].prompt.written), turns, is_blind=True, key=key, is_sealed=True)
        if vote is None:
            return asked
        if isinstance(vote.choice, int):
            best = vote.answers[vote.choice]
            winner = turns[[cell.key for cell in cells].index(best)]
            return dataclasses.replace(asked, vote=BEST, winner=winner)
        return asked.voted(vote.choice)

    def _turn(self, cell: Cell) -> Turn:
        options = cell.variant.options
        return past_turn(
            PastSession(cell.variant.name, "", options.provider, options.model),
            record_of(cell, self._answers[cell.key]),
        )

    def wins(self) -> Table:
        """Return how often each variant was voted best."""
        voted = [each for each in self.rounds if each.vote is not None]
        rows = []
        for name in self.variants:
            won = sum(each.winner is not None and each.winner.session.name == name for each in voted)
            rows.append((name, f"{won:,}", f"{won / len(voted):.0%} of {len(voted):,}" if voted else ""))
        ties, none = (sum(each.vote == vote for each in voted) for vote in (TIE, NONE_GOOD))
        caption = f"{len(voted):,} of {count(self.total, 'round')} voted, {count(ties, 'tie')}, {none:,} with none good"
        return Table(("variant", "wins", "of votes"), tuple(rows), caption)


def rounds_of(grid: Grid, answers: Mapping[str, Answer]) -> Iterator[tuple[Cell, ...]]:
    """Yield the answered cells of each prompt and repeat, all prompts of the first repeat first, without duplicates."""
    places = {variant: place for place, variant in enumerate(grid.variants)}
    found: dict[tuple[int, int], list[Cell]] = {}
    done = (cell for key, cell in grid.unique.items() if key in answers and answers[key].state == "done")
    for cell in sorted(done, key=lambda cell: (cell.repeat, cell.prompt.row, places[cell.variant])):
        found.setdefault((cell.repeat, cell.prompt.row), []).append(cell)
    return (tuple(cells) for cells in found.values() if len(cells) >= LEAST)


def round_key(cells: Sequence[Cell], answers: Mapping[str, Answer]) -> str:
    """Return a hash of cells and of their answers' texts, in any order."""
    texts = sorted((cell.key, answers[cell.key].turns[-1].text) for cell in cells)
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _shuffled(cells: Sequence[Cell], rater: str) -> tuple[Cell, ...]:
    """Return the cells in an order that is random for each round and person, and the same each time."""
    keys = "\0".join(cell.key for cell in cells)
    return tuple(random.Random(f"{rater}\0{keys}").sample(cells, len(cells)))  # noqa: S311 - an order, not a secret


def opinions_of_people(votes: Iterable[Vote], grid: Grid, answers: Mapping[str, Answer]) -> Iterator[Opinion]:
    """Yield the opinions of people on answers that are still the same; of two on the same pair the later one counts.

    A vote for the best answer says nothing about the others. "None good" counts as a tie.
    """
    cells, places = grid.unique, {variant: place for place, variant in enumerate(grid.variants)}
    found: dict[tuple[str, str, str], Opinion] = {}
    for vote in votes:
        shown = [cells[key] for key in vote.answers if key in cells and answers[key].turns]
        if len(shown) != len(vote.answers) or round_key(shown, answers) != vote.round:
            continue
        for first, second, outcome in _pairs(shown, vote.choice):
            is_ordered = places[first.variant] < places[second.variant]
            one, other = (first, second) if is_ordered else (second, first)
            opinion = Opinion(vote.rater, one, other, outcome if is_ordered else 1 - outcome)
            found[vote.rater, one.key, other.key] = opinion
    yield from found.values()


def _pairs(shown: Sequence[Cell], choice: int | str) -> Iterator[tuple[Cell, Cell, float]]:
    if isinstance(choice, int):
        yield from ((shown[choice], other, 1.0) for place, other in enumerate(shown) if place != choice)
    else:
        yield from ((first, second, 0.5) for at, first in enumerate(shown) for second in shown[at + 1 :])
