"""No secret that the user did not type reaches the model; the model and the reader are told that one is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

import copilot_nb
from copilot_nb.testing import ScriptedModel

from .conftest import Notebook

OF_ENVIRON, OF_DOTENV, OF_GITHUB = "value-of-environ", "value-of-dotenv", f"ghp_{'a1' * 20}"
NOTE = "[‹secret: NAME› stands for a secret that is set and was hidden before sending; it is no error.]\n\n"


@pytest.fixture
def planted(nb: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedModel:
    """A model, in a notebook with secrets."""
    monkeypatch.setenv("PLANTED_TOKEN", OF_ENVIRON)
    (tmp_path / ".env").write_text(f"PLANTED_KEY={OF_DOTENV}\n")
    (tmp_path / "config.py").write_text(f"key = '{OF_DOTENV}'\ntoken = '{OF_GITHUB}'\n")
    monkeypatch.chdir(tmp_path)
    nb.run(f"import os, pandas as pd; df = pd.DataFrame({{'x': ['{OF_ENVIRON}']}}); found = '{OF_GITHUB}'")
    return nb.answer(ScriptedModel())


def is_hidden(model: ScriptedModel) -> bool:
    asked = "\n".join(message.text for message in model.requests[-1].messages)
    return not any(secret in asked for secret in (OF_ENVIRON, OF_DOTENV, OF_GITHUB))


def test_attached_files_and_tables_are_sent_without_secrets(nb: Notebook, planted: ScriptedModel) -> None:
    ran = nb.run("%%copilot a -a config.py -a .env -a df\nLook.")
    assert ran.ok
    assert is_hidden(planted)
    assert "key = '‹secret: PLANTED_KEY›'\ntoken = '‹secret: GitHub token›'" in planted.requests[-1].prompt
    assert "0,‹secret: PLANTED_TOKEN›" in planted.requests[-1].prompt
    assert ran.out.splitlines()[-1].endswith("4 secrets hidden from the model]")


def test_the_model_gets_the_explanation_and_the_history_keeps_the_prompt(nb: Notebook, planted: ScriptedModel) -> None:
    nb.run("%%copilot a\n{{ os.environ['PLANTED_TOKEN'] }}, {{ found }}")
    assert planted.requests[-1].prompt == f"{NOTE}‹secret: PLANTED_TOKEN›, ‹secret: GitHub token›"
    assert copilot_nb.session("a").history[-1].prompt == "‹secret: PLANTED_TOKEN›, ‹secret: GitHub token›"


def test_python_attaches_without_secrets(planted: ScriptedModel, tmp_path: Path) -> None:
    copilot_nb.session("a").ask("Look.", attach=tmp_path / "config.py")
    assert is_hidden(planted)


def test_what_is_typed_stays_and_so_does_everything_if_the_user_says_so(nb: Notebook, planted: ScriptedModel) -> None:
    nb.run(f"%%copilot a\nIs {OF_GITHUB} a token?")
    assert planted.requests[-1].prompt == f"Is {OF_GITHUB} a token?"
    nb.settings.hide_secrets = False
    nb.run("%%copilot a\n{{ found }}")
    assert planted.requests[-1].prompt == OF_GITHUB
