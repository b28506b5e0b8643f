"""The notebooks of `notebooks/`: kept with readable answers, and the same when they are run again.

The first one, the comparison and the page for visitors have tests of their own (`test_notebooks.py`).
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.kernel.test_notebooks import APPS, COMPARISON, FIRST, FOLDER, execute, has_model, notebook_of

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
GALLERY = [path for path in NOTEBOOKS if path not in (FIRST, COMPARISON, *APPS)]
KEPT = [path for path in NOTEBOOKS if path not in APPS]
RIGHT = {
    "02_many_at_once": {
        "completed": "Paris Mexico City Rome",
        "meanwhile": "cold",
        "queue-ends": "1. 2. 3.",
        "stopped": "dragon partial",
    },
    "03_history": {"ask": "Rome Venice", "show": "Rome", "search": "Florence", "import-goes-on": "Tiber"},
    "04_models_and_providers": {"hamlet": "Shakespeare", "parrot": "BIRD", "hamlet-parrot": "BE!"},
    "05_panels": {"cell": "Rome", "follow": "Rome", "compare": "Japan", "vote": "tie"},
    "08_agent": {"denied": "I may not", "allowed": "215", "use-tool": "12 pens", "history": "denied allowed stock"},
    "09_jupyterhub": {"alice": "Rome", "bob": "Tokyo", "delete": "alice-chat"},
}
"""Words that the cells of each notebook show, by cell."""
TURNS = {
    "02_many_at_once": {"france": 2, "mexico": 2, "italy": 2, "sea": 1, "opposites": 1, "market": 2, "story": 1},
    "03_history": {"trip": 2},
    "04_models_and_providers": {
        "hamlet": 2,
        "bird": 1,
        "echo": 1,
        "ocean@smollm2-135m": 1,
        "ocean@smollm2-135m:creative": 1,
    },
    "05_panels": {"cities": 2, "duel@smollm2-135m": 1, "duel@smollm2-135m:creative": 1},
    "08_agent": {"helper": 6},
    "09_jupyterhub": {"alice-chat": 2},
}
"""The turns of the sessions that each notebook leaves."""
COUNT = "import copilot_nb as cp\n{stored.name: stored.turns for stored in cp.sessions()}"
SCRIPTED = """import copilot_nb.testing as testing
testing.install(
    testing.ScriptedModel("Fine.", models=["smollm2-135m", "smollm2-135m:creative"]), name="local"
)"""
OF_ONE_MACHINE = re.compile(r"/(?:home|root|tmp|Users|work)/|0x[0-9a-f]{6}|127\.0\.0\.1:\d")

Node = Any


def read(path: Path) -> Node:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def shown(cell: Node) -> str:
    """Everything that a cell shows, as text."""
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def check(notebook: Node, name: str) -> None:
    """Check that no cell failed but those that are to fail, and that they show what they should."""
    nbformat.validate(notebook)  # type: ignore[no-untyped-call]
    code = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    failed = [cell for cell in code.values() if any(output.output_type == "error" for output in cell.outputs)]
    assert all("raises-exception" in cell.metadata.get("tags", []) for cell in failed)
    missing = [
        (cell, word) for cell, words in RIGHT[name].items() for word in words.split() if word not in shown(code[cell])
    ]
    assert not missing


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_answers(path: Path) -> None:
    check(read(path), path.stem)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_nothing_of_one_machine_is_kept(path: Path) -> None:
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    assert not [cell for cell in notebook.cells if "execution" in cell.metadata]
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        output.get("data", {}).pop("image/png", None)
    assert [found[0] for found in OF_ONE_MACHINE.finditer(json.dumps(outputs))] == []


def test_no_two_notebooks_have_a_session_in_common() -> None:
    """Else one could not be run while the other is open: they may share a home."""
    names = [name for turns in TURNS.values() for name in turns]
    assert len(names) == len(set(names))


def test_the_index_lists_every_notebook_and_each_names_only_others_that_exist() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((\w+\.ipynb)\)", index) == [path.name for path in NOTEBOOKS]
    named = {name for path in NOTEBOOKS for name in re.findall(r"\b\d\d_\w+\.ipynb\b", path.read_text("utf-8"))}
    assert named <= {path.name for path in NOTEBOOKS}


@pytest.mark.skipif(not has_model(), reason="the embedded model is not installed: copilot-nb install-model")
@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_notebook_that_is_run_again_leaves_the_same_turns(
    path: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time a script answers in place of the embedded model, which is quicker."""
    monkeypatch.chdir(tmp_path)
    for replaced in (SCRIPTED, ""):
        notebook = read(path)
        begin = [notebook_of(replaced).cells[0]] if replaced and path.stem != "08_agent" else []
        notebook.cells[3:3] = begin
        notebook.cells += notebook_of(COUNT).cells
        executed = execute(notebook)
        assert ast.literal_eval(shown(executed.cells[-1])) == TURNS[path.stem]
    check(executed, path.stem)
    assert [file.name for file in tmp_path.iterdir()] == ["home"]
