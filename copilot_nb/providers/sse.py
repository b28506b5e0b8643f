"""Server-sent events: bytes to events, and back.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Two things differ, in favour of servers: an
event at the end counts without the blank line behind it, and comments are kept, which servers send as signs of life.

The time is proportional to the length of the stream, wherever it is cut: all sessions wait while a piece is read.
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
MAX_EVENT_CHARS = 32_000_000
"""The longest event that is read (characters): the last one of an answer may repeat all of it, with its images."""


class EventTooLong(ValueError):
    """An event does not end."""


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
        self._line: list[str] = []  # the pieces of the line that has not ended
        self._data: list[str] = []
        self._name = ""
        self._chars = 0  # of the event that has not ended
        self._is_after_return = False  # a line feed that follows belongs to the same line end

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that `piece` completes.

        Raises
        ------
        EventTooLong
            If an event has more than `MAX_EVENT_CHARS` characters.
        """
        text = self._text.decode(piece)
        if self._is_after_return and text:
            text = text.removeprefix("\n")
            self._is_after_return = False
        self._is_after_return |= text.endswith("\r")
        *ends, rest = _LINE_END.split(text)
        for end in ends:
            self._add(end)
            line, self._line = "".join(self._line), []
            yield from self._read(line)
        self._add(rest)

    def _add(self, piece: str) -> None:
        self._line.append(piece)
        self._chars += len(piece)
        if self._chars > MAX_EVENT_CHARS:
            raise EventTooLong(f"it sent an event of more than {MAX_EVENT_CHARS:,} characters")

    def end(self) -> Iterator[Event]:
        """Yield the event that the stream ended in."""
        yield from self._read("".join(self._line))
        yield from self._read("")

    def _read(self, line: str) -> Iterator[Event]:
        if not line:
            if self._data:
                yield Event("\n".join(self._data), self._name)
            self._data, self._name, self._chars = [], "", 0
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
