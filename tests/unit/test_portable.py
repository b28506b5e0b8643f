"""Exports: what each format holds, what no text can do in it, and what is read back."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import time
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from copilot_nb.conversation.parts import Image, Part, Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.prompt import as_body, interpolate
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.formats import json_format
from copilot_nb.named_sessions.formats.export import Exported, export, load
from copilot_nb.render.inert import inert
from copilot_nb.render.turn import Label, turn_html, turn_metadata, turn_text
from copilot_nb.settings import DEFAULT_SYSTEM_MESSAGE

AT = datetime(2026, 1, 2, 10, 11, 12, 345678, tzinfo=UTC)
FACTS = Exported("séance 1", "seance-1-0123456789", "github", "gpt-5", "Be brief.", AT)
FORMATS = (".md", ".html", ".json", ".ipynb")
each_format = pytest.mark.parametrize("suffix", FORMATS)


def turn(prompt: str, *parts: Part, **changed: Any) -> TurnRecord:
    """Return a turn that is done, but for what is `changed`."""
    record = TurnRecord(
        f"m-{prompt[:5]}",
        prompt,
        parts,
        TurnState.DONE,
        "gpt-5-2026",
        Usage(66, 12, 0.5, 78, 128_000),
        AT,
        AT + timedelta(seconds=0.4),
        AT + timedelta(seconds=3.2),
        event_id="e1",
    )
    return dataclasses.replace(record, **changed)


TURNS = (
    turn("How do I make a venv?", Text("t1", "Like *this*:\n\n```sh\npython -m venv .venv\n```\n", complete=True)),
    turn(
        "Look at {{ x }}",
        Reasoning("r1", "I *think*", complete=True),
        Text("t2", "I look.", complete=True),
        ToolCall("c1", "view", '{"path": "a"}', "the ``` file", succeeded=True),
        ToolCall("c2", "shell"),
        Text("t3", "It says so.", complete=True),
        notes=("retried: 429",),
    ),
    turn("Why?", Text("t4", "Because", complete=False), state=TurnState.INTERRUPTED, finished_at=None),
    turn("And?", state=TurnState.FAILED, error="500 down", usage=None, model="", started_at=None, first_token_at=None),
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script></style></title></textarea><img src=x onerror=alert(1)>",
    "<!-- open",
    "<pre><style>\n",
    "```\nan open fence",
    "~~~~\nanother\n```",
    "> - ```\n>   nested",
    "![x](https://evil.example/x.png) and ![y][1]\n\n[1]: https://evil.example/y.png",
    "[x](javascript:alert(1)) <javascript:alert(1)>",
    "[x]: <data:text/html,x>\n\n[x]",
    "costs $5 and $6, \\(x\\), \\begin{x}",
    "nul \0, bell \x07, escape \x1b[31m, return \r, separators \u2028\u0085\x0c",
    "halves \ud83d and \ude00, both \ud83d\ude00",
    "{{ 1 + 1 }} \\{{ {{{ }}",
    "%s %(x)s {0} %%copilot",
    "\n\nlines around\n\n",
    "| a <b> | `<c>` |\n|---|---|\n| <i> | ![p](q) |",
    "`a <b>` `` ` <c> `` \\<d> \\\\<e> <f>",
    "# a\n## Turn 7\n---\n",
    "&lt;script&gt;",
)


def written(suffix: str, tmp_path: Path, *turns: TurnRecord, facts: Exported = FACTS) -> str:
    """Return the content of an export."""
    return export(turns, facts, tmp_path / f"out{suffix}", force=True).read_bytes().decode()


def hostile_turns() -> list[TurnRecord]:
    calls = [ToolCall(text, text, text, text, succeeded=True) for text in HOSTILE]
    return [
        turn(
            text, Reasoning(text, text), Text(text, text), call, Text(text, text), notes=(text,), error=text, model=text
        )
        for text, call in zip(HOSTILE, calls, strict=True)
    ]


HOSTILE_FACTS = Exported(
    "</title><script>alert(1)</script> {{ x }}", "<b>", "</dl>", "--model", "@a\n<script>\n```", AT
)


# --- where it is written


@each_format
def test_an_export_is_written_whole_and_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix.upper()}"
    assert export(TURNS, FACTS, str(path)) == path
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


@each_format
def test_a_file_is_replaced_only_by_force(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"exists already → .*--force"):
        export(TURNS, FACTS, path)
    assert path.read_text() == "mine"
    export(TURNS, FACTS, path, force=True)
    assert path.read_text("utf-8") != "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out", "no export format for .* → end the name with .md, .html, .json, .ipynb"),
        ("out.pdf", "no export format"),
        ("", "no export format"),
        ("folder.md", "is a folder"),
        ("none/out.md", "there is no folder"),
        ("nul\0.md", "cannot write"),
        ("x" * 300 + ".md", "cannot write .*File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        export(TURNS, FACTS, f"{tmp_path}/{name}" if name else "")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.md"]


def test_the_folder_of_an_unknown_user_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="there is no folder ~nobody-at-all"):
        export(TURNS, FACTS, "~nobody-at-all/x.md")
    with pytest.raises(InputError, match=r"cannot read ~nobody-at-all/x\.json: No such file"):
        load("~nobody-at-all/x.json")


def test_a_write_that_fails_leaves_nothing_and_spares_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*: No space left on device"):
        export(TURNS, FACTS, path, force=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export(TURNS, FACTS, "~/out.md") == tmp_path / "out.md"


@each_format
def test_no_turns_at_all(suffix: str, tmp_path: Path) -> None:
    content = written(suffix, tmp_path, facts=Exported("empty"))
    if suffix in (".md", ".html"):
        assert "0 turns" in content
    elif suffix == ".json":
        assert load(tmp_path / "out.json").turns == ()
    else:
        nbformat.validate(nbformat.reads(content, as_version=4))


@pytest.mark.slow
@each_format
def test_a_thousand_turns_take_seconds(suffix: str, tmp_path: Path) -> None:
    text = "Some *Markdown*, `code`:\n\n```python\nx = [1, 2]\n```\n\n- a\n- b\n" * 4
    turns = [turn(f"prompt {number}", Text("t", text, complete=True)) for number in range(1000)]
    start_s = time.process_time()
    written(suffix, tmp_path, *turns)
    assert time.process_time() - start_s < 20


# --- .json


def test_json_is_read_back_as_it_was(tmp_path: Path) -> None:
    written(".json", tmp_path, *TURNS)
    imported = load(tmp_path / "out.json")
    assert imported.facts == FACTS
    assert imported.turns == TURNS


def test_hostile_text_survives_json_to_the_letter(tmp_path: Path) -> None:
    turns = [t for t in hostile_turns() if "\ud83d\ude00" not in t.prompt]
    written(".json", tmp_path, *turns, facts=HOSTILE_FACTS)
    imported = load(tmp_path / "out.json")
    assert imported.facts == HOSTILE_FACTS
    assert list(imported.turns) == turns


def test_the_halves_of_a_character_are_joined_in_json(tmp_path: Path) -> None:
    written(".json", tmp_path, turn("\ud83d\ude00 \ud83d"))
    assert load(tmp_path / "out.json").turns[0].prompt == "\U0001f600 \ud83d"


def test_json_is_stable_and_readable(tmp_path: Path) -> None:
    content = written(".json", tmp_path, *TURNS)
    assert content == written(".json", tmp_path, *TURNS)
    assert '  "name": "séance 1",\n' in content
    assert content.endswith("}\n")
    longer = written(".json", tmp_path, *TURNS, turn("one more"))
    assert longer.startswith(content.removesuffix("\n    }\n  ]\n}\n"))


def test_every_key_is_documented(tmp_path: Path) -> None:
    data = json.loads(written(".json", tmp_path, *TURNS))
    assert list(data)[:2] == ["format", "version"]
    parts = [part for t in data["turns"] for part in t["parts"]]
    usage = data["turns"][0]["usage"]
    for key in {*data, *usage, *(key for item in (*data["turns"], *parts) for key in item)}:
        assert key in (json_format.__doc__ or ""), key
    fields = {field.name for field in dataclasses.fields(TurnRecord)}
    assert set(data["turns"][0]) == fields
    assert set(usage) == {field.name for field in dataclasses.fields(Usage)}


def head(**changed: Any) -> dict[str, Any]:
    return {"format": "copilot_nb/conversation", "version": 1, "turns": []} | changed


def loaded(data: object, tmp_path: Path) -> Any:
    path = tmp_path / "in.json"
    path.write_text(json.dumps(data), "utf-8")
    return load(path)


def test_a_reader_needs_little_and_ignores_what_it_does_not_know(tmp_path: Path) -> None:
    odd = {"kind": "hologram", "text": "?"}
    parts = [odd, {"kind": "text", "text": "hi", "colour": "red"}]
    data = head(later=1, turns=[{"prompt": "a", "parts": parts, "later": {}, "model": None, "usage": None}])
    (only,) = loaded(data, tmp_path).turns
    assert only == TurnRecord("", "a", (Text("", "hi", complete=True),), TurnState.DONE)


def test_a_time_without_a_zone_is_taken_for_utc(tmp_path: Path) -> None:
    turns = [{"prompt": "a", "started_at": "2026-01-02T10:11:12.345678", "finished_at": "2026-01-02T12:11:12+01:00"}]
    (only,) = loaded(head(turns=turns), tmp_path).turns
    assert only.started_at == AT
    assert only.finished_at == datetime(2026, 1, 2, 12, 11, 12, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "it is not a conversation that copilot_nb exported"),
        ({"format": "else"}, "it is not a conversation that copilot_nb exported"),
        (head(version=2), "it has version 2; this release of copilot_nb reads versions up to 1"),
        (head(version=0), "it has version 0"),
        (head(version="1"), "'version' is str, not int"),
        (head(version=True), "'version' is bool, not int"),
        ({"format": "copilot_nb/conversation", "version": 1}, "'turns' is missing"),
        (head(name=1), "'name' is int, not str"),
        (head(turns={}), "'turns' is dict, not list"),
        (head(turns=["x"]), "turn 1 is not an object"),
        (head(turns=[{"prompt": "a"}, {}]), "turn 2: 'prompt' is missing"),
        (head(turns=[{"prompt": "a", "state": "dreaming"}]), "turn 1: 'dreaming' is not a valid TurnState"),
        (head(turns=[{"prompt": "a", "started_at": "soon"}]), "turn 1: 'started_at' is not a time: 'soon'"),
        (head(turns=[{"prompt": "a", "usage": {"input_tokens": "1"}}]), "turn 1: 'input_tokens' is str, not int"),
        (head(turns=[{"prompt": "a", "parts": [3]}]), "turn 1: part 1 is not an object"),
        (
            head(turns=[{"prompt": "a", "parts": [{"kind": "text", "text": 3}]}]),
            "turn 1: part 1: 'text' is int, not str",
        ),
        (head(exported_at="x"), "'exported_at' is not a time"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_in_one_line(data: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        loaded(data, tmp_path)
    assert message in str(caught.value)
    assert "in.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not JSON"),
        (b"# Markdown", "it is not JSON"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
        (b'{"format": ' + b"9" * 5000 + b"}", "cannot read"),
    ],
)
def test_a_file_that_is_not_json_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("none.json", "", "nul\0"):
        with pytest.raises(InputError, match="cannot read"):
            load(tmp_path / name)


def test_a_cost_that_is_no_number_is_unknown(tmp_path: Path) -> None:
    for cost in ("1", True, float("inf"), float("nan"), None):
        (only,) = loaded(head(turns=[{"prompt": "a", "usage": {"output_tokens": 2, "cost": cost}}]), tmp_path).turns
        assert only.usage == Usage(0, 2)


# --- .html


class Page(HTMLParser):
    """Gathers elements and text; refuses what could run or load anything."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text, self.open = list[str](), "", list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "iframe", "link", "object", "form", "svg", "base"}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "background", "action"}
            assert name != "href" or (value or "").startswith(("http://", "https://", "mailto:"))
            assert "url(" not in (value or "")
        self.tags.append(tag)
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def test_html_shows_the_whole_conversation(tmp_path: Path) -> None:
    html = written(".html", tmp_path, *TURNS)
    page = parsed(html)
    assert html.startswith("<!DOCTYPE html>")
    for text in ("séance 1", "gpt-5 (github)", "Be brief.", "2026-01-02 10:11 UTC", "4 turns", "Turn 4"):
        assert text in page.text
    for record in TURNS:
        assert record.prompt in page.text
        assert turn_html(record, Label("séance 1", "github")) in html
    assert page.tags.count("article") == 4
    assert page.tags.count("style") == 1
    assert "prefers-color-scheme: dark" in html
    assert "default-src 'none'" in html


def test_no_text_does_anything_in_html(tmp_path: Path) -> None:
    html = written(".html", tmp_path, *hostile_turns(), facts=HOSTILE_FACTS)
    page = parsed(html)
    assert page.tags.count("article") == len(HOSTILE)
    assert page.tags.count("title") == page.tags.count("style") == 1
    assert page.text.count("<script>alert(1)</script>") >= 3
    assert "\0" not in html


# --- .md


def tokens(markdown: str) -> list[Any]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda _url: True  # type: ignore[method-assign]
    return parser.parse(markdown)


def headings(markdown: str) -> list[str]:
    parsed_tokens = tokens(markdown)
    opened = [i for i, token in enumerate(parsed_tokens) if token.type == "heading_open" and token.level == 0]
    return [parsed_tokens[i + 1].content for i in opened]


def test_markdown_shows_the_whole_conversation(tmp_path: Path) -> None:
    markdown = written(".md", tmp_path, *TURNS)
    assert markdown.startswith("# séance 1\n\n**Model:** gpt-5 (github)\n\n")
    assert "\n\n> How do I make a venv?\n\nLike *this*:\n\n```sh\npython -m venv .venv\n```\n\n" in markdown
    assert (
        '*Tool view a: ✓ done*\n\n```\n{"path": "a"}\n```\n\n````\nthe ``` file\n````\n\n*Tool shell: … running*'
        in markdown
    )
    assert "*Reasoning:*\n\n> I *think*\n" in markdown
    assert "*retried: 429*" in markdown
    assert "Because\n\n**■ interrupted: partial answer kept**\n" in markdown
    assert "> And?\n\n**■ failed: 500 down**\n" in markdown
    assert headings(markdown)[1:] == [f"Turn {n} · 2026-01-02 10:11 UTC" for n in (1, 2, 3)] + ["Turn 4"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_does_anything_in_markdown(text: str, tmp_path: Path) -> None:
    parts = (Reasoning("r", text), Text("a", text), ToolCall("c", text, text, text), Text("b", text))
    turns = [turn(text, *parts, notes=(text,), state=TurnState.FAILED, error=text, model=text), turn("next")]
    markdown = written(".md", tmp_path, *turns, facts=dataclasses.replace(FACTS, name=text, system=text, model=text))
    found = tokens(markdown)
    children = [child for token in found for child in token.children or ()]
    assert not {token.type for token in (*found, *children)} & {"html_block", "html_inline", "image"}
    links = [str(child.attrs["href"]) for child in children if child.type == "link_open"]
    assert {urlsplit(link).scheme for link in links} <= {"", "https"}
    assert headings(markdown)[-1] == "Turn 2 · 2026-01-02 10:11 UTC"
    assert "\0" not in markdown
    assert "\r" not in markdown


def test_a_link_defined_in_one_answer_does_nothing_in_the_next(tmp_path: Path) -> None:
    define = Text("a", "[x]: javascript:alert(1)")
    markdown = written(".md", tmp_path, turn("a", define), turn("b", Text("b", "[x]")))
    assert "link_open" not in {child.type for token in tokens(markdown) for child in token.children or ()}


@given(st.text(alphabet="`~<!->brx/{:[]()\\ \n\t$|#*:=\"'&;", max_size=60))
def test_inert_markdown_is_harmless_and_ends(text: str) -> None:
    markdown = f"before\n\n{inert(text)}\n\n## after\n"
    found = tokens(markdown)
    children = [child for token in found for child in token.children or ()]
    assert "image" not in {token.type for token in (*found, *children)}
    html = [token.content for token in (*found, *children) if token.type in ("html_block", "html_inline")]
    assert all(re.fullmatch(r"<br\s*/?>\n?", each) for each in html)
    assert not [token.info for token in found if token.type == "fence" and token.info.strip().startswith("{")]
    assert [(t.type, t.level) for t in found[-3:]] == [("heading_open", 0), ("inline", 1), ("heading_close", 0)]


@pytest.mark.parametrize(
    "text",
    [
        "plain *Markdown* with a [link](https://a.example) and <https://b.example>",
        "a < b, c<d, 1<2, `List<int>`, x -> y",
        "```html\n<script>\n```",
        "    <indented>",
        "$$\\frac{a}{b}$$ costs $5!",
        "\\alpha^2 {x} `{y}` and `\\input{z}`\n\n```tex\n\\input{z}\n```",
        "- a\n- b\n\n| a |\n|---|\n| `<b>` |",
    ],
)
def test_harmless_markdown_stays_to_the_letter(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    "text",
    [
        r"$`\href{javascript:x}{y}`$",
        r"$$a `\href{javascript:x}{y}` $$",
        r"\\(`\href{javascript:x}{y}`\\)",
        "$\n```\n\\href{javascript:x}{y}\n```\n$",
        "\\begin{align}`\\href{javascript:x}{y}`\\end{align}",
    ],
)
def test_code_in_a_formula_is_no_code_to_a_viewer_that_looks_for_formulas_first(text: str) -> None:
    assert inert(text).startswith("```")


@pytest.mark.parametrize("text", [r"`$\href{x}{y}$`", r"Use `\newcommand` and then $x$.", r"$x$ `\sum` $y$"])
def test_code_about_macros_stays(text: str) -> None:
    assert inert(text) == text


def test_what_is_not_harmless_is_changed_where_it_must_be() -> None:
    assert inert("a List<int> and `List<int>` <br>") == "a List\\<int> and `List<int>` <br>"
    assert inert("<br>\na <br onclick=b>") == "\\<br>\na \\<br onclick=b>"
    assert inert("| a |\n|---|\n| b | <img src=x> |") == "| a |\n|---|\n| b | \\<img src=x> |"
    assert (
        inert("```{include} /etc/passwd\n```\n~~~ {code-cell}\nx\n~~~")
        == "```include /etc/passwd\n```\n~~~ code-cell\nx\n~~~"
    )
    assert inert(":::{include} x\n:::") == "\\:::{include} x\n:::"
    assert inert("```md\n```sh\nls\n```\n```\nb") == "````md\n```sh\nls\n```\n````\nb"
    assert inert("![x](https://a.example)!") == "[x](https://a.example)!"
    assert inert("<b>\n\n```\n<b>\n```\n\n<i>") == "\\<b>\n\n```\n<b>\n```\n\n\\<i>"
    assert inert("[x](javascript:y)") == "```\n[x](javascript:y)\n```"
    assert inert("a\n```py\nb") == "a\n```py\nb\n```"
    assert inert("$\\input{x}$ \\\\input `\\input`") == "$\\\\input{x}$ \\\\input `\\input`"
    assert inert("$^^5cinput{x} a^b$ \\Lstinputlisting{x}") == "$\\^^5cinput{x} a^b$ \\\\Lstinputlisting{x}"
    assert inert("`<b>`{=html} ``a`b``{=latex} `a`{.py}") == "`<b>`\\{=html} ``a`b``\\{=latex} `a`{.py}"
    assert inert("{eval}`1+1` and {x}") == "\\{eval}`1+1` and {x}"
    assert inert("x" * 300_000).startswith("```\nxxx")


@pytest.mark.slow
def test_hostile_markdown_takes_linear_time() -> None:
    for text in ("`" * 100_000, "<b`" * 30_000, "".join("`" * n + "<b> " for n in range(1, 600)), "<!--" * 40_000):
        start_s = time.process_time()
        inert(text)
        assert time.process_time() - start_s < 10


# --- .ipynb


def notebook(tmp_path: Path, *turns: TurnRecord, facts: Exported = FACTS) -> Any:
    content = written(".ipynb", tmp_path, *turns, facts=facts)
    read = nbformat.reads(content, as_version=4)
    nbformat.validate(read)
    assert json.loads(content)["nbformat_minor"] == 5
    return read


def test_a_notebook_holds_prompts_as_cells_and_answers_as_outputs(tmp_path: Path) -> None:
    opening, *cells = notebook(tmp_path, *TURNS).cells
    assert opening.source == "%load_ext copilot_nb"
    assert [cell.source for cell in cells] == [
        "%%copilot 'séance 1' -p github -m gpt-5 -s 'Be brief.'\nHow do I make a venv?",
        "%%copilot 'séance 1'\nLook at \\{{ x }}",
        "%%copilot 'séance 1'\nWhy?",
        "%%copilot 'séance 1'\nAnd?",
    ]
    label = Label("séance 1", "github")
    for cell, record in zip(cells, TURNS, strict=True):
        (output,) = cell.outputs
        assert output.output_type == "display_data"
        assert output.data == {"text/html": turn_html(record, label), "text/plain": turn_text(record, label)}
        assert output.metadata == turn_metadata(record, label, FACTS.session_id)
    assert "Because" in cells[2].outputs[0].data["text/plain"]


def test_a_notebook_attaches_nothing_by_a_name_that_somebody_gave(tmp_path: Path) -> None:
    images = (Image("/etc/passwd", "image/png", 3), Image("a.png\n%rm x", "image/png", 3))
    opening, *cells = notebook(tmp_path, TURNS[0], dataclasses.replace(TURNS[2], images=images)).cells
    assert opening.source.splitlines() == [
        "%load_ext copilot_nb",
        "# turn 2 was sent with /etc/passwd, a.png %rm x; to attach it again: -a FILE",
    ]
    assert not any("-a" in cell.source for cell in cells)


def test_cell_ids_are_unique_and_stay_when_the_conversation_goes_on(tmp_path: Path) -> None:
    first = [cell.id for cell in notebook(tmp_path, *TURNS[:2]).cells]
    later = [cell.id for cell in notebook(tmp_path, *TURNS).cells]
    assert later[:3] == first
    assert len(set(later)) == 5


@pytest.mark.parametrize(
    ("facts", "first_cell", "flags"),
    [
        (Exported("a"), "%load_ext copilot_nb", []),
        (Exported("a", system=DEFAULT_SYSTEM_MESSAGE, model="m"), "%load_ext copilot_nb", ["-m", "m"]),
        (Exported("a", system='it\'s "x" $y'), "%load_ext copilot_nb", ["-s", 'it\'s "x" $y']),
        (
            Exported("a", provider="local", system="two\nlines"),
            "%load_ext copilot_nb\nimport copilot_nb\n\n"
            "copilot_nb.session('a', provider='local', system='two\\nlines');",
            ["-p", "local"],
        ),
        (
            Exported("a", system="@file"),
            "%load_ext copilot_nb\nimport copilot_nb\n\ncopilot_nb.session('a', system='@file');",
            [],
        ),
    ],
)
def test_the_options_stand_in_the_first_cells(
    facts: Exported, first_cell: str, flags: list[str], tmp_path: Path
) -> None:
    opening, cell = notebook(tmp_path, turn("x"), facts=facts).cells
    assert opening.source == first_cell
    assert shlex.split(cell.source.partition("\n")[0]) == ["%%copilot", "a", *flags]


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "$x {{ y }}", "日本語", "a\u2028b", "\U0001f600"])
def test_a_name_is_one_word_of_one_line(name: str, tmp_path: Path) -> None:
    cell = notebook(tmp_path, turn("x"), facts=Exported(name)).cells[1]
    line, _, body = cell.source.partition("\n")
    assert shlex.split(line) == ["%%copilot", name.replace("\u2028", " ")]
    assert body == "x"


def test_hostile_text_makes_a_valid_notebook(tmp_path: Path) -> None:
    cells = notebook(tmp_path, *hostile_turns(), facts=HOSTILE_FACTS).cells
    assert len(cells) == len(HOSTILE) + 1
    for cell in cells[1:]:
        parsed(cell.outputs[0].data["text/html"])


def refuse(expression: str) -> object:
    """Evaluate what stands for a text, and nothing else."""
    value = eval(expression, {"__builtins__": {}})
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize("prompt", HOSTILE)
def test_a_cell_sends_the_prompt_that_it_was_made_of(prompt: str) -> None:
    body = as_body(prompt)
    assert interpolate(body.strip("\n"), refuse) == prompt
    assert "\r" not in body


@given(st.text(alphabet="{}\\ '\"\n\r\0x", max_size=40))
def test_as_body_is_the_inverse_of_interpolate(prompt: str) -> None:
    assert interpolate(as_body(prompt).strip("\n"), refuse) == prompt


def test_a_prompt_of_braces_takes_linear_time() -> None:
    start_s = time.process_time()
    as_body("{" * 500_000)
    as_body("\\" * 500_000)
    assert time.process_time() - start_s < 5


def test_a_file_that_is_replaced_keeps_its_rights_and_a_link_is_not_followed(tmp_path: Path) -> None:
    private, elsewhere, link = tmp_path / "private.md", tmp_path / "elsewhere", tmp_path / "link.md"
    private.write_text("x")
    private.chmod(0o600)
    elsewhere.write_text("not touched")
    link.symlink_to(elsewhere)
    dangling = tmp_path / "dangling.md"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (private, link):
        export((), FACTS, path, force=True)
    assert private.stat().st_mode & 0o777 == 0o600
    assert not link.is_symlink()
    assert elsewhere.read_text() == "not touched"
    with pytest.raises(InputError, match="exists already"):
        export((), FACTS, dangling)
