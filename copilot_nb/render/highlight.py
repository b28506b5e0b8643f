"""Highlights code with Pygments' classes.

JupyterLab, Notebook and nbconvert bring styles for these classes under a `highlight` element, in light and dark;
elsewhere the code is plain. Pygments' lexers are imported with the first code of their language.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from copilot_nb.render.escape import quote

if TYPE_CHECKING:
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexer import Lexer

# some lexers are slow on text that is not of their language
MAX_HIGHLIGHTED_CHARS = 20_000
MAX_NAME_CHARS = 40
KEPT_BLOCKS, MAX_KEPT_CHARS = 256, 4_000
"""How many blocks of what length are kept coloured: a cell, a panel and a history show the same."""
# nbconvert lets a `pre` of an output inherit its font; the grey shows on a light and on a dark page
# and JupyterLab would break lines within words
PRE_STYLE = (
    "margin:.5em 0;padding:.5em .8em;line-height:1.4;font-family:var(--jp-code-font-family,monospace);"
    "word-break:normal;background:"
)
PLAIN_BACKGROUND = "rgba(128,128,128,.1)"
COLOURED_BACKGROUND = "none"  # the front end's own, for its colours


def plain_code(code: str, *, framed: bool = False) -> str:
    """Return a block of code as HTML, without colours."""
    style = f' style="{PRE_STYLE}{PLAIN_BACKGROUND}"' if framed else ""
    return f"<pre{style}>{quote(code)}</pre>\n"


def coloured_code(code: str, language: str) -> str:
    """Return a block of code as HTML, coloured if Pygments knows the language."""
    lexer_class = _lexer_class(language[: MAX_NAME_CHARS + 1].lower())
    if lexer_class is None or len(code) > MAX_HIGHLIGHTED_CHARS:
        return plain_code(code, framed=True)
    return _coloured(code, lexer_class) if len(code) <= MAX_KEPT_CHARS else _coloured.__wrapped__(code, lexer_class)


@functools.lru_cache(KEPT_BLOCKS)
def _coloured(code: str, lexer_class: type[Lexer]) -> str:
    from pygments import format as formatted
    from pygments.token import Name, Text, Whitespace

    tokens = lexer_class(stripnl=False).get_tokens(code)
    # no style colours a plain name: half of the elements, and a fifth of an answer's bytes
    merged = ((Text if kind in (Name, Whitespace) else kind, value) for kind, value in tokens)
    coloured: str = formatted(merged, _formatter())
    return coloured


@functools.cache
def _formatter() -> HtmlFormatter[str]:
    """Return the formatter, cached: making one takes as long as colouring a few lines."""
    from pygments.formatters.html import HtmlFormatter

    return HtmlFormatter(cssclass="highlight", prestyles=PRE_STYLE + COLOURED_BACKGROUND)


@functools.lru_cache(maxsize=256)
def _lexer_class(language: str) -> type[Lexer] | None:
    """Return the lexer of a language; cached, since looking for an unknown one asks every installed package."""
    if not language or len(language) > MAX_NAME_CHARS:
        return None
    from pygments.lexers import find_lexer_class_by_name
    from pygments.util import ClassNotFound

    try:
        found: type[Lexer] = find_lexer_class_by_name(language)
    except ClassNotFound:
        return None
    return found
