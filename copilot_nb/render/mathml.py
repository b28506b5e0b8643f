r"""Renders TeX as MathML, which browsers draw without MathJax, for example in a widget.

latex2mathml reads the TeX. Its output is not published unchanged, since it accepts ``\href`` and unescapes the content
of ``\text``: its tree is rebuilt here from known elements and attributes, with every text escaped and lengths bounded,
and then passes the sanitiser of `markdown`. If a formula is not understood, the caller shows its source.

Browsers draw MathML Core, so latex2mathml's older MathML is translated: letters of another alphabet become characters,
and a style aligns columns.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from copilot_nb.render.escape import quote

MAX_TEX_CHARS = 4_000
MAX_DEPTH = 60
"""How deep elements may lie in each other (count); a browser stops at some hundred."""

_TOKENS = {"mi", "mn", "mo", "mtext", "mspace"}
MATHML_TAGS = frozenset(
    {
        *("math", "mrow", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom", "mtable", "mtr", "mtd"),
        *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none"),
        *_TOKENS,
    }
)
_YES_NO = re.compile("true|false")
_LENGTH = re.compile(r"-?\d?(\.\d{1,4})?(em|ex)|0(px)?")
_VALUES = {
    "display": re.compile("block|inline"),
    "form": re.compile("prefix|infix|postfix"),
    "mathvariant": re.compile("normal"),
    "scriptlevel": re.compile(r"[+-]?\d"),
    "style": re.compile("text-align:(left|center|right)"),
    **dict.fromkeys(("accent", "displaystyle", "fence", "largeop", "movablelimits", "stretchy"), _YES_NO),
    **dict.fromkeys(("width", "height", "depth", "lspace", "rspace", "voffset", "minsize", "maxsize"), _LENGTH),
    "linethickness": _LENGTH,
}
MATHML_ATTRIBUTES = {tag: set(_VALUES) for tag in MATHML_TAGS} | {"math": {*_VALUES, "data-tex"}}

_ALPHABETS = {
    "bold": "mathbf",
    "bold-italic": "mathbfit",
    "double-struck": "mathbb",
    "fraktur": "mathfrak",
    "monospace": "mathtt",
    "sans-serif": "mathsf",
    "script": "mathcal",
}
_NOTHING_DRAWN = re.compile(r"\\label\s*\{[^{}]*\}|\\(?:nonumber|notag)(?![A-Za-z])")
_ROW_DISTANCE = re.compile(r"\\\\(?:\*?\s*\[\s*-?[\d.]+\s*[a-z]{2}\s*\]|\*)")
_TAG = re.compile(r"\\tag(\*?)\s*\{([^{}]*)\}")
_ESCAPED_IN_TEXT = re.compile(r"\\([_%$#&])")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]+)\*?\}")
_KNOWN_AS = {
    **dict.fromkeys(("align", "aligned", "split", "eqnarray"), "align*"),
    **dict.fromkeys(("gather", "gathered", "multline"), "matrix"),
    "dcases": "cases",
    **{name: name for name in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix")},
    **{name: name for name in ("array", "cases", "substack")},
}
_CHILDREN = {**dict.fromkeys(("msub", "msup", "munder", "mover"), 2), "msubsup": 3, "munderover": 3}
"""How many an element has of them, the first of which is the base (count)."""
_CANNOT = (ArithmeticError, AttributeError, LookupError, RecursionError, StopIteration, TypeError, ValueError)
"""What latex2mathml raises beside errors of its own."""


class _NotUnderstoodError(Exception):
    """A formula contains something unknown."""


@functools.lru_cache(512)
def mathml(tex: str, *, display: bool) -> str:
    """Return TeX (without its dollar signs) as MathML; ``""`` if it is not understood.

    Parameters
    ----------
    tex : str
        One formula.
    display : bool
        Whether it stands in a line of its own.
    """
    if len(tex) > MAX_TEX_CHARS:
        return ""
    from latex2mathml.converter import convert_to_element

    try:
        root = convert_to_element(_in_known_words(tex), display="block" if display else "inline")
        return "".join(_written(root, 0))
    except _cannot():
        return ""


@functools.cache
def _cannot() -> tuple[type[Exception], ...]:
    """Return the errors that mean a formula is not understood: latex2mathml's have no common base class."""
    from latex2mathml import exceptions

    own = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*own, *_CANNOT, _NotUnderstoodError)


def _in_known_words(tex: str) -> str:
    r"""Return TeX with the command names that latex2mathml knows.

    Equations get no numbers (as MathJax gives none), but for a ``\tag``, which stands behind its line.
    """

    def renamed(found: re.Match[str]) -> str:
        if found[2] == "equation":
            return ""
        if found[2] not in _KNOWN_AS:
            raise _NotUnderstoodError(found[0])
        return f"\\{found[1]}{{{_KNOWN_AS[found[2]]}}}"

    tex = _ROW_DISTANCE.sub(r"\\\\ ", _NOTHING_DRAWN.sub("", tex))
    tex = _TAG.sub(lambda tag: rf"\qquad\text{{{tag[2] if tag[1] else f'({tag[2]})'}}}", tex)
    return _ENVIRONMENT.sub(renamed, tex)


def _written(element: Element, depth: int) -> Iterator[str]:
    """Yield an element of latex2mathml's as safe MathML."""
    tag = "mrow" if element.tag == "menclose" or (element.tag in _TOKENS and len(element)) else element.tag
    if tag not in MATHML_TAGS or depth > MAX_DEPTH:
        raise _NotUnderstoodError(tag)
    text, variant = html.unescape(element.text or ""), element.get("mathvariant", "")
    if tag == "mi" and (text.startswith("\\") or text == "&"):  # an unknown command, a cell of no table
        raise _NotUnderstoodError(text)
    if tag == "mtext":
        text = _ESCAPED_IN_TEXT.sub(r"\1", text)
    attributes = dict(element.attrib)
    if "columnalign" in attributes and tag == "mtd":
        attributes["style"] = f"text-align:{attributes['columnalign']}"
    kept = (f' {name}="{value}"' for name, value in attributes.items() if name in _VALUES and _fits(name, value))
    yield f"<{tag}{''.join(kept)}>{quote(_in_alphabet(text, variant))}"
    yield from _children(element, depth)
    yield f"</{tag}>"


def _children(element: Element, depth: int) -> Iterator[str]:
    """Yield what is in an element; where latex2mathml hands over its base in pieces (a matrix), in one piece."""
    last_of_base = len(element) - _CHILDREN.get(element.tag, len(element))
    for place, child in enumerate(element):
        yield "<mrow>" * (place == 0 and last_of_base > 0)
        yield from _written(child, depth + 1)
        yield "</mrow>" * (place == last_of_base > 0)


def _fits(name: str, value: str) -> bool:
    return _VALUES[name].fullmatch(value) is not None


def _in_alphabet(text: str, variant: str) -> str:
    """Return a letter as the character it is in another alphabet, such as 𝐯 or ℝ; else `text`."""
    from latex2mathml.symbols_parser import convert_symbol

    code = convert_symbol(f"\\{_ALPHABETS[variant]}{{{text}}}") if variant in _ALPHABETS and len(text) == 1 else None
    return chr(int(code, 16)) if code else text
