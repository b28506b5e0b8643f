"""Every option of ``%%copilot``, what reaches the model, and what the terminal shows."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import copilot_nb
from copilot_nb.conversation.parts import TurnState
from copilot_nb.named_sessions.api import drop_manager
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import Notebook

LITERAL = """What's up? "quoted" 'single' `tick` $HOME ${x} {} {a: {b: 1}} %s %%time !ls \\n C:\\new ?"""
NOT_INTERPOLATED = r"a = {'b': {1: 2}}; f'{x}'; \{{ x }}"


def test_the_body_is_the_prompt_and_the_answer_streams_as_text(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel("An **answer**."))
    ran = nb.run("%%copilot a\nfirst line\n\n  indented line\n")
    assert ran.ok
    assert model.requests[-1].prompt == "first line\n\n  indented line"
    answer, footer = ran.out.split("\n\n")
    assert answer == "An **answer**."
    assert footer.startswith("[a · scripted (scripted) · ")
    assert ran.result is None


def test_no_escape_sequence_of_a_model_reaches_the_terminal(nb: Notebook) -> None:
    nb.answer(ScriptedModel("a \x1b]52;c;eA==\x07 \x9b2J"))
    shown = nb.run("%%copilot a\nhello").out
    assert shown.startswith("a ␛]52;c;eA==␇ \ufffd2J")
    failed = nb.answer(ScriptedModel(lambda _: Reply(error=ChatError(400, "no \x1b[2J"))))
    assert "␛[2J" in nb.run("%%copilot b\nhello").complaint
    assert failed.requests


@pytest.mark.parametrize("text", [LITERAL, "it's", "{", "}}", "{ {", "%copilot ls", "%copilot ask b how?", "日本語 🎉"])
def test_the_body_is_literal(nb: Notebook, text: str) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run(f"%%copilot a\n{text}").ok
    assert model.requests[-1].prompt == text


def test_expressions_are_replaced_by_their_values(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("data = {'k': [1, 2]}")
    assert nb.run("%%copilot a\n{{ data['k'][1] }}, {{len(data)}}, {{ {'x': {'y': 3}}['x']['y'] }}").ok
    assert model.requests[-1].prompt == "2, 1, 3"
    assert nb.run(f"%%copilot a\n{NOT_INTERPOLATED}").ok
    assert model.requests[-1].prompt == NOT_INTERPOLATED.replace("\\{{", "{{")


def test_a_value_is_not_interpolated_again(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("template = '{{ 1/0 }} $HOME'")
    assert nb.run("%%copilot a\n{{ template }}").ok
    assert model.requests[-1].prompt == "{{ 1/0 }} $HOME"


def test_what_is_attached_goes_with_the_prompt(nb: Notebook, tmp_path: Path) -> None:
    model = nb.answer(ScriptedModel())
    notes = tmp_path / "my notes.txt"
    notes.write_text("some notes")
    nb.run("import pandas as pd, PIL.Image; df = pd.DataFrame({'x': [1]}); red = PIL.Image.new('RGB', (8, 6), 'red')")
    assert nb.run(f"%%copilot a -a '{notes}' --attach df -a red\nLook.").ok
    asked = model.requests[-1].messages[-1]
    assert asked.bare_text.startswith(
        "File `my notes.txt`:\n\n```\nsome notes\n```\n\nTable `df`:\n\n```\n,x\n0,1\n```\n\nLook."
    )
    assert [url[:15] for url in asked.images] == ["data:image/png;"]
    assert nb.run("%copilot ask -a red a And this?").ok
    assert len(model.requests[-1].messages[-1].images) == 1


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("nowhere.png", "--attach nowhere.png: there is no such file or variable"),
        ("no/such file", "--attach no/such file: there is no such file or variable"),
        ("nb_dict.png", "--attach nb_dict.png: there is no such file or variable"),
        ("~nobody-at-all/x", "--attach ~nobody-at-all/x: there is no such file or variable"),
        ("print('run')", "--attach print('run'): there is no such file or variable"),
        ("nb_dict.get", "nb_dict.get is of type builtin_function_or_method and cannot be attached"),
    ],
)
def test_an_attachment_that_cannot_be_used_is_refused_and_nothing_sent(nb: Notebook, word: str, complaint: str) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("nb_dict = {}")
    assert complaint in nb.run(f'%%copilot a -a "{word}"\nx').complaint
    assert not model.requests
    assert nb.names() == []


def test_names_may_be_quoted(nb: Notebook) -> None:
    assert nb.run('%%copilot "my name"\nx').ok
    assert nb.run("%%copilot 'my name'\ny").ok
    assert nb.names() == ["my name"]


@pytest.mark.parametrize("flag", ["-m", "--model"])
def test_model(nb: Notebook, flag: str) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("%%copilot a\nx")
    ran = nb.run(f"%%copilot a {flag} scripted-b\nx")
    assert "switched from scripted (scripted) to scripted-b (scripted)" in ran.out
    assert model.requests[-1].model == "scripted-b"


@pytest.mark.parametrize("flag", ["-p", "--provider"])
def test_provider(nb: Notebook, flag: str) -> None:
    nb.settings.provider = "local"
    ran = nb.run(f"%%copilot a {flag} scripted\nx")
    assert "scripted (scripted)" in ran.out


@pytest.mark.parametrize("flag", ["-s", "--system"])
def test_system_message(nb: Notebook, flag: str, tmp_path: Path) -> None:
    model = nb.answer(ScriptedModel())
    nb.run(f"%%copilot a {flag} 'You are a pirate.'\nx")
    assert model.requests[-1].system_text == "You are a pirate."
    (tmp_path / "system.md").write_text("Be a bard.\nRhyme.", encoding="utf-8")
    nb.run(f"%%copilot b {flag} @{tmp_path}/system.md\nx")
    assert model.requests[-1].system_text == "Be a bard.\nRhyme."
    nb.run("%%copilot a\ny")
    assert model.requests[-1].system_text == "You are a pirate."


def test_id(nb: Notebook) -> None:
    nb.run("%%copilot chat --id user-123-chat\nx")
    assert nb.on_disk() == ["user-123-chat"]
    assert copilot_nb.session("chat").session_id == "user-123-chat"


def test_new(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("%%copilot a\nold")
    nb.run("%%copilot a --new\nnew")
    assert model.requests[-1].user_texts == ("new",)
    assert sorted(nb.names()) == ["a", "a~1"]


def test_new_stays_with_the_session_s_own_model_and_options(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("%%copilot a -m scripted-b -s 'You are a pirate.'\nold")
    nb.settings.provider = "local"
    assert nb.run("%%copilot a --new\nnew").ok
    assert (model.requests[-1].model, model.requests[-1].system_text) == ("scripted-b", "You are a pirate.")
    nb.settings.provider = "scripted"
    nb.run("%%copilot a --new -m scripted\nnewer")
    assert (model.requests[-1].model, copilot_nb.session("a").options.label) == ("scripted", "scripted (scripted)")


@pytest.mark.parametrize("flags", ["-q -o", "--quiet --out"])
def test_quiet_and_out(nb: Notebook, flags: str) -> None:
    ran = nb.run(f"%%copilot a {flags} turn\nx")
    assert (ran.ok, ran.out) == (True, "")
    turn = nb.shell.user_ns["turn"]
    assert isinstance(turn, copilot_nb.Turn)
    assert turn.state is TurnState.DONE
    assert turn.usage is not None


def test_out_holds_the_turn_that_failed_too(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    nb.answer(ScriptedModel([Reply(error=ChatError(400, "too long for me"))]))
    assert nb.run("%%copilot a -q -o turn\nx").complaint.startswith("TurnFailed: ")
    assert isinstance(nb.shell.user_ns["turn"].error, copilot_nb.TurnFailed)


@pytest.mark.parametrize("flag", ["-f", "--format"])
@pytest.mark.parametrize("form", ["markdown", "text"])
def test_formats_that_show(nb: Notebook, flag: str, form: str) -> None:
    nb.answer(ScriptedModel("*x*"))
    assert nb.run(f"%%copilot a {flag} {form}\nx").out.startswith("*x*\n\n[a · ")


def test_format_code_goes_into_the_next_cell_and_does_not_run(nb: Notebook) -> None:
    nb.answer(ScriptedModel("Run:\n```python\nran = 1\n```\nor\n```bash\nls\n```\nand\n```py\nran = 2\n```"))
    assert nb.run("%%copilot a -f code\nx").ok
    assert nb.shell.rl_next_input == "ran = 1\n\nran = 2"
    assert "ran" not in nb.shell.user_ns
    nb.shell.rl_next_input = None


def test_format_json_is_checked(nb: Notebook) -> None:
    nb.answer(ScriptedModel(['```json\n{"a": 1}\n```', "no json here"]))
    assert nb.run("%%copilot a -q -f json -o turn\nx").ok
    assert nb.shell.user_ns["turn"].json() == {"a": 1}
    complaint = nb.run("%%copilot a -q -f json\nx").complaint
    assert complaint == (
        "TurnFailed: the answer of a holds no JSON → ask again, or say what it must look like: --schema NAME"
    )


LABEL = "from dataclasses import dataclass\n@dataclass\nclass Label:\n    label: str\n    sure: float | None = None"


def test_a_schema_shows_the_value_of_each_session_as_json(nb: Notebook) -> None:
    model = nb.answer(
        ScriptedModel(["It is spam.", 'Here: {"label": "spam"}', '[{"label": "ham"}]', '[{"label": "h"}]'])
    )
    nb.run(LABEL)
    shown = nb.run("%%copilot a --schema Label -o turn\nIs this {{ 'spam' }}?").out
    assert nb.shell.user_ns["turn"].value == nb.shell.user_ns["Label"]("spam")
    assert '(asked again: the answer holds no JSON)\n{\n  "label": "spam",\n  "sure": null\n}' in shown
    assert model.requests[0].prompt.startswith("Is this spam?\n\nAnswer with one JSON value")
    ran = nb.run('%%copilot a b --create -f json --schema "list[Label]" -o turns\nAnd this?')
    assert ran.out.count('"label": "h') == 2
    assert [len(turn.value) for turn in nb.shell.user_ns["turns"]] == [1, 1]


def test_an_answer_that_does_not_fit_its_schema_fails_the_cell(nb: Notebook) -> None:
    nb.answer(ScriptedModel("It is spam."))
    nb.run(LABEL)
    assert nb.run("%%copilot a -q --schema Label\nx").complaint == (
        "TurnFailed: the answer does not fit the schema, asked twice: the answer holds no JSON → the answers are in "
        "its history; run the cell again, or simplify the schema"
    )
    assert nb.run("%%copilot b -b -q --schema Label\nx").ok
    assert "does not fit the schema" in nb.run("%copilot wait b").out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--schema Lable", "--schema Lable: name 'Lable' is not defined"),
        ("--schema 3", "3 is not a schema → use a JSON schema (a dict), a dataclass, a TypedDict or a pydantic model"),
        ("-f code --schema int", "--schema asks for JSON, -f code for code → leave one of them out"),
    ],
)
def test_an_invalid_schema_is_refused_and_nothing_sent(nb: Notebook, options: str, complaint: str) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run(f"%%copilot a {options}\nx").complaint.startswith(f"InputError: {complaint}")
    assert not model.requests


def test_format_code_without_code_fails(nb: Notebook) -> None:
    nb.answer(ScriptedModel("I would rather not."))
    complaint = nb.run("%%copilot a -q -f code\nx").complaint
    assert complaint == "TurnFailed: the answer of a has no code → ask for code, or choose another format"


def test_timeout(nb: Notebook) -> None:
    nb.answer(ScriptedModel([Reply("abc", stall_after_chars=0)]))
    complaint = nb.run("%%copilot a -q --timeout 0.4\nx").complaint
    assert complaint == (
        "TurnTimeout: nothing came from scripted (scripted) for 0.4 s → run the cell again, or raise --timeout"
    )
    assert nb.names() == nb.on_disk() == []


def test_text_is_printed_while_it_comes(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nb.answer(ScriptedModel("Half an answer, and the rest."))
    model.hold()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written = super().write(text)
            if self.getvalue() == "Half an answer, ":
                model.release()  # the rest comes only after the first half has been printed
            return written

    screen = Screen()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", screen)
        nb.shell.run_cell("%%copilot a --timeout 5\nx")
    assert screen.getvalue().startswith("Half an answer, and the rest.\n\n[a · ")


def test_a_retried_call_prints_the_whole_answer_on_a_line_of_its_own(nb: Notebook) -> None:
    nb.answer(ScriptedModel([Reply("Half of the ans", ending="cut"), "The whole answer."]))
    lines = nb.run("%%copilot a\nx").out.splitlines()
    assert "The whole answer." in lines


def test_a_resumed_session_says_so_first(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    nb.run("%copilot restart")
    drop_manager()
    nb.answer(ScriptedModel("again"))
    first, second, *_ = nb.run("%%copilot a\ny").out.splitlines()
    assert first.startswith("(resumed a: 1 turn, last used ")
    assert second == "again"


def test_a_function_that_asks_uses_its_own_variables(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    assert nb.run("topic, suffix = 'ants', '!'").ok
    call = "get_ipython().run_cell_magic('copilot', 'a -a table', '{{ [topic for _ in topics] }}{{ suffix }}')"
    function = f"def ask(topic, topics, table):\n    {call}\n"
    assert nb.run(f"import pandas as pd\n{function}ask('bees', [1], pd.DataFrame({{'x': [7]}}))").ok
    assert model.requests[-1].prompt.endswith("['bees']!")
    assert ",x\n0,7\n" in model.requests[-1].prompt
    assert nb.run("%%copilot a\n{{ topic }}").ok
    assert model.requests[-1].prompt == "ants"
