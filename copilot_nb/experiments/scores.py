"""The rows that the statistics read: one score for each answer, one outcome for each pairwise judgement.

Plain data without numpy: the engine and the store make them, `statistics` and `preferences` read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from copilot_nb.errors import InputError

MAX_SCORE = 1e100  # the square of a much greater number would be infinite

Scores = Mapping[str, Sequence[float]]
"""The scores of the repeats of each prompt that has any."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of one answer.

    Attributes
    ----------
    prompt : str
        The prompt, which is the unit of all statistics. Prompts of one group (questions about one passage) have the
        same value.
    variant : str
        The variant of the comparison (model, provider, system message, effort).
    repeat : int
        The repeat of this prompt with this variant.
    score : float or None
        Higher is better. ``None``: there is no score, because the answer failed or the scorer did.
    retried : bool
        Whether the answer took more than one attempt.
    failed : bool
        Whether there is no answer because the model or the runtime failed. An answer without a score has not failed.
    """

    prompt: str
    variant: str
    repeat: int
    score: float | None
    retried: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """The outcome of one comparison of two answers to the same prompt, by a judge or a person.

    Attributes
    ----------
    prompt : str
        The prompt, which is the unit of all statistics.
    first, second : str
        The two variants; `first` does not mean "shown first".
    outcome : float
        1: the first is better; 0: the second is better; 0.5: a tie.
    """

    prompt: str
    first: str
    second: str
    outcome: float


def scores_by_variant(rows: Iterable[ScoreRow], *, failures_as_zero: bool = False) -> dict[str, Scores]:
    """Return the scores of each variant by prompt, in the order of the rows.

    A prompt without a score up to `MAX_SCORE` is left out.

    Raises
    ------
    InputError
        If there are no rows.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        prompts = found.setdefault(row.variant, {})
        score = row.score if not row.failed else 0.0 if failures_as_zero else None
        if score is not None and abs(score) <= MAX_SCORE:  # false for NaN
            prompts.setdefault(row.prompt, []).append(float(score))
    if not found:
        raise InputError("there are no scores to compare", "run the comparison with `scorers=[…]` or `judge=…`")
    return {**found}
