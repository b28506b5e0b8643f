r"""Rules of markdown-it that are tried only where they can match: at the signs they begin with.

The library tries every rule at every sign of a paragraph and at the beginning of every block, and each rule looks at
the first character and gives up: a fifth of the time of parsing. Here one rule stands for all of a chain. It looks at
the character once and tries those that may begin with it, in their order, so what is found is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.ruler import Ruler
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_Rule = Callable[..., bool]
_Others = tuple[_Rule, ...]
_Rules = dict[str, _Others]
_MATHS = "$\\"
_INLINE = {
    "text": "",
    "newline": "\n",
    "maths": _MATHS,
    "escape": "\\",
    "backticks": "`",
    "strikethrough": "~",
    "emphasis": "*_",
    "note": "[",
    "link": "[",
    "image": "!",
    "break": "<",
    "autolink": "<",
    "entity": "&",
}
_BLOCK = {
    "nested_fence": "`~",
    "maths_block": _MATHS,
    "fence": "`~",
    "blockquote": ">",
    "hr": "*-_",
    "list": "*+-0123456789",
    "note": "[",
    "reference": "[",
    "heading": "#",
}
"""The signs that each rule may begin with; a rule without an entry is tried at every character.

"text" is what stands between signs.
"""
SIGNS = re.compile(f"[{re.escape(''.join(_INLINE.values()))}\\]]")
"""Where a text may be more than text, or a link may end; the library stops at others too, for rules not used here."""


def try_by_sign(parser: MarkdownIt) -> None:
    """Let `parser`, whose rules must all be known and enabled, try its rules by their signs."""
    parser.inline.ruler = _BySign(parser.inline.ruler, _INLINE, _inline_rule)
    parser.block.ruler = _BySign(parser.block.ruler, _BLOCK, _block_rule)
    parser.inline.terminator_re = SIGNS


class _BySign(Ruler[Any]):
    """A ruler in whose chains one rule stands for all of another's."""

    def __init__(self, ruler: Ruler[Any], signs: dict[str, str], make: Callable[[_Rules, _Others], _Rule]) -> None:
        super().__init__()
        self._ruler = ruler
        self._signs = dict(zip(ruler.getRules(""), map(signs.get, ruler.get_active_rules()), strict=True))
        self._make = make
        self._made: dict[str, list[_Rule]] = {}

    def getRules(self, chainName: str = "") -> list[_Rule]:  # noqa: N802, N803 - the names are markdown-it's
        if chainName not in self._made:
            self._made[chainName] = [self._make(*self._by_sign(chainName))]
        return self._made[chainName]

    def get_active_rules(self) -> list[str]:
        """Return the names of the rules that are tried; the library asks whether there is one for indented code."""
        return self._ruler.get_active_rules()

    def _by_sign(self, chain: str) -> tuple[_Rules, _Others]:
        """Return the rules of a chain for each sign, and those for every other character."""
        rules = [(rule, self._signs[rule]) for rule in self._ruler.getRules(chain)]
        known = {sign for _, signs in rules for sign in signs or ""}
        by_sign = {sign: tuple(rule for rule, signs in rules if signs is None or sign in signs) for sign in known}
        return by_sign, tuple(rule for rule, signs in rules if not signs)


def _inline_rule(by_sign: _Rules, others: _Others) -> _Rule:
    def rule(state: StateInline, silent: bool) -> bool:
        for each in by_sign.get(state.src[state.pos], others):  # noqa: SIM110 - `any` takes twice as long
            if each(state, silent):
                return True
        return False

    return rule


def _block_rule(by_sign: _Rules, others: _Others) -> _Rule:
    def rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
        begin = state.bMarks[first] + state.tShift[first]
        for each in by_sign.get(state.src[begin : begin + 1], others):  # noqa: SIM110 - `any` takes twice as long
            if each(state, first, end, silent):
                return True
        return False

    return rule
