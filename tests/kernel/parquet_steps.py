"""What `test_parquet.py` runs beside pyarrow: answers become a file, which pandas reads, and its tables are prompts."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.comparison import Comparison
from copilot_nb.experiments.grid import make_grid
from copilot_nb.experiments.prompts import read_prompts
from tests.unit.test_experiment_result import A, compared

NESTED = [{"a": "é"}, 2]


def table(folder: Path) -> None:
    result = compared(folder / "a.sqlite", json.dumps(NESTED), list[object]).score(len)
    stored, told = pd.read_parquet(result.to_parquet(folder / "a.parquet")), result.to_frame()
    assert [json.loads(value) for value in stored.pop("value")] == [NESTED] * 4
    told.pop("value")
    pd.testing.assert_frame_equal(stored, told)  # the types, too, and no column for the index


def types(folder: Path) -> None:
    """Files with and without answers, costs and times can be joined: the types are the same."""
    answered = compared(folder / "b.sqlite")
    nothing = Comparison(answered._manager, answered._grid, folder / "none.sqlite")
    schemas = [
        pyarrow.parquet.read_schema(each.to_parquet(folder / f"{number}.parquet"))
        for number, each in enumerate((answered, nothing))
    ]
    assert schemas[0].equals(schemas[1])


def prompts(_: Path) -> None:
    found = read_prompts(pyarrow.table({"text": ["a", "b"], "target": [1, None]}), "Say {{ text }}", lambda text: text)
    assert [(prompt.turns, prompt.target) for prompt in found] == [(("Say a",), "1"), (("Say b",), "")]


def refusals(folder: Path) -> None:
    rows = read_prompts([{"prompt": "a", "x": 1}, {"prompt": "b", "x": "no number"}], "", lambda text: text)
    mixed = Comparison(compared(folder / "c.sqlite")._manager, make_grid(rows, (A,), 1, 0), folder / "c.sqlite")
    before = (folder / "a.parquet").read_bytes()
    with pytest.raises(InputError, match=r"cannot write .*a\.parquet: .* → to_csv writes any table") as caught:
        mixed.to_parquet(folder / "a.parquet")
    assert "\n" not in str(caught.value)
    assert (folder / "a.parquet").read_bytes() == before
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        mixed.to_parquet(folder / "nowhere" / "a.parquet")


if __name__ == "__main__":
    warnings.simplefilter("error")
    for step in (table, types, prompts, refusals):
        step(Path(sys.argv[1]))
