"""The result of a comparison as a file holds it: what is shown, in full, and what cannot be done with it."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from copilot_nb.errors import InputError, TurnInterrupted
from copilot_nb.experiments.ballot import Ballot
from copilot_nb.experiments.comparison import Comparison
from copilot_nb.experiments.grid import Variant, make_grid
from copilot_nb.experiments.prompts import Prompt
from copilot_nb.experiments.scorers import exact, of_callable
from copilot_nb.experiments.store import AnsweredTurn, Store
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.structured import schema_of

A = Variant("a", SessionOptions(model="a", provider="p"))
B = Variant("b", SessionOptions(model="b", provider="p"))


def compared(
    path: Path,
    answer: str = "an answer",
    schema: object = None,
    *,
    texts: Sequence[str] = ("one", "two"),
    tokens: int = 1,
) -> Comparison:
    """Return a comparison of two prompts by two variants, all of them answered."""
    wanted = None if schema is None else schema_of(schema)
    prompts = [Prompt(row, (text,)) for row, text in enumerate(texts)]
    if wanted:
        prompts = [prompt.with_text(wanted.instruction) for prompt in prompts]
    grid = make_grid(prompts, (A, B), 1, 0)
    with Store(path) as store:
        store.want(dict.fromkeys(grid.unique, "{}"))
        store.claim(dict.fromkeys(grid.unique, ""), "o", 0.0)
        for key, cell in grid.unique.items():
            turn = AnsweredTurn(cell.prompt.turns[0], answer, cell.variant.name, tokens, 1, None, 1.0, None, None)
            store.keep(key, "o", [turn], "", "")
    nobody: Any = None  # opens sessions, which none of these tests does
    return Comparison(nobody, grid, path, schema=wanted)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sqlite"


def test_without_scipy_the_answers_are_shown_and_the_extra_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = compared(path).score(len)
    for name in [name for name in sys.modules if name.startswith("copilot_nb.experiments.")]:
        if name.rpartition(".")[2] in ("summary", "statistics", "intervals", "power", "preferences", "forest", "plots"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert result.plot("latency").description.startswith("[plot] Time of an answer")
    for shown in (repr(result), result._repr_html_()):
        assert "an answer" in shown
        assert "the summary is not shown: scipy is not installed" in shown
        assert "copilot-nb[experiments]" in shown


def test_a_table_without_pyarrow_is_one_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(InputError, match="Parquet needs pyarrow, which is not installed here → pip install pyarrow"):
        compared(path).to_parquet(tmp_path / "a.parquet")


def test_nested_values_are_written_as_json(path: Path, tmp_path: Path) -> None:
    result = compared(path, '[{"a": "é"}, 2]', list[object])
    rows = list(csv.DictReader(io.StringIO(result.to_csv(tmp_path / "a.csv").read_text("utf-8"))))
    assert [json.loads(row["value"]) for row in rows] == [[{"a": "é"}, 2]] * 4
    unfit = compared(tmp_path / "b.sqlite", "no idea", list[object])
    assert next(csv.DictReader(io.StringIO(unfit.to_csv(tmp_path / "b.csv").read_text("utf-8"))))["value"] == ""


def test_the_types_of_a_table_do_not_depend_on_its_values(path: Path) -> None:
    answered = compared(path)
    nothing = Comparison(answered._manager, answered._grid, path.with_name("none.sqlite"))
    types = {name: str(kind) for name, kind in answered.to_frame().dtypes.items()}
    assert {name: str(kind) for name, kind in nothing.to_frame().dtypes.items()} == types
    assert (types["cost"], types["duration_s"], types["attempts"]) == ("Float64", "Float64", "Int64")
    assert (types["effort"], types["answered_at"]) == ("string", "datetime64[us, UTC]")


def test_half_a_character_in_the_users_table_is_replaced(path: Path, tmp_path: Path) -> None:
    prompt = Prompt(0, ("one",), variables={"half \ud800": "\udfff", "prompt": "one"})
    result = Comparison(compared(path)._manager, make_grid([prompt], (A,), 1, 0), path)
    row = next(csv.DictReader(io.StringIO(result.to_csv(tmp_path / "a.csv").read_text("utf-8"))))
    assert (row["half \ufffd"], row["answer"]) == ("\ufffd", "an answer")


def test_progress_is_reported_to_a_function(path: Path) -> None:
    with pytest.raises(InputError, match="on_progress is a function, not int"):
        compared(path).score(len, 5)  # type: ignore[arg-type]


def test_what_is_not_the_name_of_a_file_is_one_line(path: Path) -> None:
    result = compared(path)
    for bad in ("a\0.csv", "\ud800.csv", "."):
        with pytest.raises(InputError, match=r"cannot write [^→]*$"):
            result.to_csv(bad)
    for write in (result.to_csv, result.to_parquet, result.to_inspect):
        with pytest.raises(InputError, match="a file's path is text or a Path"):
            write(3)  # type: ignore[operator]


def test_a_note_is_shown_in_full(path: Path) -> None:
    long = " ".join(["Note"] * 40)
    result = compared(path)
    result._run_notes = (f"{long} <end>",)
    assert f"· {long} <end>" in repr(result)
    assert f"<li>{long} &lt;end&gt;</li>" in result._repr_html_()


def test_an_answer_that_rows_share_counts_once_and_a_million_has_its_digits(path: Path) -> None:
    result = compared(path, texts=("one", "two", "one"), tokens=1_250_000)
    assert "1 of 3 prompts repeats an earlier one and shares its answers" in repr(result)
    line = next(line for line in repr(result).splitlines() if line.startswith("a "))
    assert line.split() == ["a", "a", "(p)", "2", "1.0", "s", "2,500,000", "2"]


def test_with_several_scorers_a_summary_says_whose_scores_it_shows(path: Path) -> None:
    result = compared(path).score([len, exact("an answer")])
    assert "· The scores are those of exact. Those of other scorers: summary('len')." in str(result.summary("exact"))
    assert "The scores are those of" not in str(result.score(len).summary())


def test_a_score_is_of_the_value_and_not_of_its_json(path: Path) -> None:
    result = compared(path, '"yes"', Literal["yes", "no"])
    result.score([exact("yes"), of_callable(lambda _, value: value == "yes", id="own")])
    assert [row.score for name in ("exact", "own") for row in result.rows(name)] == [1.0] * 8


def test_a_prompt_is_shown_as_it_was_written_and_framed_as_it_was_sent(path: Path) -> None:
    result = compared(path, "7", int)
    assert [row[0] for row in result.table().rows] == ["one", "two"]
    assert Ballot(result._grid, result.answers, "ann", lambda: Store(path)).rounds[0].prompt == "one"
    assert "JSON schema" in result.to_frame()["prompt"][0]


def test_a_conversation_is_shown_with_all_its_prompts(path: Path) -> None:
    grid = make_grid([Prompt(0, ("one", "sum up"))], (A,), 1, 0)
    nobody: Any = None
    assert Comparison(nobody, grid, path).table().rows == (("one → sum up", "(wanted)"),)


@dataclass
class Named:
    row: str
    cost: float


def test_a_value_that_is_called_as_a_column_of_ours_does_not_take_its_place(path: Path) -> None:
    frame = compared(path, '{"row": "r", "cost": 2}', Named).score(len).to_frame()
    assert frame.columns.is_unique
    assert (frame["row"].tolist(), frame["read_row"].tolist()) == ([0, 0, 1, 1], ["r"] * 4)
    assert (frame["cost"].isna().all(), frame["read_cost"].tolist()) == (True, [2.0] * 4)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy], ids=lambda each: each.__name__)
def test_a_comparison_is_not_copied(path: Path, copied: Callable[[object], object]) -> None:
    with pytest.raises(InputError, match=r"cannot be pickled or copied → its answers are in .*a\.sqlite"):
        copied(compared(path))


@pytest.mark.parametrize("kind", ["scores", "differences"])
def test_a_picture_of_scores_without_any_says_how_to_add_them(path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"there are no scores → add scorers: result.score\(\[…\]\)"):
        compared(path).plot(kind)


def test_a_repeat_that_is_not_there_is_one_line(path: Path) -> None:
    for repeat in (1, "x"):
        with pytest.raises(InputError, match=f"there is no repeat {repeat} → they are counted from 0 to 0"):
            compared(path).table(repeat)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda result: result.session([1]), "the row of a prompt is a whole number, not list → rows and repeats are "),
        (lambda result: result.session("x"), "the row of a prompt is a whole number, not str → "),
        (lambda result: result.session(0, result.variants[0]), "a variant is named by text, not Variant → "),
        (lambda result: result.session(0, "a", [0]), "a repeat is a whole number, not list → "),
        (lambda result: result.session(7), "there is no cell of row 7, variant 'a', repeat 0 → "),
        (lambda result: result.rows(len), "a scorer is named by text, not builtin_function_or_method → there are: len"),
        (lambda result: result.summary([1]), "a scorer is named by text, not list → there are: len"),
        (lambda result: result.plot("scores", 5), "a scorer is named by text, not int → there are: len"),
        (lambda result: result.rows("lem"), "there are no scores of 'lem' → did you mean len? there are: len"),
    ],
)
def test_what_names_no_cell_and_no_scorer_is_one_line(path: Path, call: Callable[[Any], object], said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        call(compared(path).score(len))


def test_the_row_may_come_from_a_table(path: Path) -> None:
    with pytest.raises(InputError, match="the session of this answer was not kept"):
        compared(path).session(np.int64(1), "b")  # type: ignore[arg-type]


def test_an_interrupt_while_scoring_keeps_the_scores_and_is_one_line(path: Path) -> None:
    result = compared(path)
    computed: list[int] = []

    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(TurnInterrupted, match="stopped: 4 of 4 scores of len are kept → run it again"):
        result.score(len, interrupt)
    assert all(row.score == len("an answer") for row in result.score(len, lambda done, _: computed.append(done)).rows())
    assert not computed
