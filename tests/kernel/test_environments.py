"""The package with the oldest versions of its dependencies that `pyproject.toml` allows, and with the newest.

Each environment is made anew, out of pip's cache, and runs a few of the other tests: a cell and its answer in a real
kernel, panels, and how Markdown and formulas are made safe, which is where old versions have failed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.documentation import ROOT
from tests.kernel.test_binder_postbuild import lowest_python

REQUIRED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
TESTS = (
    "tests/kernel/test_kernel.py::test_an_answer_is_one_output_with_metadata_and_no_widget",
    "tests/kernel/test_kernel_tools.py",
    "tests/unit/test_panels_sessions.py",
    "tests/unit/test_render_mathml.py",
    "tests/unit/test_render_safety.py",
)


def lowest(requirement: str) -> str:
    """Return the oldest version that a requirement allows, as a pin."""
    pin, found = re.subn(r"^([\w-]+)(?:>=|==)([\w.]+)$", r"\1==\2", requirement)
    assert found, f"{requirement}: give the oldest version that was tried"
    return pin


@pytest.mark.parametrize("pins", [[lowest(each) for each in REQUIRED], []], ids=["oldest", "newest"])
def test_a_new_environment_answers(pins: list[str], tmp_path: Path) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([lowest_python(), "-m", "venv", "--without-pip", str(tmp_path / "environment")], check=True)
    (tmp_path / "pins.txt").write_text("\n".join(pins))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    install = [*pip, "-c", tmp_path / "pins.txt", ROOT, "hypothesis", "pytest"]
    run = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:anyio", "-k", "not history", *TESTS]
    for command in (install, run):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    shutil.rmtree(tmp_path / "environment")
