"""`binder/postBuild`, run as Binder runs it: in a new environment and an empty home, from a copy of the repository.

The environment is made with the lowest Python on this machine that the package admits: what installs with it installs
with the others. The slowest test there is (it installs everything anew); the packages themselves come out of pip's and
npm's caches.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.pythons import lowest_python

ROOT = Path(__file__).parents[2]
NEEDED = (
    "LICENSE",
    "README.md",
    "binder",
    "constraints.txt",
    "copilot_nb",
    "labextension",
    "notebooks",
    "pyproject.toml",
)
# What says where packages come from is the machine's, not the image's: it stays.
NPM_SETTINGS = Path("~/.npmrc").expanduser()
NPM_CACHE = Path("~/.npm").expanduser()


@pytest.fixture(name="repository")
def copied_repository(tmp_path: Path) -> Path:
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(ROOT / name, repository / name)
    return repository


@pytest.fixture(name="image_env")
def environment_of_the_image(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Make a new Python environment and yield the variables that a build would see; 1 GB, so it does not stay."""
    prefix, home = tmp_path / "prefix", tmp_path / "home"
    subprocess.run([lowest_python(), "-m", "venv", str(prefix)], check=True)
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COPILOT_", "XDG_", "VIRTUAL_"))}
    pip_cache = [sys.executable, "-m", "pip", "cache", "dir"]
    env |= {
        "HOME": str(home),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_CACHE_DIR": subprocess.run(pip_cache, capture_output=True, text=True, check=True).stdout.strip(),
        "NPM_CONFIG_CACHE": str(NPM_CACHE),
        "NPM_CONFIG_USERCONFIG": str(NPM_SETTINGS),
        "COPILOT_OFFLINE": "true",
    }
    if shutil.which("npm"):
        env["COPILOT_SKIP_CLI_DOWNLOAD"] = "1"  # GitHub need not be asked: npm has the same runtime
    yield env
    shutil.rmtree(prefix)
    shutil.rmtree(home)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_post_build_makes_an_image_that_answers(repository: Path, image_env: dict[str, str], tmp_path: Path) -> None:
    said = run(["bash", "binder/postBuild"], repository, image_env)
    assert "Traceback" not in said

    findings = run(["copilot-nb", "doctor"], repository, image_env)
    assert re.search(r"^OK +Copilot runtime", findings, re.MULTILINE), findings
    assert re.search(r"^OK +Embedded model", findings, re.MULTILINE), findings
    settings = tmp_path / "prefix" / "etc" / "jupyter" / "jupyter_server_config.d" / "copilot-nb.json"
    assert "01_multiple_sessions" in json.loads(settings.read_text("utf-8"))["ServerApp"]["default_url"]
