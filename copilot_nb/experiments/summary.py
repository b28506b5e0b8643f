"""The summary of a comparison: estimates, their uncertainty and warnings, as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from copilot_nb.experiments.agreement import Agreement
from copilot_nb.experiments.forest import forest, interval
from copilot_nb.experiments.intervals import LEVEL
from copilot_nb.experiments.preference_tables import MAX_PAIRS, Preferences, agreement_table
from copilot_nb.experiments.scores import Preference, ScoreRow
from copilot_nb.experiments.statistics import (
    FEW_PROMPTS,
    Difference,
    Differences,
    VariantSummary,
    differences,
    summarize,
)
from copilot_nb.experiments.tabular import Notes, percent, picture, table_of
from copilot_nb.render.table import Printer, Table
from copilot_nb.render.words import count

_MANY_RETRIED = 0.05
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
    preferences : tuple of Preferences
        The preferences of each rater: a judge, people.
    agreement : Agreement or None
        How often raters agree; ``None`` with fewer than two.
    notes : tuple of str
        Remarks and warnings, one sentence each.
    level : float
        Of the intervals.
    """

    variants: tuple[VariantSummary, ...] = ()
    differences: tuple[Difference, ...] = ()
    preferences: tuple[Preferences, ...] = ()
    agreement: Agreement | None = None
    notes: tuple[str, ...] = ()
    level: float = LEVEL

    def _repr_html_(self) -> str:
        parts = (part._repr_html_() if isinstance(part, Table) else picture(part) for part in self._parts())
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
        for each in self.preferences:
            parts += each.parts
        if self.agreement is not None:
            parts.append(agreement_table(self.agreement))
        return [part for part in parts if part]


def summary(
    rows: Iterable[ScoreRow] = (),
    preferences: Mapping[str, Iterable[Preference]] | None = None,
    notes: Iterable[str] = (),
    level: float = LEVEL,
    *,
    agreement: Agreement | None = None,
) -> Summary:
    """Return the summary of scores and preferences.

    Parameters
    ----------
    rows : iterable of ScoreRow
        The scores of one scorer; may be empty.
    preferences : mapping of str to iterable of Preference, optional
        The judgements of each rater: of a judge, or the votes of people.
    notes : iterable of str
        Sentences to show below the tables, such as `judge.remarks`.
    level : float
        Of the intervals.
    agreement : Agreement, optional
        How often the raters agree.
    """
    table = list(rows)
    variants, pairs = (summarize(table, level), differences(table, level)) if table else ((), Differences())
    rated = tuple(Preferences.of(rater, judged, level) for rater, judged in (preferences or {}).items())
    about_ratings = dict.fromkeys(note for each in rated for note in each.notes)
    told = [*_notes(table, variants, pairs, level), *about_ratings, *notes]
    return Summary(variants, pairs, rated, agreement, tuple(told), level)


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
    if pairs and min([one.prompts for one in variants] + [one.prompts for one in pairs]) < FEW_PROMPTS:
        notes.append(f"Fewer than {FEW_PROMPTS} prompts are too few to tell variants apart: add prompts, not repeats.")
    if missing := max((one.missing for one in pairs), default=0):
        verb = "is" if missing == 1 else "are"
        notes.append(f"Up to {count(missing, 'prompt')} of a pair {verb} left out, without a score for one of the two.")
    if any(one.retried_share > _MANY_RETRIED for one in variants):
        notes.append(
            "Retried answers are drawn anew, which may favour a variant: compare the shares of retried answers."
        )
    return notes


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" if part else "0"
