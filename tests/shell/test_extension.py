"""Loading, unloading and settings of the extension."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

import copilot_nb
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.manager import manager_of
from copilot_nb.settings import CopilotNB, process_settings
from copilot_nb.testing import ScriptedModel

from .conftest import Notebook


def test_config_lists_every_setting_with_its_help(nb: Notebook) -> None:
    out = nb.run("%config CopilotNB").out
    for name, trait in CopilotNB.class_traits(config=True).items():
        assert f"CopilotNB.{name}=" in out
        assert trait.help


def test_config_sets_and_shows(nb: Notebook) -> None:
    assert nb.run("%config CopilotNB.timeout_s = 7").ok
    assert nb.run("%config CopilotNB.timeout_s").result == 7.0
    assert nb.settings.timeout_s == 7.0
    assert manager_of(copilot_nb.session("a")).settings is nb.settings is process_settings()


def test_config_counts_for_the_next_cell(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel())
    nb.run("%config CopilotNB.model = 'scripted-b'")
    nb.run("%config CopilotNB.system = 'Be brief.'")
    nb.run("%%copilot a\nx")
    assert (model.requests[-1].model, model.requests[-1].system_text) == ("scripted-b", "Be brief.")
    nb.run("%config CopilotNB.max_prompt_bytes = 3")
    assert nb.run("%%copilot a\nfour").complaint.startswith("InputError: the prompt has 4 bytes, 3 are allowed")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("timeout_s = -1", "CopilotNB.timeout_s must be greater than 0, not -1.0"),
        ("timeout_s = 'soon'", "The 'timeout_s' trait of a CopilotNB instance expected a float, not the str 'soon'."),
        ("max_parallel_turns = 0", "CopilotNB.max_parallel_turns must be greater than 0, not 0"),
        ("model = 5", "The 'model' trait of a CopilotNB instance expected a unicode string, not the int 5."),
    ],
)
def test_a_bad_value_is_one_line_and_changes_nothing(
    nb: Notebook, caplog: pytest.LogCaptureFixture, value: str, said: str
) -> None:
    before = nb.settings.trait_values(config=True)
    nb.run(f"%config CopilotNB.{value}")
    assert [record.message for record in caplog.records] == [said]
    assert nb.settings.trait_values(config=True) == before


@pytest.fixture
def bare_shell(shell: InteractiveShell) -> InteractiveShell:
    """A shell beside the other, which has not loaded the extension."""
    return InteractiveShell(config=Config({"HistoryManager": {"enabled": False}, "CopilotNB": {"warm_start": False}}))


def known(shell: InteractiveShell) -> list[CopilotNB]:
    return [each for each in shell.configurables if isinstance(each, CopilotNB)]


def test_loading_unloading_and_reloading(bare_shell: InteractiveShell, shell: InteractiveShell) -> None:
    transformers = len(bare_shell.input_transformers_cleanup)
    matchers = len(bare_shell.Completer.custom_matchers)
    for _ in range(2):
        copilot_nb.load_ipython_extension(bare_shell)
        copilot_nb.load_ipython_extension(bare_shell)
        assert len(known(bare_shell)) == 1
        assert bare_shell.find_line_magic("copilot") is not None
        assert bare_shell.find_cell_magic("copilot") is not None
        assert len(bare_shell.input_transformers_cleanup) == transformers + 1
        copilot_nb.unload_ipython_extension(bare_shell)
        copilot_nb.unload_ipython_extension(bare_shell)
        assert known(bare_shell) == []
        assert bare_shell.find_line_magic("copilot") is None
        assert bare_shell.find_cell_magic("copilot") is None
        assert len(bare_shell.input_transformers_cleanup) == transformers
        assert len(bare_shell.Completer.custom_matchers) == matchers


def test_unloading_before_the_warm_start_starts_nothing(bare_shell: InteractiveShell) -> None:
    bare_shell.config.CopilotNB.warm_start = True
    before = list(bare_shell.events.callbacks["post_run_cell"])
    copilot_nb.load_ipython_extension(bare_shell)
    assert len(bare_shell.events.callbacks["post_run_cell"]) == len(before) + 2  # and what remembers failed cells
    copilot_nb.unload_ipython_extension(bare_shell)
    bare_shell.events.trigger("post_run_cell", ExecutionResult(None))
    assert "copilot-nb-warm-start" not in [thread.name for thread in threading.enumerate()]
    assert bare_shell.events.callbacks["post_run_cell"] == before


def test_a_bad_value_in_the_configuration_is_one_line(
    bare_shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    bare_shell.config.CopilotNB.timeout_s = "soon"
    with pytest.raises(copilot_nb.InputError, match=r"a setting of copilot_nb cannot be used: The 'timeout_s' trait"):
        copilot_nb.load_ipython_extension(bare_shell)
    bare_shell.config.CopilotNB.warm_start = False
    copilot_nb.load_ipython_extension(bare_shell)
    assert known(bare_shell)[0].timeout_s == 120.0
    copilot_nb.unload_ipython_extension(bare_shell)


def test_load_ext_twice_says_so_and_goes_on(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    ran = nb.run("%load_ext copilot_nb")
    assert ran.ok
    assert "already loaded" in ran.out
    assert nb.run("%%copilot a\ny").out.startswith("You said: y (message 2)")


def test_a_cell_reaches_the_model_to_the_letter_even_with_the_prompts_of_a_shell(nb: Notebook) -> None:
    body = ">>> 1 + 1\n2\nIn [1]: x\n... y"
    nb.run(f"\n%%copilot a\n{body}")
    assert [turn.prompt for turn in copilot_nb.session("a").history] == [body]


def test_a_terminal_waits_for_the_body_of_a_cell(nb: Notebook) -> None:
    check = nb.shell.input_transformer_manager.check_complete
    assert [check(cell)[0] for cell in ("%%copilot a", "%%copilot a\nx", "%%copilot a\nx\n\n")] == [
        "incomplete",
        "incomplete",
        "complete",
    ]


def test_a_terminal_of_any_encoding_shows_any_answer(tmp_path: Path) -> None:
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('%config HistoryManager.enabled = False\\n%load_ext copilot_nb').raise_error()\n"
        r"print('\u4f60\u597d \u2192 ok')"
    )
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "IPYTHONDIR": str(tmp_path)}
    env.pop("PYTHONIOENCODING", None)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=env)
    assert done.stdout == b"?? -> ok\n"


def test_a_session_that_is_held_goes_on_when_the_extension_is_reloaded(nb: Notebook) -> None:
    session = copilot_nb.session("held")
    session.ask("one")
    assert nb.run("%copilot provider add mine --type ollama").ok
    assert nb.run("%reload_ext copilot_nb").ok
    session.ask("two")
    assert copilot_nb.session("held") is session
    assert [turn.prompt for turn in session.history] == ["one", "two"]
    assert "mine" in shared_manager().providers.names
    assert nb.run("%copilot provider rm mine").ok


def test_the_home_of_sessions_that_are_in_use_stays(
    nb: Notebook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = nb.settings.home
    copilot_nb.session("settled").ask("one")
    nb.run(f"%config CopilotNB.home = {str(tmp_path)!r}")
    assert f"CopilotNB.home stays {home}: sessions of this kernel are stored there" in caplog.text
    assert nb.settings.home == home
