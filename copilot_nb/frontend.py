"""What a running shell tells of its front end: the notebook, its cells, whether anybody is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_VSCODE_FILE = "__vsc_ipynb_file__"


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


def is_page(shell: InteractiveShell) -> bool:
    """Whether the cell that is running was run in a page of JupyterLab or Notebook.

    Such a page takes an output's updates also after the cell has ended. VS Code names its cells too, but has lost such
    updates in some versions (vscode-jupyter #652, #12755).
    """
    return bool(cell_id(shell)) and _VSCODE_FILE not in shell.user_ns


def notebook_name(shell: InteractiveShell) -> str:
    """Return the notebook's path as far as the front end tells it; ``""`` where it does not.

    JupyterLab and Notebook set JPY_SESSION_NAME, VS Code a variable.
    """
    named = shell.user_ns.get(_VSCODE_FILE, "") or os.environ.get("JPY_SESSION_NAME", "")
    return str(named)
