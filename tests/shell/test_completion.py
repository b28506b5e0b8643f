"""What the Tab key offers, through the shell's own completer."""

from __future__ import annotations

from pathlib import Path

import pytest

from copilot_nb.notebook.arguments import ASK_OPTIONS, FORMATS, SESSION_OPTIONS
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.testing import ScriptedModel

from .conftest import Notebook

pytestmark = pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")


def long_flags(options: tuple[object, ...]) -> set[str]:
    return {flag for option in options for flag in option.flags if flag.startswith("--")}  # type: ignore[attr-defined]


def test_subcommands(nb: Notebook) -> None:
    assert {text.split()[-1] for text in nb.complete("%copilot ")} == set(SUBCOMMANDS)
    assert nb.complete("%copilot do") == ["%copilot doctor"]
    assert set(nb.complete("%copilot re")) == {"%copilot rename", "%copilot rewind", "%copilot restart"}
    assert nb.complete("%copilot help doc") == ["%copilot help doctor"]


@pytest.mark.parametrize("head", ["%%copilot ", "%%copilot a ", "%copilot ask "])
def test_options(nb: Notebook, head: str) -> None:
    offered = {text.split()[-1] for text in nb.complete(f"{head}--")}
    assert offered == long_flags(ASK_OPTIONS)
    assert nb.complete(f"{head}--for") == [f"{head}--format"]


def test_options_of_a_subcommand_only(nb: Notebook) -> None:
    assert {text.split()[-1] for text in nb.complete("%copilot new a --")} == long_flags(SESSION_OPTIONS)
    assert nb.complete("%copilot rm --") == ["%copilot rm --older-than", "%copilot rm --yes"]
    assert nb.complete("%copilot stop --") == ["%copilot stop --all"]


def test_files_and_variables(nb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.png").touch()
    nb.run("pictures = 3")
    assert {text.split()[-1] for text in nb.complete("%%copilot a -a pict")} == {"picture.png", "pictures"}


def test_schemas_among_the_variables(nb: Notebook) -> None:
    nb.run("from typing import TypedDict\nclass SchemaA(TypedDict):\n    x: int\nSchemaB = 3")
    nb.run("import pydantic, dataclasses\nclass SchemaC(pydantic.BaseModel): pass")
    nb.run("SchemaD = {'type': 'object'}; SchemaE = {1: 2}; SchemaF = dataclasses.make_dataclass('F', 'x')")
    found = [text.split()[-1] for text in nb.complete("%%copilot a --schema Schema")]
    assert found == ["SchemaA", "SchemaC", "SchemaD", "SchemaF"]


@pytest.mark.parametrize("head", ["%%copilot", *(f"%copilot {word}" for word in ("ask", "rm", "stop", "use", "show"))])
def test_session_names(nb: Notebook, head: str) -> None:
    for name in ("alpha", "beta", "al-gamma"):
        nb.run(f"%%copilot {name}\nx")
    assert set(nb.complete(f"{head} al")) == {f"{head} alpha", f"{head} al-gamma"}
    assert nb.complete(f"{head} be") == [f"{head} beta"]


def test_stored_sessions_of_earlier_kernels_too(nb: Notebook) -> None:
    nb.run("%%copilot earlier\nx")
    nb.run("%copilot restart")
    nb.run("%%copilot other\nx")
    assert nb.complete("%%copilot ear") == ["%%copilot earlier"]


def test_names_with_blanks(nb: Notebook) -> None:
    nb.run('%%copilot "my long name"\nx')
    assert '%%copilot "my long name"' in nb.complete("%%copilot ")
    assert nb.complete('%%copilot "my') == ['%%copilot "my long name"']
    assert nb.complete('%%copilot "my lo') == ['%%copilot "my long name"']
    assert nb.complete('%copilot rm "') == ['%copilot rm "my long name"']


@pytest.mark.parametrize("flag", ["-m", "--model"])
@pytest.mark.parametrize("head", ["%%copilot a", "%copilot ask", "%copilot new a"])
def test_models(nb: Notebook, head: str, flag: str) -> None:
    nb.answer(ScriptedModel(models=("plain", "plain:creative")))
    assert set(nb.complete(f"{head} {flag} pl")) == {f"{head} {flag} plain", f"{head} {flag} plain:creative"}
    assert nb.complete(f"{head} {flag} plain:cr") == [f"{head} {flag} plain:creative"]


def test_lists_of_models(nb: Notebook) -> None:
    nb.answer(ScriptedModel(models=("one", "two")))
    assert nb.complete("%%copilot a --models one,tw") == ["%%copilot a --models one,two"]


@pytest.mark.parametrize("flag", ["-p", "--provider"])
def test_providers(nb: Notebook, flag: str) -> None:
    offered = {text.split()[-1] for text in nb.complete(f"%%copilot a {flag} ")}
    assert offered == {"github", "local", "scripted", "openai", "anthropic", "azure", "ollama"}


@pytest.mark.parametrize("flag", ["-f", "--format"])
def test_formats(nb: Notebook, flag: str) -> None:
    assert {text.split()[-1] for text in nb.complete(f"%%copilot a {flag} ")} == set(FORMATS)


def test_the_body_of_a_cell_is_completed_by_the_shell(nb: Notebook) -> None:
    nb.run("a_variable_of_mine = 1")
    assert nb.complete("%%copilot a\nsee {{ a_variable_of") == ["%%copilot a\nsee {{ a_variable_of_mine"]


def test_completing_does_not_start_the_runtime(broken: Notebook) -> None:
    assert broken.complete("%%copilot ab") == []
    assert broken.on_disk() == []


def test_settings(nb: Notebook) -> None:
    assert "%config CopilotNB.timeout_s" in nb.complete("%config CopilotNB.ti")
