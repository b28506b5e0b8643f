"""Scorers, which map an answer to a number: ours to one between 0 and 1, a user's to any number.

A scorer is pure and may block (`python_passes` runs a program): call it on a worker thread, with stored answers. Its
`identity` changes when it would score differently, so scores are stored by identity and scoring again is free.

>>> score(exact(), Sample("Paris ", target="paris")).value
1.0
>>> score(of_callable(lambda _: "good"), Sample("Paris")).error
"the scorer <lambda> returned a str ('good'): return a number, True or False"
"""

from __future__ import annotations

import hashlib
import inspect
import json
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.fingerprint import fingerprint, parameters_of
from copilot_nb.experiments.program import run_python
from copilot_nb.experiments.scores import MAX_SCORE
from copilot_nb.render.markdown import code_blocks
from copilot_nb.render.words import shortened
from copilot_nb.structured import schema_of

_SHOWN_CHARS, _SHOWN_ERROR_CHARS = 60, 300
_NAMED = ("target", "prompt", "variables", "value")
_PYTHON = ("", "python", "python3", "py")
_NUMBER = re.compile(r"(?:(?<![\w.])[-+−])?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Sample:
    """The input of a scorer.

    Attributes
    ----------
    answer : str
        The answer's Markdown text.
    target : str
        The expected answer; ``""`` if the comparison has none.
    prompt : str
        The prompt as it was sent.
    variables : mapping of str to object
        The columns of the prompt's row in the user's table.
    value : object
        The answer's value by the schema of the comparison; ``None`` without a schema, or if it does not conform.
    """

    answer: str
    target: str = ""
    prompt: str = ""
    variables: Mapping[str, object] = field(default_factory=dict)
    value: object = None

    @property
    def text(self) -> str:
        """The text to compare with a target: the value, without JSON's quotes, if it is a single one; else the answer.

        >>> Sample('"spam"', value="spam").text
        'spam'
        """
        value = self.value.value if isinstance(self.value, Enum) else self.value
        return str(value) if isinstance(value, str | int | float) else self.answer


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
        Maps a `Sample` to a number or a truth value.
    """

    name: str
    identity: str
    measure: Callable[[Sample], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The score of one answer, or one line that says why it has none."""

    value: float | None
    error: str = ""


def score(scorer: Scorer, sample: Sample) -> Outcome:
    """Return the score of one answer. Never raises: an error of the scorer becomes the outcome's error."""
    try:
        return _checked(scorer.name, scorer.measure(sample))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's scorer may raise anything; the answer stays
        why = shortened(" ".join(str(error).split()), _SHOWN_ERROR_CHARS)
        return Outcome(None, f"the scorer {scorer.name} raised {type(error).__name__}{': ' if why else ''}{why}")


def _checked(name: str, value: object) -> Outcome:
    """Return `value` as a score: a finite number or a truth value, also of a numpy type."""
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
    """Return the scorer that calls `function` with the answer, and with the keyword arguments that it takes.

    Parameters
    ----------
    function : callable
        Its first parameter is the answer's text. It may also have the parameters `target`, `prompt`, `variables` and
        `value` (see `Sample`). It returns a number, or ``True`` or ``False``.
    id : str, optional
        The name; by default the function's.
    version : str, optional
        Change it when the function changes. By default the identity depends on the function's code and on what it uses
        from its module (see `fingerprint`).

    Raises
    ------
    InputError
        If it cannot be called with these arguments.
    """
    if any(function is factory for factory in FACTORIES):
        name = function.__name__
        raise InputError(f"{name} is not a scorer yet", f"call it: {name}(…)")
    if not callable(function):
        raise InputError(f"{function!r} is not a scorer", "use exact(), contains(…) or a function of the answer")
    name = id or getattr(function, "__name__", type(function).__name__)
    if inspect.iscoroutinefunction(function):
        raise InputError(f"the scorer {name} is asynchronous", "define it without async")
    wanted, others = parameters_of(function, _NAMED)
    if others:
        hint = "its first parameter is the answer; others may be target, prompt, variables, value"
        raise InputError(f"the scorer {name} has a parameter {others[0]} that is never given", hint)

    def measure(sample: Sample) -> object:
        return function(sample.answer, **{key: getattr(sample, key) for key in wanted})

    return Scorer(name, f"{name}@{version or fingerprint(function)}", measure)


def _built_in(name: str, measure: Callable[[Sample], object], **options: object) -> Scorer:
    """Return a built-in scorer. Raise the ``2`` if one of them would score differently: all are then computed again."""
    told = json.dumps(options, sort_keys=True, default=str)
    return Scorer(name, f"{name}@2:{hashlib.sha256(told.encode()).hexdigest()[:16]}", measure)


def exact(target: object = None, *, ignore_case: bool = True) -> Scorer:
    """Score 1 if the answer equals the target, ignoring whitespace around and between words."""

    def measure(sample: Sample) -> bool:
        return _plain(sample.text, ignore_case) == _plain(_target(target, sample), ignore_case)

    return _built_in("exact", measure, target=target, ignore_case=ignore_case)


def contains(target: object = None, *, ignore_case: bool = True) -> Scorer:
    """Score 1 if the answer contains the target, ignoring whitespace between words."""

    def measure(sample: Sample) -> bool:
        return _plain(_target(target, sample), ignore_case) in _plain(sample.text, ignore_case)

    return _built_in("contains", measure, target=target, ignore_case=ignore_case)


def regex(pattern: str, flags: int = 0) -> Scorer:
    """Score 1 if `pattern` is found in the answer.

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
        "regex", lambda sample: compiled.search(sample.text) is not None, pattern=pattern, flags=int(flags)
    )


def numeric(target: float | str | None = None, *, tolerance: float = 1e-9, relative: float = 0.0) -> Scorer:
    """Score 1 if the last number in the answer equals the target.

    Parameters
    ----------
    target : float, optional
        By default the number in the target of the prompt.
    tolerance : float
        The permitted absolute error.
    relative : float
        The permitted error as a share of the target; the larger of the two limits applies.

    Raises
    ------
    InputError
        If the target is not a number.
    """
    given = None if target is None else _number(target)

    def measure(sample: Sample) -> bool:
        wanted = given if given is not None else _last_number(_target(None, sample))
        if wanted is None:
            raise InputError(f"the target {sample.target!r} holds no number", "give a number, or use contains()")
        found = _last_number(sample.text)
        return found is not None and abs(found - wanted) <= max(tolerance, relative * abs(wanted))

    return _built_in("numeric", measure, target=target, tolerance=tolerance, relative=relative)


def json_schema(schema: object) -> Scorer:
    """Score 1 if the answer contains JSON that conforms to `schema` (see `copilot_nb.structured`).

    Raises
    ------
    InputError
        If it is not a schema.
    """
    known = schema_of(schema)
    return _built_in("json_schema", lambda sample: not known.read(sample.answer).error, schema=known.identity)


def similarity(target: object = None, *, ignore_case: bool = True, ignore_order: bool = False) -> Scorer:
    """Score the similarity of the answer and the target, from 0 to 1, by rapidfuzz.

    The normalized similarity by insertions and deletions of characters (``rapidfuzz.fuzz.ratio``); with `ignore_order`
    of the sorted words (``token_sort_ratio``).

    Raises
    ------
    InputError
        If rapidfuzz is not installed.
    """
    with extra("experiments"):
        from rapidfuzz import fuzz
    alike = fuzz.token_sort_ratio if ignore_order else fuzz.ratio

    def measure(sample: Sample) -> float:
        return alike(_plain(sample.text, ignore_case), _plain(_target(target, sample), ignore_case)) / 100

    return _built_in("similarity", measure, target=target, ignore_case=ignore_case, ignore_order=ignore_order)


def python_passes(tests: str | None = None, *, timeout_s: float = 10.0, memory_mb: int = 512) -> Scorer:
    """Score 1 if the answer's Python code, followed by the tests, runs to its end.

    `copilot_nb.experiments.program` says what is isolated: enough against accidents, not against attacks.

    Parameters
    ----------
    tests : str, optional
        Python code, such as ``"assert add(1, 2) == 3"``. By default the target of the prompt; if that is empty, too,
        the code need only run.
    timeout_s : float
        Seconds after which the program is ended and scores 0.
    memory_mb : int
        Memory limit of each of its processes, in MB.

    Raises
    ------
    InputError
        If a limit is not greater than 0.
    """
    for name, limit in (("timeout_s", timeout_s), ("memory_mb", memory_mb)):
        if not limit > 0:
            raise InputError(f"{name} must be greater than 0, not {limit}")

    def measure(sample: Sample) -> bool:
        code, checks = _python_in(sample.answer), sample.target if tests is None else tests
        return bool(code) and run_python(code, checks, timeout_s=timeout_s, memory_mb=memory_mb).passed

    return _built_in("python_passes", measure, tests=tests, timeout_s=timeout_s, memory_mb=memory_mb)


def _python_in(answer: str) -> str:
    """Return the Python code blocks of an answer as one program; an answer without code blocks counts as code."""
    blocks = code_blocks(answer)
    python = [block.code for block in blocks if block.language.lower() in _PYTHON]
    return ("\n\n".join(python) if blocks else answer).strip()


def _number(target: float | str) -> float:
    try:
        return float(target)
    except (TypeError, ValueError) as error:
        raise InputError(f"{target!r} is not a number", "for example: numeric(42); for a text: contains(…)") from error


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "").replace("−", "-")) if found else None


def _target(given: object, sample: Sample) -> str:
    target = sample.target if given is None else str(given)
    if not target.strip():
        raise InputError("there is no target to compare with", "give each prompt a target, or name one: exact('42')")
    return target


def _plain(text: str, ignore_case: bool) -> str:
    line = " ".join(text.split())
    return line.casefold() if ignore_case else line


FACTORIES = (exact, contains, regex, numeric, json_schema, similarity, python_passes)
"""The functions that return a built-in scorer."""
