"""Text of a bounded length: its beginning and its end, where a reader looks first."""

from __future__ import annotations

HEAD_PART = 3
"""One character in so many of what is kept comes from the beginning."""


def bounded(text: str, max_chars: int) -> str:
    """Return a text, or its beginning and its end with a line between them on how much is left out.

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
