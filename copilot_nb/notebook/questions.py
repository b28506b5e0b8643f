"""Lines that end in a question mark, kept from IPython, which takes any of them for a request for help.

``%copilot ask session1 How are you?`` must reach the session, and ``%copilot ls?`` must show the help of ``ls``.
"""

from __future__ import annotations

import re

_HELP = re.compile(r"^\s*%copilot(?:\s+(\w+))?\s*\?{1,2}\s*$")
_QUESTION = re.compile(r"^\s*%copilot\s+(.*\?)\s*$")


def keep(lines: list[str]) -> list[str]:
    """Rewrite a cell's ``%copilot …?`` lines so that IPython's help does not take them (an input transformer)."""
    if lines and lines[0].lstrip().startswith("%%"):
        return lines
    return [_kept(line) for line in lines]


def _kept(line: str) -> str:
    if (match := _HELP.match(line)) is not None:
        return f"%copilot help {match[1] or ''}".rstrip() + "\n"
    if (match := _QUESTION.match(line)) is not None:
        return f"get_ipython().run_line_magic('copilot', {match[1]!r})\n"
    return line
