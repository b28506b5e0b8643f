"""What comparisons import: nothing of their extras before it is needed, and one clear line where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra

EXTRAS = ("jsonschema", "matplotlib", "numpy", "pandas", "rapidfuzz", "scipy")
GRID = """
import sys
import copilot_nb.experiments.api, copilot_nb.experiments.judge, copilot_nb.experiments.scorers, copilot_nb.structured
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_answers_and_their_scores_need_no_extra() -> None:
    done = subprocess.run([sys.executable, "-c", GRID, *EXTRAS], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_library_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "copilot_nb.experiments.intervals", raising=False)
    with pytest.raises(InputError) as error:
        import copilot_nb.experiments.intervals  # noqa: F401
    assert (
        str(error.value) == "scipy is not installed, and this needs it → type `%pip install 'copilot-nb[experiments]'`"
    )


def test_other_errors_of_an_import_stay_what_they_are() -> None:
    with pytest.raises(ImportError, match="cannot import name"), extra("plots"):
        from sys import no_such_name  # noqa: F401
