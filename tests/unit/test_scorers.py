"""Scorers: what they score, what they say about a bad one, and the identity that scores are stored under."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import numpy as np
import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.scorers import Sample, Scorer, as_scorer, contains, exact, of_callable, regex, score


def value(scorer: Scorer, answer: str, target: str = "") -> float | None:
    return score(scorer, Sample(answer, target)).value


@pytest.mark.parametrize(
    ("scorer", "answer", "expected"),
    [
        (exact("Paris"), "  paris\n", 1.0),
        (exact("Paris", ignore_case=False), "paris", 0.0),
        (exact("Paris"), "Paris.", 0.0),
        (contains("New York"), "It is new\n york.", 1.0),
        (contains("York"), "Jork", 0.0),
        (regex(r"\b42\b"), "It is 42.", 1.0),
        (regex(r"\b42\b"), "It is 420.", 0.0),
        (regex("paris", re.IGNORECASE), "PARIS", 1.0),
    ],
)
def test_what_a_built_in_scorer_scores(scorer: Scorer, answer: str, expected: float) -> None:
    assert value(scorer, answer) == expected


def test_the_target_of_the_prompt_is_used_and_a_missing_one_is_said() -> None:
    assert value(exact(), "Paris", target="Paris") == 1.0
    assert "no target" in score(contains(), Sample("Paris")).error


def test_a_pattern_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="not a regular expression"):
        regex("(")


@pytest.mark.parametrize(
    ("returned", "expected"), [(True, 1.0), (0, 0.0), (0.25, 0.25), (np.float32(0.5), 0.5), (np.bool_(True), 1.0)]
)
def test_numbers_and_truth_values_are_scores(returned: object, expected: float) -> None:
    assert value(of_callable(lambda _: returned), "x") == expected


@pytest.mark.parametrize("returned", ["good", None, float("nan"), float("inf"), [1.0], 1j])
def test_anything_else_is_one_line_and_no_score(returned: object) -> None:
    outcome = score(of_callable(lambda _: returned, id="mine"), Sample("x"))
    assert outcome.value is None
    assert outcome.error.startswith("the scorer mine returned a")
    assert "\n" not in outcome.error


def test_a_scorer_that_raises_is_one_line() -> None:
    def broken(answer: str) -> float:
        raise KeyError("two\nlines")

    outcome = score(as_scorer(broken), Sample("x"))
    assert outcome.value is None
    assert outcome.error == "the scorer broken raised KeyError: 'two\\nlines'"


def test_a_callable_is_given_what_it_names() -> None:
    def measure(answer: str, target: str, *, variables: object, weight: float = 2.0) -> float:
        return weight * (answer == target) * variables["factor"]

    sample = Sample("a", target="a", variables={"factor": 3})
    assert score(as_scorer(measure), sample).value == 6.0


@pytest.mark.parametrize("function", [lambda: 1.0, lambda _, __: 1.0, lambda *, _target: 1.0])
def test_a_callable_that_cannot_be_called_is_refused_before_anything_is_scored(function: Callable[..., float]) -> None:
    with pytest.raises(InputError):
        as_scorer(function)


def test_a_word_is_not_a_scorer() -> None:
    with pytest.raises(InputError, match="is not a scorer"):
        as_scorer("exact")


def identity(source: str) -> str:
    """The identity of the function `f` of a cell."""
    cell = {"__name__": "__main__"}
    exec(textwrap.dedent(source), cell)
    return as_scorer(cell["f"]).identity


def test_the_identity_follows_what_a_callable_does() -> None:
    first = identity("limit = 3\ndef g(a): return len(a)\ndef f(a): return g(a) > limit")
    same = identity("limit = 3\n\n\ndef g(a):\n  return len(a)\ndef f(a):\n  # a comment\n  return g(a) > limit")
    assert same == first
    changed = [
        "limit = 4\ndef g(a): return len(a)\ndef f(a): return g(a) > limit",
        "limit = 3\ndef g(a): return len(a) + 1\ndef f(a): return g(a) > limit",
        "limit = 3\ndef g(a): return len(a)\ndef f(a): return g(a) >= limit",
        "limit = 3\ndef g(a): return len(a)\ndef f(a, b=2): return g(a) > limit",
        "def make(limit):\n  def f(a): return len(a) > limit\n  return f\nf = make(3)",
        "def make(limit):\n  def f(a): return len(a) > limit\n  return f\nf = make(4)",
        "import functools\ndef g(a, b): return len(a) > b\nf = functools.partial(g, b=3)",
        "import functools\ndef g(a, b): return len(a) > b\nf = functools.partial(g, b=4)",
        "class C:\n  def __init__(s, n): s.n = n\n  def __call__(s, a): return len(a) > s.n\nf = C(3)",
        "class C:\n  def __init__(s, n): s.n = n\n  def __call__(s, a): return len(a) > s.n\nf = C(4)",
        "class C:\n  def __init__(s, n): s.n = n\n  def __call__(s, a): return len(a) >= s.n\nf = C(3)",
    ]
    identities = {first, *map(identity, changed)}
    assert len(identities) == 1 + len(changed)


def test_the_identity_survives_recursion_and_a_set_of_words() -> None:
    source = "def f(a): return f(a[1:]) if a in {'x', 'y', 'z'} else 1.0"
    assert identity(source) == identity(source)


def test_the_identity_of_built_in_scorers_follows_their_options() -> None:
    scorers = [exact(), exact("a"), exact(ignore_case=False), contains("a"), regex("a"), regex("a", re.IGNORECASE)]
    assert len({scorer.identity for scorer in scorers}) == len(scorers)
    assert exact("a").identity == exact("a").identity


def test_a_version_of_the_user_replaces_the_fingerprint() -> None:
    assert of_callable(lambda _: 1.0, id="mine", version="2").identity == "mine@2"
