"""A variable at length, quickly, and without running any code of its class."""

from __future__ import annotations

import time
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from copilot_nb.agent.describe import Describer
from copilot_nb.agent.looking import is_readable_name, looking_tools
from copilot_nb.agent.redaction import Redactor
from copilot_nb.agent.summary import summary
from copilot_nb.agent.tools import CallContext, CellRecord, ToolFailure, ToolSpec

from .test_describe import Hostile

BUDGET_S = 0.1
"""What a look may take (seconds)."""
CONTEXT = CallContext("s1", "id1", "c1")
LOUD = 'class Loud:\n    """Says hello."""\n\n    def hello(self, name): ...\n'


def lines(value: Any, describer: Describer = Describer()) -> list[str]:  # noqa: B008 - immutable
    return summary("x", value, describer).splitlines()[1:]


def test_an_array_by_a_sample_that_is_counted() -> None:
    assert lines(np.array([1.0, np.nan, 3.0])) == ["  24 bytes", "  min 1, mean 2, max 3, 1 missing"]
    assert lines(np.arange(100_000))[1].endswith("0 missing (of a sample of 10,000)")
    assert lines(np.array(["a", None], object))[1] == "  values: 'a', None"
    assert lines(np.zeros(0))[1] == "  no values"
    assert lines(np.full(3, np.nan))[1] == "  3 missing"
    for array in (np.zeros((4, 4))[:, ::2], np.asfortranarray(np.ones((3, 3)))):
        assert "0 missing" in lines(array)[1]


def test_a_table_by_its_columns_and_first_rows() -> None:
    table = pd.DataFrame(
        {
            "n": [1.0, None, 3.0],
            "word": ["a", None, "a"],
            "when": pd.to_datetime(["2026-01-01", None, "2026-01-03"]),
            "kind": pd.Categorical(["x", "y", "x"]),
            "thing": pd.Series([Hostile(), None, Hostile()], dtype=object),
            "whole": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    said = "\n".join(lines(table))
    assert "'n': float64, min 1, mean 2, max 3, 1 missing" in said
    assert "1 missing, 1 different texts, such as 'a'" in said
    assert "1 missing, such as Timestamp('2026-01-01 00:00:00'), NaT" in said
    assert "'kind': category, 0 missing, 2 different texts" in said
    assert f"'thing': object, 1 missing, such as object of type {Hostile.__dict__['__module__']}.Hostile" in said
    assert "'whole': Int64, 1 missing, such as 1, <NA>, 3" in said
    assert said.splitlines()[-3].startswith("  1.0 | 'a' | Timestamp")
    assert lines(pd.DataFrame())[1:] == ["  index: pandas.RangeIndex of 0, int64: "]
    assert any("40 more columns" in line for line in lines(pd.DataFrame(np.zeros((1, 100)))))


def test_a_series_and_an_index() -> None:
    assert lines(pd.Series([1, 2]))[0] == "  int64, min 1, mean 1.5, max 2, 0 missing"
    assert lines(pd.Series([True, False]))[0].startswith("  bool, min 0")


def test_code_is_described_by_its_source() -> None:
    namespace: dict[str, Any] = {}
    exec(LOUD, namespace)
    assert lines(namespace["Loud"]) == ["  bases: object", "Says hello.", "  hello(self, name)"]
    held = namespace["Loud"]()
    held.size, held.password = 3, "hunter2"
    assert lines(held)[:2] == ["  .size = 3", "  .password = ‹secret: password›"]
    assert lines(fastest_s)[0] == "def fastest_s(value: Any) -> float:"
    nowhere = types.FunctionType(compile("def f(): 'Doc.'", "<gone>", "exec").co_consts[0], {})
    assert lines(nowhere) == ["Doc."]


def fastest_s(value: Any) -> float:
    """Return how long it takes to describe a value (seconds); the best of some tries, for others use the processor."""
    taken_s = []
    for _ in range(5):
        begun_s = time.perf_counter()
        summary("x", value, Describer())
        taken_s.append(time.perf_counter() - begun_s)
    return min(taken_s)


def test_containers_and_texts_are_cut() -> None:
    assert lines(list(range(25)))[-1] == "  … 5 more"
    assert lines({"a": Hostile()})[0].startswith("  'a': object of type")
    assert len("\n".join(lines("x" * 100_000))) < 5_000
    secret = "sk-" + "a1B2" * 10
    assert secret[:8] not in "\n".join(lines("x" * 1_320 + f" {secret} " + "x" * 100_000, Describer(Redactor().hide)))


def test_a_hostile_class_is_not_asked() -> None:
    for value in (Hostile, Hostile(), [Hostile()], {1: Hostile}):
        assert summary("x", value, Describer()).startswith("x: ")


def test_a_gigabyte_takes_no_time_and_no_memory() -> None:
    one_gb = np.broadcast_to(np.float64(1.5), (1 << 14, 1 << 13))  # looks like 1 GB, takes 8 bytes
    assert one_gb.nbytes == 1 << 30
    assert fastest_s(one_gb) < BUDGET_S
    rows = pd.DataFrame({f"c{number}": np.zeros(200_000) for number in range(21)})
    assert fastest_s(rows) < BUDGET_S


class Notebook:
    """A notebook as data."""

    def __init__(self, variables: Mapping[str, object], cells: Sequence[CellRecord] = (), error: str = "") -> None:
        self._variables, self._cells, self._error = variables, cells, error

    def variables(self) -> Mapping[str, object]:
        return self._variables

    def cells(self) -> Sequence[CellRecord]:
        return self._cells

    def last_error(self) -> str:
        return self._error


def tools(notebook: Notebook) -> dict[str, ToolSpec]:
    return {spec.name: spec for spec in looking_tools(notebook, lambda: Describer(Redactor().hide))}


def look(notebook: Notebook, tool: str, /, **arguments: object) -> str:
    return str(tools(notebook)[tool].run(arguments, CONTEXT))


def test_the_variables_of_a_notebook() -> None:
    notebook = Notebook({"apples": 3, "password": "hunter2", "api": "x" * 1_000, **{f"v{n}": n for n in range(200)}})
    said = look(notebook, "list_variables")
    assert said.startswith("apples = 3\npassword = ‹secret: password›\napi = str of length 1,000")
    assert said.endswith("… 53 more; give a prefix")
    assert look(notebook, "list_variables", prefix="ap").count("\n") == 1
    assert look(notebook, "list_variables", prefix="\x1b[2J") == "no variable begins with '␛[2J'"
    assert look(Notebook({}), "list_variables") == "there are no variables"
    assert look(notebook, "describe", name="password") == "password = ‹secret: password›"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("describe", {"name": "nothing\x1b"}, "there is no variable 'nothing␛'; list_variables lists them"),
        ("describe", {}, "the argument 'name' is missing"),
        ("describe", {"name": 3}, "the argument 'name' must be a str"),
        ("read_cells", {"last": "many"}, "the argument 'last' must be a int"),
        ("read_cells", {"last": True}, "the argument 'last' must be a int"),
    ],
)
def test_a_call_that_is_wrong_is_told_so(name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ToolFailure, match=said):
        look(Notebook({}, [CellRecord(1, "1")]), name, **arguments)


def test_the_cells_of_a_notebook() -> None:
    cells = [CellRecord(1, "x = 1"), CellRecord(2, "```\nx", "1", "failed"), CellRecord(0, "y", "", "saved")]
    said = look(Notebook({}, cells), "read_cells", last=2.0)
    assert said.startswith("2 of 3 cells, the last ones\n\nCell [2], failed:\n````\n```\nx\n````\nOutput:\n```\n1\n```")
    assert said.endswith("Cell [ ], not run; as in the saved file:\n```\ny\n```")
    assert look(Notebook({}), "read_cells") == "there are no cells"
    assert look(Notebook({}), "last_error") == "no cell has failed"
    assert look(Notebook({}, error="ZeroDivisionError"), "last_error") == "ZeroDivisionError"


@pytest.mark.parametrize("name", ["__import__('os').system('x')", "a\nb", "a\u202eb", "x" * 61, 3, ""])
def test_an_invalid_name_is_not_shown(name: object) -> None:
    assert not is_readable_name(name)
    assert is_readable_name("größe")
