"""Separates reasoning that a model writes between ``<think>`` and ``</think>`` from its answer.

Reasoning models do so if no server separates it: a GGUF file, or a server without a parser for its model. Only the
beginning of an answer counts; the same tag further down is part of the answer.
"""

from __future__ import annotations

from enum import Enum, auto

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>"}


class _State(Enum):
    BEGINNING = auto()
    THOUGHTS = auto()
    ANSWER = auto()


class Splitter:
    """Splits one answer, piece by piece; blanks around the thoughts are dropped."""

    def __init__(self) -> None:
        self._state = _State.BEGINNING
        self._closing = ""
        self._held = ""
        self._skips_blanks = False

    def feed(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the answer that are certain after `text`."""
        self._held += text
        thoughts = ""
        if self._state is _State.BEGINNING:
            self._begin()
        if self._state is _State.THOUGHTS:
            thoughts = self._taken_thoughts()
        return thoughts, self._taken() if self._state is _State.ANSWER else ""

    def end(self) -> tuple[str, str]:
        """Return the text that was held back, at the end of the answer."""
        return (self._taken(), "") if self._state is _State.THOUGHTS else ("", self._taken())

    def _begin(self) -> None:
        """Examine the beginning of the answer; wait while it may still become a tag."""
        begun = self._held.lstrip()
        for opening, closing in _TAGS.items():
            if begun.startswith(opening):
                self._state, self._closing = _State.THOUGHTS, closing
                self._held, self._skips_blanks = begun.removeprefix(opening), True
                return
        if not any(opening.startswith(begun) for opening in _TAGS):
            self._state = _State.ANSWER

    def _taken_thoughts(self) -> str:
        thoughts, closing, rest = self._held.partition(self._closing)
        if closing:
            self._held = thoughts
            taken = self._taken()
            self._state, self._held, self._skips_blanks = _State.ANSWER, rest, True
            return taken
        sizes = range(min(len(thoughts), len(self._closing) - 1), 0, -1)
        kept = next((size for size in sizes if self._closing.startswith(thoughts[-size:])), 0)
        self._held = thoughts[: len(thoughts) - kept]
        taken = self._taken()
        self._held = thoughts[len(thoughts) - kept :]
        return taken

    def _taken(self) -> str:
        taken, self._held = self._held, ""
        if self._skips_blanks:
            taken = taken.lstrip()
            self._skips_blanks = not taken
        return taken
