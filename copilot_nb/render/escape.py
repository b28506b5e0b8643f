r"""Escapes text from a model, a tool or a user as the content of an HTML element.

Besides HTML's own characters there is MathJax: every front end runs it over the text of an output and takes what
stands between two `$`, between ``\(`` and ``\)``, or after ``\begin`` and a brace, for mathematics, even if the two
belong to different sentences ("costs $5 and $6"). Blanks and line ends may stand before the brace, and ``\ref{…}`` is a
formula by itself. MathJax looks within one run of text only, so each such sign gets an element of its own, whatever
follows it. Elements that MathJax leaves alone (`code`, `pre`) do not need that, attributes cannot have it: see `quote`.
"""

from __future__ import annotations

import html
import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_TO_ESCAPE = re.compile("[&<>$\\\\\ud800-\udfff]")
"""Characters that `escape` may change; most texts of a table or a list have none."""
_MATHS_SIGN = re.compile(r"\$|\\(?=[(\[$]|begin|(eq)?ref)")


def well_formed(text: str) -> str:
    """Return `text` so that it can be encoded: halves of a character joined, lone halves replaced.

    A stream that is cut between the two UTF-16 halves of a character (of an emoji) delivers each as a string.
    """
    if text.isascii() or not _SURROGATE.search(text):  # the first costs nothing
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def quote(text: str) -> str:
    """Return `text` as the value of an attribute, or as the content of a `code` or `pre` element."""
    return html.escape(well_formed(text))


def escape(text: str) -> str:
    """Return `text` as the content of any element, so that HTML and MathJax find nothing in it."""
    if not _TO_ESCAPE.search(text):
        return text
    return _MATHS_SIGN.sub(lambda sign: f"<span>{sign[0]}</span>", html.escape(well_formed(text), quote=False))
