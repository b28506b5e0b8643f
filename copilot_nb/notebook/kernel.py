"""The running shell, seen as a place to work in: its variables, its front end, its notebook."""

from __future__ import annotations

import ast
import keyword
import os
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def has_rich_output(shell: InteractiveShell) -> bool:
    """Whether the shell is a kernel, whose outputs can be replaced; a terminal prints."""
    return getattr(shell, "kernel", None) is not None


def is_headless(shell: InteractiveShell) -> bool:
    """Whether nobody can be asked: no front end that takes input (nbclient, papermill, Voilà)."""
    kernel = getattr(shell, "kernel", None)
    # ipykernel keeps the front end's answer to "do you take input?" in this attribute, and nowhere else.
    return kernel is not None and not getattr(kernel, "_allow_stdin", True)


def cell_id(shell: InteractiveShell) -> str:
    """Return the id of the cell that is running, as the front end tells it; ``""`` where it does not.

    JupyterLab, Notebook and VS Code send it with the request; nbclient and papermill do not.
    """
    kernel = getattr(shell, "kernel", None)
    parent = kernel.get_parent("shell") if kernel is not None else {}
    return str((parent.get("metadata") or {}).get("cellId") or "")


def notebook_name(shell: InteractiveShell) -> str:
    """Return the notebook's path as far as the front end tells it; ``""`` where it does not.

    JupyterLab and Notebook set JPY_SESSION_NAME, VS Code the variable ``__vsc_ipynb_file__``.
    """
    named = shell.user_ns.get("__vsc_ipynb_file__", "") or os.environ.get("JPY_SESSION_NAME", "")
    return str(named)


def evaluate(shell: InteractiveShell, expression: str) -> object:
    """Return the value of an expression of the user's.

    Raises
    ------
    InputError
        If it raises anything.
    """
    hint = r"define it in a cell above; for literal braces write \{{"
    return _value(shell, expression, f"{{{{ {expression} }}}}", hint)


def attachable(shell: InteractiveShell, word: str) -> object:
    """Return what ``--attach PATH|VARIABLE`` names: the path of a file that is there, else the value of an expression.

    Raises
    ------
    InputError
        If there is neither.
    """
    path = Path(word).expanduser()
    try:
        if path.exists():
            return path
        ast.parse(word, mode="eval")
    except (OSError, ValueError, SyntaxError):  # it can be neither
        raise InputError(f"--attach {word[:60]}: there is no such file") from None
    return _value(shell, word, f"--attach {word[:60]}", "name a file, or a variable of the notebook")


def _value(shell: InteractiveShell, expression: str, shown: str, hint: str) -> object:
    try:
        return shell.ev(expression)
    except NameError as error:
        raise InputError(f"{shown}: {error}", hint) from error
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"{shown} raised {type(error).__name__}: {error}") from error


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
