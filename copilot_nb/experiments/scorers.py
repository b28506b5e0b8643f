"""Scorers: an answer to a number between 0 and 1, or any number of the user's own.

A scorer is pure and may block (`python_passes` runs a program): call it from a worker thread, from stored answers. Its
`identity` changes when it would score differently, so scores are stored under it and scoring again is free.

>>> score(exact(), Sample("Paris ", target="paris")).value
1.0
>>> score(of_callable(lambda _: "good"), Sample("Paris")).error
"the scorer <lambda> returned a str ('good'): return a number, True or False"
"""

from __future__ import annotations

import hashlib
import json
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from copilot_nb.errors import InputError
from copilot_nb.experiments.fingerprint import fingerprint, parameters_of
from copilot_nb.experiments.scores import MAX_SCORE

_SHOWN_CHARS = 60
_NAMED = ("target", "prompt", "variables")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a scorer may look at.

    Attributes
    ----------
    answer : str
        The answer's Markdown text.
    target : str
        The expected answer; ``""`` where the comparison has none.
    prompt : str
        The prompt as it was sent.
    variables : mapping of str to object
        The columns of the prompt's row in the user's table.
    """

    answer: str
    target: str = ""
    prompt: str = ""
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scorer:
    """A named way to turn an answer into a number; make one with the functions below.

    Attributes
    ----------
    name : str
        The name of its column.
    identity : str
        Changes when the scorer would score differently.
    measure : callable
        `Sample` to a number or a truth value.
    """

    name: str
    identity: str
    measure: Callable[[Sample], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The score of one answer, or one line about why it has none."""

    value: float | None
    error: str = ""


def score(scorer: Scorer, sample: Sample) -> Outcome:
    """Return the score of one answer. Never raises: what the scorer raises is the outcome's error."""
    try:
        value = scorer.measure(sample)
    except Exception as error:  # noqa: BLE001 - a scorer of the user may raise anything; the answer stays
        why = " ".join(str(error).split())
        return Outcome(None, f"the scorer {scorer.name} raised {type(error).__name__}{': ' if why else ''}{why}")
    return _checked(scorer.name, value)


def _checked(name: str, value: object) -> Outcome:
    """Return `value` as a score: a finite number or a truth value, of numpy too."""
    kind = type(value).__name__
    is_number = isinstance(value, numbers.Real) or kind in ("bool", "bool_")
    if not is_number or not abs(number := float(value)) <= MAX_SCORE:  # type: ignore[arg-type]
        shown = repr(value)[:_SHOWN_CHARS]
        article = "an" if kind[0] in "aeiou" else "a"
        return Outcome(None, f"the scorer {name} returned {article} {kind} ({shown}): return a number, True or False")
    return Outcome(number)


def as_scorer(wanted: Scorer | Callable[..., object]) -> Scorer:
    """Return `wanted`, or the scorer of a Python callable.

    Raises
    ------
    InputError
        If it is neither.
    """
    return wanted if isinstance(wanted, Scorer) else of_callable(wanted)


def of_callable(function: Callable[..., object], id: str = "", version: str = "") -> Scorer:  # noqa: A002
    """Return the scorer that calls `function` with the answer, and by name with what else it takes.

    Parameters
    ----------
    function : callable
        Its first parameter is the answer's text. It may also have the parameters `target`, `prompt` and `variables`
        (see `Sample`). It returns a number, or ``True`` or ``False``.
    id : str, optional
        The name; by default the function's.
    version : str, optional
        Change it when the function changes. By default the identity follows the function's code, its defaults, the
        plain values it closes over, and the plain values and functions of its own module that it uses.

    Raises
    ------
    InputError
        If it cannot be called like that.
    """
    if not callable(function):
        raise InputError(f"{function!r} is not a scorer", "use exact(), contains(…) or a function of the answer")
    name = id or getattr(function, "__name__", type(function).__name__)
    wanted, others = parameters_of(function, _NAMED)
    if others:
        hint = "its first parameter is the answer; others may be target, prompt, variables"
        raise InputError(f"the scorer {name} has a parameter {others[0]} that is never given", hint)

    def measure(sample: Sample) -> object:
        return function(sample.answer, **{key: getattr(sample, key) for key in wanted})

    return Scorer(name, f"{name}@{version or fingerprint(function)}", measure)


def _built_in(name: str, measure: Callable[[Sample], object], **options: object) -> Scorer:
    """Return one of ours. Its version, the digit after the ``@``, changes with its code."""
    told = json.dumps(options, sort_keys=True, default=str)
    return Scorer(name, f"{name}@1:{hashlib.sha256(told.encode()).hexdigest()[:16]}", measure)


def exact(target: str | None = None, *, ignore_case: bool = True) -> Scorer:
    """Score 1 where the answer is the target, but for blanks around and between words."""

    def measure(sample: Sample) -> bool:
        return _plain(sample.answer, ignore_case) == _plain(_target(target, sample), ignore_case)

    return _built_in("exact", measure, target=target, ignore_case=ignore_case)


def contains(target: str | None = None, *, ignore_case: bool = True) -> Scorer:
    """Score 1 where the answer contains the target, but for blanks between words."""

    def measure(sample: Sample) -> bool:
        return _plain(_target(target, sample), ignore_case) in _plain(sample.answer, ignore_case)

    return _built_in("contains", measure, target=target, ignore_case=ignore_case)


def regex(pattern: str, flags: int = 0) -> Scorer:
    """Score 1 where `pattern` is found in the answer.

    Raises
    ------
    InputError
        If it is not a regular expression.
    """
    try:
        compiled = re.compile(pattern, flags)
    except re.error as error:
        raise InputError(
            f"{pattern!r} is not a regular expression: {error}", "escape literal text with re.escape"
        ) from error
    return _built_in(
        "regex", lambda sample: compiled.search(sample.answer) is not None, pattern=pattern, flags=int(flags)
    )


def _target(given: str | None, sample: Sample) -> str:
    target = sample.target if given is None else given
    if not target.strip():
        raise InputError("there is no target to compare with", "give each prompt a target, or name one: exact('42')")
    return target


def _plain(text: str, ignore_case: bool) -> str:
    line = " ".join(text.split())
    return line.casefold() if ignore_case else line
