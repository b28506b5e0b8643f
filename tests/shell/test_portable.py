"""An exported notebook, run again: the same prompts reach the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import copilot_nb
from copilot_nb.conversation.parts import Text, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.named_sessions.formats.export import Exported, export
from copilot_nb.testing import ScriptedModel

from .conftest import Notebook

PROMPTS = (
    "How do I make a venv?",
    "{{ x }} \\{{ y }} {{{ z }}} {a}",
    ">>> 1 + 1\n2\n>>> 3\n",
    "In [1]: x\n... y",
    "x\n>>> 1 + 1\n2",
    "\n\n  indented\n\n",
    "a\r\nb\0c\x1b[31m \u2028 d\u0085",
    "%%copilot b\n%ls\n!ls\nwhat?",
    "costs $5 and '''quotes''' \"\"\" \\ \\n \\",
    "</script><script>alert(1)</script>",
)


@pytest.mark.parametrize("system", ['Be brief, it\'s "short".', "Be brief.\nAnd @kind."])
def test_an_exported_notebook_sends_the_same_prompts_again(nb: Notebook, tmp_path: Path, system: str) -> None:
    model = nb.answer(ScriptedModel("ok"))
    turns = [TurnRecord("m", prompt, (Text("t", "ok"),), TurnState.DONE) for prompt in PROMPTS]
    facts = Exported("séance it's 1", "", "scripted", "scripted-b", system)
    path = export(turns, facts, tmp_path / "out.ipynb")
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        assert nb.run("".join(cell["source"])).ok
    assert [turn.prompt for turn in copilot_nb.session("séance it's 1").history] == list(PROMPTS)
    assert {(request.system_text, request.model) for request in model.requests} == {(system, "scripted-b")}
    assert nb.names() == ["séance it's 1"]
