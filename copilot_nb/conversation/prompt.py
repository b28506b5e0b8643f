r"""Turns the body of a cell into a prompt: only ``{{ expression }}`` is replaced, all other braces are literal.

`str.format` would trip over every ``{`` of a code example; here a prompt is literal text, and ``\{{`` writes two
braces. An expression may hold braces itself: it ends at the first ``}}`` that makes it valid Python.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import SupportsIndex, TypeVar, cast

from copilot_nb.errors import InputError

T = TypeVar("T")

_LONE_HALF = re.compile("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")
_OPENING = re.compile(r"\\?\{\{")
# What a cell cannot hold to the letter, and the braces and backslashes before it, which would join those of its own.
_LOST = r"(?:\A\n+|\n+\Z|[\x00-\x08\x0b-\x1f\x7f]+)"
_UNLIKE_IN_CELL = re.compile(rf"(?<![\\{{])[\\{{]*{_LOST}|\{{\{{")


def interpolate(body: str, evaluate: Callable[[str], object], names: Collection[str] = ()) -> str:
    r"""Return `body` with each ``{{ expression }}`` replaced by `str` of its value.

    Parameters
    ----------
    body : str
        What the user typed.
    evaluate : callable
        Evaluates one Python expression; its errors are passed on.
    names : collection of str, optional
        What counts as an expression although it is no Python: a table may have a column ``unit price``.

    Raises
    ------
    InputError
        If what stands between ``{{`` and ``}}`` is not a Python expression.

    Examples
    --------
    >>> interpolate(r"{{ 1 + 1 }} {not this} \{{ nor this }}", eval)
    '2 {not this} {{ nor this }}'
    """
    pieces: list[str] = []
    position = 0
    while (match := _OPENING.search(body, position)) is not None:
        pieces.append(body[position : match.start()])
        position = match.end()
        if match[0].startswith("\\") or "}}" not in body[position:]:
            pieces.append("{{")
            continue
        expression, position = _expression(body, position, names)
        pieces.append(str(evaluate(expression)))
    return "".join([*pieces, body[position:]])


def require_text(value: object, what: str) -> str:
    """Return a value that must be text.

    Raises
    ------
    InputError
        If it is none: a number that counts users, a file's path, a list of prompts.
    """
    return require_kind(value, str, f"{what} is text", "make it text, for example by str(…)")


def require_kind(value: object, kind: type[T], expected: str, hint: str) -> T:
    """Return a value that must be of a kind.

    Parameters
    ----------
    value : object
        What Python code has passed.
    kind : type
        The class it must have.
    expected, hint : str
        What an error says that the value is, such as ``"the prompt is text"``, and what to type.

    Raises
    ------
    InputError
        If it is of another kind.
    """
    if not isinstance(value, kind):
        raise InputError(f"{expected}, not {type(value).__name__}", hint)
    return value


def require_function(value: object, what: str) -> None:
    """Check that a value is a function.

    Raises
    ------
    InputError
        If it cannot be called.
    """
    if not callable(value):
        raise InputError(f"{what} is a function, not {type(value).__name__}", "give a function, or leave it out")


def require_texts(value: object, what: str) -> tuple[str, ...]:
    """Return texts that must be given as a list.

    Raises
    ------
    InputError
        If they are not: one text alone would be taken for its letters.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{what} is a list of texts, not {type(value).__name__}", f'{what}=["…", "…"]')
    return tuple(require_text(each, f"each of {what}") for each in value)


def require_whole(value: object, expected: str, hint: str) -> int:
    """Return a whole number, also one of numpy or of a table of pandas.

    Raises
    ------
    InputError
        If it is none; `expected` and `hint` are as for `require_kind`.
    """
    try:
        return operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise InputError(f"{expected}, not {type(value).__name__}", hint) from None


def require_count(value: object, what: str) -> int:
    """Return a number that must be a whole one from 0.

    Raises
    ------
    InputError
        If it is not.
    """
    hint = "give a number, or leave it out"
    if (number := require_whole(value, f"{what} is a whole number", hint)) < 0:
        raise InputError(f"{what} is at least 0, not {number}", hint)
    return number


def require_path(value: object) -> str | Path:
    """Return what must be the path of a file.

    Raises
    ------
    InputError
        If it is neither text nor a `Path`.
    """
    hint = 'give it as text, for example "session1.json"'
    return value if isinstance(value, str) else require_kind(value, Path, "a file's path is text or a Path", hint)


def sendable(text: str, what: str) -> str:
    r"""Return `text` so that it can be encoded: the two UTF-16 halves of a character, which JSON separates, are joined.

    Parameters
    ----------
    text : str
        A prompt, a system message, a name.
    what : str
        What an error calls it.

    Raises
    ------
    InputError
        If there is half a character without the other, as in a file's name that is not UTF-8: the runtime could not
        read it, and would not answer. Or if it is no text.

    Examples
    --------
    >>> sendable("\ud83d\ude00", "the prompt")
    '😀'
    """
    if (half := _LONE_HALF.search(require_text(text, what))) is not None:
        raise InputError(
            f"{what} holds half a character, {half[0]!r}, which cannot be sent",
            "replace it: text.encode('utf-8', 'replace').decode()",
        )
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def as_body(prompt: str) -> str:
    r"""Return the body of a cell that sends exactly `prompt`: the inverse of `interpolate`.

    Outer line ends and control characters, which a cell or a front end drops, are written as expressions.

    Examples
    --------
    >>> print(as_body("{{ x }}\n"))
    \{{ x }}{{ '\n' }}
    """
    return _UNLIKE_IN_CELL.sub(lambda found: r"\{{" if found[0] == "{{" else f"{{{{ {found[0]!r} }}}}", prompt)


def _expression(body: str, start: int, names: Collection[str]) -> tuple[str, int]:
    """Return the expression that begins at `start`, and where the text after its ``}}`` begins."""
    line_end = body.find("\n\n", start)
    limit = len(body) if line_end < 0 else line_end
    end = body.find("}}", start, limit)
    while end >= 0:
        expression = body[start:end].strip()
        if expression in names or _is_expression(expression):
            return expression, end + 2
        end = body.find("}}", end + 1, limit)
    shown = " ".join(body[start:limit].split("}}", maxsplit=1)[0].split())
    raise InputError(f"{{{{ {shown[:60]} }}}} is not a Python expression", r"for literal braces write \{{")


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True
