"""`binder/postBuild`, run as Binder runs it: in a new environment and an empty home, from a copy of the repository.

The environment is made with the lowest Python on this machine that the package admits: what installs with it installs
with the others. The slowest test there is (it installs everything but the runtime anew); the packages themselves come
out of pip's cache.
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

from copilot_nb.runtime.install.cache import cache_root
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
    """Make a new Python environment and yield the variables that a build would see; 0.9 GB, so it does not stay."""
    prefix, home = tmp_path / "prefix", tmp_path / "home"
    subprocess.run([lowest_python(), "-m", "venv", str(prefix)], check=True)
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COPILOT_", "XDG_", "VIRTUAL_"))}
    pip_cache = [sys.executable, "-m", "pip", "cache", "dir"]
    env |= {
        "HOME": str(home),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_COMPILE": "1",  # most of what is installed is never imported here
        "PIP_CACHE_DIR": subprocess.run(pip_cache, capture_output=True, text=True, check=True).stdout.strip(),
        "COPILOT_NB_CACHE": str(cache_root()),  # tests/runtime/test_install_real.py installs the runtime anew
        "COPILOT_OFFLINE": "true",
    }
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
    assert re.search(r"^OK +Copilot runtime", said, re.MULTILINE), said  # its last command is `copilot-nb doctor`
    assert re.search(r"^OK +Embedded model", said, re.MULTILINE), said
    servers = tmp_path / "prefix" / "etc" / "jupyter" / "jupyter_server_config.d"
    settings = json.loads((servers / "copilot-nb.json").read_text("utf-8"))
    assert "01_multiple_sessions" in settings["ServerApp"]["default_url"]
    assert "voila" in (servers / "voila.json").read_text("utf-8")
    assert (tmp_path / "prefix" / "share" / "jupyter" / "labextensions" / "copilot-nb").is_dir()
