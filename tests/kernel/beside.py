"""Scripts beside libraries that are too large for the environment of the tests: they are installed into a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.documentation import ROOT


def run_beside(packages: Sequence[str], script: str, folder: Path, **variables: str) -> None:
    """Install `packages` without what they depend on, run a script of this folder beside them, and remove them.

    The script's argument is `folder`, in which it runs; `variables` are added to its environment.
    """
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", site]
    run = [sys.executable, Path(__file__).with_name(script), folder]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), **variables}
    for command in ([*pip, *packages], run):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    shutil.rmtree(site)
