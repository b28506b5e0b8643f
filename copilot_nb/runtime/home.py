"""The folder in which the runtime keeps its sessions, checked before the runtime is started.

The runtime itself would start without it, and fail at the first session with the system's error number.

Why it is closed to other users of the machine: docs/decisions/0063-the-hub-separates-people.md.
"""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.system.paths import expanded


def check_user(home: str) -> None:
    """Raise `FileNotFoundError` if the folder is that of an unknown user (``~nobody/x``)."""
    if home.startswith("~") and not expanded(home).is_absolute():
        raise FileNotFoundError(errno.ENOENT, "there is no such user")


def require_home(home: str) -> Path:
    """Return the folder; make it if it is missing, and check that it is writable.

    Raises
    ------
    RuntimeUnavailable
        If it cannot: a file in its place, no right, no room, or a home of an unknown user.
    """
    folder = expanded(home)
    try:
        check_user(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # conversations are nobody else's
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RuntimeUnavailable(
            f"the Copilot runtime cannot keep its sessions in {folder}: {error.strerror or error}",
            "%config CopilotNB.home = '…', or set COPILOT_HOME",
        ) from error
    return folder
