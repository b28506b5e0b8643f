"""Logs and models for Inspect, which is too large for the environment of the tests (80 packages, 260 MB).

What its log API and its models import is installed into a folder, without the rest: cloud storage, its terminal, …
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.documentation import ROOT

PACKAGES = (
    "inspect_ai==0.3.285",
    *("botocore", "docstring_parser", "ijson", "jsonlines", "jsonpatch", "mmh3", "python-dotenv", "rich", "shortuuid"),
    *("sniffio", "starlette", "textual", "zipfile-zstd", "zstandard"),
)


def test_inspect_reads_our_logs_and_asks_our_models(tmp_path: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        tmp_path / "site",
    ]
    run = [sys.executable, Path(__file__).with_name("inspect_steps.py"), tmp_path]
    packages, home = os.pathsep.join([str(tmp_path / "site"), str(ROOT)]), tmp_path / "home"
    environment = os.environ | {"PYTHONPATH": packages, "COPILOT_HOME": str(home)}
    for command in ([*pip, *PACKAGES], run):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert not list((home / "session-state").glob("inspect-*"))
