"""The variables of the running shell, and those of the function that calls a magic."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MISSING = object()


def evaluate(shell: InteractiveShell, expression: str) -> str:
    """Return the value of a user's expression, as text.

    Raises
    ------
    InputError
        If it raises anything.
    """
    try:
        return str(_value(shell, expression))
    except NameError as error:
        hint = r"define it in a cell above; for literal braces write \{{"
        raise InputError(f"{{{{ {expression} }}}}: {error}", hint) from error
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"{{{{ {expression} }}}} raised {type(error).__name__}: {error}") from error


def option_value(
    shell: InteractiveShell, option: str, expression: str, known: Mapping[str, object] | None = None, *, hint: str = ""
) -> object:
    """Return the value of an option that takes a variable or another expression of the user.

    Parameters
    ----------
    shell : InteractiveShell
        Holds the variables.
    option : str
        The option's name, for the error.
    expression : str
        What was typed after it.
    known : mapping of str to object, optional
        Names that can be used, too; a variable of the user hides them.
    hint : str, optional
        What fits the option, for the error.

    Raises
    ------
    InputError
        If it raises anything.
    """
    try:
        return _value(shell, expression, known or {})
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"{option} {expression[:60]}: {error or type(error).__name__}", hint) from error


def _value(shell: InteractiveShell, expression: str, known: Mapping[str, object] | None = None) -> object:
    scope = _callers_variables(shell)
    if not scope and not known:
        return shell.ev(expression)
    with shell.builtin_trap:
        return eval(expression, {**(known or {}), **shell.user_ns, **scope})  # noqa: S307 - the user's own code


def _callers_variables(shell: InteractiveShell) -> Mapping[str, object]:
    """Return the variables of the function that called the running magic; empty at the top level of a cell."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        is_call = frame.f_code.co_name in ("run_line_magic", "run_cell_magic") and frame.f_locals.get("self") is shell
        frame = frame.f_back
        if is_call:
            return {} if frame.f_locals is shell.user_ns else dict(frame.f_locals)
    return {}


def attachable(shell: InteractiveShell, word: str) -> object:
    """Return the object of ``--attach PATH|VARIABLE``: the path of an existing file, else the value of a variable.

    No other expression is evaluated: a word may be the name of a file that somebody else chose.

    Raises
    ------
    InputError
        If there is neither.
    """
    with suppress(OSError, ValueError):  # it can be no path
        if (path := expanded(word)).is_file():
            return path
    name, *attributes = word.split(".")
    value = {**shell.user_ns, **_callers_variables(shell)}.get(name, _MISSING)
    for attribute in attributes:
        value = getattr(value, attribute, _MISSING)
    if value is _MISSING:
        raise InputError(f"--attach {word[:60]}: there is no such file or variable")
    return value


def check_variable(variable: str | None) -> None:
    """Check the name of the variable for the result, before anything is sent.

    Raises
    ------
    InputError
        If no variable can have that name.
    """
    if variable is not None and (not variable.isidentifier() or keyword.iskeyword(variable)):
        raise InputError(f"--out takes the name of a variable, not {variable!r}", "for example: -o answer")


def assign(shell: InteractiveShell, variable: str, value: object) -> None:
    """Assign a variable of the notebook."""
    shell.push({variable: value})
