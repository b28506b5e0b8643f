"""The analysis of a comparison: statistics of its scores, and of the opinions of a judge and of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.grid import Cell, Grid, Variant
from copilot_nb.experiments.ratings import Ratings
from copilot_nb.experiments.scores import Preference, ScoreRow
from copilot_nb.experiments.scoring import ScoreSheet, unit_of
from copilot_nb.experiments.store import Answer
from copilot_nb.experiments.tidy import judgements_frame, numbers_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.experiments.plots import Picture
    from copilot_nb.experiments.power import Powers
    from copilot_nb.experiments.preference_tables import Preferences
    from copilot_nb.experiments.statistics import Difference, Differences, VariantSummary
    from copilot_nb.experiments.summary import Summary


class Analysis:
    """The analysis of a comparison, which holds the answers and reads the opinions.

    Parameters
    ----------
    grid : Grid
        The requested cells.
    cluster : str
        The column that groups prompts; ``""``: each prompt is its own group.
    """

    def __init__(self, grid: Grid, cluster: str) -> None:
        self._grid = grid
        self._cluster = cluster
        self._scores = ScoreSheet()

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The compared variants."""
        return self._grid.variants

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader."""
        raise NotImplementedError

    def rows(self, scorer: str = "") -> tuple[ScoreRow, ...]:
        """Return the scores as input for the statistics: one row for each cell that was run.

        Parameters
        ----------
        scorer : str, optional
            The scorer's name; ``""``: the first scorer.

        Raises
        ------
        InputError
            If there is no such scorer.
        """
        return self._scores.rows(scorer, self._asked(), self._cluster)

    def summary(self, scorer: str = "") -> Summary:
        """Return a summary: the scores of each variant and each pair, preferences, and remarks on the numbers.

        Parameters
        ----------
        scorer : str, optional
            The scorer's name; ``""``: the first scorer.

        Raises
        ------
        InputError
            If there are neither scores nor preferences, or numpy or scipy is not installed.
        """
        from copilot_nb.experiments.summary import summary

        ratings = self._ratings()
        rows = self.rows(scorer) if scorer or self._scores.scorers or not ratings.opinions else ()
        rated = {name: judged for name in ratings.sides if (judged := self._preferences(ratings, name))}
        others = self._scores.others(scorer) if rows else ""
        notes = (others, *self.notes) if others else self.notes
        return summary(rows, rated, notes, agreement=ratings.agreement())

    @property
    def raters(self) -> tuple[str, ...]:
        """Those who compared answers: the judge, and people; ``"people"`` is all persons together, if several voted."""
        return self._ratings().raters

    def preferences(self, rater: str = "") -> Preferences:
        """Return which variants a rater prefers: wins and losses of each pair, and a ranking of three or more.

        Parameters
        ----------
        rater : str, optional
            One of `raters`; ``""``: the first.

        Raises
        ------
        InputError
            If nobody compared answers, there is no such rater, or numpy or scipy is not installed.
        """
        from copilot_nb.experiments.preference_tables import Preferences

        ratings = self._ratings()
        found = ratings.of(rater)
        return Preferences.of(rater or found[0].rater, self._preferences(ratings, rater))

    def judgements(self) -> DataFrame:
        """Return one row for each comparison of two answers by the judge or a person.

        The columns: ``row`` and ``repeat`` of the prompt, the variants ``first`` and ``second``, the ``rater``, and the
        ``outcome`` (1: the first is better; 0: the second; 0.5: a tie; missing: no verdict). Of a judge also whether
        its choice was ``flipped`` by the order, what was ``sent`` in the first order, its ``reply``, and its
        ``reply_swapped`` to the other order.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return judgements_frame(self._ratings().opinions)

    def differences(self, scorer: str = "") -> Differences:
        """Return the difference of each pair of variants, paired by prompt: see `statistics.differences`.

        Raises
        ------
        InputError
            If there are no scores, there is only one variant, or numpy or scipy is not installed.
        """
        from copilot_nb.experiments.statistics import differences

        return differences(self._rows_of_pairs(scorer))

    def power(self, effect: float | None = None, repeats: int | None = None, scorer: str = "") -> Powers:
        """Return the power of each pair's comparison, and the prompts needed to detect an effect.

        Parameters
        ----------
        effect : float, optional
            The difference to detect: one that would matter to you, not the observed one. Without it only the smallest
            detectable difference is returned.
        repeats : int, optional
            Repeats of each prompt in the planned run (count); by default as in this one.
        scorer : str, optional
            The scorer's name; ``""``: the first scorer.

        Raises
        ------
        InputError
            If there are no scores, there is only one variant, a parameter is out of its range, or numpy or scipy is
            not installed.
        """
        from copilot_nb.experiments.power import power

        return power(self._rows_of_pairs(scorer), effect, repeats)

    def plot(self, kind: str = "scores", scorer: str = "") -> Picture:
        """Return a plot as a `matplotlib.figure.Figure`, which can be shown, changed or saved.

        Parameters
        ----------
        kind : {"scores", "differences", "cost", "latency", "agreement"}
            The kind of plot.
        scorer : str, optional
            The scorer's name; ``""``: the first scorer.

        Raises
        ------
        InputError
            If there is no such kind, it has no data, or matplotlib is not installed.
        """
        from copilot_nb.experiments.plots import PlotData, plot

        rows: tuple[ScoreRow, ...] = ()
        if kind == "scores":
            rows = self.rows(scorer)
        elif kind == "differences":
            rows = self._rows_of_pairs(scorer)
        return plot(
            kind,
            PlotData(
                *_statistics(rows),
                numbers_of(self._asked(), "cost"),
                numbers_of(self._asked(), "duration_s"),
                cost_unit="in the runtime's unit",
                agreement=self._ratings().agreement(),
            ),
        )

    def _asked(self) -> list[tuple[Cell, Answer]]:
        """Return the cells that were run, in the order of the input."""
        raise NotImplementedError

    def _ratings(self) -> Ratings:
        """Return the opinions of a judge and of people."""
        raise NotImplementedError

    def _rows_of_pairs(self, scorer: str) -> tuple[ScoreRow, ...]:
        if len(self.variants) == 1:
            hint = "name two or more models, providers, systems or efforts"
            raise InputError(f"there is only one variant, {self.variants[0].name}", hint)
        return self.rows(scorer)

    def _preferences(self, ratings: Ratings, rater: str) -> tuple[Preference, ...]:
        return ratings.preferences(rater, lambda cell: unit_of(cell, self._cluster))


def _statistics(rows: Sequence[ScoreRow]) -> tuple[Sequence[VariantSummary], Sequence[Difference]]:
    """Return the summaries and differences of scores; without scores, numpy and scipy are not needed."""
    if not rows:
        return (), ()
    from copilot_nb.experiments.statistics import differences, summarize

    return summarize(rows), differences(rows)
