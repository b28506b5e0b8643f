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
