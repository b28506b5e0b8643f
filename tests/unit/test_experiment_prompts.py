"""Prompts of a comparison: from texts, tables and files; what is wrong with them is one line, before any is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.prompts import read_prompts

TABLE = pd.DataFrame({"text": ["good", "bad"], "unit price": [1, 2], "target": ["+", None]})


class Polars:
    columns = ("text",)

    def to_dicts(self) -> list[dict[str, object]]:
        return [{"text": "good"}, {"text": "bad"}]


class Arrow:
    column_names = ("text",)

    def to_pylist(self) -> list[dict[str, object]]:
        return [{"text": "good"}, {"text": "bad"}]


class HuggingFace:
    """Its `to_dict` returns columns, whatever it is given."""

    column_names = ("text",)

    def to_dict(self, batch_size: object = None) -> dict[str, list[str]]:  # noqa: ARG002 - pandas calls it so
        return {"text": ["good", "bad"]}

    def to_list(self) -> list[dict[str, object]]:
        return [{"text": "good"}, {"text": "bad"}]


class Lazy:
    """What polars has before it has read anything."""

    columns = ("text",)

    def collect(self) -> Polars:
        return Polars()


class Distributed:
    """A table of Dask, whose iteration gives the names of its columns, and whose exchange raises."""

    ndim = 2
    columns = ("text",)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __dataframe__(self, **options: bool) -> object:
        raise AttributeError

    def compute(self) -> pd.DataFrame:
        return TABLE


class Column(list[str]):
    """A column of Dask, whose iteration gives its values."""

    ndim = 1

    def compute(self) -> pd.Series[str]:
        return pd.Series(self)


class Exchanged:
    def __dataframe__(self, **options: bool) -> object:
        return TABLE.__dataframe__(**options)


def test_texts_conversations_and_mappings_are_prompts() -> None:
    prompts = read_prompts(["one", ["first", "second"], {"prompt": "q", "target": 4, "attach": {"a": TABLE}}])
    assert [prompt.turns for prompt in prompts[:2]] == [("one",), ("first", "second")]
    assert "good" in prompts[2].turns[0]
    assert prompts[2].turns[0].endswith("\nq")
    assert [prompt.target for prompt in prompts] == ["", "", "4"]
    assert read_prompts("one?")[0].turns == ("one?",)


def test_secrets_are_hidden_in_what_is_attached() -> None:
    (prompt,) = read_prompts({"prompt": "good?", "attach": {"a": TABLE}}, hide=lambda text: text.replace("good", "…"))
    assert "good" not in prompt.turns[0].removesuffix("good?")


@pytest.mark.parametrize(
    "table",
    [TABLE, Polars(), Arrow(), HuggingFace(), Exchanged(), TABLE["text"], Column(["good", "bad"]), ["good", "bad"]],
    ids=["pandas", "polars", "arrow", "hugging-face", "exchanged", "series", "dask-series", "list"],
)
def test_tables_of_any_library_and_columns_are_rows(table: object) -> None:
    template = "" if isinstance(table, list | pd.Series) else "Say {{ text }}"
    texts = [prompt.turns[0].removeprefix("Say ") for prompt in read_prompts(table, template)]
    assert texts == ["good", "bad"]


def test_a_template_takes_a_column_of_any_name_and_makes_several_turns() -> None:
    (first, second) = read_prompts(TABLE, ["{{ text }} {x}", "costs {{ unit price }}"])
    assert first.turns == ("good {x}", "costs 1")
    assert (first.target, second.target) == ("+", "")
    assert second.variables["unit price"] == 2


def test_an_array_in_a_row_is_turns() -> None:
    (prompt,) = read_prompts([{"prompt": np.array(["first", "second"], dtype=object)}])
    assert prompt.turns == ("first", "second")


def test_what_a_row_holds_is_never_a_template() -> None:
    (prompt,) = read_prompts([{"a": "{{ b }}", "b": "secret"}], "{{ a }}")
    assert prompt.turns == ("{{ b }}",)


def test_files_are_read_as_csv_or_json_lines(tmp_path: Path) -> None:
    table, lines = tmp_path / "q.CSV", tmp_path / "q.jsonl"
    table.write_text('\ufeffprompt,target\n"a, b",1\n"two\nlines",\n', "utf-8")
    lines.write_text('{"prompt": "a"}\n\n"b"\n["c", "d"]\n', "utf-8")
    assert read_prompts(str(table)) == read_prompts(table)
    assert [(p.turns, p.target) for p in read_prompts(table)] == [(("a, b",), "1"), (("two\nlines",), "")]
    assert [p.turns for p in read_prompts(str(lines))] == [("a",), ("b",), ("c", "d")]


@pytest.mark.parametrize(
    ("prompts", "template", "said"),
    [
        ([], "", "there are no prompts"),
        (TABLE.head(0), "{{ text }}", "there are no prompts"),
        (7, "", "7 contains no prompts"),
        (None, "", "None contains no prompts"),
        (["a"], 3, "the template must be a text, or a list of texts, not 3"),
        (["a"], ["{{ prompt }}", 3], "the template must be a text, or a list of texts, not ['{{ prompt }}', 3]"),
        (["a", " "], "", "prompt 2 is empty → leave it out, or give it a text"),
        ([["a", ""]], "", "prompt 1 is empty"),
        (TABLE, "Classify: {text}", "names no column, so all prompts would be the same → write {{ text }}"),
        ("a", "Say it", "names no column, so the prompt would not be sent → write {{ prompt }}; the columns: prompt"),
        (["a", "b"], ["gpt-5", "phi"], "the columns: prompt; to name models: models=[…]"),
        (__file__, "", "test_experiment_prompts.py is not a table of prompts → a table's name ends with .csv, "),
        (TABLE, "Classify: {{ text }", "names no column, so all prompts would be the same"),
        (["a", 7], "", "prompt 2 is of type int"),
        ([[]], "", "prompt 1 is an empty list of turns"),
        (TABLE, "", "prompt 1 has no text in a column 'prompt'"),
        (TABLE, "{{ txt }}", "'txt' that is not there → did you mean text?"),
        (TABLE, "{{ text[0] }}", "'text[0]' that is not there"),
        (TABLE, "{{ target }}", "prompt 2 has no value in the column 'target'"),
        ([{"prompt": "a", "attach": "nowhere.png"}], "", "prompt 1: cannot attach nowhere.png"),
        (
            "nowhere.csv",
            "",
            "there is no file nowhere.csv → check the path; to send this as a prompt, put it into a list",
        ),
        ("NOWHERE.CSV", "", "there is no file NOWHERE.CSV → "),
        (Path("nowhere.csv"), "", "there is no file nowhere.csv → check the path"),
        ("a.xlsx", "", "there is no file a.xlsx → check the path; to send this as a prompt, put it into a list"),
        ("my prompts.xlsx", "", "there is no file my prompts.xlsx → "),
        ("a\0.csv", "", "there is no file a␀.csv → "),
        (Lazy(), "{{ text }}", "a Lazy has no rows until it is computed → give its table: .collect()"),
        (Distributed(), "", "a Distributed has no rows until it is computed → give its table: .compute()"),
        (np.array("a"), "", "array('a', dtype='<U1') contains no prompts → "),
        ("word " * 999 + "a.xlsx", "", "there is no file word word "),
        ("~/q.parquet", "", "there is no file ~/q.parquet → "),
        ("data/prompts.JSON", "", "there is no file data/prompts.JSON → "),
    ],
)
def test_what_cannot_be_used_is_one_line(prompts: object, template: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_prompts(prompts, template)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ([42, None], ["42", ""]),
        ([4.5, 42, None], ["4.5", "42.0", ""]),
        ([42.0, 1.0], ["42.0", "1.0"]),
        ([10**17, None], [str(10**17), ""]),
        (["a", None], ["a", ""]),
        ([None, None], ["", ""]),
    ],
)
def test_whole_numbers_of_a_column_with_gaps_stay_whole(given: list[object], targets: list[str]) -> None:
    """pandas holds such a column as floats."""
    table = pd.DataFrame({"prompt": ["x"] * len(given), "target": given})
    assert [each.target for each in read_prompts(table)] == targets


@pytest.mark.parametrize("text", ["Explain package.json", "What is\nin a.csv", "e.g.", "Use numpy.sum", "a.b"])
def test_a_text_that_ends_like_a_file_is_sent(text: str) -> None:
    assert read_prompts(text)[0].turns == (text,)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.jsonl", '{"prompt": "a"}\n\n{', "line 3 of .*q.jsonl is not JSON: Expecting property name"),
        ("q.csv", "prompt\na,b\n", "has more cells than the line of column names"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=said):
        read_prompts(tmp_path / name)


@pytest.mark.parametrize("end", ["\u2028", "\x85"], ids=repr)
def test_a_row_ends_where_its_line_ends(tmp_path: Path, end: str) -> None:
    """Other characters that separate lines for Python stand in the texts of web pages."""
    csv_file, json_file = tmp_path / "q.csv", tmp_path / "q.jsonl"
    csv_file.write_text(f'prompt,note\none{end}two,"x\ny"\nthree,z\n', "utf-8")
    json_file.write_text(f'{{"prompt": "one{end}two"}}\n{{"prompt": "three"}}\n', "utf-8")
    for file in (csv_file, json_file):
        assert [each.turns for each in read_prompts(file)] == [(f"one{end}two",), ("three",)]


@pytest.mark.parametrize("empty", [None, float("nan"), pd.NA, pd.NaT], ids=repr)
def test_no_prompt_is_made_of_a_missing_value(empty: object) -> None:
    with pytest.raises(InputError, match="has no value in the column 'x'"):
        read_prompts([{"x": empty}], "{{ x }}")
    assert read_prompts([{"prompt": "a", "target": empty, "attach": empty}])[0].target == ""
