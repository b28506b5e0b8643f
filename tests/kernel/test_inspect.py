"""Logs and models for Inspect, which is too large for the environment of the tests (80 packages, 260 MB).

What its log API and its models import is installed into a folder, without the rest: cloud storage, its terminal, …
"""

from __future__ import annotations

from pathlib import Path

from .beside import run_beside

PACKAGES = (
    "inspect_ai==0.3.285",
    *("botocore", "docstring_parser", "ijson", "jsonlines", "jsonpatch", "mmh3", "python-dotenv", "rich", "shortuuid"),
    *("sniffio", "starlette", "textual", "zipfile-zstd", "zstandard"),
)


def test_inspect_reads_our_logs_and_asks_our_models(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_beside(PACKAGES, "inspect_steps.py", tmp_path, COPILOT_HOME=str(home))
    assert not list((home / "session-state").glob("inspect-*"))
