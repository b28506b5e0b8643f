"""The statistics of comparisons: golden numbers, simulated nulls, and what cannot be computed.

The golden numbers are from statsmodels 0.15.0 and evalica 0.4.2 (numpy 2.4.6), computed once: neither is a dependency.
Each test names the call.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.intervals import (
    Interval,
    detectable_effect,
    holm,
    mean_interval,
    paired_test,
    prompts_needed,
    proportion_interval,
    wilson_interval,
)
from copilot_nb.experiments.power import power
from copilot_nb.experiments.preferences import head_to_head, rank
from copilot_nb.experiments.scores import Preference, ScoreRow
from copilot_nb.experiments.statistics import Difference, VariantSummary, differences, summarize

NULLS = 1200
DIFFERENCES = [0.2, -0.1, 0.4, 0.3, 0, 0.5, 0.1, -0.2, 0.6, 0.3, 0.25, 0.1, -0.05]


def rows(scores: dict[str, Sequence[Sequence[float | None]]]) -> list[ScoreRow]:
    """Score rows from the scores of each variant by prompt and repeat."""
    return [
        ScoreRow(f"p{prompt}", variant, repeat, score)
        for variant, prompts in scores.items()
        for prompt, repeats in enumerate(prompts)
        for repeat, score in enumerate(repeats)
    ]


def round_robin() -> list[Preference]:
    """Each pair of four variants on twelve prompts, with ties, and nobody who wins all."""
    outcomes = [1, 0, 0.5, 1, 1, 0, 1, 0.5, 0, 1, 1, 1]
    games = [(prompt, *pair) for prompt in range(12) for pair in itertools.combinations("abcd", 2)]
    return [
        Preference(f"p{prompt}", i, j, 0 if (i, j) == ("c", "d") and prompt % 2 else outcomes[(5 * k + prompt) % 12])
        for k, (prompt, i, j) in enumerate(games)
    ]


# --- golden numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "size", "low", "high"),
    [(7, 10, 0.39677814746, 0.89220873259), (20, 20, 0.83887484195, 1.0), (0, 5, 0.0, 0.43448246478)],
)
def test_wilson(right: int, size: int, low: float, high: float) -> None:
    """statsmodels.stats.proportion.proportion_confint(right, size, method="wilson")."""
    for found in (
        wilson_interval(right / size, size),
        proportion_interval([1.0] * right + [0.0] * (size - right), size),
    ):
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_students_interval_and_p() -> None:
    """statsmodels.stats.weightstats.DescrStatsW(DIFFERENCES).tconfint_mean(), .ttest_mean()."""
    found = mean_interval(DIFFERENCES)
    assert (found.low, found.high) == pytest.approx((0.04056138576, 0.32866938347), abs=1e-9)
    test = paired_test(DIFFERENCES)
    assert test is not None
    assert (test.p, test.method) == (pytest.approx(0.01627490620, abs=1e-9), "t")


def test_the_error_of_repeats_is_the_one_clustered_by_prompt() -> None:
    """statsmodels OLS(y, 1).fit(cov_type="cluster", groups=prompt), times sqrt(12/11)."""
    table = rows({"a": [[(p * 7 + r * 3) % 5 / 4 for r in range(3)] for p in range(12)]})
    mean = summarize(table)[0].mean
    assert mean.estimate == pytest.approx(0.47916666667)
    assert (mean.high - mean.low) / 2 / 2.2009851601 == pytest.approx(
        0.03571804, abs=1e-7
    )  # t of 11 degrees of freedom


def test_mcnemar() -> None:
    """statsmodels.stats.contingency_tables.mcnemar([[5, 9], [2, 4]], exact=True)."""
    test = paired_test([1] * 9 + [-1] * 2 + [0] * 9)
    assert test is not None
    assert (test.p, test.method) == (pytest.approx(0.0654296875), "McNemar")


def test_holm() -> None:
    """statsmodels.stats.multitest.multipletests([…], method="holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@pytest.mark.parametrize(("size", "expected"), [(50, 0.4041803866), (8, 1.1560352720), (2, 11.5498897550)])
def test_detectable_effect(size: int, expected: float) -> None:
    """statsmodels TTestPower().solve_power(nobs=size, alpha=.05, power=.8), in standard deviations."""
    d = np.linspace(-1, 1, size)
    assert detectable_effect(d / d.std(ddof=1)) == pytest.approx(expected, rel=1e-5)


def test_prompts_needed() -> None:
    """statsmodels TTestPower().solve_power(effect_size, alpha=.05, power=.8): 33.4 and, at 0.05/sqrt(.35), 1,100.8."""
    assert prompts_needed(0.5, 1.0) == 34
    assert prompts_needed(0.05, math.sqrt(0.35)) in (1099, 1100, 1101)


def test_bradley_terry_is_evalicas_and_its_errors_are_those_of_a_clustered_glm() -> None:
    """evalica.bradley_terry; statsmodels GLM(Binomial).fit(cov_type="cluster") around the mean, times sqrt(12/11)."""
    found = {rating.variant: rating.points for rating in rank(round_robin(), prior_points=1e6).ratings}
    points = [found[name].estimate for name in "abcd"]
    assert points == pytest.approx([92.4250171905, 30.3470152432, -100.2706729714, -22.5013594623], abs=1e-4)
    errors = [(found[name].high - found[name].estimate) / 2.2009851601 for name in "abcd"]
    assert errors == pytest.approx([36.8538939808, 41.3863744359, 47.1602574261, 42.4022202932], abs=1e-4)


# --- what the numbers mean --------------------------------------------------------------------------------------------


def test_repeats_are_no_prompts() -> None:
    once = rows({"a": [[0.0], [1.0]] * 6, "b": [[1.0], [1.0]] * 6})
    often = rows({"a": [[0.0] * 50, [1.0] * 50] * 6, "b": [[1.0] * 50, [1.0] * 50] * 6})
    assert differences(once)[0].effect == differences(often)[0].effect
    assert differences(often)[0].prompts == 12


def test_sign_flips_are_enumerated_for_few_prompts() -> None:
    test = paired_test([0.5, 0.25, 0.75, 0.5])
    assert test is not None
    assert (test.p, test.method) == (2 / 16, "sign flip")


def test_pairs_are_the_prompts_that_both_answered() -> None:
    table = rows({"a": [[1.0], [1.0], [None], [1.0]], "b": [[0.0], [None], [1.0]]})
    found = differences(table)[0]
    assert (found.prompts, found.missing, found.effect.estimate) == (1, 3, 1.0)


def test_failures_are_shown_left_out_and_as_zero() -> None:
    table = [ScoreRow(f"p{i}", v, 0, 1.0) for i in range(10) for v in "ab" if (i, v) != (0, "b")]
    table.append(ScoreRow("p0", "b", 0, None, retried=True, failed=True))
    a, b = summarize(table)
    assert (b.mean.estimate, b.mean_with_failures.estimate, a.mean_with_failures.estimate) == (1.0, 0.9, 1.0)
    assert (b.failed, b.unscored, b.retried_share, b.prompts) == (1, 0, 0.1, 9)
    found = differences(table)[0]
    assert (found.effect.estimate, found.effect_with_failures.estimate) == (0.0, pytest.approx(0.1))


def test_an_answer_without_a_score_has_not_failed() -> None:
    only = summarize([ScoreRow("p", "a", 0, None), ScoreRow("q", "a", 0, math.nan), ScoreRow("r", "a", 0, 0.5)])[0]
    assert (only.failed, only.unscored, only.mean_with_failures.estimate) == (0, 2, 0.5)


def test_all_pairs_are_corrected_together() -> None:
    table = rows({v: [[float((i * k) % 7 > 2)] for i in range(20)] for k, v in enumerate("abc", 1)})
    found = differences(table)
    assert [(d.first, d.second) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [d.p_adjusted for d in found] == list(holm([d.p for d in found]))


@pytest.mark.parametrize(
    ("a", "b", "low", "high"), [(1.0, 1.0, -0.16112, 0.16112), (1.0, 0.0, 0.67777, 1.0), (0.0, 1.0, -1.0, -0.67777)]
)
def test_answers_right_on_all_prompts_or_on_none_bound_the_difference(
    a: float, b: float, low: float, high: float
) -> None:
    effect = differences(rows({"a": [[a]] * 20, "b": [[b]] * 20}))[0].effect
    assert (effect.low, effect.high) == pytest.approx((low, high), abs=1e-4)
    assert "20 prompts" in effect.note


def test_few_prompts_are_too_few_however_clear() -> None:
    table = rows({"a": [[1.0]] * 9, "b": [[0.0]] * 9})
    assert differences(table)[0].verdict == "too few prompts to tell"
    assert differences(rows({"a": [[1.0]] * 10, "b": [[0.0]] * 10}))[0].verdict == "a is better"


def test_power_tells_repeats_from_prompts() -> None:
    rng = np.random.default_rng(3)
    a = 0.5 + rng.normal(0, 0.3, (1000, 1)) + rng.normal(0, 0.4, (1000, 5))
    b = 0.5 + rng.normal(0, 0.2, (1000, 3))
    found = power(rows({"a": a.tolist(), "b": b.tolist()}), effect=0.05, repeats=1)[0]
    assert found.between_variance == pytest.approx(0.09, rel=0.15)
    assert found.repeat_variances == (pytest.approx(0.16, rel=0.15), pytest.approx(0.04, rel=0.15))
    assert found.needed == pytest.approx((1.959964 + 0.841621) ** 2 * (0.09 + 0.16 + 0.04) / 0.05**2, rel=0.15)
    more = power(rows({"a": a.tolist(), "b": b.tolist()}), effect=0.05, repeats=20)[0]
    assert more.needed < found.needed / 2


def test_power_of_one_repeat_says_what_is_not_known() -> None:
    table = rows({"a": [[float(i % 2)] for i in range(20)], "b": [[float(i % 3 > 0)] for i in range(20)]})
    found = power(table, effect=0.1, repeats=5)[0]
    assert found.repeat_variances is None
    assert "unknown" in found.note
    assert found.needed > 20
    assert found.detectable == differences(table)[0].detectable


# --- preferences ------------------------------------------------------------------------------------------------------


def votes(outcomes: Sequence[float], first: str = "a", second: str = "b") -> list[Preference]:
    return [Preference(f"p{prompt}", first, second, outcome) for prompt, outcome in enumerate(outcomes)]


def test_wins_ties_losses_are_counted_by_prompt_in_either_order() -> None:
    judged = [*votes([1, 1, 0.5, 0]), *votes([0, 0, 0.5, 1], "b", "a"), Preference("p0", "a", "b", 0.5)]
    found = head_to_head(judged)[0]
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.verdict == "too few prompts to tell"


def test_the_sign_test_leaves_ties_out() -> None:
    found = head_to_head(votes([1] * 9 + [0] * 2 + [0.5] * 9))[0]
    assert found.p == pytest.approx(0.0654296875)
    assert found.share.low < 0.675 < found.share.high
    assert found.verdict == "no difference shown"
    assert head_to_head(votes([0] * 12))[0].verdict == "b is better"


def test_who_wins_all_is_ranked_first_but_without_an_interval() -> None:
    judged = [*votes([1] * 10, "a", "b"), *votes([1, 0] * 5, "b", "c"), *votes([1] * 10, "a", "c")]
    found = rank(judged)
    assert found.ratings[0].variant == "a"
    assert 0 < found.ratings[0].points.estimate < 2000
    assert found.ratings[0].points.low is None
    assert "won or lost every comparison" in found.note


def test_variants_that_never_met_are_not_ranked() -> None:
    found = rank([*votes([1, 0], "a", "b"), *votes([1, 0], "c", "d")])
    assert found.ratings == ()
    assert "not all variants were compared" in found.note


@pytest.mark.parametrize("bad", [[], [Preference("p", "a", "b", 2.0)], [Preference("p", "a", "a", 1.0)]])
def test_a_row_that_is_not_a_judgement_is_refused(bad: list[Preference]) -> None:
    for reader in (head_to_head, rank):
        with pytest.raises(InputError):
            reader(bad)


# --- nothing is NaN, nothing crashes ----------------------------------------------------------------------------------

DEGENERATE = {
    "constant": {"a": [[1.0]] * 12, "b": [[1.0]] * 12},
    "constant and no share": {"a": [[0.4]] * 14, "b": [[0.3]] * 14},
    "one prompt": {"a": [[1.0, 0.0]], "b": [[0.0]]},
    "two prompts": {"a": [[1.0], [0.5]], "b": [[0.0], [0.25]]},
    "all NaN": {"a": [[math.nan]] * 3, "b": [[None]] * 3},
    "all NaN in one": {"a": [[math.nan]] * 3, "b": [[0.5], [0.7], [0.1]]},
    "perfect separation": {"a": [[1.0]] * 15, "b": [[0.0]] * 15},
    "one variant": {"a": [[1.0], [0.0]]},
    "infinite": {"a": [[math.inf], [1.0]], "b": [[0.0], [1.0]]},
    "huge": {"a": [[1e300], [-1e300], [1e300]], "b": [[0.0], [1.0], [5.0]]},
    "rounding": {"a": [[0.1 + 0.2]] * 20, "b": [[0.3]] * 20},
}


def numbers(value: object) -> Iterator[float]:
    """Every number in a result."""
    if isinstance(value, Interval | Difference | VariantSummary) or hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from numbers(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.parametrize("scores", DEGENERATE.values(), ids=DEGENERATE)
def test_no_number_is_nan_and_a_missing_interval_says_why(scores: dict[str, Sequence[Sequence[float | None]]]) -> None:
    table = rows(scores)
    summaries, pairs = summarize(table), differences(table)
    assert all(math.isfinite(number) for number in numbers((summaries, pairs, power(table, 0.1, 3))))
    found = [*(s.mean for s in summaries), *(d.effect for d in pairs)]
    assert all(interval.low is not None or interval.note for interval in found)
    assert all(interval.low is None or interval.low < interval.high for interval in found)


def test_a_power_below_that_of_chance_needs_no_difference() -> None:
    found = power(rows({"a": [[0.0], [1.0]], "b": [[0.5], [0.25]]}), effect=0.1, probability=0.01)[0]
    assert (found.detectable, found.needed) == (0.0, 2)


def test_a_level_of_95_and_no_repeats_are_refused() -> None:
    table = rows(DEGENERATE["two prompts"])
    for call in (
        lambda: summarize(table, 95),
        lambda: differences(table, 1.0),
        lambda: power(table, probability=80),
    ):
        with pytest.raises(InputError, match="between 0 and 1"):
            call()
    for repeats in (0, "3", 1.5):
        with pytest.raises(InputError, match=f"repeats must be a whole number from 1, not {repeats!r}"):
            power(table, repeats=repeats)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("prompts", [2, 3, 30, 3000])
def test_what_is_detectable_is_found_at_any_level_and_size(level: float, prompts: int) -> None:
    found = detectable_effect(np.arange(prompts) % 2 + np.arange(prompts) % 3 / 10, level)
    assert 0 < found < math.inf


def test_a_table_without_rows_is_refused() -> None:
    for reader in (summarize, differences, power):
        with pytest.raises(InputError, match="no scores"):
            reader([])


# --- simulated nulls: an interval of 95 % excludes the truth in 3 to 7 % ----------------------------------------------


def misses(found: Sequence[Interval], truth: float) -> float:
    return 100 * sum(one.low is not None and not one.low <= truth <= one.high for one in found) / len(found)


def shares(rng: np.random.Generator, prompts: int, repeats: int, difficulty: np.ndarray | float = 0.0) -> np.ndarray:
    """For each null and prompt the share of right answers; prompts differ, and variants on a prompt a little."""
    chance = 1 / (1 + np.exp(-(difficulty + rng.normal(0, 0.5, (NULLS, prompts)))))
    return rng.binomial(repeats, chance) / repeats


@pytest.mark.parametrize(("prompts", "repeats"), [(12, 10), (20, 1), (20, 5), (50, 3)])
def test_the_interval_of_a_difference(prompts: int, repeats: int) -> None:
    rng = np.random.default_rng(7)
    difficulty = rng.normal(0, 1.5, (NULLS, prompts))
    d = shares(rng, prompts, repeats, difficulty) - shares(rng, prompts, repeats, difficulty)
    assert 3 <= misses([mean_interval(one) for one in d], 0.0) <= 7


@pytest.mark.parametrize("prompts", [15, 40])
def test_the_interval_of_a_mean_score(prompts: int) -> None:
    x = np.random.default_rng(8).beta(2, 3, (NULLS, prompts))
    assert 3 <= misses([mean_interval(one) for one in x], 0.4) <= 7


@pytest.mark.parametrize(("prompts", "repeats"), [(20, 1), (12, 5), (20, 20), (50, 3)])
def test_the_interval_of_a_share(prompts: int, repeats: int) -> None:
    rng = np.random.default_rng(9)
    x = shares(rng, prompts, repeats, 1.0 + rng.normal(0, 1.5, (NULLS, prompts)))
    truth = float(np.mean(1 / (1 + np.exp(-(1.0 + rng.normal(0, math.hypot(1.5, 0.5), 10**6))))))
    assert 3 <= misses([proportion_interval(one, prompts * repeats) for one in x], truth) <= 7


@pytest.mark.parametrize("tie_share", [0.0, 0.6])
def test_the_interval_of_wins(tie_share: float) -> None:
    rng = np.random.default_rng(10)
    outcomes = np.where(rng.random((NULLS, 60)) < tie_share, 0.5, rng.integers(0, 2, (NULLS, 60)))
    found = [head_to_head(votes(one))[0].share for one in outcomes[:600]]
    assert 3 <= misses(found, 0.5) <= 7


@pytest.mark.parametrize(("prompts", "pairs"), [(20, 6), (60, 1)])
def test_the_interval_of_a_rating(prompts: int, pairs: int) -> None:
    """Judgements of one prompt are alike: each variant has its good and bad prompts."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(300):
        taste = rng.normal(0, 1, (prompts, 4))
        games = [
            Preference(
                str(prompt),
                "abcd"[i],
                "abcd"[j],
                float(rng.random() < 1 / (1 + np.exp(taste[prompt, j] - taste[prompt, i]))),
            )
            for prompt in range(prompts)
            for i, j in rng.permutation(list(itertools.combinations(range(4), 2)))[:pairs]
        ]
        found += [rating.points for rating in rank(games).ratings]
    assert 3 <= misses(found, 0.0) <= 7
