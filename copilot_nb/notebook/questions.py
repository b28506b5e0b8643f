"""What IPython would keep from us: lines that end in a question mark, cells without a body, and prompts in a body.

``%copilot ask session1 How are you?`` must reach the session, and ``%copilot ls?`` must show the help of ``ls``, but
IPython takes any such line for a request for its own help. Of a cell magic without a body it says that it is none. And
from the lines of any cell, also of ours, it takes a leading ``>>> `` or ``In [1]: ``, the prompts of a shell.
"""

from __future__ import annotations

import re

_HELP = re.compile(r"^(\s*)%copilot(?:\s+(\w+))?\s*\?{1,2}\s*$")
_QUESTION = re.compile(r"^(\s*)%copilot\s+(.*\?)\s*$")
_CELL = re.compile(r"^%%copilot(?:\s+(.*?))?\s*$")


class Whole:
    """The first of the input transformers: makes a ``%%copilot`` cell the call that it is, its body to the letter."""

    has_side_effects = True
    """IPython leaves a transformer out for this when it looks whether what is typed in a terminal is complete."""

    def __call__(self, lines: list[str]) -> list[str]:
        """Rewrite a cell."""
        start = next((number for number, line in enumerate(lines) if line.strip()), 0)
        match = _CELL.match(lines[start]) if lines else None
        if match is None:
            return lines
        body = "".join(lines[start + 1 :]) or "\n"
        return [f"get_ipython().run_cell_magic('copilot', {match[1] or ''!r}, {body!r})\n"]


def keep(lines: list[str]) -> list[str]:
    """Rewrite a cell so that IPython passes it on to us (an input transformer)."""
    if lines and lines[0].lstrip().startswith("%%"):
        return lines
    return [_kept(line) for line in lines]


def _kept(line: str) -> str:
    if (match := _HELP.match(line)) is not None:
        return f"{match[1]}%copilot help {match[2] or ''}".rstrip() + "\n"
    if (match := _QUESTION.match(line)) is not None:
        return f"{match[1]}get_ipython().run_line_magic('copilot', {match[2]!r})\n"
    return line
