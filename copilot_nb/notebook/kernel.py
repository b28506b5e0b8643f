"""The running shell, seen as a place to work in: its variables."""

from __future__ import annotations

import keyword
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MISSING = object()


def evaluate(shell: InteractiveShell, expression: str) -> object:
    """Return the value of an expression of the user's.

    Raises
    ------
    InputError
        If it raises anything.
    """
    try:
        return shell.ev(expression)
    except NameError as error:
        hint = r"define it in a cell above; for literal braces write \{{"
        raise InputError(f"{{{{ {expression} }}}}: {error}", hint) from error
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"{{{{ {expression} }}}} raised {type(error).__name__}: {error}") from error


def attachable(shell: InteractiveShell, word: str) -> object:
    """Return what ``--attach PATH|VARIABLE`` names: the path of a file that is there, else the value of a variable.

    No other expression is evaluated: a word may be the name of a file that somebody else chose.

    Raises
    ------
    InputError
        If there is neither.
    """
    with suppress(OSError, ValueError, RuntimeError):  # it can be no path
        if (path := Path(word).expanduser()).is_file():
            return path
    name, *attributes = word.split(".")
    value = shell.user_ns.get(name, _MISSING)
    for attribute in attributes:
        value = getattr(value, attribute, _MISSING)
    if value is _MISSING:
        raise InputError(f"--attach {word[:60]}: there is no such file or variable")
    return value


def check_variable(variable: str | None) -> None:
    """Check the name of a variable before anything is sent.

    Raises
    ------
    InputError
        If no variable can have that name.
    """
    if variable is not None and (not variable.isidentifier() or keyword.iskeyword(variable)):
        raise InputError(f"--out takes the name of a variable, not {variable!r}", "for example: -o answer")


def assign(shell: InteractiveShell, variable: str, value: object) -> None:
    """Give a variable of the notebook a value."""
    shell.push({variable: value})
