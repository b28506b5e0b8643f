r"""Makes a model's Markdown safe to put into a document of ours.

Viewers differ in what Markdown may do: one runs raw HTML, another loads pictures, and in all of them an open ``<!--``
or an open fence swallows everything after it. So raw HTML becomes text (``\<b>``) but for
``<br>``, a picture becomes a link (as in `markdown`), and an open fence is closed. Some viewers run what a fence names
in braces (``{code-cell}``, ``{include}``): it loses them. A block of Markdown that holds fences gets a longer one.
Pandoc passes TeX on, wherever it stands, and what a span of code is marked as (``{=html}``); MyST evaluates a role
(``{eval}``). A backslash before them makes them text, which looks the same: of TeX only before a macro that reads,
writes, loads or redefines. Code, and a text with none of these, stay to the letter.

A parser decides whether the outcome is harmless; one that is not, as with a ``javascript:`` link, goes into a fence. It
is asked with tables and without: what stands in a row's excess cells is dropped by one viewer and live in another.
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

from copilot_nb.characters import visible
from copilot_nb.render.escape import well_formed
from copilot_nb.render.links import SCHEMES
from copilot_nb.render.markdown import MAX_CHARS, block_parser
from copilot_nb.render.maths import REACHING_OUT

_SENTINEL = "what follows"
_MACROS = (
    f"{REACHING_OUT}|[a-z]*input|(?:open|close)(?:in|out)|read|write|immediate|special|catcode|usepackage"
    r"|documentclass|directlua|luaexec|begin\s*\{filecontents"
)
# An escaped sign or a span of code stays; what may begin a tag, a comment or a picture is found, and what pandoc or
# MyST would run. TeX reads ^^5c as a backslash.
_LIVE = re.compile(
    rf"(?P<macro>\\(?=(?i:{_MACROS}))|\^(?=\^)|\{{(?=[^{{}}`\n]{{1,100}}\}}`))"
    r"|\\[^\n]|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).){1,1000}?(?<!`)(?P=ticks)(?!`)(?P<raw>\{=)?"
    r"|(?P<tag><(?=[A-Za-z/!?])(?!https?:|mailto:))|(?P<picture>!(?=\[))",
    re.DOTALL,
)
_CODE_SPAN = re.compile(r"((?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).){1,1000}?(?<!`)(?P=ticks)(?!`))", re.DOTALL)
_MATHS = re.compile(r"\$|\\[(\[\])]|\\(?:begin|end)")
_REACHES_OUT = re.compile(rf"\\(?:{_MACROS})", re.IGNORECASE)
_SIGNS = re.compile(r"[\\`*_\[\]<>&$~|]")
_BREAK = re.compile(r"<br\s{0,9}/?>\n?", re.IGNORECASE)
_BRACES = re.compile(r"([`~]{3}[ \t]*)\{+([^\s{}]*)\}*")
_DIRECTIVE = re.compile(r":::+[ \t]*\{")
_FENCES = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
_TICKS = re.compile("`{3,}")


def inert(source: str) -> str:
    """Return untrusted Markdown as Markdown that runs nothing and leaves nothing open at its end."""
    source = plain(source).strip("\n")
    if len(source) > MAX_CHARS:
        return fenced(source)
    source = _with_plain_fences(source)
    for text in (source, _disarmed(source), _disarmed(source, breaks=True)):
        if _is_harmless(text):
            return _closed(text)
    return fenced(text)


def plain(text: str) -> str:
    """Return `text` for a text file: as `with_line_ends` does, with symbols for control characters."""
    return visible(with_line_ends(text))


def with_line_ends(text: str) -> str:
    """Return `text` as a Markdown parser sees it: well-formed, without NUL, with normal line ends."""
    return well_formed(text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def literal(text: str) -> str:
    """Return `text` in one line, with all Markdown escaped."""
    return _SIGNS.sub(r"\\\g<0>", " ".join(plain(text).split()))


def fenced(text: str, language: str = "") -> str:
    """Return `text` as a block of code, in a fence longer than any in it."""
    text = plain(text)
    longest = max(map(len, _TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def quoted(markdown: str) -> str:
    """Return Markdown as a quotation."""
    return "\n".join(f"> {line}".rstrip(" ") for line in markdown.split("\n"))


class _Permissive(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the name is markdown-it's
        return True


@functools.cache
def _parser(html: bool, tables: bool = True) -> MarkdownIt:
    return _Permissive("commonmark", {"html": html}).enable(["table", "strikethrough"] if tables else "strikethrough")


def _is_harmless(source: str) -> bool:
    """Whether a viewer that allows HTML finds nothing harmful, with tables or without."""
    is_harmless = all(_finds_nothing(source, _parser(True, tables)) for tables in (True, False))
    return is_harmless and not any(map(_has_code_in_maths, re.split(r"\n[ \t]*\n", source)))


def _has_code_in_maths(block: str) -> bool:
    """Whether code with a macro that reaches out may stand in a formula: JupyterLab looks for formulas before code."""
    if "`" not in block or not _REACHES_OUT.search(block):
        return False
    pieces = _CODE_SPAN.split(block)
    between, spans = pieces[::3], pieces[1::3]  # the third group is the ticks
    return any(
        _REACHES_OUT.search(span)
        and _MATHS.search("".join(between[: place + 1]))
        and _MATHS.search("".join(between[place + 1 :]))
        for place, span in enumerate(spans)
    )


def _finds_nothing(source: str, parser: MarkdownIt) -> bool:
    """Whether there is no HTML except line breaks, no picture, nothing that runs, and no unsafe address."""
    defined: dict[str, Any] = {}
    tokens = list(_tokens(parser.parse(source, defined)))
    html = (token.content for token in tokens if token.type in ("html_block", "html_inline"))
    if any(token.type == "image" for token in tokens) or not all(map(_BREAK.fullmatch, html)):
        return False
    texts = (token.content for token in tokens if token.type == "inline")
    if any(found["macro"] or found["raw"] for text in texts for found in _LIVE.finditer(text)):
        return False
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    # what is defined here may be used elsewhere in the document
    links += [reference["href"] for reference in defined.get("references", {}).values()]
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


def _disarmed(source: str, *, breaks: bool = False) -> str:
    """Return Markdown without HTML and pictures; with `breaks` also without ``<br>``."""
    without_effect = functools.partial(_without_effect, breaks=breaks)
    code = set(_code_lines(source))
    chunks = itertools.groupby(enumerate(source.split("\n")), key=lambda line: line[0] in code)
    texts = ((is_code, "\n".join(line for _, line in lines)) for is_code, lines in chunks)
    return "\n".join(text if is_code else _LIVE.sub(without_effect, text) for is_code, text in texts)


def _without_effect(found: re.Match[str], *, breaks: bool) -> str:
    if found["raw"]:
        return f"{found[0].removesuffix('{=')}\\{{="
    if found["macro"]:
        return f"\\{found[0]}"
    if found["tag"]:
        is_kept = not breaks and _BREAK.match(found.string, found.start())
        return found[0] if is_kept else f"\\{found[0]}"
    return "" if found["picture"] else found[0]


def _with_plain_fences(source: str) -> str:
    """Return Markdown whose fences name a language and no directive, and are longer than those within."""
    code = set(_code_lines(source))
    lines = [line if i in code else _DIRECTIVE.sub(r"\\\g<0>", line) for i, line in enumerate(source.split("\n"))]
    for token in block_parser().parse(source):
        if token.type != "fence" or not token.map:
            continue
        first, last = token.map[0], token.map[1] - 1
        lines[first] = _BRACES.sub(r"\1\2", lines[first], count=1)
        within = [run for run in _FENCES.findall(token.content) if run.startswith(token.markup)]
        if within and last > first and lines[last].strip(" \t>") == token.markup:
            longer = max(within, key=len) + token.markup[0]
            lines[first], lines[last] = (lines[i].replace(token.markup, longer, 1) for i in (first, last))
    return "\n".join(lines)


def _code_lines(source: str) -> Iterator[int]:
    for token in _parser(False).parse(source):
        if token.type in ("fence", "code_block") and token.map:
            yield from range(*token.map)


def _closed(source: str) -> str:
    """Close a fence that is open at the end."""
    last = _parser(False).parse(f"{source}\n\n{_SENTINEL}")[-1]
    return f"{source}\n{last.markup}" if last.type == "fence" and last.level == 0 else source
