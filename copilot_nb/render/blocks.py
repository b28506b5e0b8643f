r"""Renders a streaming answer block by block: a finished block does not change and is rendered once.

A block (a paragraph, a list, a piece of code) is finished when another begins after it, in a line that is whole. Then
no further text can reach it, with two exceptions. A formula that was opened (``$$``) may close in a later line of the
same paragraph and take with it what looked like blocks; and an address may be defined line by line. Behind either,
blocks are finished by a blank line only.

The unfinished end is parsed again when it has grown by an eighth, so the cost is linear in the answer, whatever it is.

Joined, the finished blocks and the end rendered by itself are what `markdown_to_html` makes of the whole, except that

- a link whose address is defined in a later block, or a sign whose note is, is text until the whole is rendered;
- a text that is too large, or repeats addresses too often, is shown as it is (see `markdown`): blocks that were
  finished until then stay.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from copilot_nb.render.dialect import has_notes
from copilot_nb.render.inert import with_line_ends
from copilot_nb.render.markdown import MAX_CHARS, Context, block_parser, markdown_to_html, part_html
from copilot_nb.render.maths import Maths

GROWTH = 8
"""The end is parsed again when it has grown by this part of it."""

_OPENS_FORMULA = re.compile(r"\s*(\$\$|\\\[|\\begin\{)")
_HALF = re.compile("[\ud800-\udbff]\\Z")


@dataclass(frozen=True, slots=True)
class Blocks:
    """The finished blocks and the unfinished end of an answer.

    Attributes
    ----------
    finished : tuple of str
        Safe HTML of the blocks that will not change, in order. Later answers of `BlockStream.feed` begin with them,
        unless `run` has changed.
    tail : str
        The text after them, as it was written. It grows at its end, or a block is taken from its beginning.
    run : int
        How many times the text has begun anew (count).
    """

    finished: tuple[str, ...]
    tail: str
    run: int = 0


class BlockStream:
    """Renders a text that grows.

    Parameters
    ----------
    maths : {"mathml", "tex"}, default "mathml"
        What formulae become (see `markdown_to_html`).
    highlight : bool, default True
        Whether code is coloured.
    """

    def __init__(self, maths: Maths = "mathml", *, highlight: bool = True) -> None:
        self._maths = maths
        self._highlight = highlight
        self._run = 0
        self._begin()

    def _begin(self) -> None:
        self._text = ""
        self._taken_chars = 0  # of the text: whole lines, in `_lines` or finished
        self._lines: list[str] = []
        self._chars = 0  # of these lines
        self._due_chars = 0  # when they are parsed again
        self._context = Context()
        self._finished: list[str] = []
        self._is_stuck = False

    def feed(self, text: str) -> Blocks:
        """Take the whole text so far; a text that does not continue the last one starts a new answer.

        Parameters
        ----------
        text : str
            Markdown, cut off anywhere.
        """
        if not text.startswith(self._text):
            self._begin()
            self._run += 1
        self._text = text
        self._take_lines()
        self._is_stuck = self._is_stuck or len(text) > MAX_CHARS
        if self._chars >= self._due_chars and not self._is_stuck:
            self._finish_blocks()
        rest = _HALF.sub("", text[self._taken_chars :])
        return Blocks(tuple(self._finished), "".join(self._lines) + with_line_ends(rest), self._run)

    def finish(self) -> str:
        """Return safe HTML of the whole text: the blocks' own, unless one may contain a link that is defined later."""
        context = Context(dict(self._context.definitions), self._context.link_chars)
        rest = "".join(self._lines) + with_line_ends(self._text[self._taken_chars :])
        html = None if self._is_stuck else part_html(rest, context, highlight=self._highlight, maths=self._maths)
        if html is None or context.definitions.get("references") or has_notes(context.definitions):
            return markdown_to_html(self._text, highlight=self._highlight, maths=self._maths)
        return "".join(self._finished) + html

    def _take_lines(self) -> None:
        end = self._text.rfind("\n") + 1
        if end <= self._taken_chars:
            return
        fresh = with_line_ends(self._text[self._taken_chars : end])
        self._taken_chars = end
        self._chars += len(fresh)
        self._lines += [f"{line}\n" for line in fresh.split("\n")[:-1]]

    def _finish_blocks(self) -> None:
        start = 0
        for end in _boundaries(self._lines):
            source = "".join(self._lines[start:end])
            html = part_html(source, self._context, highlight=self._highlight, maths=self._maths)
            self._is_stuck = html is None
            if html is None:
                break
            self._finished += [html] if html else []
            start = end
        self._lines = self._lines[start:]
        self._chars = sum(map(len, self._lines))
        self._due_chars = self._chars + max(1, self._chars // GROWTH)


def _boundaries(lines: list[str]) -> Iterator[int]:
    """Yield the lines in which a block begins, so that all before it is finished."""
    spans = [token.map for token in block_parser().parse("".join(lines)) if token.map and token.level == 0]
    is_blank = is_open = False
    for (first, last), (begin, _) in itertools.pairwise(spans):
        for line in lines[first:begin]:
            is_blank = not line.strip(" \t\n")
            is_open = not is_blank and (is_open or _OPENS_FORMULA.match(line) is not None)
        if is_blank or (last == begin and not is_open):
            yield begin
