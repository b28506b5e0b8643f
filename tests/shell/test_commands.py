"""Every subcommand of ``%copilot``."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import copilot_nb
from copilot_nb.named_sessions import waiting
from copilot_nb.named_sessions.session import engine_of, state_of
from copilot_nb.notebook.arguments import ASK_OPTIONS
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.render.table import Card
from copilot_nb.testing import Reply, ScriptedModel

from .conftest import Notebook

TESTING = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.mark.parametrize("line", ["%copilot", "%copilot status", "card = %copilot"])
def test_the_card(nb: Notebook, line: str) -> None:
    nb.run("%%copilot a\nx")
    ran = nb.run(line)
    assert ran.ok
    if line.startswith("card"):
        assert isinstance(nb.shell.user_ns["card"], Card)
        return
    assert "scripted (scripted)" in ran.out
    assert "a: idle, scripted" in ran.out
    assert nb.settings.home in ran.out


def test_the_card_where_the_runtime_is_missing_says_how_to_get_it(nb: Notebook, tmp_path: Path) -> None:
    nb.settings.runtime_path = str(tmp_path / "gone")
    ran = nb.run("%copilot")
    assert ran.ok
    assert "there is no Copilot runtime at" in ran.out
    assert "run: copilot-nb install-runtime" in ran.out
    assert "%%copilot session1" not in ran.out
    assert "%copilot login" not in ran.out, "there is a model: the setting provider names one"


def test_the_card_of_a_first_run_offers_the_three_ways_to_a_model(nb: Notebook, tmp_path: Path) -> None:
    nb.settings.provider = ""
    nb.settings.local_model_path = str(tmp_path / "none.gguf")
    ways = [
        "log in to Copilot: %copilot login",
        "bring a key: %copilot provider add openai --ask-key, then -p openai",
        "install the embedded model: copilot-nb install-model",
    ]
    said = nb.run("%copilot").out
    assert "no model can answer" in said
    assert not [way for way in ways if f"{way}\n" not in said]
    nb.settings.runtime_path = str(tmp_path / "gone")
    said = nb.run("%copilot").out
    assert "run: copilot-nb install-runtime" in said
    assert not [way for way in ways if f"{way}\n" not in said]


def test_ls(nb: Notebook) -> None:
    assert "No sessions. Start one with: %%copilot session1" in nb.run("%copilot ls").out
    nb.run("%%copilot a\nx")
    nb.run("%copilot ask 'b c' y")
    head, _, *rows = nb.run("%copilot ls").out.split("Out[0]: \n")[1].splitlines()
    assert head.split("  ")[0] == "name"
    assert [row.split("  ")[0] for row in rows if row] == ["b c", "a"]
    assert all("scripted (scripted)" in row for row in rows if row)


def test_the_python_function_sessions_lists_too(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    ran = nb.run("import copilot_nb as cp; cp.sessions()")
    assert ran.ok
    assert "a" in ran.out
    assert [stored.turns for stored in copilot_nb.sessions()] == [1]


def test_new_creates_without_asking(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    ran = nb.run("%copilot new a -m scripted-b -s 'Be brief.' --id the-id")
    assert ran.out == "Created <Session 'a': scripted-b (scripted), idle>\n"
    assert nb.on_disk() == ["the-id"]
    assert model.requests == []
    nb.run("%%copilot a\nx")
    assert model.requests[-1].system_text == "Be brief."
    assert model.requests[-1].model == "scripted-b"
    assert nb.run("%copilot new a").complaint == (
        "InputError: session 'a' exists already → use it, or start again with --new"
    )
    assert nb.run("%copilot new a --new").ok
    assert sorted(nb.names()) == ["a", "a~1"]


def test_use(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run("%copilot use a").out == "%%copilot without a name goes to: a\n"
    assert nb.run("%%copilot\nx").ok
    assert nb.run("%%copilot -q\ny").ok
    assert model.requests[-1].user_texts == ("x", "y")
    assert nb.run("%copilot use").out == "%%copilot without a name goes to: a\n"
    assert nb.names() == ["a"]
    assert nb.run("%copilot rm a -y").ok
    assert nb.run("%copilot use").out == "%%copilot without a name goes to: (none chosen)\n"


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("a What's up?", "What's up?"),
        ("a What's up", "What's up"),
        ('a Say "hello', 'Say "hello'),
        ("a {x} {{1 + 1}} ${HOME} $HOME", "{x} {{1 + 1}} ${HOME} $HOME"),
        ("a -m is an option of which program?", "-m is an option of which program?"),
        ('"a" how?', "how?"),
        ("-m scripted-b a how", "how"),
        ("--system 'Be brief.' -q a   two  blanks ", "two  blanks"),
        ("a is it C:\\new ??", "is it C:\\new ??"),
    ],
)
def test_ask_takes_the_prompt_as_it_is(nb: Notebook, line: str, prompt: str) -> None:
    model = nb.answer(ScriptedModel())
    ran = nb.run(f"%copilot ask {line}")
    assert ran.ok, ran.out
    assert model.requests[-1].prompt == prompt
    assert nb.names() == ["a"]


def test_ask_in_an_indented_block(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run("for number in range(2):\n    %copilot ask a how are you?\n    print(number)").ok
    assert model.requests[-1].user_texts == ("how are you?",) * 2


def test_ask_shows_the_answer(nb: Notebook) -> None:
    nb.answer(ScriptedModel("Fine."))
    assert nb.run("%copilot ask a How are you?").out.startswith("Fine.\n\n[a · ")


def test_rm_asks_and_says_what_it_deletes(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def saying(answer: str) -> Callable[[str], str]:
        return lambda question: asked.append(question) or answer  # type: ignore[func-returns-value]

    def ended(_question: str) -> str:
        raise EOFError

    nb.run("%%copilot a\nx")
    monkeypatch.setattr(builtins, "input", saying("n"))
    assert nb.run("%copilot rm a").out == "Nothing was deleted.\n"
    assert asked == ["Delete, irreversibly: a (id a, 1 turn)? [y/N] "]
    monkeypatch.setattr(builtins, "input", ended)
    assert nb.run("%copilot rm a").out == "Nothing was deleted.\n"
    assert nb.names() == ["a"]
    monkeypatch.setattr(builtins, "input", saying("y"))
    assert nb.run("%copilot rm a").out == "Deleted a.\n"
    assert nb.names() == nb.on_disk() == []


@pytest.mark.parametrize("flag", ["-y", "--yes"])
def test_rm_without_asking(nb: Notebook, flag: str) -> None:
    for name in ("a", "b c", "d"):
        nb.run(f'%%copilot "{name}"\nx')
    assert nb.run(f'%copilot rm a "b c" {flag}').out == "Deleted a.\nDeleted b c.\n"
    assert nb.names() == ["d"]


def test_stop(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run("%copilot stop --all").out == "Nothing was under way.\n"
    nb.run("%%copilot idle\nx")
    model.hold()
    turns = [copilot_nb.session(name).send("x") for name in ("a", "b", "c")]
    model.wait_for_stalled(3)
    assert nb.run("%copilot stop b").out == "Stopped: b\n"
    with pytest.raises(copilot_nb.TurnInterrupted):
        turns.pop(1).wait(timeout_s=5)
    assert nb.run("%copilot stop --all").out == "Stopped: a, c\n"
    for turn in turns:
        with pytest.raises(copilot_nb.TurnInterrupted):
            turn.wait(timeout_s=5)
    assert nb.run("%copilot stop a").out == "Nothing was under way.\n"


def test_show(nb: Notebook) -> None:
    for number in range(3):
        nb.run(f"%%copilot a\nquestion {number}")
    assert "question 0" in nb.run("%copilot show a").out
    last = nb.run("%copilot show a -n 1").out
    assert "question 2" in last
    assert "question 1" not in last
    assert nb.run("%copilot show nobody").complaint == (
        "SessionNotFound: there is no session 'nobody' → see %copilot ls"
    )


def test_doctor(nb: Notebook) -> None:
    out = nb.run("%copilot doctor").out
    for what in ("Python", "Copilot SDK", "Copilot runtime", "Runtime home", "Embedded model", "Provider"):
        assert what in out
    assert "(scripted) answers new sessions" in out


def test_the_doctor_says_that_no_model_can_answer(
    nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copilot_nb.notebook.status.diagnose", lambda *_: [])  # all that is installed is in order
    nb.settings.provider = ""
    nb.settings.local_model_path = str(tmp_path / "none.gguf")
    assert re.search(r"Model +FIX +no model can answer +log in to Copilot", nb.run("%copilot doctor").out)


def test_restart_keeps_the_sessions(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("%%copilot a\none")
    assert nb.run("%copilot restart").out.startswith("The Copilot runtime is stopped; ")
    nb.run("%%copilot a\ntwo")
    assert model.requests[-1].user_texts == ("one", "two")


@pytest.mark.parametrize(
    "line", ["%copilot help", "%copilot?", "%copilot ?", "%copilot??", "%%copilot?", "?%copilot", "?%%copilot"]
)
def test_help_names_every_option_and_subcommand(nb: Notebook, line: str) -> None:
    out = nb.run(line).out
    for flag in (flag for option in ASK_OPTIONS for flag in option.flags):
        assert re.search(rf"(?<![\w-]){flag}\b", out), flag
    for word in SUBCOMMANDS:
        assert re.search(rf"^  {word}\b", out, re.MULTILINE), word


@pytest.mark.parametrize("word", [*SUBCOMMANDS, "copilot"])
def test_help_of_a_subcommand(nb: Notebook, word: str) -> None:
    asked = nb.run(f"%copilot help {word}").out
    assert f"%copilot {word}" in asked or "%%copilot" in asked
    assert nb.run(f"%copilot {word}?").out == asked
    assert nb.run(f"%copilot {word} ?").out == asked


def test_help_of_ipython_itself_is_left_alone(nb: Notebook) -> None:
    assert nb.shell.transform_cell("len?\n") == "get_ipython().run_line_magic('pinfo', 'len')\n"
    assert nb.shell.transform_cell("%who?\n") == "get_ipython().run_line_magic('pinfo', '%who')\n"


def test_the_documented_scripted_model_answers_once_and_then_fails(nb: Notebook) -> None:
    _, _, example = TESTING.read_text(encoding="utf-8").partition("```python\nimport copilot_nb.testing")
    assert nb.run(f"import copilot_nb.testing{example.partition('```')[0]}").ok
    assert nb.run("%%copilot a\nx").out.startswith("Hello.")
    assert "too long" in nb.run("%%copilot a\nx").complaint


def test_an_answer_from_the_background_is_ready_until_it_is_waited_for(nb: Notebook) -> None:
    nb.run("%%copilot a -b -o turn\nx")
    nb.shell.user_ns["turn"].wait()
    states = [nb.run("%copilot ls").result.table().rows[0][1]]
    assert "1 of 1 turn ended\na: done, " in nb.run("%copilot wait").out
    states += [nb.run("%copilot ls").result.table().rows[0][1]]
    assert states == ["✓ answer ready", "○ idle"]
    assert nb.run("%copilot wait").out == "No turn is left to wait for.\n"


def test_waiting_is_for_what_python_code_or_a_panel_has_sent_too(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nb.answer(ScriptedModel("Yes."))
    monkeypatch.setattr(waiting, "attendants", [lambda _turns: model.release()])  # as soon as something waits
    for line, ended in (("%copilot wait a", 2), ("%copilot wait", 3)):
        model.hold()
        turns = [copilot_nb.session(name).send("x") for name in "aab"]
        assert f"{ended} of {ended} turns ended\na: done, " in nb.run(line).out
        assert all(turn.done for turn in turns[:ended])
        turns[2].wait()
    assert nb.run("%copilot wait").out == "No turn is left to wait for.\n"


def test_waiting_does_not_fail_for_what_was_stopped_on_purpose(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel([Reply("It is forty-two.", stall_after_chars=5), "Now."]))
    nb.run("%%copilot a -b\nx")
    model.wait_for_stalled(1)
    nb.run("%%copilot a -b --now\ny")
    assert nb.run("%copilot wait").ok
    assert [turn.state.value for turn in copilot_nb.session("a").history] == ["interrupted", "done"]


def test_sessions_of_this_notebook(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    nb.shell.user_ns["__vsc_ipynb_file__"] = "/some/where.ipynb"
    nb.run("%%copilot b\nx")
    assert [stored.name for stored in nb.run("%copilot ls --here").result] == ["b"]
    del nb.shell.user_ns["__vsc_ipynb_file__"]


def test_what_was_asked_elsewhere_counts_and_is_not_pruned(nb: Notebook) -> None:
    session = copilot_nb.session("begun")
    session.create()
    engine_of(session).loop.blocking(engine_of(session).unload(state_of(session)))
    log = Path(nb.settings.home, "session-state", "begun", "events.jsonl")
    asked = '{"type":"user.message","data":{"content":"valuable words","source":"user"},"id":"e1"}\n'
    log.write_text(log.read_text() + asked)
    assert [stored.turns for stored in copilot_nb.sessions()] == [1]
    assert nb.run("%copilot prune -y").out == "There is nothing to delete.\n"
    assert nb.names() == ["begun"]
