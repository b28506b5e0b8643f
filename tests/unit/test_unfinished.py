"""The end of an answer that is coming: code, tables and lists are what they will be, from their first line on."""

from __future__ import annotations

import pytest

from copilot_nb.render.unfinished import Unfinished, UnfinishedEnd


@pytest.mark.parametrize(
    ("tail", "kind", "language", "text"),
    [
        ("```python\nx = 1\ny", "code", "python", "x = 1\ny"),
        ("\n\n```python\nx = 1\n", "code", "python", "x = 1\n"),
        ("```python\nx = 1\n``", "code", "python", "x = 1\n"),  # it may become the closing fence
        ("```python\nx = 1\n```\n", "code", "python", "x = 1\n"),
        ("````\n```\nx\n```\n", "code", "", "```\nx\n```\n"),
        ("~~~{r}\nx ```\n", "code", "r", "x ```\n"),
        ("  ```c\n    x\n  y\n", "code", "c", "  x\ny\n"),
        ("```pyth", "text", "", "```pyth"),
        ("``` `a`\n", "text", "", "``` `a`\n"),
        ("A *word* | and\nanother", "text", "", "A *word* | and\nanother"),
    ],
)
def test_code_is_code_without_its_fences(tail: str, kind: str, language: str, text: str) -> None:
    assert UnfinishedEnd().shown(tail) == Unfinished(kind, text, language)


def test_code_that_grows_only_grows_at_its_end() -> None:
    whole = "```py\na = '`x`'\n``not a fence\n\n  ~~~\nb\n```"
    end, before = UnfinishedEnd(), ""
    for length in range(7, len(whole) + 1):
        shown = end.shown(whole[:length])
        assert shown.text.startswith(before)
        before = shown.text
    assert before == "a = '`x`'\n``not a fence\n\n  ~~~\nb\n"


def test_a_table_is_one_from_its_second_line_on() -> None:
    end = UnfinishedEnd()
    assert end.shown("| a | b |\n").kind == "text"
    assert "<th" in end.shown("| a | b |\n|---|:-:|\n").html
    shown = end.shown("a | b\n--- | ---\n1 | **2**\n3 | <script>")
    assert shown.kind == "table"
    assert "<strong>2</strong>" in shown.html
    assert "script" not in shown.html


@pytest.mark.parametrize(
    ("tail", "tag", "rest"),
    [
        ("1. **a**\n2. *b", "<ol>\n<li><strong>a</strong></li>", "2. *b"),
        ("\n- a\n", "<ul>\n<li>a</li>", ""),
        ("* [ ] a\n  ```sh\n  ls\n  cd", "☐ a", "  cd"),
        ("10) a\n", '<ol start="10">', ""),
        ("> **a**\n> b", "<blockquote>\n<p><strong>a</strong></p>", "> b"),
    ],
)
def test_a_list_is_one_from_its_first_line_on_and_text_beyond_its_last(tail: str, tag: str, rest: str) -> None:
    shown = UnfinishedEnd().shown(tail)
    assert shown.kind == "list"
    assert tag in shown.html
    assert shown.text == rest


@pytest.mark.parametrize("tail", ["- a", "-5 degrees\n", "1.5 times\n", "**bold**\n", "a - b\n", "    - code\n"])
def test_what_is_no_list_is_text(tail: str) -> None:
    assert UnfinishedEnd().shown(tail) == Unfinished("text", tail)


def test_nothing_of_a_list_is_shown_twice_or_lost() -> None:
    end, whole = UnfinishedEnd(), "".join(f"- item {number}\n" for number in range(100))
    for length in range(len("- item 0\n"), len(whole) + 1):
        shown = end.shown(whole[:length])
        assert shown.html.count("item") + shown.text.count("item") == whole[:length].count("item")


@pytest.mark.parametrize(("begin", "line"), [("| a |\n|---|\n", "| {} |\n"), ("- a\n", "- {}\n")])
def test_a_block_is_rendered_less_often_the_longer_it_is(begin: str, line: str) -> None:
    end, lines, rendered = UnfinishedEnd(), begin, set()
    for number in range(200):
        lines += line.format(number)
        rendered.add(end.shown(lines).html)
    assert len(rendered) < 60
