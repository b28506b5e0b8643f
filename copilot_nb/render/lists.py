"""Puts bullets that are indented by two blanks into the numbered item above, which CommonMark does not.

    1. First
      - a bullet of the first
    2. Second

The text of ``1.`` begins in the fourth column, so CommonMark wants three blanks; models, and people, write two. Such a
list is put into the item above it, and the numbers go on behind it.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, list_block

DEPTH = 2
"""How many blanks before a bullet say that it belongs to the item above it (count)."""

_NUMBERED = re.compile(r"\d{1,9}[.)] {1,4}(?=\S)")
_BULLET = re.compile(r"[-*+] +\S")


def lists_plugin(parser: MarkdownIt) -> None:
    """Add to `parser` the rule that puts bullets into the numbered item above them."""
    parser.block.ruler.at("list", _list_rule, {"alt": ["paragraph", "reference", "blockquote"]})


def _list_rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    opened = len(state.tokens)
    if not list_block(state, first, end, silent):
        return False
    if silent or state.tokens[opened].type != "ordered_list_open":
        return True
    item_line = _last_item_line(state, opened)
    while (line := _next_line(state, end)) < end:
        closed = len(state.tokens)
        if _is_below(state, line, item_line):
            list_block(state, line, end, False)
            _put_into_item(state, closed)
        elif _goes_on(state, line, state.tokens[opened].markup) and list_block(state, line, end, False):
            item_line = _last_item_line(state, closed)
            del state.tokens[closed - 1 : closed + 1]  # the end of the list, and its new beginning
        else:
            break
    state.tokens[opened].map = [first, state.line]
    return True


def _last_item_line(state: StateBlock, opened: int) -> int:
    """Return the line in which the last item of the list begins that was opened by this token."""
    level = state.tokens[opened].level + 1
    return next(
        each.map[0]
        for each in reversed(state.tokens)
        if each.type == "list_item_open" and each.level == level and each.map
    )


def _next_line(state: StateBlock, end: int) -> int:
    line = state.line
    while line < end and state.isEmpty(line):
        line += 1
    return line


def _is_below(state: StateBlock, line: int, item_line: int) -> bool:
    """Whether a bullet begins here, left of the text of the item above but deep enough to belong to it."""
    item = _NUMBERED.match(_text(state, item_line))
    if not item or not _BULLET.match(_text(state, line)) or state.is_code_block(line):
        return False
    column = state.sCount[item_line]
    return column + DEPTH <= state.sCount[line] < column + item.end()


def _put_into_item(state: StateBlock, closed: int) -> None:
    """Move the list that begins with this token before the end of the item before it."""
    nested = state.tokens[closed:]
    for token in nested:
        token.level += 2
    state.tokens[closed - 2 :] = [*nested, *state.tokens[closed - 2 : closed]]


def _goes_on(state: StateBlock, line: int, delimiter: str) -> bool:
    item = _NUMBERED.match(_text(state, line))
    is_within = state.sCount[line] >= state.blkIndent and not state.is_code_block(line)
    return item is not None and is_within and item[0].rstrip().endswith(delimiter)


def _text(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
