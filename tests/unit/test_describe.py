"""A variable in one line, whatever it is: nothing of its class is called, and no secret is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from copilot_nb.agent.bounded import bounded
from copilot_nb.agent.describe import MAX_CHARS, Describer
from copilot_nb.agent.redaction import Redactor


def called(*_args: object) -> object:
    raise AssertionError("a hostile class was asked")


class HostileMeta(type):
    """Its types answer every question by an error."""

    __name__ = property(called)  # type: ignore[assignment]
    __mro__ = property(called)  # type: ignore[assignment]
    __eq__ = called  # type: ignore[assignment]
    __hash__ = called  # type: ignore[assignment]
    __instancecheck__ = called  # type: ignore[assignment]


class Hostile(metaclass=HostileMeta):
    """So do its instances."""

    __class__ = property(called)  # type: ignore[assignment]
    __repr__ = __str__ = __getattr__ = __len__ = __iter__ = called  # type: ignore[assignment]


class Frame(pd.DataFrame):
    """A user's own kind of table."""

    shape = property(called)


NOTHING_CALLED = f"object of type {__name__}.Hostile"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (3, "3"),
        (None, "None"),
        (10**400, "int of 1,329 bits"),
        ("a\nb", r"'a\nb'"),
        ([1, "b", [2, [3, [4]]]], "list of 3: [1, 'b', list of 2: [2, list of 2: [3, list of 1]]]"),
        ({"k": 1}, "dict of 1: {'k': 1}"),
        (range(3), "range(0, 3)"),
        (np, f"module numpy {np.__version__}"),
        (bounded, "function bounded(text, max_chars)"),
        (Describer, "class copilot_nb.agent.describe.Describer"),
        (np.float64(1.5), "np.float64(1.5)"),
        (np.zeros((2, 3)), "numpy.ndarray of shape (2, 3), float64: 0.0, 0.0, 0.0, 0.0, 0.0, 0.0"),
        (np.array([called]), "numpy.ndarray of shape (1,), object: …"),
        (
            pd.DataFrame({"a": [1], "b": ["x"]}).astype(object),
            "pandas.DataFrame of 1 rows and 2 columns: 'a' object, 'b' object",
        ),
        (pd.Series([1, 2], name="n"), "pandas.Series 'n' of 2, int64: 1, 2, …"),
        (Hostile(), NOTHING_CALLED),
        ([Hostile()], f"list of 1: [{NOTHING_CALLED}]"),
        (pd.Series([Hostile()], dtype=object), f"pandas.Series None of 1, object: {NOTHING_CALLED}, …"),
        (Frame({"a": [1]}), f"object of type {__name__}.Frame"),
    ],
    ids=lambda value: value if type(value) is str else "",
)
def test_a_value_is_one_line(value: object, line: str) -> None:
    assert Describer().describe(value) == line


def test_a_list_of_itself_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert Describer().describe(endless).startswith("list of 1: [list of 1: [")


@pytest.mark.parametrize(
    "make",
    [
        lambda: "x" * 10**8,
        lambda: list(range(10**6)),
        lambda: dict.fromkeys(range(10**6)),
        lambda: np.zeros(10**8, dtype="int8"),
        lambda: pd.DataFrame(np.zeros((10**5, 100))),
    ],
)
def test_a_large_value_takes_no_time(make: Callable[[], object]) -> None:
    value = make()
    Describer().describe(value)
    start_s = time.process_time()
    assert len(Describer().describe(value)) <= MAX_CHARS
    assert time.process_time() - start_s < 0.1


def test_a_secret_that_is_cut_off_is_hidden_all_the_same() -> None:
    describer = Describer(Redactor({"value-of-environ": "TOKEN"}).hide)
    for chars in range(140, 165):
        assert "value-" not in describer.describe("x" * chars + "value-of-environ")


def test_a_bounded_text_keeps_both_ends() -> None:
    assert bounded("abc", 3) == "abc"
    assert bounded("a" * 50 + "b" * 50, 30) == f"{'a' * 10}\n… (70 characters left out)\n{'b' * 20}"
