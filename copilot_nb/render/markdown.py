"""Markdown from a model, as HTML that is safe to publish.

An output of type `text/markdown` or `text/html` is trusted by the front end that ran the cell: its scripts run. So what
a model wrote is never published as such. It is parsed here with raw HTML switched off, rendered by rules that escape
every piece, and the result goes through an allow-list of elements and attributes (nh3). Either would do; neither alone
is relied on.

No picture is loaded (fetching one tells its server that the answer was read): an image becomes a link. Links lead to
absolute `http`, `https` and `mailto` addresses, in a new tab: leaving a notebook or a dashboard loses its state.

Half an answer is Markdown too: an open fence runs to the end, half a link or table is text until it is whole.

Time and size are linear in the source: nesting is bounded, and a source beyond `MAX_CHARS` (or one whose repeated
references would grow beyond `MAX_LINK_CHARS`) is shown as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.highlight import coloured_code, plain_code
from copilot_nb.render.mathml import MATHML_ATTRIBUTES, MATHML_TAGS
from copilot_nb.render.maths import Maths, maths_html, maths_plugin

MAX_CHARS = 200_000
MAX_LINK_CHARS = 1_000_000
MAX_URL_CHARS = 2_000
KEPT_TEXTS, MAX_KEPT_CHARS = 128, 20_000
"""How many whole answers of what length are kept rendered: a history is shown more than once."""
SCHEMES = frozenset({"http", "https", "mailto"})

_TAGS = {
    *("p", "br", "hr", "div", "span", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li"),
    *("a", "em", "strong", "s", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}, "pre": {"style"}}
_BARE_URL = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]+")
_AFTER_URL = ".,:;!?*_~)"
_TASK = re.compile(r"\[([ xX])\] ")


__all__ = ["CodeBlock", "code_blocks", "escape", "markdown_to_html"]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block of code: its `language` (``""`` if none is named) and its `code`, without the last line end."""

    language: str
    code: str


@dataclass(slots=True)
class Context:
    """What the parts of one answer have in common, when it is rendered part by part.

    Attributes
    ----------
    definitions : dict
        The addresses that were defined, ``[name]: https://…``; the parser's own.
    link_chars : int
        How long the addresses of all links are, as they were rendered (count).
    """

    definitions: dict[str, Any] = field(default_factory=dict)
    link_chars: int = 0


def markdown_to_html(source: str, *, highlight: bool = True, maths: Maths = "tex") -> str:
    """Render untrusted Markdown.

    Parameters
    ----------
    source : str
        Markdown, whole or cut off anywhere.
    highlight : bool, default True
        Whether code is coloured; without it rendering is cheaper (for text that is still coming).
    maths : {"tex", "mathml"}, default "tex"
        Whether a formula is TeX, for the front end's MathJax, or MathML.
    """
    is_kept = highlight and len(source) <= MAX_KEPT_CHARS
    return _kept_html(source, maths) if is_kept else _html(source, highlight, maths)


@functools.lru_cache(KEPT_TEXTS)
def _kept_html(source: str, maths: Maths) -> str:
    return _html(source, True, maths)


def _html(source: str, highlight: bool, maths: Maths) -> str:
    source = well_formed(source)
    html = part_html(source, Context(), highlight=highlight, maths=maths) if len(source) <= MAX_CHARS else None
    return f"<pre>{quote(source)}</pre>\n" if html is None else html


def part_html(source: str, context: Context, *, highlight: bool = True, maths: Maths = "tex") -> str | None:
    """Render well-formed Markdown that goes on from `context`; ``None`` if its links repeat too much.

    The parameters are those of `markdown_to_html`.
    """
    parser = _parser(highlight, maths)
    tokens = parser.parse(source, context.definitions)
    context.link_chars += _link_chars(tokens)
    if context.link_chars > MAX_LINK_CHARS:
        return None
    return nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=_TAGS if maths == "tex" else _TAGS | MATHML_TAGS,
        attributes=_ATTRIBUTES if maths == "tex" else _ATTRIBUTES | MATHML_ATTRIBUTES,
        allowed_classes=_classes(),
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        filter_style_properties={"text-align", "margin", "padding", "line-height", "font-family", "background"},
    )


def code_blocks(source: str) -> tuple[CodeBlock, ...]:
    """Return the fenced blocks of code of an answer, in order; one that is still open counts."""
    fences = (token for token in block_parser().parse(well_formed(source)) if token.type == "fence")
    return tuple(CodeBlock(_language(token), token.content.removesuffix("\n")) for token in fences)


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the name is markdown-it's
        return _is_safe(url)


@functools.cache
def _parser(highlight: bool, maths: Maths) -> MarkdownIt:
    parser = _bare_parser()
    parser.core.ruler.push("house_style", _house_style)
    for name in ("maths", "maths_block"):
        parser.add_render_rule(name, lambda _renderer, tokens, i, _options, _env: maths_html(tokens[i], maths))
    parser.add_render_rule("text", lambda _renderer, tokens, i, _options, _env: escape(tokens[i].content))
    for name in ("fence", "code_block"):
        parser.add_render_rule(name, lambda _renderer, tokens, i, _options, _env: _code_html(tokens[i], highlight))
    return parser


@functools.cache
def block_parser() -> MarkdownIt:
    """Return what finds the blocks of an answer, and does not look into them."""
    return _bare_parser().disable("inline")


def _bare_parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False}).enable(["table", "strikethrough"])
    maths_plugin(parser.disable(["html_block", "html_inline"]))
    return parser


@functools.cache
def _classes() -> dict[str, set[str]]:
    from pygments.token import STANDARD_TYPES

    return {"div": {"highlight"}, "span": {name for name in STANDARD_TYPES.values() if name}}


def _code_html(token: Token, highlight: bool) -> str:
    return coloured_code(token.content, _language(token)) if highlight else plain_code(token.content, framed=True)


def _language(token: Token) -> str:
    """Return the first word of a fence's info string; ``{python}`` and ``python:file.py`` are Python."""
    words = token.info.split(maxsplit=1)
    return re.split(r"[:,]", words[0].strip("{}."))[0] if words else ""


def _is_safe(url: str) -> bool:
    if len(url) > MAX_URL_CHARS:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed bracket in the host
        return False
    return parts.scheme in SCHEMES and bool(parts.path if parts.scheme == "mailto" else parts.netloc)


def _link_chars(tokens: Sequence[Token]) -> int:
    children = (child for token in tokens for child in token.children or () if child.type == "link_open")
    return sum(len(str(value)) for child in children for value in child.attrs.values())


def _house_style(state: StateCore) -> None:
    """Rewrite what was parsed: images to links, bare addresses to links, tasks to boxes, cells to the left."""
    for i, token in enumerate(state.tokens):
        if token.type == "inline" and token.children:
            if state.tokens[i - 2].type == "list_item_open":
                _box_task(token.children[0])
            token.children = list(_linked(token.children))
        elif token.type in ("th_open", "td_open"):  # JupyterLab's default is to the right
            token.attrs = token.attrs or {"style": "text-align:left"}


def _box_task(first: Token) -> None:
    if first.type == "text":
        first.content = _TASK.sub(lambda box: "☐ " if box[1] == " " else "☑ ", first.content, count=1)


def _linked(tokens: Sequence[Token]) -> Iterator[Token]:
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
        url = match[0].rstrip(_AFTER_URL)
        if not _is_safe(url):
            continue
        yield _text(content[end : match.start()])
        yield from _link(url, url)
        end = match.start() + len(url)
    yield _text(content[end:])


def _link(url: str, text: str) -> tuple[Token, Token, Token]:
    return Token("link_open", "a", 1, attrs={"href": url}), _text(text), Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
