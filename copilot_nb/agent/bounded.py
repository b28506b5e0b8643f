"""Shortens text to a bounded length: keeps its beginning and its end, where a reader looks first."""

from __future__ import annotations

HEAD_PART = 3
"""One in this many of the kept characters comes from the beginning."""


def bounded(text: str, max_chars: int) -> str:
    """Return a text, shortened if too long to its beginning and end, with a line between them that counts the rest.

    Examples
    --------
    >>> print(bounded("abcdefghi", 6))
    ab
    … (3 characters left out)
    fghi
    """
    left_out = len(text) - max_chars
    if left_out <= 0:
        return text
    head = max_chars // HEAD_PART
    return f"{text[:head]}\n… ({left_out:,} characters left out)\n{text[head + left_out :]}"


def bounded_bytes(text: str, max_bytes: int) -> str:
    """Return a text, shortened like `bounded` so that it has at most `max_bytes` bytes of UTF-8."""
    shortened, max_chars = text, len(text)
    while (size := len(shortened.encode("utf-8", "replace"))) > max_bytes:
        max_chars = min(max_chars - 1, max_chars * max_bytes // size)
        shortened = bounded(text, max(0, max_chars - 50))  # 50: the line between
    return shortened


def fenced(text: str) -> str:
    """Return a text between two fences that nothing in it can close."""
    fence = "`" * 3
    while fence in text:
        fence += "`"
    return f"{fence}\n{text.removesuffix(chr(10))}\n{fence}"
