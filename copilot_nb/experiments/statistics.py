"""Statistics of a table of scores: a summary of each variant, and the difference of each pair.

The unit is the prompt: repeats are averaged within their prompt and never counted as independent, and two variants are
compared on the prompts for which both have a score. An effect is reported with its interval first and its p-value last.

Failed answers are left out of `mean` and `effect`, and count as 0 in `mean_with_failures` and `effect_with_failures`;
both are reported.

>>> rows = [ScoreRow(f"p{i}", v, 0, float(v == "b" or i % 2)) for i in range(20) for v in "ab"]
>>> summarize(rows)[0].mean.estimate
0.5
>>> differences(rows)[0].verdict
'b is better'

Why: docs/decisions/0032-the-prompt-is-the-unit.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from copilot_nb.experiments import intervals
from copilot_nb.experiments.forest import interval, number
from copilot_nb.experiments.intervals import LEVEL, Interval
from copilot_nb.experiments.scores import ScoreRow, Scores, scores_by_variant
from copilot_nb.experiments.tabular import Tabular, p_value, percent, table_of
from copilot_nb.render.table import Table

FEW_PROMPTS = 10


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """The summary of one variant.

    Attributes
    ----------
    variant : str
        Its name.
    prompts : int
        Prompts with a score (count).
    answers : int
        Requested answers, including failed ones (count).
    failed, unscored : int
        Failed answers; answers that did not fail but have no score (count).
    retried_share : float
        The share of the answers that took more than one attempt, from 0 to 1.
    mean : Interval
        The mean score of the prompts, without failed answers.
    mean_with_failures : Interval
        The mean score with each failed answer counted as 0.
    level : float
        The confidence level of the intervals.
    """

    variant: str
    prompts: int
    answers: int
    failed: int
    unscored: int
    retried_share: float
    mean: Interval
    mean_with_failures: Interval
    level: float


@dataclass(frozen=True, slots=True)
class Difference:
    """`first` minus `second`, on the prompts for which both have a score.

    Attributes
    ----------
    first, second : str
        The two variants.
    prompts, missing : int
        Prompts on which they are compared; other prompts, with a score for only one of them or for neither (count).
    effect, effect_with_failures : Interval
        The mean difference of the prompts, without failed answers and with each of them as 0.
    detectable : float or None
        The smallest true difference that a comparison with this many prompts and repeats detects in 80 % of cases.
    p, p_adjusted : float or None
        The p-value of `effect`, unadjusted, and adjusted by Holm for testing all pairs.
    method : str
        The test behind `p`: ``"McNemar"``, ``"sign flip"`` or ``"t"``.
    verdict : str
        One short sentence.
    level : float
        The confidence level of the intervals.
    """

    first: str
    second: str
    prompts: int
    missing: int
    effect: Interval
    effect_with_failures: Interval
    detectable: float | None
    p: float | None
    p_adjusted: float | None
    method: str
    verdict: str
    level: float


class Differences(Tabular[Difference]):
    """The differences of all pairs; shown with the effect and its interval first and the p-value last."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """The differences as a table."""
        columns = {
            "Difference": [f"{one.first} − {one.second}" for one in self],
            f"Effect [{percent(self[0].level if self else LEVEL)} interval]": [
                interval(one.effect, signed=True) for one in self
            ],
        }
        if any(one.effect != one.effect_with_failures for one in self):
            columns["With failures as 0"] = [interval(one.effect_with_failures, signed=True) for one in self]
        columns |= {
            "Prompts": [f"{one.prompts:,}" for one in self],
            "Detectable": [number(one.detectable) for one in self],
            "Verdict": [one.verdict for one in self],
            "p": [p_value(one.p_adjusted) for one in self],
        }
        return table_of("Differences, paired by prompt", columns)


def summarize(rows: Iterable[ScoreRow], level: float = LEVEL) -> tuple[VariantSummary, ...]:
    """Return the summary of each variant, in the order of the rows.

    Shares of right answers (all scores are 0 or 1) get Wilson's interval, other scores Student's.

    Raises
    ------
    InputError
        If there are no rows.
    """
    table = list(rows)
    scores, zeroed = scores_by_variant(table), scores_by_variant(table, failures_as_zero=True)
    return tuple(
        _summary(variant, [row for row in table if row.variant == variant], (scores[variant], zeroed[variant]), level)
        for variant in scores
    )


def differences(rows: Iterable[ScoreRow], level: float = LEVEL) -> Differences:
    """Return the difference of each pair of variants, in the order of the rows.

    `effect` has Student's interval with P - 1 degrees of freedom (`intervals.mean_interval`), `p` is of
    `intervals.paired_test`, `p_adjusted` of `intervals.holm` over all pairs.

    Raises
    ------
    InputError
        If there are no rows.
    """
    table = list(rows)
    asked: dict[str, set[str]] = {}
    for row in table:
        asked.setdefault(row.variant, set()).add(row.prompt)
    scores, zeroed = scores_by_variant(table), scores_by_variant(table, failures_as_zero=True)
    pairs = []
    for first, second in itertools.combinations(scores, 2):
        sides, all_sides = (scores[first], scores[second]), (zeroed[first], zeroed[second])
        pair = _difference((first, second), sides, all_sides, level)
        pairs.append(replace(pair, missing=len(asked[first] | asked[second]) - pair.prompts))
    adjusted = iter(intervals.holm([pair.p for pair in pairs if pair.p is not None]))
    corrected = (pair if pair.p is None else replace(pair, p_adjusted=next(adjusted)) for pair in pairs)
    return Differences(replace(pair, verdict=_verdict(pair, 1 - level)) for pair in corrected)


def _summary(variant: str, rows: Sequence[ScoreRow], scores: tuple[Scores, Scores], level: float) -> VariantSummary:
    """Return the summary of a variant; `scores` are those without failures, and those with each failure as 0."""
    failed = sum(row.failed for row in rows)
    return VariantSummary(
        variant=variant,
        prompts=len(scores[0]),
        answers=len(rows),
        failed=failed,
        unscored=len(rows) - failed - sum(map(len, scores[0].values())),
        retried_share=sum(row.retried for row in rows) / len(rows),
        mean=_mean(scores[0], level),
        mean_with_failures=_mean(scores[1], level),
        level=level,
    )


def _mean(scores: Scores, level: float) -> Interval:
    means = [_average(repeats) for repeats in scores.values()]
    if _is_binary(scores):
        return intervals.proportion_interval(means, sum(map(len, scores.values())), level)
    return intervals.mean_interval(means, level)


def _difference(
    pair: tuple[str, str], scores: tuple[Scores, Scores], zeroed: tuple[Scores, Scores], level: float
) -> Difference:
    """Return the difference of a pair, without `missing` and the fields that depend on the other pairs."""
    found = _paired(*scores)
    test = intervals.paired_test(found)
    is_binary = all(map(_is_binary, scores))
    return Difference(
        first=pair[0],
        second=pair[1],
        prompts=len(found),
        missing=0,
        effect=_effect(found, level, is_binary=is_binary),
        effect_with_failures=_effect(_paired(*zeroed), level, is_binary=is_binary),
        detectable=intervals.detectable_effect(found, level),
        p=test.p if test else None,
        p_adjusted=None,
        method=test.method if test else "",
        verdict="",
        level=level,
    )


def _paired(first: Scores, second: Scores) -> list[float]:
    """Return the difference on each prompt for which both have a score."""
    return [_average(repeats) - _average(second[prompt]) for prompt, repeats in first.items() if prompt in second]


def _effect(values: Sequence[float], level: float, *, is_binary: bool) -> Interval:
    if not values:
        return Interval(None, note="no prompt has a score for both")
    if is_binary and len(values) > 1 and len(set(values)) == 1 and values[0] in (-1.0, 0.0, 1.0):
        return intervals.constant_interval(values[0], len(values), level)
    return intervals.mean_interval(values, level)


def _verdict(pair: Difference, alpha: float) -> str:
    if pair.effect.estimate is None or pair.p_adjusted is None:
        return "nothing to compare"
    better = pair.first if pair.effect.estimate > 0 else pair.second
    return verdict(better, prompts=pair.prompts, p=pair.p_adjusted, alpha=alpha)


def verdict(better: str, *, prompts: int, p: float, alpha: float) -> str:
    """Return a short sentence on the p-value of an effect in favour of `better`."""
    if prompts < FEW_PROMPTS:
        return "too few prompts to tell"
    if p > alpha:
        return "no difference shown"
    return f"{better} is better"


def _is_binary(scores: Scores) -> bool:
    return all(score in (0.0, 1.0) for repeats in scores.values() for score in repeats)


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)
