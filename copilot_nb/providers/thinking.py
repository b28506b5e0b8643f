"""Thoughts that a model writes into its answer, between ``<think>`` and ``</think>``, told from the answer itself.

Models that reason do so where nobody splits it for them: a GGUF file, or a server without a parser for its model. Only
what an answer begins with counts; the same word further down is part of what is said.
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
        """Return what of the thoughts and what of the answer is certain now that `text` has come."""
        self._held += text
        thoughts = ""
        if self._state is _State.BEGINNING:
            self._begin()
        if self._state is _State.THOUGHTS:
            thoughts = self._taken_thoughts()
        return thoughts, self._taken() if self._state is _State.ANSWER else ""

    def end(self) -> tuple[str, str]:
        """Return what was held back, now that nothing more comes."""
        return (self._taken(), "") if self._state is _State.THOUGHTS else ("", self._taken())

    def _begin(self) -> None:
        """Look at what the answer begins with; nothing is decided while that may still become a tag."""
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
