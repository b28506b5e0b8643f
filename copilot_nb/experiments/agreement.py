"""How often raters agree: judges with people, people with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from copilot_nb.experiments.scores import Preference

_TIE = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often each two raters agree.

    Attributes
    ----------
    raters : tuple of str
        Their names.
    shares : tuple of tuple of float or None
        For each two the share of the pairs of answers that both rated and rated alike; ``None`` without such pairs.
    pairs : tuple of tuple of int
        For each two the pairs of answers that both rated (count).
    """

    raters: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]
    pairs: tuple[tuple[int, ...], ...]


def agreement(preferences: Mapping[str, Iterable[Preference]]) -> Agreement:
    """Return how often raters agree on which of two answers to a prompt is better, or that neither is.

    Parameters
    ----------
    preferences : mapping of str to iterable of Preference
        For each rater the judgements. Several of one pair on one prompt count as their mean.
    """
    verdicts = {rater: _verdicts(judged) for rater, judged in preferences.items()}
    shares = (tuple(_share(one, other) for other in verdicts.values()) for one in verdicts.values())
    pairs = (tuple(len(one.keys() & other.keys()) for other in verdicts.values()) for one in verdicts.values())
    return Agreement(tuple(verdicts), tuple(shares), tuple(pairs))


def _verdicts(judged: Iterable[Preference]) -> dict[tuple[str, str, str], int]:
    """Return for each prompt and pair (the names sorted) which is better: 1 the first, -1 the second, 0 neither."""
    outcomes: dict[tuple[str, str, str], list[float]] = {}
    for one in judged:
        is_ordered = one.first < one.second
        pair = (one.first, one.second) if is_ordered else (one.second, one.first)
        outcomes.setdefault((one.prompt, *pair), []).append(one.outcome if is_ordered else 1 - one.outcome)
    means = {key: sum(values) / len(values) for key, values in outcomes.items()}
    return {key: (mean > _TIE) - (mean < _TIE) for key, mean in means.items()}


def _share(one: Mapping[tuple[str, str, str], int], other: Mapping[tuple[str, str, str], int]) -> float | None:
    common = one.keys() & other.keys()
    return sum(one[key] == other[key] for key in common) / len(common) if common else None
