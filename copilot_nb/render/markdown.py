"""Renders a model's Markdown as HTML that is safe to publish.

An output of type `text/markdown` or `text/html` is trusted by the front end that ran the cell: its scripts run. So a
model's text is never published unchanged. It is parsed with raw HTML switched off, rendered by rules that escape every
piece, and the result passes an allow-list of elements and attributes (nh3). Either would be enough; we rely on both.

`dialect` has the differences from CommonMark, `maths` the formulas, `links` the links. No picture
is loaded. A link opens in a new tab: leaving a notebook or a dashboard loses its state. A diagram (``mermaid``) stays
code: drawing it takes a script, which a saved notebook must not need.

Half an answer is Markdown too: an open fence runs to the end, half a link or table is text until it is whole.

Time and size are linear in the source: nesting is bounded, and a source beyond `MAX_CHARS` (or one whose repeated
references would grow beyond `MAX_LINK_CHARS`) is shown as it is.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from copilot_nb.render.dialect import InlineParser, dialect_plugin
from copilot_nb.render.direction import STYLES, has_right_to_left, mark_direction
from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.highlight import coloured_code, plain_code
from copilot_nb.render.links import PLAIN_URL, SCHEMES, is_safe, link_chars, linked
from copilot_nb.render.mathml import MATHML_ATTRIBUTES, MATHML_TAGS
from copilot_nb.render.maths import Maths, maths_html, maths_plugin
from copilot_nb.render.signs import try_by_sign

MAX_CHARS = 200_000
MAX_LINK_CHARS = 1_000_000
KEPT_TEXTS, MAX_KEPT_CHARS = 128, 20_000
"""How many whole answers of what length are kept rendered: a history is shown more than once."""

_TAGS = {
    *("p", "br", "hr", "div", "span", "sup", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li"),
    *("a", "em", "strong", "s", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "pre": {"style", "data-language"}}
_ATTRIBUTES |= {tag: {"style"} for tag in ("li", "td", "th")}
_ATTRIBUTES |= {tag: _ATTRIBUTES.get(tag, set()) | {"dir", "style"} for tag in STYLES}
_STYLE_PROPERTIES = {
    *("text-align", "margin", "margin-left", "margin-right", "padding", "line-height", "font-family", "background"),
    *("white-space", "word-break", "border-left", "border-right", "list-style-type"),
}
_SAMPLE = "$x^2$\n\n```python\nx = 1\n```\n"
_TASK = re.compile(r"\[([ xX])\] ")


__all__ = ["CodeBlock", "code_blocks", "escape", "markdown_to_html", "preload"]


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block of code: its `language` (``""`` if none is named) and its `code`, without the last line end."""

    language: str
    code: str


@dataclass(slots=True)
class Context:
    """The state that the parts of one answer share when it is rendered part by part.

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


def preload() -> None:
    """Import what the first answer with code and formulae would wait for (0.1 s): a rendered sample needs all of it."""
    markdown_to_html(_SAMPLE, maths="mathml")


def _html(source: str, highlight: bool, maths: Maths) -> str:
    source = well_formed(source)
    html = part_html(source, Context(), highlight=highlight, maths=maths) if len(source) <= MAX_CHARS else None
    return f"<pre>{quote(source)}</pre>\n" if html is None else html


def part_html(source: str, context: Context, *, highlight: bool = True, maths: Maths = "tex") -> str | None:
    """Render well-formed Markdown that continues `context`; ``None`` if its links repeat too much.

    The parameters are those of `markdown_to_html`.
    """
    parser = _parser(highlight, maths)
    tokens = parser.parse(source, context.definitions)
    context.link_chars += link_chars(tokens)
    if context.link_chars > MAX_LINK_CHARS:
        return None
    return _cleaner(maths).clean(parser.renderer.render(tokens, parser.options, {}))


@functools.cache
def _cleaner(maths: Maths) -> nh3.Cleaner:
    """Return the sanitiser, made once: a block of an answer is cleaned faster than its lists are read."""
    return nh3.Cleaner(
        tags=_TAGS if maths == "tex" else _TAGS | MATHML_TAGS,
        attributes=_ATTRIBUTES if maths == "tex" else _ATTRIBUTES | MATHML_ATTRIBUTES,
        allowed_classes=_classes(),
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        filter_style_properties=_STYLE_PROPERTIES,
    )


def code_blocks(source: str) -> tuple[CodeBlock, ...]:
    """Return the fenced blocks of code of an answer, in order, including one that is still open."""
    fences = (token for token in block_parser().parse(well_formed(source)) if token.type == "fence")
    return tuple(CodeBlock(_language(token), token.content.removesuffix("\n")) for token in fences)


class _Renderer(RendererHTML):
    @staticmethod
    def renderAttrs(token: Token) -> str:  # noqa: N802 - the name is markdown-it's
        return RendererHTML.renderAttrs(token) if token.attrs else ""


class _Parser(MarkdownIt):
    def __init__(self) -> None:
        super().__init__("zero", renderer_cls=_Renderer)
        self.inline = InlineParser()
        self.configure("commonmark", {"html": False})
        dialect_plugin(self)

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - the names are markdown-it's
        return url if PLAIN_URL.fullmatch(url) else super().normalizeLink(url)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return is_safe(url)


@functools.cache
def _parser(highlight: bool, maths: Maths) -> MarkdownIt:
    parser = _bare_parser()
    parser.core.ruler.push("house_style", _house_style)
    for name in ("maths", "maths_block"):
        parser.add_render_rule(name, lambda _renderer, tokens, i, _options, _env: maths_html(tokens[i], maths))
    parser.add_render_rule("text", lambda _renderer, tokens, i, _options, _env: escape(tokens[i].content))
    parser.add_render_rule(
        "note", lambda _renderer, tokens, i, _options, _env: f"<sup>{escape(tokens[i].content)}</sup>"
    )
    for name in ("fence", "code_block"):
        parser.add_render_rule(name, lambda _renderer, tokens, i, _options, _env: _code_html(tokens[i], highlight))
    return parser


@functools.cache
def block_parser() -> MarkdownIt:
    """Return a parser that finds the blocks of an answer without parsing their content."""
    return _bare_parser().disable("inline")


def _bare_parser() -> MarkdownIt:
    parser = _Parser().enable(["table", "strikethrough"])
    maths_plugin(parser.disable(["html_block", "html_inline"]))
    try_by_sign(parser)
    return parser


def _classes() -> dict[str, set[str]]:
    from pygments.token import STANDARD_TYPES

    return {"div": {"highlight"}, "span": {name for name in STANDARD_TYPES.values() if name}}


def _code_html(token: Token, highlight: bool) -> str:
    language = _language(token)
    html = coloured_code(token.content, language) if highlight else plain_code(token.content, framed=True)
    if not language:
        return html
    # in the alphabet's order, as nbconvert writes attributes: an export then has the same text as the notebook
    return html.replace("<pre", f'<pre data-language="{quote(language)}"', 1)


def _language(token: Token) -> str:
    return fence_language(token.info)


def fence_language(info: str) -> str:
    """Return the first word of a fence's info string; ``{python}`` and ``python:file.py`` are Python."""
    words = info.split(maxsplit=1)
    return re.split(r"[:,]", words[0].strip("{}."))[0] if words else ""


def _house_style(state: StateCore) -> None:
    """Rewrite the parsed tokens: images and bare addresses to links, tasks to boxes; mark cells and blocks."""
    for i, token in enumerate(state.tokens):
        if token.type == "inline" and token.children:
            if state.tokens[i - 2].type == "list_item_open":
                _box_task(state.tokens[i - 2], token.children[0])
            token.children = list(linked(token.children))
        elif token.type in ("th_open", "td_open"):  # JupyterLab's default is to the right
            token.attrs = token.attrs or {"style": "text-align:start"}
    if has_right_to_left(state.src):
        mark_direction(state.tokens)


def _box_task(item: Token, first: Token) -> None:
    """Draw the box of a task, in place of the bullet of its item."""
    box = _TASK.match(first.content) if first.type == "text" else None
    if box:
        first.content = ("☐ " if box[1] == " " else "☑ ") + first.content[box.end() :]
        if item.markup in "-*+":
            item.attrs = {"style": "list-style-type:none"}
