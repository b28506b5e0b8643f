"""The statistical power of a comparison, and the prompts needed for an effect, from the variances of a run."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.forest import number
from copilot_nb.experiments.intervals import LEVEL, POWER, Floats, detectable_effect, prompts_needed
from copilot_nb.experiments.scores import ScoreRow, Scores, scores_by_variant
from copilot_nb.experiments.tabular import Tabular, table_of
from copilot_nb.render.table import Table

with extra("experiments"):
    import numpy as np


@dataclass(frozen=True, slots=True)
class Power:
    """The power of the comparison of one pair of variants.

    Attributes
    ----------
    first, second : str
        The two variants.
    prompts : int
        Prompts on which they are compared (count).
    between_variance : float or None
        The variance of the true differences between prompts. With one repeat it includes the noise of repeats.
    repeat_variances : tuple of float, or None
        The variance of repeats of one prompt, for `first` and `second`; ``None`` with one repeat.
    detectable : float or None
        The smallest true difference that this comparison detects with the requested probability.
    effect : float or None
        The difference to detect.
    needed : int or None
        Prompts needed to detect `effect` with that probability, at the requested repeats (count).
    note : str
        One sentence.
    """

    first: str
    second: str
    prompts: int
    between_variance: float | None
    repeat_variances: tuple[float, float] | None
    detectable: float | None
    effect: float | None
    needed: int | None
    note: str


class Powers(Tabular[Power]):
    """The power of each pair."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """The pairs as a table, with the prompts needed to detect the effect."""
        columns = {
            "Pair": [f"{one.first} : {one.second}" for one in self],
            "Prompts": [f"{one.prompts:,}" for one in self],
            "Detectable": [number(one.detectable) for one in self],
        }
        if self and self[0].effect is not None:
            needed = ["–" if one.needed is None else f"{one.needed:,}" for one in self]
            columns[f"Prompts for {number(self[0].effect)}"] = needed
        columns["Note"] = [one.note for one in self]
        return table_of("Power: the smallest difference that the comparison could have shown", columns)


def power(
    rows: Iterable[ScoreRow],
    effect: float | None = None,
    repeats: int | None = None,
    *,
    level: float = LEVEL,
    probability: float = POWER,
) -> Powers:
    r"""Return the power for each pair of variants, and the prompts needed to detect `effect`.

    Parameters
    ----------
    rows : iterable of ScoreRow
        The scores of a run; a few dozen prompts are enough.
    effect : float, optional
        The difference of the mean scores that matters to you.
    repeats : int, optional
        Repeats in the next run; by default as in this one.
    level, probability : float
        The confidence level of the test, and the probability of detecting the effect.

    Notes
    -----
    The variance of a prompt's difference is :math:`\omega^2 + \sigma_A^2/K_A + \sigma_B^2/K_B`: :math:`\omega^2`
    between prompts, :math:`\sigma^2` of repeats within a prompt (pooled), K repeats; :math:`P = (z_{1-\alpha/2} +
    z_{power})^2 (\omega^2 + \sigma_A^2/K_A + \sigma_B^2/K_B)/\delta^2` (E. Miller (2024), arXiv:2411.00640, section 5),
    corrected to the t distribution (`intervals.prompts_needed`).

    Raises
    ------
    InputError
        If there are no rows, or a parameter is out of its range.
    """
    if not 0 < probability < 1:
        raise InputError(f"a probability is between 0 and 1, not {probability}", "probability=0.8")
    if repeats is not None and not (isinstance(cast(object, repeats), numbers.Integral) and repeats >= 1):
        raise InputError(f"repeats must be a whole number from 1, not {repeats!r}", "power(effect=0.1, repeats=3)")
    if effect is not None and not (isinstance(cast(object, effect), numbers.Real) and 0 < abs(effect) < math.inf):
        raise InputError(f"effect must be a number other than 0, not {effect!r}", "power(effect=0.1)")
    aim = _Aim(effect, repeats, level, probability)
    scores = scores_by_variant(rows)
    return Powers(_power(pair, (scores[pair[0]], scores[pair[1]]), aim) for pair in itertools.combinations(scores, 2))


@dataclass(frozen=True, slots=True)
class _Aim:
    """The aim of the next run: the parameters of `power`."""

    effect: float | None
    repeats: int | None
    level: float
    probability: float


def _power(pair: tuple[str, str], scores: tuple[Scores, Scores], aim: _Aim) -> Power:
    one, other = scores
    common = [prompt for prompt in one if prompt in other]
    d = np.array([np.mean(one[prompt]) - np.mean(other[prompt]) for prompt in common])
    detectable = detectable_effect([float(x) for x in d], aim.level, aim.probability)
    if detectable is None:
        note = "the differences do not vary between prompts" if len(d) > 1 else "it takes two prompts to tell"
        return Power(*pair, len(common), None, None, None, aim.effect, None, note)
    between, noises = _variances(d, scores, common)
    variance = float(d.var(ddof=1)) if noises is None or aim.repeats is None else between + sum(noises) / aim.repeats
    needed = None
    if aim.effect and variance > 0:
        needed = prompts_needed(aim.effect, math.sqrt(variance), aim.level, aim.probability)
    note = f"{len(common)} prompts could have shown a difference of {detectable:.2g}"
    if noises is None and aim.repeats is not None:
        note = "what more repeats would change is unknown: this run has one"
    return Power(*pair, len(common), between, noises, detectable, aim.effect, needed, note)


def _variances(
    d: Floats, scores: tuple[Scores, Scores], prompts: Sequence[str]
) -> tuple[float, tuple[float, float] | None]:
    """Return the variance of the differences between prompts, and of repeats if there are any."""
    one, other = (_repeat_variance(side, prompts) for side in scores)
    total = float(d.var(ddof=1))
    if one is None or other is None:
        return total, None
    noise = one * _per_repeat(scores[0], prompts) + other * _per_repeat(scores[1], prompts)
    return max(0.0, total - noise), (one, other)


def _repeat_variance(scores: Scores, prompts: Sequence[str]) -> float | None:
    """Return the pooled variance of repeats around their prompt's mean; ``None`` if no prompt has two repeats."""
    freedom = sum(len(scores[prompt]) - 1 for prompt in prompts)
    squares = sum(float(np.var(scores[prompt])) * len(scores[prompt]) for prompt in prompts)
    return squares / freedom if freedom else None


def _per_repeat(scores: Scores, prompts: Sequence[str]) -> float:
    """Return the mean of 1/repeats: the share of the variance of repeats that remains in a prompt's mean."""
    return float(np.mean([1 / len(scores[prompt]) for prompt in prompts]))
