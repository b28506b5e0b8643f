"""The README and the pages in `docs/`, run cell by cell in a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation import PAGES, blocks_of, name_of

from .conftest import Kernel

ANSWER = "```python\nprint('venv')\n```\n"
MODEL = f"{ANSWER!r}, models=('gpt-5', 'claude-sonnet-4.5')"
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


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.is_cell for b in blocks_of(page))], ids=name_of)
def test_the_examples_of_a_page_run_in_their_order(kernel: Kernel, page: Path, tmp_path: Path) -> None:
    kernel.load(MODEL)
    assert not kernel.run(VARIABLES.format(folder=str(tmp_path))).error
    for block in blocks_of(page):
        if block.is_cell and block.code not in NEEDS_GITHUB:
            assert not kernel.run(block.code).error, block.code
