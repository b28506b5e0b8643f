"""What the running shell knows of its front end: the notebook, its cells, whether anybody can be asked."""

from __future__ import annotations

import builtins
import getpass
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_VSCODE_FILE = "__vsc_ipynb_file__"
_NOTEBOOK_VARIABLES = {"JPY_SESSION_NAME", "COLAB_RELEASE_TAG"}
"""What Jupyter's server sets for the kernel of a notebook, and Colab for all of its own."""


@dataclass(frozen=True, slots=True)
class RunningCell:
    """A cell while it runs.

    Attributes
    ----------
    run : str
        Names this run of the cell: the id of the request to run it.
    cell_id : str
        The cell's own id, the same at each run; ``""`` if the front end does not send it.
    """

    run: str
    cell_id: str


def running_shell() -> InteractiveShell | None:
    """Return the shell this process runs in; ``None`` outside IPython, which is not imported to find out."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython() if get_ipython is not None else None


def running_cell(shell: InteractiveShell) -> RunningCell | None:
    """Return the cell that is running; ``None`` in a terminal, and in a widget's message.

    ipykernel knows the request by the calling context, so a task that outlives its cell still belongs to that cell. A
    thread belongs to the request that the kernel took last.
    """
    request = _request(shell)
    header = request.get("header") or {}
    if header.get("msg_type") != "execute_request":
        return None
    return RunningCell(str(header.get("msg_id", "")), _cell_id(request))


def _request(shell: InteractiveShell) -> dict[str, Any]:
    kernel = getattr(shell, "kernel", None)
    return dict(kernel.get_parent("shell")) if kernel is not None else {}


def _cell_id(request: dict[str, Any]) -> str:
    """JupyterLab, Notebook and VS Code send it with the request; nbclient and papermill do not."""
    return str((request.get("metadata") or {}).get("cellId") or "")


def is_magic_cell(shell: InteractiveShell, magic: str) -> bool:
    """Whether the cell that is running consists of the cell magic `magic`, so that its outputs are the magic's."""
    code = str((_request(shell).get("content") or {}).get("code") or "")
    return code.split(maxsplit=1)[:1] == [f"%%{magic}"]


def has_kernel(shell: InteractiveShell) -> bool:
    """Whether the shell is a kernel, not a terminal."""
    return getattr(shell, "kernel", None) is not None


def has_rich_output(shell: InteractiveShell) -> bool:
    """Whether the front end that runs the cell shows HTML and lets an output be replaced.

    A kernel does not tell that much: consoles (`jupyter console`, Qt, Spyder, Positron) have one and take neither. So a
    front end must give a sign that it is a notebook; to one that gives none, text is printed, which all of them show.
    What a model's code shows goes to the model, as text; a cell of a subshell may run beside it.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not has_kernel(shell) or (is_input_refused() and is_main):
        return False
    request = _request(shell)
    if _cell_id(request) or is_headless(shell) or _VSCODE_FILE in shell.user_ns:
        return True
    return bool(_NOTEBOOK_VARIABLES & os.environ.keys()) and not _is_from_python(request)


def _is_from_python(request: dict[str, Any]) -> bool:
    """Whether `jupyter_client` sent it, as consoles on a notebook's kernel do: its ids begin with the session's."""
    header = request.get("header") or {}
    return str(header.get("msg_id", "")).startswith(f"{header.get('session', '')}_")


def is_headless(shell: InteractiveShell) -> bool:
    """Whether nobody can be asked: no front end that takes input (nbclient, papermill, Voilà)."""
    kernel = getattr(shell, "kernel", None)
    # ipykernel keeps the front end's answer to "do you take input?" in this attribute, and nowhere else.
    return kernel is not None and not getattr(kernel, "_allow_stdin", True)


def agrees(question: str) -> bool:
    """Ask a question that is answered by yes or no; where the input has ended, the answer is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


@contextmanager
def input_refused() -> Iterator[None]:
    """Let code that asks for input fail meanwhile, instead of waiting for an answer.

    What the front end takes stays as it is: other sessions may ask the user while the code runs.
    """
    before = builtins.input, getpass.getpass
    builtins.input, getpass.getpass = _no_input, _no_input
    try:
        yield
    finally:
        builtins.input, getpass.getpass = before


def is_input_refused() -> bool:
    """Whether code runs that cannot ask for input."""
    return builtins.input is _no_input


def _no_input(*_: object, **__: object) -> str:
    raise NotImplementedError("code that a model runs cannot ask for input")


def is_web_app() -> bool:
    """Whether Voilà runs the kernel for the visitors of a web page, as it tells the kernels it starts."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila/")


def is_page(shell: InteractiveShell) -> bool:
    """Whether the cell that is running was run in a page of JupyterLab or Notebook.

    Such a page takes an output's updates also after the cell has ended. VS Code names its cells too, but has lost such
    updates in some versions (vscode-jupyter #652, #12755).
    """
    return bool(_cell_id(_request(shell))) and _VSCODE_FILE not in shell.user_ns


def notebook_name(shell: InteractiveShell) -> str:
    """Return the notebook's path as the front end gives it; ``""`` if it does not.

    JupyterLab and Notebook set JPY_SESSION_NAME, VS Code a variable.
    """
    named = shell.user_ns.get(_VSCODE_FILE, "") or os.environ.get("JPY_SESSION_NAME", "")
    return str(named)
