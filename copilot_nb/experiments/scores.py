"""The rows that the statistics read: one score for each answer, one outcome for each pairwise judgement.

Plain data without numpy: the engine and the store make them, `statistics` and `preferences` read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from copilot_nb.errors import InputError

MAX_SCORE = 1e100  # the square of a greater number may not be one

Scores = Mapping[str, Sequence[float]]
"""For each prompt that has any, the scores of its repeats."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of one answer.

    Attributes
    ----------
    prompt : str
        Which prompt: the unit of all statistics. Prompts that belong together (questions about one passage) get the
        same value.
    variant : str
        Which variant of the comparison (model, provider, system message, effort).
    repeat : int
        Which repeat of this prompt with this variant.
    score : float or None
        Higher is better. ``None``: there is no score, because the answer failed or the scorer did.
    retried : bool
        Whether the answer took more than one attempt.
    failed : bool
        Whether there is no answer: the model or the runtime failed. An answer without a score has not failed.
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
        Which prompt: the unit of all statistics.
    first, second : str
        The two variants; `first` does not mean "shown first".
    outcome : float
        1: the first is better; 0: the second is better; 0.5: a tie.
    """

    prompt: str
    first: str
    second: str
    outcome: float


def variants_of(rows: Iterable[ScoreRow]) -> tuple[str, ...]:
    """Return the variants in the order in which they first appear.

    Raises
    ------
    InputError
        If there are no rows.
    """
    found = tuple(dict.fromkeys(row.variant for row in rows))
    if not found:
        raise InputError("there are no scores to compare", "run the comparison with `scorers=[…]` or `judge=…`")
    return found


def scores_of(rows: Iterable[ScoreRow], variant: str, *, failures_as_zero: bool = False) -> dict[str, list[float]]:
    """Return the scores of `variant` by prompt, up to `MAX_SCORE`; a prompt without any is left out."""
    found: dict[str, list[float]] = {}
    for row in rows:
        score = 0.0 if row.failed and failures_as_zero else None if row.failed else row.score
        if row.variant == variant and score is not None and abs(score) <= MAX_SCORE:  # not so NaN
            found.setdefault(row.prompt, []).append(float(score))
    return found
