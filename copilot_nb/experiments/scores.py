"""The rows that the statistics read: one score for each answer, one outcome for each pairwise judgement.

Plain data without numpy: the engine and the store make them, `statistics` and `preferences` read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from copilot_nb.errors import InputError


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
