"""Bullets two blanks deep below a numbered item, which CommonMark takes for a list of their own.

    1. First
      - a bullet of the first

The text of ``1.`` begins in the fourth column, so CommonMark wants three blanks; models, and people, write two. Such
lines are moved to the right by what lacks, with all that stands as deep below them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBERED = re.compile(r"\d{1,9}[.)] {1,4}(?=\S)")
_BULLET = re.compile(r"[-*+] ")
_FENCE = re.compile(r"`{3,}|~{3,}")
_MAY_APPLY = re.compile(r"^ {2,}[-*+] ", re.MULTILINE)
DEPTH = 2
"""How many blanks before a line say that it belongs to the item above it (count)."""


@dataclass(slots=True)
class _Item:
    """A numbered item: the columns in which it and its text begin, and by how many its bullets are moved."""

    column: int
    text_column: int
    moved: int = 0


def with_deep_bullets(source: str) -> str:
    """Return Markdown with bullets below numbered items as deep as CommonMark wants them."""
    return "\n".join(_moved(source.split("\n"))) if _MAY_APPLY.search(source) else source


def _moved(lines: list[str]) -> Iterator[str]:
    items: list[_Item] = []
    fence = ""
    for line in lines:
        text = line.lstrip(" ")
        column = len(line) - len(text)
        if text:
            fence = _left(items, column, text, fence)
        blanks = " " * sum(item.moved for item in items) if text else ""
        yield blanks + line
        if text and not fence and (numbered := _NUMBERED.match(text)):
            items.append(_Item(column, column + numbered.end()))
        fence = _fence_after(text, fence)


def _left(items: list[_Item], column: int, text: str, fence: str) -> str:
    """Drop the items that a line in this column has left, move the innermost if this is its first bullet."""
    while items and column < items[-1].column + DEPTH:
        items.pop()
        fence = ""
    if items and not fence and not items[-1].moved and column < items[-1].text_column:
        if _BULLET.match(text):
            items[-1].moved = items[-1].text_column - column
        else:
            items.pop()
    return fence


def _fence_after(text: str, fence: str) -> str:
    found = _FENCE.match(text)
    if not fence:
        return found[0] if found else ""
    return "" if found and found[0].startswith(fence) and not text[found.end() :].strip() else fence
