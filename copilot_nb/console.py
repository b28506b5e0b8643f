"""What is printed in a terminal: text in any encoding, and a last line that moves."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

PLAIN_ERRORS = "copilot_nb.plain"
_PLAIN = {"→": "->", "…": "...", "·": "-", "×": "x", "“": '"', "”": '"', "’": "'", "–": "-"}
MOVING = "…"


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Write what a stream's encoding lacks in ASCII: our own marks by something like them, the rest as ``?``."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN_ERRORS, _plain)


def accept_any_text(stream: TextIO | None) -> None:
    """Let `stream` print what its encoding lacks, where it would raise `UnicodeEncodeError` (C and Latin-1 locales)."""
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
