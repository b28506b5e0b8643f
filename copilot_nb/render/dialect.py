r"""Rules for the Markdown that models write, where it differs from CommonMark.

- ``<br>`` breaks a line, since a table cell has no other way to do so. No other HTML is allowed.
- ``**注意：**请``: bold and the like may touch the letters of a script without blanks, as in
  `markdown-cjk-friendly <https://github.com/tats-u/markdown-cjk-friendly>`_.
- A block of Markdown may contain blocks of code even if its fence is as short as theirs.
- A bar inside a formula or inside code does not end a table cell.
- Bullets indented by two blanks belong to the numbered item above them (`lists`).
- ``[^1]`` refers to the note ``[^1]: …``, which stays where it was written. (The footnotes of `mdit-py-plugins` drop a
  note that nothing refers to, and link by ids, which two answers on one page would share.)

Each rule reads a line once and never looks back, so half an answer is rendered as the beginning of the whole.

Why: docs/decisions/0029-markdown-as-models-write-it.md.
"""

from __future__ import annotations

import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore, normalize
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

from copilot_nb.render.lists import lists_plugin
from copilot_nb.render.scripts import is_unspaced
from copilot_nb.render.signs import SIGNS

_BREAK = re.compile(r"</?br\s{0,9}/?>", re.IGNORECASE)
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*(\S*)")
_MARKDOWN = frozenset({"markdown", "md", "mdx"})
_NOTE = re.compile(r"\[\^([\w.-]{1,40})\]")
_NOTES = "notes"
_ROW = re.compile(r"^[ \t>]*\|.*\$.*$|^[ \t>]*\|.*(?:`|\\\().*$", re.MULTILINE)
_WITH_BAR = re.compile(r"(?<![\\$\w])\$(?![\s$|])[^$`\n]*(?<![\s\\|])\$(?![\w$])|\\\([^`\n]*?\\\)|(?<!`)`[^`\n]+`(?!`)")
_BAR = "\ufdd0"
"""Stands for a bar that does not end a cell: a code point that is not a character and so never occurs in text."""


def dialect_plugin(parser: MarkdownIt) -> None:
    """Add these rules to `parser`, which must not be configured yet."""
    parser.inline.ruler.before("autolink", "break", _break_rule)
    parser.inline.ruler.before("link", "note", _note_rule)
    parser.block.ruler.before(
        "fence", "nested_fence", _nested_fence_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.block.ruler.before("reference", "note", _note_block_rule, {"alt": ["paragraph", "reference"]})
    parser.core.ruler.at("normalize", _normalize)
    parser.core.ruler.after("normalize", "hide_bars", _hide_bars)
    parser.core.ruler.after("block", "show_bars", _show_bars)
    lists_plugin(parser)


class InlineParser(ParserInline):
    """Parses a paragraph whose markers may touch the letters of a script without blanks."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """Parse a paragraph like the library, but with our state."""
        if not SIGNS.search(src):  # nothing but text: most cells of tables
            tokens += [Token("text", "", 0, content=src)] if src else []
            return tokens
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        if state.delimiters or any(state.tokens_meta):  # the rules pair markers
            for rule in self.ruler2.getRules(""):
                rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - the names are markdown-it's
        scanned = super().scanDelims(start, canSplitWord)
        if self.src.isascii():
            return scanned
        end = start + scanned.length
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        if not canSplitWord or not (is_unspaced(before) or is_unspaced(after)):
            return scanned
        return Scanned(_can_stand(after, before), _can_stand(before, after), scanned.length)


def _can_stand(inside: str, outside: str) -> bool:
    """Whether a marker may stand between these characters, inside and outside."""
    if inside.isspace():
        return False
    return not _is_punctuation(inside) or outside.isspace() or _is_punctuation(outside) or is_unspaced(outside)


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS" and not is_unspaced(character)


def _break_rule(state: StateInline, silent: bool) -> bool:
    found = _BREAK.match(state.src, state.pos) if state.src[state.pos] == "<" else None
    if not found:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = found.end()
    return True


def _nested_fence_rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Find a block of Markdown, in which a fence with a language opens a block that the next fence closes."""
    opening = _FENCE.match(_line(state, first))
    if not opening or opening[2].lower() not in _MARKDOWN or state.is_code_block(first):
        return False
    if silent:
        return True
    last, closing = _closing_fence(state, first, end, opening[1])
    token = state.push("fence", "code", 0)
    token.info = _line(state, first)[len(opening[1]) :]
    token.content = state.getLines(first + 1, last, state.sCount[first], True)
    token.markup = opening[1]
    state.line = last + closing
    token.map = [first, state.line]
    return True


def _closing_fence(state: StateBlock, first: int, end: int, fence: str) -> tuple[int, bool]:
    """Return the line after the last one within a block, and whether that line is its closing fence."""
    inner = ""
    for line in range(first + 1, end):
        if state.sCount[line] < state.blkIndent and not state.isEmpty(line):
            return line, False
        found = _FENCE.match(_line(state, line))
        if not found or not found[1].startswith(inner or fence) or state.is_code_block(line):
            continue
        if not found[2] and not inner:
            return line, True
        if not found[2]:
            inner = ""
        elif not inner:
            inner = found[1]
    return end, False


def _note_block_rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Find a note: a paragraph of its own, which begins with its own sign."""
    name = _note_name(state, first)
    if not name:
        return False
    if silent:
        return True
    last = _paragraph_end(state, first, end)
    state.env.setdefault(_NOTES, set()).add(name)
    state.line = last
    state.push("paragraph_open", "p", 1).map = [first, last]
    token = state.push("inline", "", 0)
    token.content = state.getLines(first, last, state.blkIndent, False).strip().replace("]:", "]", 1)
    token.map, token.children = [first, last], []
    state.push("paragraph_close", "p", -1)
    return True


def _note_name(state: StateBlock, line: int) -> str:
    found = _NOTE.match(_line(state, line))
    is_note = found and _line(state, line).startswith(":", found.end()) and not state.is_code_block(line)
    return found[1] if found and is_note else ""


def _paragraph_end(state: StateBlock, first: int, end: int) -> int:
    """Return the line after a paragraph, by the rules that end one."""
    parent, state.parentType = state.parentType, "paragraph"
    rules = state.md.block.ruler.getRules("paragraph")
    last = first + 1
    while last < end and not state.isEmpty(last) and state.sCount[last] >= state.blkIndent:
        if any(rule(state, last, end, True) for rule in rules):
            break
        last += 1
    state.parentType = parent
    return last


def _note_rule(state: StateInline, silent: bool) -> bool:
    found = _NOTE.match(state.src, state.pos) if state.src.startswith("[^", state.pos) else None
    if not found or found[1] not in state.env.get(_NOTES, ()):
        return False
    if not silent:
        state.push("note", "sup", 0).content = found[1]
    state.pos = found.end()
    return True


def has_notes(definitions: EnvType) -> bool:
    """Whether the text has notes, to which an earlier part of it may refer."""
    return _NOTES in definitions


def _normalize(state: StateCore) -> None:
    if "\r" in state.src or "\0" in state.src:  # else the library would replace each line end by itself
        normalize(state)


def _hide_bars(state: StateCore) -> None:
    source = state.src.replace(_BAR, "\ufffd")
    state.src = _ROW.sub(lambda row: _WITH_BAR.sub(lambda kept: kept[0].replace("|", _BAR), row[0]), source)


def _show_bars(state: StateCore) -> None:
    if _BAR in state.src:
        for token in state.tokens:
            token.content = token.content.replace(_BAR, "|")
            token.info = token.info.replace(_BAR, "|")


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
