"""What one rater prefers, as tables: wins and losses of each pair, and a ranking of three or more variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from copilot_nb.experiments.agreement import Agreement
from copilot_nb.experiments.forest import forest, interval
from copilot_nb.experiments.intervals import LEVEL
from copilot_nb.experiments.preferences import HeadToHead, Ranking, head_to_head, rank
from copilot_nb.experiments.scores import Preference
from copilot_nb.experiments.statistics import FEW_PROMPTS
from copilot_nb.experiments.tabular import Notes, p_value, percent, picture, table_of
from copilot_nb.render.table import Printer, Table
from copilot_nb.render.words import count

MAX_PAIRS = 30
"""Pairs that are shown (count); six variants have fifteen."""
_FOR_A_RANKING = 3


@dataclass(frozen=True)
class Preferences:
    """What one rater prefers: a judge, a person, or all persons together.

    Attributes
    ----------
    rater : str
        The rater's name; ``""``: unknown.
    judgements : tuple of Preference
        The single judgements.
    pairs : tuple of HeadToHead
        Each pair of variants.
    ranking : Ranking or None
        Three or more variants by Bradley-Terry ratings.
    level : float
        Of the intervals.
    """

    rater: str
    judgements: tuple[Preference, ...]
    pairs: tuple[HeadToHead, ...]
    ranking: Ranking | None
    level: float = LEVEL

    @classmethod
    def of(cls, rater: str, judgements: Iterable[Preference], level: float = LEVEL) -> Preferences:
        """Return the statistics of one rater's judgements.

        Raises
        ------
        InputError
            If there are none, or one has an outcome other than 0 to 1.
        """
        judged = tuple(judgements)
        names = {name for one in judged for name in (one.first, one.second)}
        ranking = rank(judged, level=level) if len(names) >= _FOR_A_RANKING else None
        return cls(rater, judged, head_to_head(judged, level), ranking, level)

    @property
    def parts(self) -> list[Table | str]:
        """The tables, and as text the forest plot, in reading order."""
        by = f", {self.rater}" if self.rater else ""
        parts: list[Table | str] = []
        if self.ranking and self.ranking.ratings:
            rows = [(rating.variant, rating.points) for rating in self.ranking.ratings]
            parts += [_ranking_table(self.ranking, self.level, by), forest(rows)]
        parts.append(_head_to_head_table(self.pairs[:MAX_PAIRS], self.level, by))
        return [part for part in parts if part]

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on how the numbers were computed, and warnings about them."""
        return tuple(_notes(self.pairs, self.ranking))

    def _repr_html_(self) -> str:
        parts = (part._repr_html_() if isinstance(part, Table) else picture(part) for part in self.parts)
        return f'<div class="copilot-nb">{"".join(parts)}{Notes(self.notes)._repr_html_()}</div>'

    def __str__(self) -> str:
        return "\n\n".join(filter(None, [*map(str, self.parts), str(Notes(self.notes))]))

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))


def _ranking_table(ranking: Ranking, level: float, by: str) -> Table:
    columns = {
        "Variant": [rating.variant for rating in ranking.ratings],
        f"Points [{percent(level)} interval]": [interval(rating.points, signed=True) for rating in ranking.ratings],
    }
    return table_of(f"Ranking by preference{by}, {count(ranking.prompts, 'prompt')}", columns)


def _head_to_head_table(pairs: Sequence[HeadToHead], level: float, by: str) -> Table:
    columns = {
        "Pair": [f"{one.first} : {one.second}" for one in pairs],
        f"Share won [{percent(level)} interval]": [interval(one.share) for one in pairs],
        "Won": [str(one.wins) for one in pairs],
        "Tied": [str(one.ties) for one in pairs],
        "Lost": [str(one.losses) for one in pairs],
        "Verdict": [one.verdict for one in pairs],
        "p": [p_value(one.p_adjusted) for one in pairs],
    }
    return table_of(f"Preferences by prompt{by}", columns)


def agreement_table(found: Agreement) -> Table:
    """Return how often each two raters agree, with the number of pairs that both have rated."""
    size = len(found.raters)
    both = [(one, other) for one in range(size) for other in range(one + 1, size)]
    columns = {
        "Raters": [f"{found.raters[one]} : {found.raters[other]}" for one, other in both],
        "Agree": ["–" if (share := found.shares[one][other]) is None else f"{share:.0%}" for one, other in both],
        "Pairs of answers": [f"{found.pairs[one][other]:,}" for one, other in both],
    }
    return table_of("Agreement of raters", columns)


def _notes(pairs: Sequence[HeadToHead], ranking: Ranking | None) -> list[str]:
    notes = []
    if ranking and ranking.ratings:
        notes.append("Points: 0 is the mean of the variants; 400 points more win ten times as often as they lose.")
    if ranking and ranking.note:
        notes.append(f"{ranking.note[0].upper()}{ranking.note[1:]}.")
    if any(one.wins + one.ties + one.losses < FEW_PROMPTS for one in pairs):
        notes.append(f"Preferences on fewer than {FEW_PROMPTS} prompts are too few to tell variants apart.")
    return notes
