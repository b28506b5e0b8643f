"""The built package in new environments, outside the checkout: with the oldest versions of its dependencies that
`pyproject.toml` allows on the lowest Python, and with the newest versions on the newest Python.

It is built as `python -m build` does: the sdist from the checkout, the wheel from the sdist. The tests that run are the
sdist's, so nothing but the installed package is imported: a cell and its answer in a real kernel, and, with the old
versions, a model's code in the kernel, panels, and how Markdown and formulas are made safe, which is where those have
failed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.documentation import ROOT
from tests.kernel.pythons import lowest_python, newest_python

REQUIRED = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
MAX_WHEEL_BYTES = 1_000_000
INSTALLED = "import copilot_nb, sys; print(copilot_nb.__file__.startswith(sys.prefix), copilot_nb.__version__)"
EXTENSION = "share/jupyter/labextensions/copilot-nb"
ANSWER = "tests/kernel/test_kernel.py::test_an_answer_is_one_output_with_metadata_and_no_widget"
OLD = (
    "tests/kernel/test_kernel_tools.py",
    "tests/unit/test_panels_sessions.py",
    "tests/unit/test_render_mathml.py",
    "tests/unit/test_render_safety.py",
)
# Random input finds the same with any version; pandas is not installed.
LEFT_OUT = "not history and not any_ and not half and not long_formulae"


def lowest(requirement: str) -> str:
    """Return the oldest version that a requirement allows, as a pin."""
    pin, found = re.subn(r"^([\w-]+)(?:>=|==)([\w.]+)$", r"\1==\2", requirement)
    assert found, f"{requirement}: give the oldest version that was tried"
    return pin


def run(command: list[str | Path], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def built(target: str, source: Path, folder: Path) -> Path:
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], source)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(name="sdist", scope="module")
def unpacked_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    # Python's own unpacking wants a filter since 3.12, which 3.11.2 does not know
    run(["tar", "-xf", built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))], folder)
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(name="wheel", scope="module")
def wheel_of_the_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", sdist, tmp_path_factory.mktemp("wheel"))


def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if "-info/" not in name and EXTENSION not in name}
    files = (path for path in (ROOT / "copilot_nb").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert names == {path.relative_to(ROOT).as_posix() for path in files}
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


@pytest.mark.parametrize("is_old", [True, False], ids=["oldest", "newest"])
def test_a_new_environment_answers(is_old: bool, sdist: Path, wheel: Path, tmp_path: Path) -> None:
    environment, outside = tmp_path / "environment", tmp_path / "outside"
    python = environment / "bin" / "python"
    run([lowest_python() if is_old else newest_python(), "-m", "venv", "--without-pip", environment], tmp_path)
    pins = tmp_path / "pins.txt"
    pins.write_text("\n".join(map(lowest, REQUIRED)) if is_old else "")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    run([*pip, "-c", pins, wheel, "hypothesis", "pytest"], tmp_path)
    assert (environment / EXTENSION / "package.json").is_file()

    shutil.copytree(sdist / "tests", outside / "tests")
    shutil.copy(sdist / "pyproject.toml", outside)
    assert run([python, "-c", INSTALLED], outside).startswith("True ")
    tests: list[str | Path] = [ANSWER, *(OLD if is_old else ())]
    run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:anyio", "-k", LEFT_OUT, *tests], outside)
    assert "OK    Copilot runtime" in run([environment / "bin" / "copilot-nb", "doctor"], outside)
    shutil.rmtree(environment)
