"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the user's folder.

    If there is no such user, the path stays as it is (`Path.expanduser` raises `RuntimeError`), so that it names no
    file, and whoever opens it says so.
    """
    return Path(os.path.expanduser(path))
