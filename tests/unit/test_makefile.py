"""The Makefile with scripts in place of the tools that it runs, and `.ci/install.py`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.documentation import ROOT

# A pair meets: each prints a line, waits until the other has printed its own, and prints a second one.
MEETINGS = {"install.py": "read _ < installing", "npm": "echo > ../../installing"}
MEETINGS |= {"mypy": "read _ < checking", "biome": "echo > ../../checking"}
TOOL = """#!/bin/sh
case $1 in .ci/install.py) tool=install.py;; *) tool=${0##*/};; esac
echo "$tool $*" >> "$CALLS"
case $tool in
%s
esac
test "$tool" != "$FAILING"
"""
TOOLS = (".venv/bin/copilot-nb", ".venv/bin/mypy", ".venv/bin/pip", ".venv/bin/python", ".venv/bin/ruff")
TOOLS += ("tests/js/node_modules/.bin/biome", "tests/js/node_modules/.bin/tsc", "path/node", "path/npm")


@pytest.fixture(name="project")
def project_without_an_environment(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed but scripts that write down how they are called."""
    cases = "\n".join(f"{name}) echo {name} 1; {meet}; echo {name} 2;;" for name, meet in MEETINGS.items())
    for tool in TOOLS:
        (tmp_path / tool).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / tool).write_text(TOOL % cases)
        (tmp_path / tool).chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", "tests/js/package.json", "tests/js/package-lock.json"):
        (tmp_path / name).touch()
    for meeting in ("installing", "checking"):
        os.mkfifo(tmp_path / meeting)
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


@pytest.mark.parametrize("failing", ["", "mypy", "biome"])
def test_tools_run_two_at_a_time_and_no_test_runs_after_one_that_failed(project: Path, failing: str) -> None:
    calls = project / "calls"
    path = f"{project / 'path'}{os.pathsep}{os.environ['PATH']}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    env |= {"CALLS": str(calls), "FAILING": failing, "PATH": path}
    made = subprocess.run(
        ["make", "test"], cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False
    )

    called = [line.split(" --")[0] for line in calls.read_text().splitlines()]
    assert ("python -m pytest -q -p tests.progress -n 3" in called) == (not failing), made.stderr
    assert (made.returncode == 0) == (not failing)
    assert called.index("mypy ") > max(called.index("install.py .ci/install.py dev"), called.index("npm ci"))
    for tool in ("mypy", "biome"):
        assert f"{tool} 1\n{tool} 2\n" in made.stdout, "what checks print is mixed"


@pytest.fixture(name="install")
def installing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `.ci/install.py`."""
    monkeypatch.syspath_prepend(ROOT)  # as the file does: taken back afterwards
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    return install


def test_what_is_downloaded_does_not_count_as_installed(tmp_path: Path, install: ModuleType) -> None:
    downloads = tmp_path / "pip-1"
    downloads.mkdir()
    (downloads / "a.whl").write_bytes(bytes(3_000_000))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib64").symlink_to("lib")
    (tmp_path / "lib" / "a.so").write_bytes(bytes(2_000_000))
    assert install.progress(tmp_path, downloads, 4) == "3 MB downloaded, 2 of about 4 MB installed"
    (tmp_path / "lib" / "b.so").write_bytes(bytes(3_000_000))
    assert install.progress(tmp_path, downloads, 4) == "3 MB downloaded, 4 of about 4 MB installed"


def test_packages_are_compiled_without_their_tests(tmp_path: Path, install: ModuleType) -> None:
    packages = tmp_path / "tests" / "a+b"
    for name in (
        "one.py",
        "pack/two.py",
        "pack/template.py",
        "pack/tests/three.py",
        "tests/four.py",
        "contest/five.py",
    ):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("{{ no code }} x" if "template" in name else "x = 1\n")
    install.compile_packages(packages)
    assert {path.name.split(".")[0] for path in packages.rglob("*.pyc")} == {"one", "two", "five"}
