r"""Markdown from a model, as Markdown that is safe to put into a document of our own.

What opens a document decides what its Markdown may do: one viewer runs raw HTML, the next loads its pictures, and in
all of them an open ``<!--`` or an open fence swallows whatever follows. So raw HTML becomes text (``\<b>``), a picture
becomes a link (as in `markdown`), and an open fence is closed. Code, and a text with none of these, stay to the letter.

A parser decides whether the outcome is harmless; one that is not, as with a ``javascript:`` link, goes into a fence.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from copilot_nb.render.escape import well_formed
from copilot_nb.render.markdown import MAX_CHARS, SCHEMES

_SENTINEL = "what follows"
# An escaped sign or a span of code stays; what may begin a tag, a comment or a picture is found.
_LIVE = re.compile(
    r"\\[^\n]|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).){1,1000}?(?<!`)(?P=ticks)(?!`)"
    r"|(?P<tag><(?=[A-Za-z/!?])(?!https?:|mailto:))|(?P<picture>!(?=\[))",
    re.DOTALL,
)
_SIGNS = re.compile(r"[\\`*_\[\]<>&$~|]")
_TICKS = re.compile("`{3,}")


def inert(source: str) -> str:
    """Return untrusted Markdown as Markdown that does nothing and ends where it ends."""
    source = plain(source).strip("\n")
    if len(source) > MAX_CHARS:
        return fenced(source)
    if not _is_harmless(source):
        source = _disarmed(source)
        if not _is_harmless(source):
            return fenced(source)
    return _closed(source)


def plain(text: str) -> str:
    """Return `text` as what a text file may hold: well-formed, no NUL, lines that end as lines do."""
    return well_formed(text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def literal(text: str) -> str:
    """Return `text` in one line, with nothing in it for Markdown to find."""
    return _SIGNS.sub(r"\\\g<0>", " ".join(plain(text).split()))


def fenced(text: str) -> str:
    """Return `text` as a block of code, in a fence that nothing in it closes."""
    text = plain(text)
    longest = max(map(len, _TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"


def quoted(markdown: str) -> str:
    """Return Markdown as a quotation."""
    return "\n".join(f"> {line}".rstrip(" ") for line in markdown.split("\n"))


class _Permissive(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the name is markdown-it's
        return True


@functools.cache
def _parser(html: bool) -> MarkdownIt:
    return _Permissive("commonmark", {"html": html}).enable(["table", "strikethrough"])


def _is_harmless(source: str) -> bool:
    """Whether a viewer with all of Markdown switched on finds no HTML, no picture and no link to anywhere odd."""
    found: dict[str, Any] = {}
    tokens = list(_tokens(_parser(True).parse(source, found)))
    if any(token.type in ("html_block", "html_inline", "image") for token in tokens):
        return False
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    # what is defined here may be used elsewhere in the document
    links += [reference["href"] for reference in found.get("references", {}).values()]
    return all(map(_is_harmless_link, links))


def _is_harmless_link(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"", *SCHEMES}
    except ValueError:  # such as an unclosed bracket in the host
        return False


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


def _disarmed(source: str) -> str:
    code = set(_code_lines(source))
    chunks = itertools.groupby(enumerate(source.split("\n")), key=lambda line: line[0] in code)
    texts = ((is_code, "\n".join(line for _, line in lines)) for is_code, lines in chunks)
    return "\n".join(text if is_code else _LIVE.sub(_without_effect, text) for is_code, text in texts)


def _without_effect(found: re.Match[str]) -> str:
    if found["tag"]:
        return f"\\{found[0]}"
    return "" if found["picture"] else found[0]


def _code_lines(source: str) -> Iterator[int]:
    for token in _parser(False).parse(source):
        if token.type in ("fence", "code_block") and token.map:
            yield from range(*token.map)


def _closed(source: str) -> str:
    """Close a fence that is open at the end."""
    last = _parser(False).parse(f"{source}\n\n{_SENTINEL}")[-1]
    return f"{source}\n{last.markup}" if last.type == "fence" and last.level == 0 else source
