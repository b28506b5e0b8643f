"""What IPython would keep from us: lines that end in a question mark, and cells without a body.

``%copilot ask session1 How are you?`` must reach the session, and ``%copilot ls?`` must show the help of ``ls``, but
IPython takes any such line for a request for its own help. Of a cell magic without a body it says that it is none.
"""

from __future__ import annotations

import re

_HELP = re.compile(r"^(\s*)%copilot(?:\s+(\w+))?\s*\?{1,2}\s*$")
_QUESTION = re.compile(r"^(\s*)%copilot\s+(.*\?)\s*$")
_CELL = re.compile(r"^%%copilot\b")


def keep(lines: list[str]) -> list[str]:
    """Rewrite a cell so that IPython passes it on to us (an input transformer)."""
    if len(lines) == 1 and _CELL.match(lines[0]):
        return [*lines, "\n"]
    if lines and lines[0].lstrip().startswith("%%"):
        return lines
    return [_kept(line) for line in lines]


def _kept(line: str) -> str:
    if (match := _HELP.match(line)) is not None:
        return f"{match[1]}%copilot help {match[2] or ''}".rstrip() + "\n"
    if (match := _QUESTION.match(line)) is not None:
        return f"{match[1]}get_ipython().run_line_magic('copilot', {match[2]!r})\n"
    return line
