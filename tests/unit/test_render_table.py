"""Tables and cards, in a notebook and in a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.render.table import MAX_CELL_COLUMNS, Card, Table, text_columns

SESSIONS = Table(("name", "model", "turns"), (("session1", "smollm2", "4"), ("研究", "gpt-5", "12")), "Sessions")


class Printer:
    def __init__(self) -> None:
        self.said = ""

    def text(self, text: str, /) -> None:
        self.said += text


def test_a_table_as_text_lines_up_in_any_script() -> None:
    assert str(SESSIONS).splitlines() == [
        "Sessions",
        "name      model    turns",
        "────────  ───────  ─────",
        "session1  smollm2  4",
        "研究      gpt-5    12",
    ]


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("研究", 4), ("é", 1), ("e\u0301", 1), ("\u200b", 0), ("ｱ", 1), ("\U0001f600", 2)],
)
def test_columns_of_a_terminal(text: str, columns: int) -> None:
    assert text_columns(text) == columns


def test_a_long_cell_is_one_short_line_as_text_and_whole_as_html() -> None:
    for long in ("word " * 50, "研" * 50, "a\nb" * 50):
        table = Table(("x",), ((long,),))
        line = str(table).splitlines()[-1]
        assert line.endswith("…")
        assert text_columns(line) <= MAX_CELL_COLUMNS
        assert long.strip().replace("\n", "<br>") in table._repr_html_()


@given(st.lists(st.lists(st.text(max_size=80), max_size=4), max_size=4))
def test_any_cells_line_up(rows: list[list[str]]) -> None:
    table = Table(("a", "b"), tuple(map(tuple, rows)), empty="")
    lines = str(table).split("\n")
    assert len(lines) == len(rows) + 2
    str(table).encode()
    table._repr_html_().encode()


def test_short_rows_are_filled_up_and_long_ones_cut() -> None:
    table = Table(("a", "b"), (("1",), ("1", "2", "3")))
    assert table._repr_html_().count("<td") == 4
    assert "3" not in str(table)


def test_a_table_as_html_says_what_its_parts_are() -> None:
    html = SESSIONS._repr_html_()
    assert '<caption style="text-align:left">Sessions</caption>' in html
    assert html.count('<th scope="col"') == 3
    assert "<caption" not in Table(("a",), (("b",),))._repr_html_()


def test_an_empty_table_says_why() -> None:
    table = Table(("a",), (), "Sessions", empty="No sessions yet: try %%copilot a")
    assert str(table) == "No sessions yet: try %%copilot a"
    assert table._repr_html_() == "<p>No sessions yet: try %%copilot a</p>"
    assert str(Table(("a",), ())) == "a\n─"


def test_a_card() -> None:
    card = Card("copilot_nb", (("Runtime", "1.0.102"), ("Sessions", "a\nb")))
    assert str(card).splitlines() == ["copilot_nb", "Runtime   1.0.102", "Sessions  a", "          b"]
    assert '<th scope="row" style="text-align:left">Runtime</th>' in card._repr_html_()
    assert "a<br>b" in card._repr_html_()
    assert str(Card("only a title", ())) == "only a title"


@pytest.mark.parametrize("value", [SESSIONS, Card("a", (("b", "c"),))])
def test_ipython_prints_the_text(value: Any) -> None:
    printer = Printer()
    value._repr_pretty_(printer, cycle=False)
    assert printer.said == str(value)
