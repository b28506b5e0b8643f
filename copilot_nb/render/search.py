"""Finds text as a reader means it, and marks it in HTML that is already safe.

Upper and lower case are the same, and so are the ways in which Unicode writes a character ("é" is also "e" and an
accent), and blanks and line ends. What is marked is found anew in the text of the rendered HTML, across the elements
that run on within a line: code is one element per word once it is coloured.

Marks go into text only, never into a formula, which would not be typeset. Tags pass as they are.
"""

from __future__ import annotations

import bisect
import functools
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence

from copilot_nb.conversation.parts import ToolCall
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.calls import answers_text
from copilot_nb.render.escape import escape, well_formed

EXCERPT_CHARS = 60

_TAG = re.compile(r'(<(?:[^<>"]|"[^"]*")*>)')
_TAG_NAME = re.compile(r"</?([a-z0-9]*)")
_RUNNING_ON = {"a", "code", "em", "s", "span", "strong"}
_LITERAL = {"code", "pre"}  # MathJax leaves them alone

_Span = tuple[int, int]


class Needle:
    """What is looked for.

    Parameters
    ----------
    text : str
        Any text that is not blank.
    """

    def __init__(self, text: str) -> None:
        self.text = " ".join(well_formed(text).split())
        self._pattern = re.compile(r"\s+".join(map(re.escape, _folded(self.text).split())))

    def is_in(self, turn: TurnRecord) -> bool:
        """Whether a turn's prompt, answer or tool calls contain it."""
        return any(next(self._found(_folded(text)), None) for text in _texts(turn))

    def spans(self, text: str) -> Iterator[_Span]:
        """Yield where it begins and ends in `text`."""
        if text.isascii():
            yield from self._found(text.lower())
            return
        folds = [_folded_character(character) for character in text]
        origin = [i for i, fold in enumerate(folds) for _ in fold]
        after = 0
        for start, end in self._found("".join(folds)):
            if origin[start] >= after:  # "s" is found twice in "ß"
                after = origin[end - 1] + 1
                yield origin[start], after

    def excerpt(self, turn: TurnRecord) -> str:
        """Return a line around the first match in a turn; ``""`` if there is none."""
        for text in _texts(turn):
            for start, end in self.spans(text):
                before, after = text[max(start - EXCERPT_CHARS, 0) : start], text[end : end + EXCERPT_CHARS]
                lead, tail = "…" * (start > EXCERPT_CHARS), "…" * (len(text) > end + EXCERPT_CHARS)
                return lead + " ".join(f"{before}{text[start:end]}{after}".split()) + tail
        return ""

    def marked(self, safe_html: str) -> str:
        """Return our HTML with each match in a `mark` element, and folded elements with a match open."""
        pieces = _TAG.split(safe_html)  # text, tag, text, …
        texts = _plain_texts(pieces)
        haystack = "".join(texts)
        starts = [0]
        for text in texts:
            starts.append(starts[-1] + len(text))
        spans = list(self.spans(haystack))
        folds: list[int] = []
        for i, piece in enumerate(pieces):
            if i % 2:
                _follow_folds(folds, i, piece)
            elif found := _within(spans, starts[i], texts[i]):
                pieces[i] = _with_marks(texts[i], found)
                for fold in folds:
                    pieces[fold] = "<details open>"
        return "".join(pieces)

    def _found(self, folded: str) -> Iterator[_Span]:
        """Yield the places in folded text; one that ends before an accent has found another letter."""
        for match in self._pattern.finditer(folded):
            if not unicodedata.combining(folded[match.end() : match.end() + 1] or " "):
                yield match.span()


def _texts(turn: TurnRecord) -> Iterator[str]:
    calls = (part for part in turn.parts if isinstance(part, ToolCall))
    called = (text for call in calls for text in (call.name, call.arguments, answers_text(call), call.result))
    return map(well_formed, (turn.prompt, turn.text, *called))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


@functools.lru_cache(maxsize=4096)
def _folded_character(character: str) -> str:
    return _folded(character)


def _plain_texts(pieces: Sequence[str]) -> list[str]:
    """Return what can be found of each piece: a text's own characters; of a tag that ends a line, a line end."""
    texts: list[str] = []
    literal = 0
    for i, piece in enumerate(pieces):
        if i % 2:
            name = _TAG_NAME.match(piece)
            tag = name[1] if name else ""
            literal += (-1 if piece.startswith("</") else 1) * (tag in _LITERAL)
            texts.append("" if tag in _RUNNING_ON else "\n")
        else:
            text = html.unescape(piece)
            is_formula = not literal and len(text) > 1 and escape(text) != html.escape(text, quote=False)
            texts.append("\n" * len(text) if is_formula else text)
    return texts


def _follow_folds(folds: list[int], i: int, tag: str) -> None:
    if tag.startswith("<details"):
        folds.append(i)
    elif tag == "</details>" and folds:
        folds.pop()


def _within(spans: Sequence[_Span], start: int, text: str) -> list[_Span]:
    """Return the parts of `spans` that lie in a text that begins at `start`, counted from there, but for blanks."""
    first_of_them = bisect.bisect_right(spans, start, key=lambda span: span[1])
    after_them = bisect.bisect_left(spans, start + len(text), key=lambda span: span[0])
    cut = ((max(a - start, 0), min(b - start, len(text))) for a, b in spans[first_of_them:after_them])
    return [(first, last) for first, last in cut if first < last and text[first:last].strip()]


def _with_marks(text: str, spans: Sequence[_Span]) -> str:
    end = 0
    pieces: list[str] = []
    for first, last in spans:
        before, found = html.escape(text[end:first], quote=False), html.escape(text[first:last], quote=False)
        pieces += [before, f"<mark>{found}</mark>"]
        end = last
    return "".join([*pieces, html.escape(text[end:], quote=False)])
