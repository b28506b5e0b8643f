"""Searches the logs of sessions directly: reading thousands through the runtime would take minutes.

Texts in a log are JSON strings, so what is looked for in its bytes is the text as JSON writes it. Only the lines that
hold it are read, so that a log in which it does not occur costs little more than reading the file.

Why: docs/decisions/0010-search-reads-logs.md.
"""

from __future__ import annotations

import bisect
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from copilot_nb.foreign_json import parsed
from copilot_nb.runtime.logfile import PROMPT_MARK, is_prompt, last_use_in

PROMPT, ANSWER = b"{" + PROMPT_MARK, b'{"type":"assistant.message"'
"""How the lines begin that hold what was said."""
_MESSAGE = b'.message"'
"""What these beginnings have in common."""
SNIPPET_CHARS = 120
_SHARP_S = "ß".encode()
_RARE = {
    letters[0].encode()[0]: tuple(letter.encode() for letter in letters)
    for letters in ("\u017f\u0149", "\u1e9a\u1e9e", "\u212a", "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06")
}
"""The other letters that become ASCII letters by case folding, such as the ligature of "fi", by their first byte."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A match: the turn's number, counted from 1, who said it, and the words around it."""

    turn: int
    role: str
    snippet: str


class LogSearch:
    """A text to search for; upper and lower case are the same.

    Parameters
    ----------
    text : str
        Not blank.
    """

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._bytes = json.dumps(text, ensure_ascii=False)[1:-1].casefold().encode("utf-8", "replace")
        self._is_ascii = self._text.isascii()

    def found_in(self, logs: Mapping[str, Path]) -> dict[str, list[Hit]]:
        """Return where the text occurs in each of `logs` in which it does, the one of the last turn first."""
        found: list[tuple[float, str, list[Hit]]] = []
        for name, log in logs.items():
            content = _content(log)
            if hits := list(self._hits(content)):
                used_at = last_use_in(content)
                found.append((used_at.timestamp() if used_at else 0.0, name, hits))
        return {name: hits for _, name, hits in sorted(found, key=itemgetter(0), reverse=True)}

    def _hits(self, content: bytes) -> Iterator[Hit]:
        """Yield the matches in the prompts and answers of a log."""
        turn = counted = 0
        for start, end in self._lines_with_text(content):
            line = content[start:end]
            is_asked = line.startswith(PROMPT) and is_prompt(line)
            if is_asked or line.startswith(ANSWER):
                turn, counted = turn + _prompts_in(content[counted:end]), end
                said = _said(line)
                place = said.casefold().find(self._text)
                if place >= 0:
                    yield Hit(turn, "you" if is_asked else "model", _around(said, _unfolded(said, place)))

    def _lines_with_text(self, content: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the lines begin and end that hold the text; they may be no messages."""
        is_ascii = content.isascii()
        if self._is_ascii and (is_ascii or not _has_rare(content)):
            folded = content.lower()
            if not is_ascii and b"s" in self._bytes and _holds(folded, _SHARP_S):
                folded = folded.replace(_SHARP_S, b"ss")
            yield from _lines_with(self._bytes, folded)  # each byte stays at its place
        elif not is_ascii:
            for start, end in _lines_with(_MESSAGE, content):
                if self._bytes in content[start:end].decode("utf-8", "replace").casefold().encode():
                    yield start, end


def _lines_with(wanted: bytes, content: bytes) -> Iterator[tuple[int, int]]:
    place = content.find(wanted)
    while place >= 0:
        end = content.find(b"\n", place)
        end = len(content) if end < 0 else end
        yield content.rfind(b"\n", 0, place) + 1, end
        place = content.find(wanted, end)


def _has_rare(content: bytes) -> bool:
    return any(first in content and any(_holds(content, rare) for rare in letters) for first, letters in _RARE.items())


def _holds(content: bytes, letter: bytes) -> bool:
    """Whether a letter is in a log; a single byte is found 50 times as fast, and most logs lack one of the letter's."""
    return all(byte in content for byte in letter) and letter in content


def _prompts_in(content: bytes) -> int:
    lines = (content[start:end] for start, end in _lines_with(PROMPT, content))
    return sum(line.startswith(PROMPT) and is_prompt(line) for line in lines)


def _content(log: Path) -> bytes:
    try:
        file = os.open(log, os.O_RDONLY)  # a quarter faster than a file object
        try:
            return os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    except OSError:  # deleted meanwhile
        return b""


def _said(line: bytes) -> str:
    try:
        return str(parsed(line)["data"]["content"])
    except (ValueError, KeyError, TypeError):  # a damaged line
        return ""


def _unfolded(text: str, place: int) -> int:
    """Return the place in a text of a place in its case-folded form, which is longer: "ß" becomes "ss"."""
    if text.isascii():
        return place
    ends = list(itertools.accumulate(len(character.casefold()) for character in text[: place + 1]))
    return bisect.bisect_right(ends, place)


def _around(text: str, place: int) -> str:
    start = max(0, place - SNIPPET_CHARS // 3)
    words = " ".join(text[start : start + SNIPPET_CHARS].split())
    return f"{'…' if start else ''}{words}{'…' if start + SNIPPET_CHARS < len(text) else ''}"
