"""The summary of a comparison: estimates, their uncertainty and warnings, as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from copilot_nb.experiments.forest import forest, interval
from copilot_nb.experiments.intervals import LEVEL
from copilot_nb.experiments.preferences import HeadToHead, Ranking, head_to_head, rank
from copilot_nb.experiments.scores import Preference, ScoreRow
from copilot_nb.experiments.statistics import (
    FEW_PROMPTS,
    Difference,
    Differences,
    VariantSummary,
    differences,
    summarize,
)
from copilot_nb.experiments.tabular import Notes, p_value, percent, table_of
from copilot_nb.render.escape import quote
from copilot_nb.render.table import Printer, Table
from copilot_nb.render.words import count

MAX_PAIRS = 30  # pairs that are shown; six variants have fifteen
_MANY_RETRIED = 0.05
_PLAIN_LINES = "font-family:var(--jp-code-font-family,monospace);white-space:pre;overflow-x:auto"
"""Pages style <pre> differently: JupyterLab wraps its lines, and nbconvert's HTML uses a proportional font."""
_FOR_A_RANKING = 3
_METHODS = {"t": "the paired t test", "McNemar": "McNemar's exact test", "sign flip": "the exact sign-flip test"}


@dataclass(frozen=True)
class Summary:
    """The summary of a comparison; its repr is the table with a forest plot of characters.

    Attributes
    ----------
    variants : tuple of VariantSummary
        The summary of each variant; empty without scores.
    differences : tuple of Difference
        The difference of each pair.
    head_to_head : tuple of HeadToHead
        Each pair by preference; empty without judgements.
    ranking : Ranking or None
        Three or more variants by preference.
    notes : tuple of str
        Remarks and warnings, one sentence each.
    level : float
        Of the intervals.
    """

    variants: tuple[VariantSummary, ...] = ()
    differences: tuple[Difference, ...] = ()
    head_to_head: tuple[HeadToHead, ...] = ()
    ranking: Ranking | None = None
    notes: tuple[str, ...] = ()
    level: float = LEVEL

    def _repr_html_(self) -> str:
        parts = (part._repr_html_() if isinstance(part, Table) else _picture(part) for part in self._parts())
        return f'<div class="copilot-nb">{"".join(parts)}{Notes(self.notes)._repr_html_()}</div>'

    def __str__(self) -> str:
        return "\n\n".join(filter(None, [*map(str, self._parts()), str(Notes(self.notes))]))

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))

    def _parts(self) -> list[Table | str]:
        """Return the tables and (as text) forest plots that exist, in reading order."""
        parts: list[Table | str] = []
        if self.variants:
            parts.append(_scores_table(self.variants, self.level))
        if self.differences:
            shown = Differences(self.differences[:MAX_PAIRS])
            parts += [shown.table, forest([(f"{one.first} − {one.second}", one.effect) for one in shown])]
        if self.ranking and self.ranking.ratings:
            rows = [(rating.variant, rating.points) for rating in self.ranking.ratings]
            parts += [_ranking_table(self.ranking, self.level), forest(rows)]
        if self.head_to_head:
            parts.append(_head_to_head_table(self.head_to_head[:MAX_PAIRS], self.level))
        return [part for part in parts if part]


def summary(
    rows: Iterable[ScoreRow] = (),
    preferences: Iterable[Preference] = (),
    notes: Iterable[str] = (),
    level: float = LEVEL,
) -> Summary:
    """Return the summary of scores and preferences.

    Parameters
    ----------
    rows : iterable of ScoreRow
        The scores of one scorer; may be empty.
    preferences : iterable of Preference
        The judgements of one judge, or the votes of people; may be empty.
    notes : iterable of str
        Sentences to show below the tables, such as `judge.warnings`.
    level : float
        Of the intervals.
    """
    table, judged = list(rows), list(preferences)
    variants, pairs = (summarize(table, level), differences(table, level)) if table else ((), Differences())
    ranking = rank(judged, level=level) if len(_names(judged)) >= _FOR_A_RANKING else None
    votes = head_to_head(judged, level) if judged else ()
    told = [*_notes(table, variants, pairs, level), *_preference_notes(votes, ranking), *notes]
    return Summary(variants, pairs, votes, ranking, tuple(told), level)


def _picture(characters: str) -> str:
    """Return a forest plot as HTML, hidden from screen readers, which read its numbers in the table before it."""
    return f'<pre aria-hidden="true" style="{_PLAIN_LINES}">{quote(characters)}</pre>'


def _names(judged: Sequence[Preference]) -> set[str]:
    return {name for one in judged for name in (one.first, one.second)}


def _scores_table(variants: Sequence[VariantSummary], level: float) -> Table:
    columns: dict[str, list[str]] = {
        "Variant": [one.variant for one in variants],
        "Prompts": [f"{one.prompts:,}" for one in variants],
        f"Mean score [{percent(level)} interval]": [interval(one.mean) for one in variants],
    }
    if any(one.failed for one in variants):
        columns["With failures as 0"] = [interval(one.mean_with_failures) for one in variants]
        columns["Failed"] = [_share(one.failed, one.answers) for one in variants]
    if any(one.unscored for one in variants):
        columns["Without a score"] = [_share(one.unscored, one.answers) for one in variants]
    if any(one.retried_share for one in variants):
        columns["Retried"] = [f"{one.retried_share:.0%}" for one in variants]
    return table_of("Scores", columns)


def _ranking_table(ranking: Ranking, level: float) -> Table:
    columns = {
        "Variant": [rating.variant for rating in ranking.ratings],
        f"Points [{percent(level)} interval]": [interval(rating.points, signed=True) for rating in ranking.ratings],
    }
    return table_of(f"Ranking by preference, {count(ranking.prompts, 'prompt')}", columns)


def _head_to_head_table(pairs: Sequence[HeadToHead], level: float) -> Table:
    columns = {
        "Pair": [f"{one.first} : {one.second}" for one in pairs],
        f"Share won [{percent(level)} interval]": [interval(one.share) for one in pairs],
        "Won": [str(one.wins) for one in pairs],
        "Tied": [str(one.ties) for one in pairs],
        "Lost": [str(one.losses) for one in pairs],
        "Verdict": [one.verdict for one in pairs],
        "p": [p_value(one.p_adjusted) for one in pairs],
    }
    return table_of("Preferences by prompt", columns)


def _notes(
    rows: Sequence[ScoreRow], variants: Sequence[VariantSummary], pairs: Sequence[Difference], level: float
) -> list[str]:
    """Return remarks on how the numbers were computed, and warnings about them."""
    notes = []
    if len({row.repeat for row in rows}) > 1:
        notes.append("Repeats are averaged within their prompt: only prompts count as independent.")
    if pairs:
        methods = " and ".join(dict.fromkeys(_METHODS[one.method] for one in pairs if one.method))
        corrected = f", corrected for {len(pairs)} pairs (Holm)" if len(pairs) > 1 else ""
        tested = f" p is of {methods}{corrected}." if methods else ""
        notes.append(f"Each interval covers {percent(level)} by itself.{tested}")
    if len(pairs) > MAX_PAIRS:
        notes.append(f"The first {MAX_PAIRS} of {len(pairs):,} pairs are shown; all of them count in the correction.")
    if any(prompts < FEW_PROMPTS for prompts in [one.prompts for one in variants] + [one.prompts for one in pairs]):
        notes.append(f"Fewer than {FEW_PROMPTS} prompts are too few to tell variants apart: add prompts, not repeats.")
    if missing := max((one.missing for one in pairs), default=0):
        verb = "is" if missing == 1 else "are"
        notes.append(f"Up to {count(missing, 'prompt')} of a pair {verb} left out, without a score for one of the two.")
    if any(one.retried_share > _MANY_RETRIED for one in variants):
        notes.append(
            "Retried answers are drawn anew, which may favour a variant: compare the shares of retried answers."
        )
    return notes


def _preference_notes(votes: Sequence[HeadToHead], ranking: Ranking | None) -> list[str]:
    notes = []
    if ranking and ranking.ratings:
        notes.append("Points: 0 is the mean of the variants; 400 points more win ten times as often as they lose.")
    if ranking and ranking.note:
        notes.append(f"{ranking.note[0].upper()}{ranking.note[1:]}.")
    if any(one.wins + one.ties + one.losses < FEW_PROMPTS for one in votes):
        notes.append(f"Preferences on fewer than {FEW_PROMPTS} prompts are too few to tell variants apart.")
    return notes


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" if part else "0"
