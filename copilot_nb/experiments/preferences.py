"""Statistics of pairwise preferences: wins of two variants, and a ranking of three or more.

The unit is the prompt here, too. Two variants need no model: wins, ties, losses and the sign test. Three or more get
Elo-style ratings: 0 is the mean of the variants, and a variant with 400 points more wins ten times as often as it
loses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.intervals import LEVEL, Floats, Interval, holm, proportion_interval, sign_test, t_quantile
from copilot_nb.experiments.scores import Preference
from copilot_nb.experiments.statistics import FEW_PROMPTS, verdict

with extra("experiments"):
    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

POINTS = 400 / float(np.log(10))  # points per unit of log-odds
PRIOR_POINTS = 400.0
_MAX_STEPS = 100
_ENOUGH = 1e-10
_TIE = 0.5


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """Two variants compared by preference.

    Attributes
    ----------
    first, second : str
        The two variants.
    wins, ties, losses : int
        Prompts on which `first` is better, neither is, and `second` is (count). Several judgements of one prompt count
        as their mean.
    share : Interval
        The share of prompts that `first` wins; a tie counts half.
    p, p_adjusted : float
        The p-value of the sign test of wins and losses, unadjusted, and adjusted by Holm for testing all pairs.
    verdict : str
        One short sentence.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    share: Interval
    p: float
    p_adjusted: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Rating:
    """One variant's rating in points."""

    variant: str
    points: Interval


@dataclass(frozen=True, slots=True)
class Ranking:
    """All variants, the best first.

    Attributes
    ----------
    ratings : tuple of Rating
        The best first; empty if the variants cannot be ranked together.
    prompts, judgements : int
        The prompts and judgements behind the ratings (count).
    note : str
        Why there is no ranking or no interval, or a warning that there are few prompts.
    """

    ratings: tuple[Rating, ...]
    prompts: int
    judgements: int
    note: str = ""


def head_to_head(preferences: Iterable[Preference], level: float = LEVEL) -> tuple[HeadToHead, ...]:
    """Return the comparison of each pair of variants that has judgements.

    `share` has Wilson's interval of the effective number of prompts (`intervals.proportion_interval`; ties make
    it greater), `p` is the exact sign test (`intervals.sign_test`).

    Raises
    ------
    InputError
        If there are no judgements, or one has an outcome other than 0 to 1.
    """
    judged = _judged(preferences)
    grouped: dict[tuple[str, str], dict[str, list[float]]] = {}
    for one in judged:
        pair = (one.first, one.second)
        swapped = pair not in grouped and pair[::-1] in grouped
        outcomes = grouped.setdefault(pair[::-1] if swapped else pair, {})
        outcomes.setdefault(one.prompt, []).append(1 - one.outcome if swapped else one.outcome)
    pairs = [_pair(*pair, outcomes, level) for pair, outcomes in grouped.items()]
    corrected = zip(pairs, holm([pair.p for pair in pairs]), strict=True)
    return tuple(_told(replace(pair, p_adjusted=p), 1 - level) for pair, p in corrected)


def _judged(preferences: Iterable[Preference]) -> list[Preference]:
    judged = list(preferences)
    if not judged:
        raise InputError("there are no judgements to compare", "vote in the panel, or run with `judge=…`")
    for one in judged:
        if not 0 <= one.outcome <= 1 or one.first == one.second:
            raise InputError(f"{one} is not a judgement", "its outcome is 1, 0.5 or 0, its variants are two")
    return judged


def _pair(first: str, second: str, outcomes: dict[str, list[float]], level: float) -> HeadToHead:
    means = [sum(values) / len(values) for values in outcomes.values()]
    wins, losses = sum(mean > _TIE for mean in means), sum(mean < _TIE for mean in means)
    share = proportion_interval(means, len(means) if set(means) <= {0.0, 1.0} else math.inf, level)
    p = sign_test(wins, losses).p
    return HeadToHead(first, second, wins, len(means) - wins - losses, losses, share, p, p, "")


def _told(pair: HeadToHead, alpha: float) -> HeadToHead:
    better = pair.first if pair.wins > pair.losses else pair.second
    prompts = pair.wins + pair.ties + pair.losses
    return replace(pair, verdict=verdict(better, prompts=prompts, p=pair.p_adjusted, alpha=alpha))


@dataclass(frozen=True)
class _Games:
    """Judgements as arrays: the two variants, the outcome, and the prompt."""

    variants: tuple[str, ...]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    outcome: Floats
    prompt: NDArray[np.intp]

    @property
    def prompts(self) -> int:
        return int(self.prompt.max()) + 1


def rank(preferences: Iterable[Preference], *, prior_points: float = PRIOR_POINTS, level: float = LEVEL) -> Ranking:
    r"""Return the Bradley-Terry ratings of all variants, with intervals that follow the prompts.

    Parameters
    ----------
    preferences : iterable of Preference
        A tie counts as half a win and half a loss.
    prior_points : float
        The standard deviation of the prior of each rating around the mean: it keeps a variant that wins every time
        finite.
    level : float
        The confidence level of the intervals.

    Notes
    -----
    :math:`P(i \succ j) = 1/(1 + e^{\beta_j - \beta_i})` (R. A. Bradley and M. E. Terry, Biometrika 39 (1952) 324), at
    the maximum of the likelihood times a normal prior (:math:`\lambda = 1/\sigma^2` on each :math:`\beta`), by Newton's
    method. Covariance: the sandwich :math:`H^{-1} \bigl(\tfrac{C}{C-1} \sum_c g_c g_c^T\bigr) H^{-1}`, :math:`g_c` the
    summed gradient of the judgements of prompt c, with t at C - 1 degrees of freedom (P. J. Huber (1967); K.-Y. Liang
    and S. Zeger, Biometrika 73 (1986) 13; the Chatbot Arena, W.-L. Chiang et al. (2024), arXiv:2403.04132, uses a
    sandwich, too). Ratings exist without a prior only if from each variant a chain of wins or ties leads to each other
    (L. R. Ford, Amer. Math. Monthly 64 (1957) 28): else there are no intervals.

    Raises
    ------
    InputError
        If there are no judgements, or one has an outcome other than 0 to 1.
    """
    judged = _judged(preferences)
    games = _games(judged)
    if _parts(games, "weak") > 1:
        return Ranking(
            (), games.prompts, len(judged), "not all variants were compared with each other, not even through others"
        )
    prior = (POINTS / prior_points) ** 2
    beta = _fit(games, prior)
    error, note = _errors(games, beta, prior)
    half = t_quantile(level, games.prompts - 1) * error * POINTS if error is not None else None
    points = (beta - beta.mean()) * POINTS
    ratings = [
        Rating(name, Interval(float(p)) if half is None else Interval(float(p), float(p - half[k]), float(p + half[k])))
        for k, (name, p) in enumerate(zip(games.variants, points, strict=True))
    ]
    ratings.sort(key=lambda rating: -(rating.points.estimate or 0.0))
    return Ranking(tuple(ratings), games.prompts, len(judged), note)


def _games(judged: Sequence[Preference]) -> _Games:
    variants = tuple(dict.fromkeys(itertools.chain.from_iterable((one.first, one.second) for one in judged)))
    places = {name: place for place, name in enumerate(variants)}
    prompts = {name: place for place, name in enumerate(dict.fromkeys(one.prompt for one in judged))}
    return _Games(
        variants,
        np.array([places[one.first] for one in judged]),
        np.array([places[one.second] for one in judged]),
        np.array([one.outcome for one in judged], dtype=np.float64),
        np.array([prompts[one.prompt] for one in judged]),
    )


def _parts(games: _Games, connection: str) -> int:
    """Return the number of groups of variants not connected by chains of wins or ties (`weak`: by comparisons)."""
    beats = np.zeros((len(games.variants),) * 2)
    np.add.at(beats, (games.first, games.second), games.outcome)
    np.add.at(beats, (games.second, games.first), 1 - games.outcome)
    return int(sparse.csgraph.connected_components(beats > 0, directed=True, connection=connection)[0])


def _fit(games: _Games, prior: float) -> Floats:
    """Return the log-odds at the maximum, by Newton's method."""
    beta = np.zeros(len(games.variants))
    for _ in range(_MAX_STEPS):
        gradient = _gradients(games, beta).sum(axis=0) - prior * beta
        step = np.linalg.solve(_hessian(games, beta, prior), gradient)
        beta = beta + step
        if float(np.abs(step).max()) < _ENOUGH:
            break
    return beta


def _expected(games: _Games, beta: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(beta[games.second] - beta[games.first])))


def _gradients(games: _Games, beta: Floats) -> Floats:
    """Return the gradient of the log-likelihood by prompt."""
    surprise = games.outcome - _expected(games, beta)
    gradients = np.zeros((games.prompts, len(beta)))
    np.add.at(gradients, (games.prompt, games.first), surprise)
    np.add.at(gradients, (games.prompt, games.second), -surprise)
    return gradients


def _hessian(games: _Games, beta: Floats, prior: float) -> Floats:
    expected = _expected(games, beta)
    weight = expected * (1 - expected)
    hessian = prior * np.eye(len(beta))
    for one, other in ((games.first, games.second), (games.second, games.first)):
        np.add.at(hessian, (one, one), weight)
        np.add.at(hessian, (one, other), -weight)
    return hessian


def _errors(games: _Games, beta: Floats, prior: float) -> tuple[Floats | None, str]:
    """Return the standard errors of the log-odds around their mean, or ``None``, with a note on them."""
    if games.prompts == 1:
        return None, "one prompt: no interval can be computed"
    if _parts(games, "strong") > 1:
        return None, "some variants won or lost every comparison with the others: only the prior bounds their ratings"
    gradients = _gradients(games, beta)
    inverse = np.linalg.inv(_hessian(games, beta, prior))
    covariance = inverse @ (gradients.T @ gradients) @ inverse * games.prompts / (games.prompts - 1)
    centred = np.eye(len(beta)) - 1 / len(beta)
    variance = np.diag(centred @ covariance @ centred)
    if float(variance.min()) < _ENOUGH:
        return None, "the judgements do not vary between prompts: no interval can be computed"
    return np.sqrt(variance), "too few prompts to tell" if games.prompts < FEW_PROMPTS else ""
