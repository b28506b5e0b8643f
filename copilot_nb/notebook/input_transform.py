"""Passes to our magics what IPython would intercept: questions, cells without a body, shell prompts in a body.

``%copilot ask session1 How are you?`` must reach the session, and ``%copilot ls?`` must show the help of ``ls``, but
IPython takes any such line for a request for its own help. It refuses a cell magic without a body. And
from the lines of any cell, ours too, it removes a leading ``>>> `` or ``In [1]: ``, the prompts of a shell.
"""

from __future__ import annotations

import re
from typing import Any, cast

from IPython.core.inputtransformer2 import (
    EscapedCommand,
    MagicAssign,
    assemble_continued_line,
    find_end_of_continued_line,
)

_MAGIC = "%copilot"
_HELP = re.compile(r"(?:\s+(\w+))?\s*\?{1,2}")
_CELL_HELP = re.compile(r"^(?:%%copilot\s*\?{1,2}|\?{1,2}\s*%{1,2}copilot)\s*$")
_CELL = re.compile(r"^%%copilot(?:\s+(.*?))?\s*$")


class Whole:
    """The first input transformer: turns a ``%%copilot`` cell into its call, with the body unchanged."""

    has_side_effects = True
    """IPython leaves a transformer out for this when it looks whether what is typed in a terminal is complete."""

    def __call__(self, lines: list[str]) -> list[str]:
        """Rewrite a cell."""
        start = next((number for number, line in enumerate(lines) if line.strip()), 0)
        if lines and _CELL_HELP.match(lines[start]):
            return ["get_ipython().run_line_magic('copilot', 'help')\n"]
        match = _CELL.match(lines[start]) if lines else None
        if match is None:
            return lines
        body = "".join(lines[start + 1 :]) or "\n"
        return [f"get_ipython().run_cell_magic('copilot', {match[1] or ''!r}, {body!r})\n"]


class _Line:
    """Turns ``%copilot …`` into its call, question mark included, where IPython's tokens show that it is code."""

    priority = 0
    """Before IPython's own, which would take the line for a request for help."""
    start_line: int
    start_col: int
    magic_col = -1
    """Where the magic begins; -1: where the line does."""

    def transform(self, lines: list[str]) -> list[str]:
        """Rewrite the line that was found.

        Raises
        ------
        SyntaxError
            If it is another magic: then IPython's own transformers have their turn.
        """
        column = self.start_col if self.magic_col < 0 else self.magic_col
        before = lines[self.start_line][:column]
        end = find_end_of_continued_line(lines, self.start_line)
        line = assemble_continued_line(lines, (self.start_line, column), end)
        rest = line.removeprefix(_MAGIC)
        if not line.startswith(_MAGIC) or rest[:1] not in ("", " ", "\t", "?"):
            raise SyntaxError(line)
        asked = _HELP.fullmatch(rest)
        said = f"help {asked[1] or ''}".rstrip() if asked else rest[1:]
        call = f"{before}get_ipython().run_line_magic('copilot', {said!r})\n"
        return [*lines[: self.start_line], call, *lines[end + 1 :]]


class Statement(_Line, EscapedCommand):
    """``%copilot …`` as a statement (a token transformer)."""


class Assignment(_Line, MagicAssign):
    """``x = %copilot …`` (a token transformer)."""

    @classmethod
    def find(cls, tokens_by_line: Any) -> Any:
        """Find the first assignment; like IPython's help request, it is reported to begin with its line."""
        found = cast(Any, super()).find(tokens_by_line)
        if found is not None:
            found.magic_col, found.start_col = found.start_col, 0
        return found


TOKEN_TRANSFORMERS = (Statement, Assignment)
