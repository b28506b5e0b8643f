"""A session's history: slices, searches, frames, and how it renders."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.conversation.parts import Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.history import PAGE_TURNS, History
from copilot_nb.render.escape import escape
from copilot_nb.render.plot import MAX_BARS, MAX_TEXT_BARS, tokens_svg, tokens_text
from copilot_nb.render.search import Needle

BEGAN = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def turn(number: int, prompt: str = "", text: str = "Fine.", **changes: Any) -> TurnRecord:
    began = BEGAN + timedelta(minutes=number)
    told = TurnRecord(
        f"m{number}",
        prompt or f"question {number}",
        (Text("t", text),),
        TurnState.DONE,
        "smollm2-135m",
        Usage(10 * number, number, None),
        began,
        began + timedelta(seconds=0.5),
        began + timedelta(seconds=2),
    )
    return dataclasses.replace(told, **changes)


def history(turns: int, first: int = 1, total: int | None = None) -> History:
    return History("session1", "local", [turn(n) for n in range(first, first + turns)], first=first, total=total)


def of(*turns: TurnRecord) -> History:
    return History("session1", "local", turns)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("part", "numbers"),
    [
        (slice(None), [1, 2, 3, 4, 5]),
        (slice(1, 3), [2, 3]),
        (slice(-2, None), [4, 5]),
        (slice(None, None, -2), [5, 3, 1]),
        (slice(10, 20), []),
    ],
)
def test_a_slice_keeps_the_numbers_of_its_turns(part: slice, numbers: list[int]) -> None:
    some = history(5)[part]
    assert list(some.numbers) == numbers
    assert [each.prompt for each in some] == [f"question {number}" for number in numbers]
    assert [int(n) for n in re.findall(r"^## Turn (\d+)", repr(some), re.MULTILINE)] == numbers


def test_a_history_is_a_sequence() -> None:
    whole = history(3)
    assert len(whole) == 3
    assert whole[-1].prompt == "question 3"
    assert whole[0] in whole
    assert next(reversed(whole)) is whole[2]
    assert not history(0)
    with pytest.raises(IndexError):
        whole[3]


def test_a_page_has_the_numbers_of_the_session() -> None:
    page = history(5, first=96, total=100)
    assert page.numbers == (96, 97, 98, 99, 100)
    assert page[1:3].numbers == (97, 98)
    assert page.turn(100).prompt == "question 100"
    assert "session1: turns 96 to 100 of 100" in repr(page)
    assert "95 earlier turns: `%copilot show session1 --full`" in repr(page)


@pytest.mark.parametrize(
    ("held", "number", "complaint"),
    [
        (history(3), 0, "session 'session1' has no turn 0: it has 3 turns, numbered from 1"),
        (history(3), -1, "session 'session1' has no turn -1: it has 3 turns, numbered from 1"),
        (history(1), 2, "session 'session1' has no turn 2: it has 1 turn, numbered from 1"),
        (history(0), 1, "session 'session1' has no turn 1: it has no turns yet"),
        (history(2, first=9), 3, "turn 3 of session 'session1' is not in this part of its history"),
        (history(4)[::2], 2, "turn 2 of session 'session1' is not in this part of its history"),
    ],
)
def test_a_turn_that_is_not_there(held: History, number: int, complaint: str) -> None:
    with pytest.raises(InputError) as raised:
        held.turn(number)
    assert str(raised.value) == complaint


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("STRASSE", "in der Straße"),
        ("straße", "STRASSE"),
        ("caf\u00e9", "a cafe\u0301 there"),
        ("cafe\u0301", "CAF\u00c9"),
        ("virtual  environment", "a virtual\n    environment"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("a.b", "A.B"),
        ("研究", "深い研究を"),
        ("\ud83d", "half \ud83d"),
    ],
)
def test_a_search_ignores_differences_that_a_reader_ignores(query: str, text: str) -> None:
    found = of(turn(1, "x"), turn(2, "y", text), turn(3, text), turn(4, "z")).search(query)
    assert found.numbers == (2, 3)
    assert found._repr_html_().count("<mark>") >= 2


@pytest.mark.parametrize(("query", "text"), [("a.b", "axb"), ("e", "\u00e9"), ("cafe", "cafe\u0301"), ("ab", "a b")])
def test_a_search_does_not_find_anything_else(query: str, text: str) -> None:
    assert len(of(turn(1, "x", text, model="")).search(query)) == 0


def test_a_search_looks_into_tool_calls_and_opens_them() -> None:
    parts = (
        Reasoning("r", "needle"),
        ToolCall("c", "view", '{"path": "Needle"}', "…", succeeded=True),
        ToolCall("d", "fetch", "x", "y", succeeded=True),
    )
    found = of(turn(1), turn(2, "look", parts=parts)).search("needle")
    assert found.numbers == (2,)
    html = found._repr_html_()
    assert "<details open><summary>Tool <code>view</code>" in html
    assert "<details><summary>Tool <code>fetch</code>" in html
    assert ">{&quot;path&quot;: &quot;" not in html  # written anew around the mark
    assert '{"path": "<mark>Needle</mark>"}' in html


def test_a_search_shows_where_it_found_what_the_prompt_does_not_hold() -> None:
    text = "long " * 50 + "the needle is here " + "and on " * 50
    html = of(turn(1, "a", text), turn(2, "the needle", text)).search("needle")._repr_html_()
    first, second = re.findall("<summary>(.*?)</summary>", html)
    excerpt = re.sub("<.*?>", "", first.partition("display:block")[2])
    assert "the <mark>needle</mark> is here" in first
    assert excerpt.count("…") == 2
    assert len(excerpt) < 200
    assert "<details open>" not in html
    assert "display:block" not in second


def test_what_was_found_can_be_sliced_and_searched() -> None:
    odd = of(*(turn(n, "odd" if n % 2 else "even", f"number {n}") for n in range(1, 12))).search("odd")
    assert odd[1:3].numbers == (3, 5)
    assert "<mark>odd</mark>" in odd[1:3]._repr_html_()
    assert odd.search("number 1").numbers == (1, 11)
    assert "3 turns with “number 11”" not in repr(odd.search("number 11"))
    assert "session1: no turn with “even”" in repr(odd.search("even"))


@pytest.mark.parametrize("query", ["", "  ", "\n"])
def test_a_blank_search_is_refused(query: str) -> None:
    with pytest.raises(InputError, match="no search text given"):
        history(1).search(query)


def test_marks_run_across_coloured_code_and_stay_out_of_formulae_and_tags() -> None:
    text = '```python\nprint("x")\n```\n\n$x + 1$ and x, [x](https://x.example "a > x")'
    html = of(turn(1, "a", text)).search('print("x")')._repr_html_()
    assert re.sub("<(?!/?mark).*?>", "", html).count('<mark>print</mark><mark>(</mark><mark>"x"</mark>') == 1
    html = of(turn(1, "a", text)).search("x")._repr_html_()
    assert "<span>$x + 1$</span>" in html
    assert "and <mark>x</mark>, <a" in html
    assert 'href="https://x.example"' in html
    assert 'title="a > x"' in html or 'title="a &gt; x"' in html


LETTERS = "sßSſKK é\u0301e&<>\"'$\\(\n\u00a0i\u0130ŉ"


@given(st.text(LETTERS, max_size=30), st.text(LETTERS, min_size=1, max_size=2).filter(lambda query: query.split()))
def test_what_is_found_can_be_shown(text: str, query: str) -> None:
    needle = Needle(query)
    after = 0
    for start, end in needle.spans(text):
        assert after <= start < end <= len(text)
        after = end
    assert unescape(re.sub("<.*?>", "", needle.marked(escape(text)))) == text
    assert bool(needle.excerpt(turn(1, text, "", model=""))) == needle.is_in(turn(1, text, ""))


def test_a_long_query_is_shortened_in_the_heading() -> None:
    assert repr(history(1).search("x" * 5000)).startswith(f"# session1: no turn with “{'x' * 100}… (4,900 more")


def test_a_long_history_shows_its_last_page_and_how_to_see_the_rest() -> None:
    long = history(45)
    html = long._repr_html_()
    assert html.count("<li>") == PAGE_TURNS
    assert "<strong>session1</strong>: turns 26 to 45 of 45" in html
    assert (
        "25 earlier turns: <code>%copilot show session1 --full</code>, or in Python <code>history[:100]</code>" in html
    )
    assert repr(long).count("## Turn ") == PAGE_TURNS
    assert long.to_markdown().count("## Turn ") == 45


def test_a_slice_is_shown_whole() -> None:
    for some in (history(45)[:], history(45)[:30], history(45).search("question")[:]):
        assert some._repr_html_().count("<li>") == len(some)
        assert "--full" not in some._repr_html_()


def test_the_page_of_a_search_says_how_to_see_the_rest() -> None:
    found = History("a b'c", "local", [turn(n) for n in range(1, 46)]).search("question")
    assert "the last 20 of 45 turns with “question”" in found._repr_html_()
    assert """`%copilot show 'a b'"'"'c' --search question --full`""" in repr(found)


@pytest.mark.parametrize(
    ("shown", "heading"),
    [
        (history(0), "no turns yet"),
        (history(1), "1 turn"),
        (history(3)[:0], "none of 3 turns"),
        (history(3)[1:2], "turn 2 of 3"),
        (history(3)[::2], "2 of 3 turns"),
        (history(3)[1:], "turns 2 to 3 of 3"),
    ],
)
def test_the_heading_says_which_turns_these_are(shown: History, heading: str) -> None:
    assert repr(shown).startswith(f"# session1: {heading}")
    assert f"<strong>session1</strong>: {heading}</p>" in shown._repr_html_()


@pytest.mark.usefixtures("new_york")
def test_a_turn_folds_under_a_line_that_says_what_is_in_it() -> None:
    stopped = turn(2, "Stop\nme", state=TurnState.INTERRUPTED)
    first, second = re.findall("<details.*?</summary>", of(turn(1, "Why <b>?"), stopped)._repr_html_())
    assert first.startswith("<details open><summary><strong>1</strong> · Why &lt;b&gt;?<span")
    assert ' · smollm2-135m · <time datetime="2026-11-23T14:06:00+00:00"' in first
    assert ">2026-11-23 09:06</time>" in first
    assert second.startswith("<details open><summary><strong>2</strong> · Stop …<span")
    assert "· ■ interrupted" in second


def test_all_turns_are_open_unless_they_are_many_or_were_searched_for() -> None:
    for turns, opened in ((3, 3), (20, 20), (21, 1)):
        shown = of(*(turn(n, "needle") for n in range(1, turns + 1)))[:]
        assert shown._repr_html_().count("<details open>") == opened
        assert shown.search("needle")[:]._repr_html_().count("<details open>") == 0


def test_inside_a_turn_each_speaker_is_named() -> None:
    html = of(turn(1, "one\n  <two> $x$", "A *b*"))._repr_html_()
    you, prompt, model, answer = map(
        html.index, ("<strong>You</strong>", "one\n  &lt;two&gt; $x$</pre>", "135m</strong></p>", "<em>b</em>")
    )
    assert you < prompt < model < answer
    assert "2.0 s (first token 0.5 s) · 10 tokens in, 1 out" in html
    assert html.count("session1") == 1
    assert html.count("word-break:normal") == html.count("<pre")  # JupyterLab breaks a pre within words


def test_a_long_prompt_is_shortened_in_its_line_only() -> None:
    html = of(turn(1, "word " * 100))._repr_html_()
    assert len(re.findall("<summary>.*?</summary>", html)[0]) < 400
    assert "word " * 100 in html


@pytest.mark.usefixtures("new_york")
def test_the_text_is_readable_markdown() -> None:
    parts = (Text("a", "Let me look.\n"), ToolCall("c", "a`b", "x", "y", succeeded=True), Text("b", "```python\nopen"))
    talk = of(turn(1, "Why?\n\nAnd how?", parts=parts), turn(2, "Go", "", state=TurnState.FAILED, error="429:\nslow"))
    assert repr(talk) == talk.to_markdown()
    assert repr(talk).splitlines() == [
        "# session1: 2 turns",
        "",
        "## Turn 1 · 2026-11-23 09:06",
        "",
        "**You**",
        "",
        "> Why?",
        ">",
        "> And how?",
        "",
        "**smollm2-135m**",
        "",
        "Let me look.",
        "",
        "Tool `` a`b `` ✓ done",
        "",
        "```python",
        "open",
        "```",
        "",
        "2.0 s (first token 0.5 s) · 10 tokens in, 1 out",
        "",
        "## Turn 2 · 2026-11-23 09:07 · ✗ failed",
        "",
        "**You**",
        "",
        "> Go",
        "",
        "**smollm2-135m**",
        "",
        "[failed: 429: slow]",
        "",
        "2.0 s (first token 0.5 s) · 20 tokens in, 2 out",
    ]


def test_a_turn_with_few_facts_renders() -> None:
    bare = of(TurnRecord("m", "x"))
    assert "<strong>Model</strong>" in bare._repr_html_()
    assert "## Turn 1 · … working\n" in repr(bare)


def test_nothing_in_the_text_steers_a_terminal() -> None:
    said = repr(of(turn(1, "a\rb\x1b[2J", "c\x1b]0;d\x07 \x9b e\tf")))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)
    assert "e\tf" in said


def test_ipython_prints_the_text() -> None:
    class Printer:
        said = ""

        def text(self, text: str, /) -> None:
            self.said += text

    printer = Printer()
    history(2)._repr_pretty_(printer, cycle=False)
    assert printer.said == repr(history(2))


DTYPES = {
    "session": "string",
    "turn": "int64",
    "role": "string",
    "text": "string",
    "model": "string",
    "provider": "string",
    "state": "string",
    "started_at": "datetime64[us, UTC]",
    "duration_s": "float64",
    "ttft_s": "float64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cost": "float64",
    "error": "string",
}


def test_a_frame_has_two_rows_for_each_turn() -> None:
    talk = of(turn(1), turn(2, "y", usage=Usage(20, 2, 0.5)), turn(3, "z", state=TurnState.FAILED, error="no"))[1:]
    frame = talk.to_frame()
    assert frame["turn"].tolist() == [2, 2, 3, 3]
    assert frame["role"].tolist() == ["user", "assistant"] * 2
    assert frame["text"].tolist() == ["y", "Fine.", "z", "Fine."]
    assert frame["input_tokens"].sum() == 50
    assert frame["cost"].sum() == 0.5
    assert frame["started_at"].tolist()[0] == pd.Timestamp(BEGAN + timedelta(minutes=2))
    user, assistant = frame.iloc[2], frame.iloc[3]
    assert (assistant["duration_s"], assistant["ttft_s"], assistant["state"]) == (2.0, 0.5, "failed")
    assert assistant["error"] == "no"
    assert user["model"] == "smollm2-135m"
    assert user[["duration_s", "ttft_s", "input_tokens", "output_tokens", "cost", "error"]].isna().all()


@pytest.mark.parametrize("talk", [of(), of(turn(1)), of(TurnRecord("m", "\ud83d", started_at=None))])
def test_the_types_of_a_frame_are_the_same_whatever_is_known(talk: History) -> None:
    frame = talk.to_frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert len(frame) == 2 * len(talk)
    documented = " ".join((History.to_frame.__doc__ or "").split())
    assert all(f"``{name}``" in documented for name in DTYPES)


def test_without_pandas_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError) as raised:
        history(1).to_frame()
    assert str(raised.value) == "to_frame needs pandas, which is not installed here → pip install pandas"


SERIES = [("a", [(10, 4), (20, 0), (40, 2)]), ("研究", [(1000 * n, 7) for n in range(250)]), ("none", [])]


def test_tokens_as_a_picture() -> None:
    svg = tokens_svg(SERIES)
    assert svg.count("<figure") == 3
    assert svg.count('<svg role="img" aria-label="') == svg.count("<title>") == 2
    assert "<strong>a</strong>: 3 turns; □ 70 tokens in, at most 40 a turn; ■ 6 out, at most 4</figcaption>" in svg
    assert "a bar is the highest of 3 turns" in svg
    assert "<strong>none</strong>: no turns yet" in svg
    hollow, filled = re.findall(r'<path d="(.*?)" (?:fill="none" stroke|fill)="currentColor"', svg)[:2]
    assert hollow == "M1 25v-6h6v6zM9 25v-12h6v12zM17 25v-24h6v24z"
    assert filled == "M1 25v24h6v-24zM17 25v12h6v-12z"
    assert len(svg) < 100 * MAX_BARS


def test_tokens_as_text() -> None:
    lines = tokens_text(SERIES).splitlines()
    assert lines[:2] == ["a     in   ▂▄█  at most 40 tokens a turn", "      out  █·▄  at most 4"]
    assert lines[-1] == "none  no turns yet"
    assert lines[2].startswith("研究  in   ▁")
    assert len(re.findall("[▁-█]", lines[2])) == MAX_TEXT_BARS
    assert tokens_text([("a", [(0, 0)])]).count("·") == 2


def test_no_series_at_all() -> None:
    assert tokens_text([]) == "no turns yet"
    assert "no turns yet" in tokens_svg([])
