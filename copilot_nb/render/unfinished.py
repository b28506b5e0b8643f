"""Renders the unfinished end of an answer as what it will become: code as code, a table as a table, a list as a list.

`blocks` hands over the end as text, for until a block is finished it may become another. Some kinds of block are known
by how they begin, and are most of what is long: code between fences grows as text, without its fences; a table, a list
or a quotation is rendered line by line, anew when it has grown by an eighth, so the cost is linear in the block. What
a list has beyond these lines is text below it.

Why: docs/decisions/0027-render-unfinished-ends.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from copilot_nb.render.markdown import Context, fence_language, part_html
from copilot_nb.render.maths import Maths

GROWTH = 8
"""A table or a list is rendered again when it has grown by this part of its lines."""

_FENCE = re.compile(r"\n*( {0,3})(`{3,}(?=[^`\n]*\n)|~{3,})([^\n]*)\n")
_TABLE = re.compile(r"\n*[^\n]*\|[^\n]*\n *\|?(?: *:?-+:? *\|)+ *(?::?-+:? *)?\n")
_LIST = re.compile(r"\n* {0,3}(?:[-*+][ \t]|\d{1,9}[.)][ \t]|>)[^\n]*\n")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The rendered end of an answer.

    Attributes
    ----------
    kind : str
        ``"text"``, ``"code"``, ``"table"`` or ``"list"`` (which may be a quotation).
    text : str
        The text; code without its fences; of a list, what follows the lines that are rendered. It grows at its end as
        long as the block goes on and `html` stays the same.
    language : str
        Of code, as it was written.
    html : str
        Safe HTML of a table or a list as far as its lines have come.
    """

    kind: str = "text"
    text: str = ""
    language: str = ""
    html: str = ""


class UnfinishedEnd:
    """Shows the end of a text that grows.

    Parameters
    ----------
    maths : {"mathml", "tex"}, default "mathml"
        What formulae become (see `markdown_to_html`).
    """

    def __init__(self, maths: Maths = "mathml") -> None:
        self._maths = maths
        self._lines = ""  # those that are rendered
        self._html = ""

    def shown(self, tail: str) -> Unfinished:
        """Return the rendering of the end, whose text is now `tail`."""
        if fence := _FENCE.match(tail):
            indent, marks, info = fence.groups()
            code = _code(tail[fence.end() :], marks, len(indent))
            return Unfinished("code", code, fence_language(info))
        is_table = _TABLE.match(tail) is not None
        if not (is_table or _LIST.match(tail)) or not self._has_rendered(tail[: tail.rfind("\n") + 1]):
            return Unfinished("text", tail)
        if is_table:
            return Unfinished("table", html=self._html)
        return Unfinished("list", tail[len(self._lines) :], html=self._html)

    def _has_rendered(self, lines: str) -> bool:
        """Render the lines of a block, unless that was done a few lines ago; ``False`` if it cannot be done."""
        known = self._lines.count("\n")
        if lines.startswith(self._lines) and lines.count("\n") - known <= known // GROWTH:
            return True
        html = part_html(lines, Context(), maths=self._maths)
        if html is not None:
            self._lines, self._html = lines, html
        return html is not None


def _code(text: str, marks: str, indent: int) -> str:
    """Return what stands between two fences, or after the first; a line that may become the second is left out."""
    close = re.search(rf"^ {{0,3}}{re.escape(marks)}{marks[0]}*[ \t]*$", text, re.MULTILINE)
    code = text[: close.start()] if close else re.sub(rf"(^|(?<=\n)) {{0,3}}{marks[0]}*\Z", "", text)
    return re.sub(rf"^ {{1,{indent}}}", "", code, flags=re.MULTILINE) if indent else code
