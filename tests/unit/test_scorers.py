"""Scorers: what they score, what they say about a bad one, and the identity that scores are stored under."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from copilot_nb.errors import InputError, TurnInterrupted
from copilot_nb.experiments.program import run_python
from copilot_nb.experiments.scorers import (
    Sample,
    Scorer,
    as_scorer,
    contains,
    exact,
    json_schema,
    numeric,
    of_callable,
    python_passes,
    regex,
    score,
    similarity,
)
from copilot_nb.experiments.scoring import checked, score_missing


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
        (numeric(1234.5), "First 7, then $1,234.50.", 1.0),
        (numeric(-3), "It is −3", 1.0),
        (numeric(5), "10-5", 1.0),
        (numeric(2e-3), "about 2.0E-3 m", 1.0),
        (numeric(3.14, tolerance=0.01), "3.1459", 1.0),
        (numeric(100, relative=0.1), "109", 1.0),
        (numeric(100, relative=0.1), "111", 0.0),
        (numeric(100), "I cannot tell.", 0.0),
        (similarity("kitten"), "Kitten", 1.0),
        (similarity("to be or not"), "or not to be", 0.5),
        (similarity("to be or not", ignore_order=True), "or not to be", 1.0),
        (json_schema({"type": "object", "required": ["a"]}), '```json\n{"a": 1}\n```', 1.0),
        (json_schema(int), '"a"', 0.0),
    ],
)
def test_what_a_built_in_scorer_scores(scorer: Scorer, answer: str, expected: float) -> None:
    assert value(scorer, answer) == expected


def test_the_target_of_the_prompt_is_used_and_a_missing_one_is_said() -> None:
    assert value(exact(), "Paris", target="Paris") == 1.0
    assert value(numeric(), "It is 4", target="4.0") == 1.0
    assert "no target" in score(contains(), Sample("Paris")).error
    assert "holds no number" in score(numeric(), Sample("4", target="four")).error


def test_an_invalid_pattern_is_refused_at_once() -> None:
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


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda _: 10**400, "raised OverflowError"),
        (lambda _: sys.exit(1), "raised SystemExit"),
        (lambda _: {}["x" * 1000], "more characters)"),
    ],
)
def test_whatever_a_scorer_raises_is_one_short_line(function: Callable[..., object], said: str) -> None:
    outcome = score(of_callable(function), Sample("x"))
    assert outcome.value is None
    assert said in outcome.error
    assert len(outcome.error) < 400


def test_a_callable_is_given_what_it_names() -> None:
    def measure(answer: str, target: str, *, variables: object, value: int, weight: float = 2.0) -> float:
        return weight * (answer == target) * variables["factor"] * value

    sample = Sample("a", target="a", variables={"factor": 3}, value=7)
    assert score(as_scorer(measure), sample).value == 42.0


class Mood(StrEnum):
    GOOD = "good"


@pytest.mark.parametrize(
    ("scorer", "value", "expected"),
    [
        (exact("good"), "good", 1.0),
        (exact("good"), Mood.GOOD, 1.0),
        (regex("^good$"), "good", 1.0),
        (similarity("good"), "good", 1.0),
        (contains('"'), "good", 0.0),
        (numeric(7), 7, 1.0),
        (contains('"'), ["not a single one"], 1.0),
        (contains('"'), None, 1.0),
    ],
)
def test_a_single_value_of_a_schema_is_compared_instead_of_its_json(
    scorer: Scorer, value: object, expected: float
) -> None:
    assert score(scorer, Sample('"an answer"', value=value)).value == expected


@pytest.mark.parametrize("function", [lambda: 1.0, lambda _, __: 1.0, lambda *, _target: 1.0])
def test_a_callable_that_cannot_be_called_is_refused_before_anything_is_scored(function: Callable[..., float]) -> None:
    with pytest.raises(InputError):
        as_scorer(function)


def test_an_asynchronous_function_is_not_a_scorer() -> None:
    async def later(_answer: str) -> float:
        return 1.0

    with pytest.raises(InputError, match="the scorer later is asynchronous → define it without async"):
        as_scorer(later)


def test_a_word_is_not_a_scorer() -> None:
    with pytest.raises(InputError, match="is not a scorer"):
        as_scorer("exact")


def identity(source: str) -> str:
    """The identity of the function `f` of a cell."""
    cell = {"__name__": "__main__"}
    exec(textwrap.dedent(source), cell)
    return as_scorer(cell["f"]).identity


def twice(source: str, *values: object) -> list[str]:
    return [source.format(value) for value in values]


def test_the_identity_follows_what_a_callable_does() -> None:
    first = identity("limit = 3\ndef g(a): return len(a)\ndef f(a): return g(a) > limit")
    same = identity("limit = 3\n\n\ndef g(a):\n  return len(a)\ndef f(a):\n  # a comment\n  return g(a) > limit")
    assert same == first
    changed = [
        "limit = 4\ndef g(a): return len(a)\ndef f(a): return g(a) > limit",
        "limit = 3\ndef g(a): return len(a) + 1\ndef f(a): return g(a) > limit",
        "limit = 3\ndef g(a): return len(a)\ndef f(a): return g(a) >= limit",
        "limit = 3\ndef g(a): return len(a)\ndef f(a, b=2): return g(a) > limit",
        *twice("def make(limit):\n  def f(a): return len(a) > limit\n  return f\nf = make({})", 3, 4),
        *twice("import functools\ndef g(a, b): return len(a) > b\nf = functools.partial(g, b={})", 3, 4),
        *twice("class C:\n  n = {}\n  def __call__(s, a): return len(a) > s.n\nf = C()", 3, 4),
        *twice("class C:\n  def __init__(s, n): s.n = n\n  def __call__(s, a): return len(a) > s.n\nf = C({})", 3, 4),
        *twice("class C:\n  def __call__(s, a): return len(a) {} 3\nf = C()", ">", ">="),
        *twice("words = {}\ndef f(a): return a in words", ["a"], ["b"]),
        *twice("words = {}\ndef f(a): return a in words", {"a": 1}, {"a": 2}),
        *twice("import re\npattern = re.compile({!r})\ndef f(a): return bool(pattern.search(a))", "a", "b"),
        *twice("import datetime\nday = datetime.date(2026, 1, {})\ndef f(a): return str(day) in a", 1, 2),
        *twice("from math import {0}\ndef f(a): return {0}(len(a))", "sqrt", "log"),
    ]
    identities = {first, *map(identity, changed)}
    assert len(identities) == 1 + len(changed)


def test_the_identity_survives_recursion_and_a_set_of_words() -> None:
    source = "def f(a): return f(a[1:]) if a in {'x', 'y', 'z'} else 1.0"
    assert identity(source) == identity(source)


def test_the_identity_does_not_follow_other_modules_nor_addresses() -> None:
    source = "import pandas, threading\nlock = threading.Lock()\ndef f(a): return pandas.isna(a), lock"
    assert identity(source) == identity(source)


def test_the_identity_of_built_in_scorers_follows_their_options() -> None:
    scorers = [
        *(exact(), exact("a"), exact(ignore_case=False), contains("a"), regex("a"), regex("a", re.IGNORECASE)),
        *(numeric(), numeric(1), numeric(tolerance=1), similarity(), similarity(ignore_order=True)),
        *(json_schema(int), json_schema(str), python_passes(), python_passes("f()"), python_passes(timeout_s=1)),
    ]
    assert len({scorer.identity for scorer in scorers}) == len(scorers)
    assert exact("a").identity == exact("a").identity


def test_the_identity_tells_which_of_two_objects_is_used_again() -> None:
    source = "YES, NO = ['y'], ['n']\ndef f(answer, words=(YES, NO, {})):\n    return 1.0\n"
    assert identity(source.format("YES")) != identity(source.format("NO"))


def test_the_identity_does_not_depend_on_the_order_of_a_set() -> None:
    source = "A, B = (1, 'a'), (2, 'b')\nBOTH = set()\n{}\ndef f(answer, of=(BOTH, A)):\n    return 1.0\n"
    orders = ("BOTH.add(A); BOTH.add(B)", "BOTH.add(B); BOTH.add(A)")
    assert identity(source.format(orders[0])) == identity(source.format(orders[1]))


def test_an_interrupt_does_not_wait_for_a_scorer_that_never_returns() -> None:
    release, has_returned = threading.Event(), threading.Event()
    kept: dict[tuple[str, str], float] = {}

    def measure(sample: Sample) -> float:
        if sample.answer == "stuck":
            release.wait(10)
            has_returned.set()
        return 1.0

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    store: Any = SimpleNamespace(scores=lambda _: {}, keep_scores=lambda _, scores: kept.update(scores))
    places = [("stuck", ""), ("quick", "")]
    with pytest.raises(TurnInterrupted, match="1 of 2 scores"):
        score_missing(store, Scorer("mine", "mine@1", measure), places, lambda place: Sample(place[0]), interrupt)
    assert (has_returned.is_set(), kept) == (False, {("quick", ""): 1.0})
    release.set()


def test_a_version_of_the_user_replaces_the_fingerprint() -> None:
    assert of_callable(lambda _: 1.0, id="mine", version="2").identity == "mine@2"


# --- programs ---------------------------------------------------------------------------------------------------------

ADD = "Here it is:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nRun it:\n\n```bash\npython add.py\n```\n"


def test_the_code_of_an_answer_is_tested() -> None:
    assert value(python_passes("assert add(1, 2) == 3"), ADD) == 1.0
    assert value(python_passes(), ADD, target="assert add(1, 2) == 4") == 0.0
    assert value(python_passes(), "print(1 / 1)") == 1.0
    assert value(python_passes(), "```bash\nls\n```") == 0.0
    assert value(python_passes(), "") == 0.0


@pytest.mark.parametrize(
    ("code", "tests", "passed"),
    [
        ("x = 1", "assert x == 1", True),
        ("import sys\nsys.exit(0)", "assert False", False),
        ("import os\nos._exit(0)", "assert False", False),
        ("import sys\nsys.exit(0)", "", True),
        ("import sys\nsys.exit(3)", "", False),
        (
            "x = 1",
            "import sys\nassert x\nsys.exit(0)",
            True,
        ),
        ("open('passed', 'w').write('yes')\n1 / 0", "", False),
        ("if __name__ == '__main__':\n  input()", "pass", True),
        (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n  x: int",
            "assert P(1).x == 1",
            True,
        ),
        ("def f(:", "", False),
        ("print('\\ud800')", "", False),
    ],
)
def test_a_program_passes_only_if_it_reaches_its_end(code: str, tests: str, passed: bool) -> None:
    ran = run_python(code, tests)
    assert ran.passed is passed, ran.output
    assert not ran.timed_out


def test_a_program_sees_no_secret_and_not_our_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = run_python("import os\nprint(dict(os.environ), os.getcwd(), os.listdir())")
    assert "secret" not in ran.output
    assert str(Path.cwd()) not in ran.output
    assert "['answer.py']" in ran.output


def test_memory_and_files_are_limited() -> None:
    ran = run_python("x = bytearray(10**9)", memory_mb=200)
    assert not ran.passed
    assert "MemoryError" in ran.output
    assert "File too large" in run_python("open('x', 'wb').write(bytes(32 << 20))").output


LEAVE_A_CHILD = """
import subprocess, sys
wire = open({wire!r}, "w")
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=wire)
"""


@pytest.mark.parametrize(("end", "timeout_s"), [("", 30), ("import time; time.sleep(600)", 2)])
def test_what_a_program_started_ends_with_it(tmp_path: Path, end: str, timeout_s: float) -> None:
    wire = tmp_path / "wire"
    os.mkfifo(wire)
    reader = os.open(wire, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ran = run_python(LEAVE_A_CHILD.format(wire=str(wire)) + end, timeout_s=timeout_s)
        assert (ran.passed, ran.timed_out) == (not end, bool(end)), ran.output
        assert select.select([reader], [], [], 10)[0], "the child still holds the pipe"
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_a_program_ends_with_the_kernel(tmp_path: Path) -> None:
    wire = tmp_path / "wire"
    os.mkfifo(wire)
    code = f"import time\nwire = open({str(wire)!r}, 'w')\nprint('up', file=wire, flush=True)\ntime.sleep(600)"
    kernel = f"from copilot_nb.experiments.program import run_python\nrun_python({code!r}, timeout_s=600)"
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed kernel removes nothing
    with subprocess.Popen([sys.executable, "-c", kernel], env=env) as process, wire.open() as reader:
        assert reader.readline() == "up\n"
        process.kill()
        assert select.select([reader], [], [], 10)[0], "the program still holds the pipe"
        assert reader.read() == ""


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (None, "None is not a scorer"),
        ("exact", "'exact' is not a scorer"),
        (exact, "exact is not a scorer yet → call it: exact(…)"),
        ([exact(), numeric], "numeric is not a scorer yet"),
    ],
    ids=["none", "name", "function", "list"],
)
def test_an_invalid_scorer_is_refused_in_one_line_before_scoring(wanted: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(wanted)
    assert said in str(caught.value)


def test_a_target_may_be_of_the_other_type() -> None:
    assert value(exact(42), "42") == value(contains(42), "it is 42") == value(numeric("42"), "so 42.0") == 1
    with pytest.raises(InputError, match="'forty' is not a number → for example: numeric"):
        numeric("forty")


@pytest.mark.parametrize("limit", [{"timeout_s": -1}, {"memory_mb": 0}, {"timeout_s": float("nan")}], ids=str)
def test_a_limit_of_a_program_is_greater_than_0(limit: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(limit))} must be greater than 0"):
        python_passes(**limit)
