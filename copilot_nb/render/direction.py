"""Marks right-to-left blocks, because a notebook's styles are made for left-to-right text.

A block has the direction of its first letter, as with ``dir="auto"``. JupyterLab aligns paragraphs and indents lists on
the left in any direction, so styles are set, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from markdown_it.token import Token

STYLES = {
    "p": "text-align:right",
    "ul": "padding:0 2em 0 0",
    "ol": "padding:0 2em 0 0",
    "table": "margin-left:auto;margin-right:0",
    "blockquote": "border-left:0;border-right:5px solid rgba(128,128,128,.3)",
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), ""),
}
"""The elements that may have a direction, and what is said besides."""

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")


def has_right_to_left(source: str) -> bool:
    """Whether the text has a right-to-left letter."""
    return not source.isascii() and _RIGHT_TO_LEFT.search(source) is not None


def mark_direction(tokens: Sequence[Token]) -> None:
    """Mark the outermost right-to-left blocks and their content."""
    opened: list[Token] = []
    is_marked: bool | None = None
    for token in tokens:
        if token.level == 0 and token.nesting == 1:
            opened, is_marked = [], None
        if token.nesting == 1 and token.tag in STYLES:
            opened.append(token)
        if token.type == "inline" and is_marked is None:
            is_marked = _goes_left(token.content)
        if is_marked:
            _mark(opened)
            opened = []


def _mark(tokens: Sequence[Token]) -> None:
    for token in tokens:
        token.attrSet("dir", "rtl")
        if STYLES[token.tag]:
            token.attrSet("style", STYLES[token.tag])


def _goes_left(text: str) -> bool | None:
    """Whether the first letter with a direction is right-to-left; ``None`` if there is none."""
    ways = (unicodedata.bidirectional(character) for character in text)
    return next((way != "L" for way in ways if way in ("L", "R", "AL")), None)
