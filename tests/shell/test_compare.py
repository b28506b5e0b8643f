"""``%%copilot compare`` and ``%copilot compare``: a comparison without Python, its result, and what cannot be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from copilot_nb.experiments.comparison import Comparison
from copilot_nb.notebook import comparing
from copilot_nb.notebook.subcommands.comparing import COMPARE_OPTIONS
from copilot_nb.testing import ChatRequest, Reply, ScriptedModel

from .conftest import Notebook

NAMES = ("scripted", "scripted-b")
MODELS = f"--models {','.join(NAMES)}"
TABLES = "name a file that ends with .csv, .jsonl, .ndjson, or a variable that holds a table"
TABLE = "reviews = [{'text': 'great', 'target': 'good'}, {'text': 'awful', 'target': 'bad'}]"

pytestmark = pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")


@pytest.fixture(autouse=True)
def _in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def asked(model: ScriptedModel) -> list[tuple[str, str]]:
    return sorted((request.model, request.prompt) for request in model.requests)


def test_an_attribute_that_is_called_like_a_file_is_no_file(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("import types; data = types.SimpleNamespace(arrow=[{'prompt': 'from the attribute'}])")
    nb.run("%%copilot compare --over data.arrow -q\n")
    assert [request.prompt for request in model.requests] == ["from the attribute"]


def test_a_line_shows_a_column_for_each_model_with_its_footer_and_asks_once(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel(lambda request: f"I am **{request.model}**."))
    line = f"%copilot compare {MODELS} What's {{this}} \"really?"
    ran = nb.run(line)
    assert asked(model) == [(name, "What's {this} \"really?") for name in NAMES]
    for name in NAMES:
        assert f"## {name}\n\nI am **{name}**.\n\n[{name} · {name} (scripted) · " in ran.out
        assert f"<strong>{name}</strong>" in ran.result._repr_html_()
    assert nb.run(line).result is not ran.result
    assert len(model.requests) == 2
    assert nb.names() == []


def test_a_cell_is_a_grid_over_a_variable_whose_result_is_shown_and_bound(nb: Notebook) -> None:
    def reply(request: ChatRequest) -> str:
        return "good" if request.model == "scripted" else "bad"

    model = nb.answer(ScriptedModel(reply))
    nb.run(TABLE)
    cell = (
        f"%%copilot compare --over reviews {MODELS} --repeats 2 --scorer exact --scorer len -o result\n{{{{ text }}}}?"
    )
    ran = nb.run(cell)
    assert "2 prompts × 2 variants × 2 repeats" in ran.out
    assert "Mean score" in ran.out
    result: Comparison = nb.shell.user_ns["result"]
    assert ran.result is result
    assert {row.score for row in result.rows("exact")} == {0.0, 1.0}
    assert len(model.requests) == 8
    assert nb.run(cell.replace("--repeats 2", "--repeats 3")).ok
    assert len(model.requests) == 12
    plan = nb.run(cell.replace("--repeats 2", "--repeats 4 --plan")).out
    assert "16, of which 12 are kept" in plan
    assert len(model.requests) == 12


def test_systems_a_schema_expressions_and_files(nb: Notebook, tmp_path: Path) -> None:
    model = nb.answer(ScriptedModel(lambda request: "1" if "terse" in request.system_text else "2"))
    (tmp_path / "rows.jsonl").write_text('{"prompt": "one"}\n')
    (tmp_path / "system.txt").write_text("Be long.")
    nb.run("number, systems = int, {'short': 'Be terse.', 'long': 'Be long.'}")
    ran = nb.run("%%copilot compare --over rows.jsonl --systems systems --schema number")
    assert [variant.name for variant in ran.result.variants] == ["short", "long"]
    assert ran.result.to_frame()[["system", "value"]].to_numpy().tolist() == [["short", 1], ["long", 2]]
    before = len(model.requests)
    ran = nb.run("%%copilot compare -s 'Be terse.' -s @system.txt -a system.txt\nRead {{ systems['short'] }}")
    assert len(model.requests) == before + 2
    assert all("Read Be terse." in request.prompt for request in model.requests[before:])
    assert all("Be long." in request.prompt for request in model.requests[before:])
    quiet = nb.run("%%copilot compare --over rows.jsonl -q")
    assert (quiet.result, quiet.out) == (None, "")


def test_an_interrupt_keeps_what_is_done(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_line: Any, progress: Any) -> None:
        if progress.done:
            raise KeyboardInterrupt

    stalls = {"scripted-b"}
    model = nb.answer(
        ScriptedModel(lambda request: Reply("ok", stall_after_chars=1 if request.model in stalls else None))
    )
    line = f"%copilot compare {MODELS} Hello"
    with monkeypatch.context() as interrupting:
        interrupting.setattr(comparing._Shown, "show", stop)
        assert nb.run(line).complaint == "TurnInterrupted: stopped: 1 of 2 answers are kept → run it again to go on"
    model.wait_for_abandoned(1)
    stalls.clear()
    assert "2 of 2 answers · 1 kept from before" in nb.run(line).out
    assert len(model.requests) == 3


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%copilot compare", "there is no prompt to compare answers to → %copilot compare --models a,b PROMPT"),
        ("%%copilot compare --models a,b", "there is no prompt to compare answers to"),
        ("%%copilot compare a b\nHello", "%%copilot compare does not know 'a' → the first line has only options"),
        (
            "%copilot compare Hello --models a,b",
            "there is nothing to compare: this is one prompt to one model → name others",
        ),
        ("%%copilot compare --over nothing\n{{ x }}", f"--over nothing: name 'nothing' is not defined → {TABLES}"),
        ("%%copilot compare --over no.xlsx\n{{ x }}", f"--over: there is no file no.xlsx → {TABLES}"),
        ("%%copilot compare --over no.csv\n{{ x }}", f"--over: there is no file no.csv → {TABLES}"),
        ("%%copilot compare --over reviews\n{{ txt }}", "names a column 'txt' that is not there → did you mean text?"),
        ("%%copilot compare --scorer 1/0\nx", "--scorer 1/0: division by zero"),
        ("%%copilot compare --scorer regex\nx", "--scorer regex(): regex() missing 1 required"),
        (f"%%copilot compare {MODELS} --scorer reviews\nx", "is not a scorer"),
        ("%%copilot compare --repeats many\nx", "argument --repeats: invalid int value: 'many'"),
        ("%%copilot compare --model a\nx", "unrecognized arguments: --model → did you mean --models?"),
        ("%%copilot compare --models scripted,scriptd\nx", "has no model 'scriptd' → did you mean scripted?"),
        ("%%copilot compare -s a --systems reviews\nx", "--system and --systems cannot be combined"),
        ("%%copilot compare -a reviews --over reviews\n{{ text }}", "--attach and --over cannot be combined"),
        ("%%copilot compare --max-age old\nx", "'old'"),
        ("%%copilot compare -o 1x\nx", "--out takes the name of a variable, not '1x'"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_nothing_is_asked(nb: Notebook, cell: str, said: str) -> None:
    model = nb.answer(ScriptedModel())
    nb.run(TABLE)
    assert said in nb.run(cell).complaint
    assert not model.requests


def test_tab_completes_the_word_its_options_models_variables_and_scorers(nb: Notebook) -> None:
    nb.run(TABLE)
    flags = {flag for option in COMPARE_OPTIONS for flag in option.flags if flag.startswith("--")}
    assert nb.complete("%%copilot comp") == ["%%copilot compare"]
    for head in ("%%copilot compare ", "%copilot compare "):
        assert {text.split()[-1] for text in nb.complete(f"{head}--")} == flags
        assert nb.complete(f"{head}--models scripted,scripted-") == [f"{head}--models scripted,scripted-b"]
        assert nb.complete(f"{head}--over revi") == [f"{head}--over reviews"]
        assert nb.complete(f"{head}--scorer sim") == [f"{head}--scorer similarity"]


def test_its_help_names_every_option(nb: Notebook) -> None:
    shown = nb.run("%copilot compare?").out
    assert all(flag in shown for option in COMPARE_OPTIONS for flag in option.flags)
