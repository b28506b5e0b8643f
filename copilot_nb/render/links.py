"""Links in a model's text: only to absolute `http`, `https` and `mailto` addresses.

A bare address becomes a link, as on GitHub: brackets that it opens belong to it, punctuation at its end does not. In a
script without blanks the text goes on right behind it: its punctuation ends an address, and its letters belong to one
only where a part of the address begins with them (``…/wiki/数学``).

A picture becomes a link: loading it would show its server that the answer was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from markdown_it.token import Token

from copilot_nb.render.scripts import LETTERS, PUNCTUATION

MAX_URL_CHARS = 2_000
SCHEMES = frozenset({"http", "https", "mailto"})

PLAIN_URL = re.compile(r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[\w/.~+&=-]*)?", re.ASCII)
"""Addresses that need no encoding, which the library finds out by parsing them (25 µs)."""

_NOT_OF_URL = r"\s<>\"'`|\\^{}\[\]\u00ab\u00bb\u2000-\u206f" + PUNCTUATION
_BARE_URL = re.compile(f"https?://(?:[^{_NOT_OF_URL}{LETTERS}]|(?<=[/?#&=_.%(-])[{LETTERS}]+)+")
_AFTER_URL = ".,:;!?*_~)"


def is_safe(url: str) -> bool:
    """Whether a link may lead to this address."""
    if len(url) > MAX_URL_CHARS:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed bracket in the host
        return False
    return parts.scheme in SCHEMES and bool(parts.path if parts.scheme == "mailto" else parts.netloc)


def link_chars(tokens: Sequence[Token]) -> int:
    """Return the total length of the addresses and titles of all links, in characters."""
    children = (child for token in tokens for child in token.children or () if child.type == "link_open")
    return sum(len(str(value)) for child in children for value in child.attrs.values())


def linked(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens of a paragraph with images and bare addresses as links, and without links that lead nowhere."""
    href = ""
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrs["href"])
        if token.type in ("link_open", "link_close"):
            if href:  # it is empty in `[a]()`
                yield token
            href = href if token.type == "link_open" else ""
        elif token.type == "image":
            text, source = token.content or "image", str(token.attrs["src"])
            yield from (_text(text),) if href or not source else _link(source, text)
        elif token.type == "text" and not href and "://" in token.content:
            yield from _with_bare_urls(token.content)
        else:
            yield token


def _with_bare_urls(content: str) -> Iterator[Token]:
    end = 0
    for match in _BARE_URL.finditer(content):
        url = _without_end(match[0])
        if not is_safe(url):
            continue
        yield _text(content[end : match.start()])
        yield from _link(url, url)
        end = match.start() + len(url)
    yield _text(content[end:])


def _without_end(url: str) -> str:
    """Return an address without the punctuation behind it; a bracket stays if the address opens it."""
    unopened = url.count(")") - url.count("(")
    end = len(url)
    while end and url[end - 1] in _AFTER_URL and (url[end - 1] != ")" or unopened > 0):
        end -= 1
        unopened -= url[end] == ")"
    return url[:end]


def _link(url: str, text: str) -> tuple[Token, Token, Token]:
    return Token("link_open", "a", 1, attrs={"href": url}), _text(text), Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
