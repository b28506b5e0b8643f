"""Searches the logs of sessions directly: reading thousands through the runtime would take minutes.

A log is skipped unless the text occurs somewhere in its bytes; only then its lines are looked at. Texts in a log are
JSON strings, so what is looked for in the bytes is the text as JSON writes it.

Why: docs/decisions/0010-search-reads-logs.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from copilot_nb.foreign_json import parsed
from copilot_nb.runtime.logfile import PROMPT_MARK, is_prompt, last_use_in

ANSWER = b'{"type":"assistant.message"'
SAID = (b"{" + PROMPT_MARK, ANSWER)
"""How the lines begin that hold what was said."""
SNIPPET_CHARS = 120


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
        self._is_ascii = text.isascii()

    def found_in(self, logs: Mapping[str, Path]) -> dict[str, list[Hit]]:
        """Return where the text occurs in each of `logs` in which it does, the one of the last turn first."""
        found: list[tuple[float, str, list[Hit]]] = []
        for name, log in logs.items():
            content = _content(log)
            if hits := self._hits(content):
                used_at = last_use_in(content)
                found.append((used_at.timestamp() if used_at else 0.0, name, hits))
        return {name: hits for _, name, hits in sorted(found, key=itemgetter(0), reverse=True)}

    def _hits(self, content: bytes) -> list[Hit]:
        """Return the matches in the prompts and answers of a log."""
        is_there = self._bytes in content or self._bytes in self._folded(content)  # the first is ten times as fast
        return list(self._in_lines(content)) if is_there else []

    def _folded(self, content: bytes) -> bytes:
        return content.lower() if self._is_ascii else content.decode("utf-8", "replace").casefold().encode()

    def _in_lines(self, content: bytes) -> Iterator[Hit]:
        turn = 0
        for line in content.splitlines():
            if not line.startswith(SAID):
                continue
            is_asked = is_prompt(line)
            turn += is_asked
            if (is_asked or line.startswith(ANSWER)) and self._bytes in self._folded(line):
                said = _said(line)
                place = said.casefold().find(self._text)
                if place >= 0:
                    yield Hit(turn, "you" if is_asked else "model", _around(said, place))


def _content(log: Path) -> bytes:
    try:
        return log.read_bytes()
    except OSError:  # deleted meanwhile
        return b""


def _said(line: bytes) -> str:
    try:
        return str(parsed(line)["data"]["content"])
    except (ValueError, KeyError, TypeError):  # a damaged line
        return ""


def _around(text: str, place: int) -> str:
    start = max(0, place - SNIPPET_CHARS // 3)
    words = " ".join(text[start : start + SNIPPET_CHARS].split())
    return f"{'…' if start else ''}{words}{'…' if start + SNIPPET_CHARS < len(text) else ''}"
