r"""TeX in Markdown: found here, typeset by MathJax in the front end, or made MathML (`mathml`) where there is none.

A model writes ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and ``\begin{align}…\end{align}``; Markdown knows none of
them and would take their backslashes and underscores for its own. The rules below hand a formula on untouched. A
formula becomes an element of its own, so that an unbalanced brace cannot make MathJax read on into the text.

A single `$` is mathematics only as in Pandoc and GitHub: no space inside it, no letter or digit outside it. So prices
and shell variables stay what they are.

MathJax has macros that reach out of the formula: links, styles, definitions that hold for the whole notebook. A formula
that uses one is shown as its source.

Both rules look a bounded distance ahead, which keeps them linear on hostile text.
"""

from __future__ import annotations

import re
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from copilot_nb.render.escape import quote
from copilot_nb.render.mathml import mathml

MAX_INLINE_CHARS = 2_000
MAX_BLOCK_LINES = 50

Maths = Literal["tex", "mathml"]
"""How a formula is published: as TeX, for MathJax, or as MathML."""

_INLINE = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"))
_BLOCK = re.compile(r"\$\$|\\\[|\\begin\{([A-Za-z]{1,20}\*?)\}")
_REACHES_OUT = re.compile(
    r"\\(href|url|style|class|cssId|data|html|require|bbox|mml|unicode|include|def|gdef|edef|xdef|let|futurelet|csname"
    r"|(re)?new|provide|Declare|Newextarrow|toggle|texttip|mathtip)",
    re.IGNORECASE,
)


def maths_plugin(parser: MarkdownIt) -> None:
    """Teach `parser` to find formulae and to render them for MathJax."""
    parser.inline.ruler.before("escape", "maths", _inline_rule)
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "maths_block", _block_rule, {"alt": interrupts})


def maths_html(token: Token, maths: Maths) -> str:
    """Render a formula that was found; one that reaches out, or is not understood, as its source."""
    formula = "" if _REACHES_OUT.search(token.content) else quote(token.content)
    if formula and maths == "mathml":
        formula = _as_mathml(token.content)
    if not formula:
        return f"<code>{quote(token.content)}</code>"
    tag = "div" if token.block else "span"
    return f"<{tag}>{formula}</{tag}>" + "\n" * token.block


def _as_mathml(formula: str) -> str:
    opener = next((each for each in _INLINE if formula.startswith(each[0])), ("", ""))
    tex = formula[len(opener[0]) : len(formula) - len(opener[1])]
    return mathml(tex, display=opener[0] not in ("$", "\\("))


def _inline_rule(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    for opener, closer in _INLINE:
        if source.startswith(opener, start):
            end = _closing(source, start + len(opener), state.posMax, closer)
            break
    else:
        return False
    if end < 0 or (opener == "$" and not _is_tight(source, start, end)):
        return False
    if not silent:
        state.push("maths", "", 0).content = source[start : end + len(closer)]
    state.pos = end + len(closer)
    return True


def _closing(source: str, start: int, limit: int, closer: str) -> int:
    limit = min(limit, start + MAX_INLINE_CHARS)
    end = source.find(closer, start, limit)
    while closer[0] == "$" and end > 0 and source[end - 1] == "\\":
        end = source.find(closer, end + 1, limit)
    if end < 0 or not source[start:end].strip() or "`" in source[start:end]:
        return -1
    return end


def _is_tight(source: str, start: int, end: int) -> bool:
    before, after = source[start - 1 : start], source[end + 1 : end + 2]
    outside = not (before.isalnum() or before == "$" or after.isalnum())
    return outside and not (source[start + 1].isspace() or source[end - 1].isspace())


def _block_rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    opening = _BLOCK.match(state.src, state.bMarks[first] + state.tShift[first], state.eMarks[first])
    if not opening or state.is_code_block(first):
        return False
    name = opening[1]
    closer = {"$$": "$$", "\\[": "\\]"}.get(opening[0], f"\\end{{{name}}}")
    content = _block_content(state, first, end, len(opening[0]), closer)
    if not content:
        return False
    if not silent:
        token = state.push("maths_block", "", 0)
        token.block, token.content, token.map = True, "\n".join(content), [first, first + len(content)]
        state.line = first + len(content)
    return True


def _block_content(state: StateBlock, first: int, end: int, opener_chars: int, closer: str) -> list[str]:
    """Return the lines of the formula that opens in line `first`, or none: it must close at the end of a line."""
    lines: list[str] = []
    for line in range(first, min(end, first + MAX_BLOCK_LINES)):
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip()
        if not text or (lines and state.sCount[line] < state.blkIndent):
            return []
        closing = text.find(closer, 0 if lines else opener_chars + 1)
        lines.append(text)
        if closing >= 0:
            return lines if closing + len(closer) == len(text) else []
    return []
