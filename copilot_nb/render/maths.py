r"""Finds TeX in Markdown; MathJax in the front end typesets it, or `mathml` if there is none.

A model writes ``$x$``, ``$$x$$``, ``\(x\)``, ``\[x\]`` and ``\begin{align}…\end{align}``; Markdown knows none of
them and would interpret their backslashes and underscores. The rules below pass a formula on unchanged. Each formula
becomes its own element, so that an unbalanced brace cannot make MathJax read into the text after it.

Dollar signs are mathematics only as in Pandoc: no blank inside them, no digit after the closing one. Where a letter or
a digit touches them from outside, or where a number begins them, they may also be prices or shell variables: then what
is between them must not read like prose. A ``$$`` within a sentence may have blanks inside it if it has a sign of TeX.

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
from copilot_nb.render.scripts import LETTERS

MAX_INLINE_CHARS = 2_000
MAX_BLOCK_LINES = 50

Maths = Literal["tex", "mathml"]
"""How a formula is published: as TeX, for MathJax, or as MathML."""

_INLINE = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"))
_BLOCK = re.compile(r"\$\$|\\\[|\\begin\{([A-Za-z]{1,20}\*?)\}")
REACHING_OUT = (
    "href|url|style|class|cssId|data|html|require|bbox|mml|unicode|include|def|gdef|edef|xdef|let|futurelet|csname"
    "|(?:re)?new|provide|Declare|Newextarrow|toggle|texttip|mathtip"
)
"""How the names of the macros begin that reach out of a formula (a pattern, in upper or lower case)."""
_REACHES_OUT = re.compile(rf"\\(?:{REACHING_OUT})", re.IGNORECASE)

_TEX = re.compile(r"[\\^_=]")
_SEPARATORS = "/:;,.-+=|&?!@~)([{<>\"'"
_NAME_FOLLOWS = re.compile(r"[A-Za-z0-9_(]")
_LONG_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_WORDS = re.compile(rf"\s\S*[^\W\d_]{{2,}}|[^\W\d_]{{2,}}\S*\s|[{LETTERS}]")


def maths_plugin(parser: MarkdownIt) -> None:
    """Add to `parser` the rules that find formulas and render them for MathJax."""
    parser.inline.ruler.before("escape", "maths", _inline_rule)
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "maths_block", _block_rule, {"alt": interrupts})


def maths_html(token: Token, maths: Maths) -> str:
    """Render a formula; if it is unsafe or not understood, as its source."""
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
    written = mathml(tex, display=opener[0] not in ("$", "\\("))
    return written.replace("<math", f'<math data-tex="{quote(formula)}"', 1)  # what a panel's page copies


def _inline_rule(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    for opener, closer in _INLINE:
        if source.startswith(opener, start):
            end = _closing(source, start + len(opener), state.posMax, closer)
            break
    else:
        return False
    if end < 0 or (opener[0] == "$" and not _is_formula(source, start, end, opener)):
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


def _is_formula(source: str, start: int, end: int, sign: str) -> bool:
    """Whether what stands between two signs, ``$`` or ``$$``, is a formula."""
    content = source[start + len(sign) : end]
    before, after = source[start - 1 : start], source[end + len(sign) : end + len(sign) + 1]
    if before == "$" or after in ("$", "{"):
        return False
    blanks = content[0].isspace() + content[-1].isspace()
    if blanks:
        return sign == "$$" and blanks == 2 and _TEX.search(content) is not None  # noqa: PLR2004 - at both ends
    if after.isdecimal() and not _TEX.match(content):
        return False
    is_touched = before.isalnum() or after.isalnum() or after in ("_", "(") or content[0].isdecimal()
    return not (is_touched and _is_prose(content, before, after))


def _is_prose(content: str, before: str, after: str) -> bool:
    """Whether what stands between two signs is rather the text between two prices, or two variables of a shell."""
    if _NAME_FOLLOWS.match(after) and (content[-1] in _SEPARATORS or _LONG_NAME.fullmatch(content)):
        return True  # $HOME/$USER
    if before.isalnum() and before.isascii() and content[0] in _SEPARATORS:
        return True  # 5$-10$
    if _TEX.search(content):
        return False
    is_unbalanced = content[0].isdecimal() and content.count("(") != content.count(")")
    return is_unbalanced or _WORDS.search(content) is not None


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
