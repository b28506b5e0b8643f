"""Which of two answers is better, in the opinion of a judge and of people: the rows that the statistics read.

A rater is the judge, under the name of its model, or a person. The opinions of all raters have one form, so a judge can
be compared with people, and people with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from copilot_nb.conversation.prompt import require_kind
from copilot_nb.errors import InputError
from copilot_nb.experiments.agreement import Agreement, agreement
from copilot_nb.experiments.grid import Cell
from copilot_nb.experiments.judging import Judging
from copilot_nb.experiments.scores import Preference
from copilot_nb.experiments.store import Answer
from copilot_nb.render.words import did_you_mean

PEOPLE = "people"
"""The name of all persons together."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """One rater's opinion on two answers to a prompt.

    Attributes
    ----------
    rater : str
        The rater's name.
    first, second : Cell
        The cells of the answers.
    outcome : float or None
        1: the first is better; 0: the second is; 0.5: a tie. ``None``: the judge's replies have no verdict.
    is_flipped : bool or None
        Whether the judge chose the same place in both orders; ``None``: the rater is a person.
    sent : str
        The judge's prompt in the first order; ``""`` if nobody was asked, because both answers have the same text.
    replies : tuple of str
        The judge's replies in both orders.
    """

    rater: str
    first: Cell
    second: Cell
    outcome: float | None
    is_flipped: bool | None = None
    sent: str = ""
    replies: tuple[str, ...] = ()

    @property
    def is_of_judge(self) -> bool:
        """Whether the rater is a model."""
        return self.is_flipped is not None


def opinions_of(judging: Judging, replies: Mapping[str, Answer]) -> Iterator[Opinion]:
    """Yield the opinions of a judge, by its stored replies."""
    for pair, judgement in judging.judgements(replies):
        said = tuple(replies[cell.key].turns[-1].text for cell in pair.asked)
        sent = pair.asked[0].prompt.turns[0] if pair.asked else ""
        yield Opinion(
            judging.name, pair.first, pair.second, judgement.outcome, judgement.is_flipped, sent=sent, replies=said
        )


class Ratings:
    """The opinions on the answers of a comparison.

    Parameters
    ----------
    opinions : iterable of Opinion
        All opinions.
    """

    def __init__(self, opinions: Iterable[Opinion] = ()) -> None:
        self.opinions = tuple(opinions)

    @property
    def judges(self) -> tuple[str, ...]:
        """The names of the raters that are models."""
        return tuple(dict.fromkeys(one.rater for one in self.opinions if one.is_of_judge))

    @property
    def persons(self) -> tuple[str, ...]:
        """The names of the raters that are people."""
        return tuple(dict.fromkeys(one.rater for one in self.opinions if not one.is_of_judge))

    @property
    def sides(self) -> tuple[str, ...]:
        """The judge, and the persons together under one name."""
        return (*self.judges, *([PEOPLE] if len(self.persons) > 1 else self.persons))

    @property
    def raters(self) -> tuple[str, ...]:
        """All names that `of` takes."""
        return (*self.judges, *self.persons, *([PEOPLE] if len(self.persons) > 1 else []))

    def of(self, rater: str = "") -> tuple[Opinion, ...]:
        """Return the opinions of one rater; ``""``: of the first.

        Raises
        ------
        InputError
            If there is no such rater.
        """
        known = self.raters
        if not known:
            raise InputError("no answers were judged", "compare(…, judge=MODEL), or vote in result.open_panel()")
        raters = f"raters: {', '.join(known)}"
        name = require_kind(rater or known[0], str, "a rater is named by text", raters)
        if name not in known:
            raise InputError(f"{name!r} has rated nothing", did_you_mean(name, known) + raters)
        return tuple(one for one in self.opinions if one.rater == name or (name == PEOPLE and not one.is_of_judge))

    def preferences(self, rater: str, unit: Callable[[Cell], str]) -> tuple[Preference, ...]:
        """Return the opinions of one rater as input for the statistics; `unit` returns the prompt of a cell."""
        return tuple(
            Preference(unit(one.first), one.first.variant.name, one.second.variant.name, one.outcome)
            for one in self.of(rater)
            if one.outcome is not None
        )

    def agreement(self) -> Agreement | None:
        """Return how often the raters agree; ``None`` with fewer than two."""
        names = (*self.judges, *self.persons)
        if len(names) < 2:  # noqa: PLR2004 - it takes two to agree
            return None
        return agreement({name: self.preferences(name, _round_of) for name in names})

    def shares(self) -> dict[str, dict[str, float]]:
        """Return the share of the other answers over which each side prefers an answer; a tie counts half.

        By the column's name (``preferred_by_judge``, ``preferred_by_people``), and by the cell's key.
        """
        return {
            f"preferred_by_{'judge' if name in self.judges else PEOPLE}": _shares(self.of(name)) for name in self.sides
        }


def _round_of(cell: Cell) -> str:
    return f"{cell.prompt_key} {cell.repeat}"


def _shares(opinions: Iterable[Opinion]) -> dict[str, float]:
    won: dict[str, list[float]] = {}
    for one in opinions:
        if one.outcome is not None:
            won.setdefault(one.first.key, []).append(one.outcome)
            won.setdefault(one.second.key, []).append(1 - one.outcome)
    return {key: sum(outcomes) / len(outcomes) for key, outcomes in won.items()}
