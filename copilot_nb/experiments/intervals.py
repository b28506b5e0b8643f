"""Confidence intervals and tests of small samples: one number for each prompt, or counts.

Nothing here depends on variants or rows (see `statistics`). No result is ever NaN: a value that cannot be computed is
``None``, with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra

with extra("experiments"):
    import numpy as np
    from numpy.typing import NDArray
    from scipy import optimize, stats

Floats = NDArray[np.float64]

LEVEL = 0.95
POWER = 0.8
MAX_ENUMERATED = 12  # prompts whose 2**12 sign flips are enumerated
_TINY, _ROUNDING = 1e-12, 1e-9
_MANY = 1000  # prompts from which t is normal


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes
    ----------
    estimate : float or None
        ``None`` if there is no data.
    low, high : float or None
        Both ``None`` if no interval can be computed; `note` says why.
    note : str
        Why there is no interval, or how it was computed if not by the usual method.
    """

    estimate: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PValue:
    """A two-sided p-value, and the name of its test."""

    p: float
    method: str


@cache
def t_quantile(level: float, freedom: int) -> float:
    """Return Student's two-sided quantile: half the width of an interval, in standard errors."""
    return float(stats.t.ppf(_upper(level), freedom))


@cache
def _z_quantile(level: float) -> float:
    return float(stats.norm.ppf(_upper(level)))


def _upper(level: float) -> float:
    """Return the upper end of the middle `level` of a distribution."""
    if not 0 < level < 1:
        raise InputError(f"the level of an interval is between 0 and 1, not {level}", "use 0.95")
    return (1 + level) / 2


def _is_constant(x: Floats) -> bool:
    return float(np.ptp(x)) <= _TINY * max(1.0, float(np.abs(x).max()))


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    r"""Return the mean of one number per prompt, with Student's interval.

    Notes
    -----
    :math:`\bar x \pm t_{1-\alpha/2,\,P-1}\; s/\sqrt P` with :math:`s^2 = \sum (x_p - \bar x)^2/(P-1)`. With equal
    repeats this is the standard error clustered by prompt of E. Miller, "Adding Error Bars to Evals" (2024,
    arXiv:2411.00640), with the t distribution of Student (1908) instead of the normal one: on 8 to 50 prompts the
    normal one excludes the truth in 5.3 to 7.6 % of the cases, not in 5 %.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return Interval(None, note="no prompt has a score")
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, note="one prompt: no interval can be computed")
    if _is_constant(x):
        return Interval(mean, note=f"the same on all {x.size} prompts: no interval")
    half = t_quantile(level, x.size - 1) * float(x.std(ddof=1)) / float(np.sqrt(x.size))
    return Interval(mean, mean - half, mean + half)


def constant_interval(value: float, size: int, level: float = LEVEL) -> Interval:
    r"""Return the mean of differences that are all -1, all 0 or all 1, of scores between 0 and 1, with a bound.

    Notes
    -----
    With Wilson's lower limit L of `size` out of `size`, at most a share of 1 - L of all prompts differs otherwise, by
    at most 1 - value upwards and 1 + value downwards: the interval is :math:`d - (1 - L)(1 + d)` to
    :math:`d + (1 - L)(1 - d)`. The bound is conservative.
    """
    others = 1 - float(wilson_interval(1.0, size, level).low or 0.0)
    note = f"the same on all {size} prompts: a bound, by Wilson's interval"
    return Interval(value, value - others * (1 + value), value + others * (1 - value), note)


def wilson_interval(share: float, size: float, level: float = LEVEL) -> Interval:
    r"""Return Wilson's score interval of a share.

    Parameters
    ----------
    share : float
        Of 0 to 1.
    size : float
        How many independent trials it is the share of; need not be whole (see `proportion_interval`).

    Notes
    -----
    :math:`\bigl(\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}\bigr) / (1 + z^2/n)`: E. B. Wilson, JASA 22
    (1927) 209. Unlike :math:`\hat p \pm z\,SE` it has a width where all trials succeed.
    """
    z = _z_quantile(level)
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * float(np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))) / (1 + z * z / size)
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def proportion_interval(means: Sequence[float], answers: float, level: float = LEVEL) -> Interval:
    r"""Return the share of right answers, with Wilson's interval of the effective number of answers.

    Parameters
    ----------
    means : sequence of float
        For each prompt the share of its repeats that are right.
    answers : float
        The total number of answers; infinity if the numbers are not shares of answers.

    Notes
    -----
    Without repeats Wilson's interval of the P prompts. With repeats, answers to one prompt are alike: they count as
    :math:`n_{eff} = \hat p(1-\hat p)/\widehat{SE}^2 \cdot (z/t_{P-1})^2` answers, with the standard error between
    prompts, at most as many as there are, and where all prompts agree as P of them: E. L. Korn and B. I. Graubard,
    Survey Methodology 24 (1998) 193; N. Dean and M. Pagano, J. Survey Statistics and Methodology 3 (2015) 484. Near 0
    or 1, Student's interval of 10 or 20 prompts excludes the truth in up to 40 % of the cases, this one in 2 to 7 %.
    """
    x = np.asarray(means, dtype=np.float64)
    if x.size == 0:
        return Interval(None, note="no prompt has a score")
    share = float(x.mean())
    if answers <= x.size or x.size == 1:
        return wilson_interval(share, x.size, level)
    ratio = _z_quantile(level) / t_quantile(level, x.size - 1)
    effective = float(x.size) if _is_constant(x) else share * (1 - share) / (x.var(ddof=1) / x.size) * ratio**2
    return wilson_interval(share, min(max(effective, x.size * ratio**2), answers), level)


def paired_test(differences: Sequence[float]) -> PValue | None:
    r"""Return a two-sided test that the differences, one per prompt, are 0 on average; ``None`` without any.

    Notes
    -----
    Differences of -1, 0 and 1 (right or wrong, one repeat): McNemar's exact test, :math:`2\,P(B \le \min(b, c))` for
    :math:`B \sim \mathrm{Bin}(b + c, 1/2)` (Q. McNemar, Psychometrika 12 (1947) 153). Otherwise up to `MAX_ENUMERATED`
    prompts the exact sign-flip test: the share of all :math:`2^P` choices of signs whose sum is at least as far from 0
    (R. A. Fisher, The Design of Experiments (1935), section 21). More prompts: Student's paired t with P - 1 degrees of
    freedom.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size == 0:
        return None
    if np.isin(d, (-1.0, 0.0, 1.0)).all():
        return sign_test(int((d > 0).sum()), int((d < 0).sum()), "McNemar")
    if d.size <= MAX_ENUMERATED:
        return sign_flip(d)
    if _is_constant(d):
        return PValue(1.0 if abs(d.mean()) <= _TINY else float(2.0 ** (1 - d.size)), "sign flip")
    error = float(d.std(ddof=1)) / float(np.sqrt(d.size))
    return PValue(float(2 * stats.t.sf(abs(d.mean()) / error, d.size - 1)), "t")


def sign_test(wins: int, losses: int, method: str = "sign test") -> PValue:
    r"""Return the exact two-sided test that wins and losses are equally likely; ties are not counted.

    Notes
    -----
    :math:`2\,P(B \le \min(w, l))` for :math:`B \sim \mathrm{Bin}(w + l, 1/2)`: J. Arbuthnott (1710).
    """
    decided = wins + losses
    return PValue(float(stats.binomtest(wins, decided).pvalue) if decided else 1.0, method)


def sign_flip(differences: Floats) -> PValue:
    """Return the exact sign-flip test of at most `MAX_ENUMERATED` differences (see `paired_test`)."""
    size = differences.size
    signs = 1 - 2 * ((np.arange(2**size)[:, None] >> np.arange(size)) & 1)
    sums = np.abs(signs @ differences)
    return PValue(float((sums >= abs(differences.sum()) - _ROUNDING * np.abs(differences).sum()).mean()), "sign flip")


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    r"""Return p-values adjusted for having looked at all of them, in their order.

    Notes
    -----
    :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\,p_{(j)})`: S. Holm, Scand. J. Statistics 6 (1979) 65.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, (p.size - np.arange(p.size)) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return tuple(float(value) for value in adjusted)


def detectable_effect(differences: Sequence[float], level: float = LEVEL, power: float = POWER) -> float | None:
    r"""Return the smallest true difference that as many prompts show with probability `power`.

    ``None`` for fewer than two prompts, or if the differences do not vary.

    Notes
    -----
    The :math:`\delta` with :math:`P(t'_{P-1}(\delta\sqrt P/s) > t_{1-\alpha/2,\,P-1}) = power`, :math:`t'` the
    noncentral t distribution (J. Cohen, Statistical Power Analysis (1988), ch. 2). For many prompts this is
    :math:`(z_{1-\alpha/2} + z_{power})\,s/\sqrt P` of E. Miller (2024), arXiv:2411.00640, section 5.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size < 2 or _is_constant(d):  # noqa: PLR2004 - a variance takes two
        return None
    return noncentrality(d.size, level, power) * float(d.std(ddof=1)) / float(np.sqrt(d.size))


def noncentrality(prompts: int, level: float, power: float) -> float:
    """Return the true difference, in standard errors, that a paired t test of `prompts` shows with `power`."""
    freedom = prompts - 1
    limit = t_quantile(level, freedom)
    if power <= 1 - _upper(level):  # a test shows this often without any difference
        return 0.0
    with np.errstate(divide="ignore"):  # scipy 1.12 divides by a difference of 0
        return float(optimize.brentq(lambda shift: float(stats.nct.sf(limit, freedom, shift)) - power, 0.0, 20 * limit))


def prompts_needed(effect: float, deviation: float, level: float = LEVEL, power: float = POWER) -> int:
    """Return the fewest prompts that show a true difference of `effect` with probability `power`.

    `deviation` is the standard deviation of a prompt's difference. The formula is that of `detectable_effect`.
    """
    ratio = abs(effect) / deviation
    z = max(0.0, _z_quantile(level) + float(stats.norm.ppf(power)))
    prompts = max(2, int(np.ceil((z / ratio) ** 2)))
    while prompts < _MANY and noncentrality(prompts, level, power) > ratio * float(np.sqrt(prompts)):
        prompts += 1
    return prompts
