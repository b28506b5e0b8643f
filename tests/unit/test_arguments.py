from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.notebook.arguments import ASK_OPTIONS, options_of, parse_cell, split_head, split_words
from copilot_nb.notebook.input_transform import TOKEN_TRANSFORMERS, Whole
from copilot_nb.notebook.subcommands import OTHER_WORDS, SUBCOMMANDS, help_text, suggestion


@pytest.mark.parametrize(
    ("text", "head", "rest"),
    [
        ("a What's up?", ["a"], "What's up?"),
        ("  a   two  blanks ", ["a"], "two  blanks"),
        ("-m gpt a hi -q", ["-m", "gpt", "a"], "hi -q"),
        ("--model gpt -q a -m", ["--model", "gpt", "-q", "a"], "-m"),
        ("-s 'Be brief.' a x", ["-s", "Be brief.", "a"], "x"),
        ('-s "a b" "my name" x "y', ["-s", "a b", "my name"], 'x "y'),
        ("--timeout -3 a x", ["--timeout", "-3", "a"], "x"),
        ("-m -q a x", ["-m", "-q", "a"], "x"),
        ("a", ["a"], ""),
        ("", [], ""),
        ("a {x} $y\n z", ["a"], "{x} $y\n z"),
    ],
)
def test_only_the_words_before_the_prompt_are_split(text: str, head: list[str], rest: str) -> None:
    assert split_head(text, ASK_OPTIONS) == (head, rest)


@settings(max_examples=100)
@given(st.text(max_size=40))
def test_any_prompt_of_ask_is_kept(prompt: str) -> None:
    args = SUBCOMMANDS["ask"].parse(f"-q name {prompt}")
    assert (args.name, args.quiet, args.prompt) == ("name", True, prompt.strip())


def test_the_cell_takes_options_on_both_sides_of_its_name() -> None:
    args = parse_cell("-m gpt 'my name' -q --timeout 3 -s @file -o out --id x --new -f json -p local")
    assert (args.names, args.model, args.quiet, args.timeout_s) == (["my name"], "gpt", True, 3.0)
    assert (args.system, args.out, args.session_id, args.new) == ("@file", "out", "x", True)
    assert (args.format, args.provider) == ("json", "local")
    empty = parse_cell("")
    assert (empty.names, empty.model, empty.timeout_s, empty.format) == ([], None, 0.0, "markdown")


@pytest.mark.parametrize("line", ["a --nope", "a -m", "a -f xml", "a --timeout x", "a --timeout 0", "a --timeout nan"])
def test_a_line_that_cannot_be_understood_is_one_line(line: str) -> None:
    with pytest.raises(InputError, match=r"^%%copilot: .* → see %copilot help copilot$") as caught:
        parse_cell(line)
    assert "\n" not in str(caught.value)


def test_an_open_quotation() -> None:
    with pytest.raises(InputError, match="no closing quotation → add the closing quote"):
        split_words("it's")


def test_the_system_message_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.md").write_text("Be brief.\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"\xe9")
    lines = {"a": None, "a -s ''": "", "a -s 'Be brief.'": "Be brief.", f"a -s @{tmp_path}/s.md": "Be brief.\n"}
    assert [options_of(parse_cell(line)).system for line in lines] == list(lines.values())
    for name, why in (("none", "No such file"), ("latin", "not UTF-8"), ("", "Is a directory")):
        with pytest.raises(InputError, match=why):
            options_of(parse_cell(f"a -s @{tmp_path}/{name}"))


def test_the_default_effort_is_not_the_one_that_a_session_has() -> None:
    assert options_of(parse_cell("a --effort default")).effort == ""
    assert options_of(parse_cell("a")) == SessionOptions()


CALL = "get_ipython().run_line_magic('copilot', {!r})"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("%copilot?", CALL.format("help")),
        ("%copilot ??", CALL.format("help")),
        ("%copilot ls?", CALL.format("help ls")),
        ("%copilot", CALL.format("")),
        ("%copilot ask a how?", CALL.format("ask a how?")),
        ("%copilot ask a how", CALL.format("ask a how")),
        ("%copilot ask a is ( \"it's ?", CALL.format("ask a is ( \"it's ?")),
        ("%copilot ask a one \\\n two?", CALL.format("ask a one   two?")),
        ("if 1:\n    %copilot ask a it's?", "if 1:\n    " + CALL.format("ask a it's?")),
        ("x = %copilot ask a how?", "x = " + CALL.format("ask a how?")),
        ("x.y = %copilot ls", "x.y = " + CALL.format("ls")),
        ("len?", "get_ipython().run_line_magic('pinfo', 'len')"),
        ("%copilots?", "get_ipython().run_line_magic('pinfo', '%copilots')"),
        ("%who\n%copilot ls?", "get_ipython().run_line_magic('who', '')\n" + CALL.format("help ls")),
        ("x = %who", "x = get_ipython().run_line_magic('who', '')"),
        ("x = '%copilot ls?'", "x = '%copilot ls?'"),
        ('x = """\n%copilot ask a how?\n%copilot ls?\n"""', 'x = """\n%copilot ask a how?\n%copilot ls?\n"""'),
        ("x = [\n %copilot\n]", "x = [\n %copilot\n]"),
    ],
)
def test_questions_are_kept_from_ipython(line: str, kept: str) -> None:
    manager = TransformerManager()
    manager.token_transformers.extend(TOKEN_TRANSFORMERS)
    assert manager.transform_cell(f"before\n{line}\nafter") == f"before\n{kept}\nafter\n"


def test_a_cell_is_called_with_its_body_to_the_letter() -> None:
    assert Whole()(["%%copilot a\n"]) == ["get_ipython().run_cell_magic('copilot', 'a', '\\n')\n"]
    assert Whole()(["\n", "%%copilot\n", ">>> 1\n"]) == ["get_ipython().run_cell_magic('copilot', '', '>>> 1\\n')\n"]
    assert Whole()(["%%time\n", "%%copilot a\n"]) == ["%%time\n", "%%copilot a\n"]
    assert Whole()(["%%copilot?\n"]) == Whole()(["%%copilot ??\n"]) == [CALL.format("help") + "\n"]
    assert Whole()([]) == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("undo", "rewind NAME --undo"),
        ("delete Delete remove", "rm NAME?"),
        ("list sessions", "ls?"),
        ("history", "show NAME?"),
        ("cancel quit exit close interrupt", "stop NAME?"),
        ("clear reset", "rewind NAME --to 0?"),
        ("switch", "use NAME?"),
        ("config set settings", "%config CopilotNB?"),
        ("version", "doctor?"),
        ("info", "status?"),
        ("save", "export NAME FILE?"),
        ("load", "import FILE?"),
        ("copy branch", "fork NAME NEW_NAME?"),
        ("retry edit", "run the cell of the prompt again"),
        ("modls", "models?"),
    ],
)
def test_a_word_of_other_programs_leads_to_the_subcommand(words: str, meant: str) -> None:
    for word in words.split():
        said = suggestion(word)
        assert said.startswith("did you mean ")
        assert meant in said
        with pytest.raises(InputError, match=f"→ {re.escape(said)}there are: "):
            help_text(word)


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_what_is_suggested_can_be_typed(word: str) -> None:
    assert word not in SUBCOMMANDS
    for line in re.findall(r"%copilot ([a-z]+(?: [-A-Z0_]\S*\b)*)", OTHER_WORDS[word]):
        subcommand, _, rest = line.partition(" ")
        SUBCOMMANDS[subcommand].parse(rest)
