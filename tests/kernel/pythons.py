"""The Pythons of this machine that the package admits and that can make an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from copilot_nb.runtime.doctor import MINIMUM_PYTHON

_NAMES = "python3.1[1-9]"
_CODE = "import ensurepip, sys, venv; print(*sys.version_info[:3])"


def lowest_python() -> str:
    """Return the lowest one."""
    return _pythons()[min(_pythons())]


def newest_python() -> str:
    """Return the newest one."""
    return _pythons()[max(_pythons())]


@cache
def _pythons() -> dict[tuple[int, ...], str]:
    """Return them by version: this one, those on the PATH, and those that pyenv has behind a command of its own."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += [path for folder in folders if folder.name == "shims" for path in folder.parent.glob("versions/*/bin")]
    found = [path for folder in folders if folder.name != "shims" for path in folder.glob(_NAMES)]
    versions = {_version(path): str(path) for path in [Path(sys.executable), *found]}
    return {version: path for version, path in versions.items() if version >= MINIMUM_PYTHON}


def _version(python: Path) -> tuple[int, ...]:
    """Return the version of `python`, ``()`` if it does not run or cannot make an environment."""
    try:
        done = subprocess.run([python, "-c", _CODE], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    return tuple(map(int, done.stdout.split()))
