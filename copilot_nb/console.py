"""Prints in a terminal: text in any encoding, and a last line that changes."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

PLAIN_ERRORS = "copilot_nb.plain"
_PLAIN = {"→": "->", "…": "...", "·": "-", "×": "x", "“": '"', "”": '"', "’": "'", "–": "-"}
MOVING = "…"


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that a stream's encoding lacks by ASCII: our own marks by similar ones, the rest by ``?``."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN_ERRORS, _plain)


def accept_any_text(stream: TextIO | None) -> None:
    """Make `stream` replace characters that its encoding lacks instead of raising `UnicodeEncodeError` (C, Latin-1)."""
    reconfigure = getattr(stream, "reconfigure", None)  # a stream that was put in its place may have none
    if stream is not None and reconfigure is not None and not (stream.encoding or "").lower().startswith("utf"):
        reconfigure(errors=PLAIN_ERRORS)


def say(line: str, stream: TextIO | None = None) -> None:
    """Print `line` at once. On a terminal a line that begins with ``…`` is replaced by the next one."""
    stream = stream or sys.stdout
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        print(f"\r\033[K{line}", end="" if line.startswith(MOVING) else "\n", file=stream, flush=True)
    else:
        print(line, file=stream, flush=True)
