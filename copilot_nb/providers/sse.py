"""Server-sent events: bytes to events, and back.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Two things differ, in favour of servers: an
event at the end counts without the blank line behind it, and comments are kept, which servers send as signs of life.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")
_BEGINNING = re.compile(rb"(data|event|id|retry)?:")
DECIDING_BYTES = len(b"event:")
"""How much of a body `is_stream` needs to see."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; a comment has no data."""

    data: str = ""
    name: str = ""

    def encoded(self) -> bytes:
        """Return the event as it is sent."""
        if not self.data:
            return b":\n\n"
        head = f"event: {self.name}\n" if self.name else ""
        lines = "".join(f"data: {line}\n" for line in self.data.split("\n"))
        return f"{head}{lines}\n".encode()


def is_stream(beginning: bytes) -> bool:
    """Whether a body that begins so (without blanks) holds events, whatever its content type says."""
    return bool(_BEGINNING.match(beginning))


class Decoder:
    """Reads the events of one stream, wherever it is cut into pieces."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line = ""
        self._data: list[str] = []
        self._name = ""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that `piece` completes."""
        self._line += self._text.decode(piece)
        held = "\r" if self._line.endswith("\r") else ""  # a line feed may follow
        *lines, self._line = _LINE_END.split(self._line[: len(self._line) - len(held)])
        self._line += held
        for line in lines:
            yield from self._read(line)

    def end(self) -> Iterator[Event]:
        """Yield the event that the stream ended in."""
        yield from self._read(self._line.removesuffix("\r"))
        yield from self._read("")

    def _read(self, line: str) -> Iterator[Event]:
        if not line:
            if self._data:
                yield Event("\n".join(self._data), self._name)
            self._data, self._name = [], ""
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                yield Event()
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
