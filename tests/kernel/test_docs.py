"""The README, the pages in `docs/` and the examples of public docstrings, run cell by cell in a real kernel."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import copilot_nb
from tests.documentation import PAGES, blocks_of, name_of

from .conftest import Kernel

ANSWER = "```python\nprint('venv')\n```\n"
VALUE = '{"product": "pen", "stars": 5}'
REPLY = f"lambda request: {VALUE!r} if 'JSON schema' in request.prompt else {ANSWER!r}"
MODEL = f"{REPLY}, models=('gpt-5', 'claude-sonnet-4.5')"
NEEDS_GITHUB = ("%copilot login\n",)
VARIABLES = """
import os, pandas, PIL.Image
%config CopilotNB.aliases = {{}}
%config CopilotNB.model = ""
os.chdir({folder!r})
fig, df, error = PIL.Image.new("RGB", (4, 4)), pandas.DataFrame({{"x": [1]}}), ValueError("no such thing")
fig.save("plot.png")
open("notes.md", "w").write("Some notes.")
"""
SESSIONS = """
for name in ("session1", "session2"):
    session(name).ask("Hello!")
session("session1").export("session1.json")
"""
# `delete` comes last, because the others use its session.
EXAMPLES = sorted(
    (
        name
        for name in copilot_nb.__all__
        if callable(value := getattr(copilot_nb, name)) and not name.endswith("_ipython_extension")
        if not (inspect.isclass(value) and issubclass(value, Exception))
    ),
    key="delete".__eq__,
)


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.is_cell for b in blocks_of(page))], ids=name_of)
def test_the_examples_of_a_page_run_in_their_order(kernel: Kernel, page: Path, tmp_path: Path) -> None:
    kernel.load(MODEL)
    assert not kernel.run(VARIABLES.format(folder=str(tmp_path))).error
    for block in blocks_of(page):
        if block.is_cell and block.code not in NEEDS_GITHUB:
            assert not kernel.run(block.code).error, block.code


def test_the_examples_in_the_docstrings_of_public_names_run(kernel: Kernel, tmp_path: Path) -> None:
    kernel.load(MODEL)
    for cell in (VARIABLES.format(folder=str(tmp_path)), "from copilot_nb import *", SESSIONS):
        assert not kernel.run(cell).error
    for name in EXAMPLES:
        cells = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(copilot_nb, name)) or "")
        assert cells, name
        for cell in cells:
            assert not kernel.run(cell.source).error, (name, cell.source)
