"""The code of an answer, put into the next cell (``--format code``): once, and so that no Run All runs it.

A Run All runs every cell there is, so the cell that holds a model's code begins with a line that keeps it from being
run until a user deletes that line. And a cell that is run again must not add a second copy below: that it had asked
before is known from the session's marks (`rerun`), also after the kernel was restarted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.errors import TurnFailed
from copilot_nb.frontend import has_rich_output
from copilot_nb.named_sessions.names import typed
from copilot_nb.render.markdown import code_blocks

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

HELD = "--do-not-run"
"""Begins the cell, as an option of ``%%copilot``."""
_PYTHON = ("", "python", "python3", "py", "ipython")


def insert_code(shell: InteractiveShell, name: str, answer: str) -> None:
    """Put the code of an answer of the session `name` into the next cell; in a terminal Enter runs it, as it stands.

    Raises
    ------
    TurnFailed
        If it holds no code.
    """
    code = code_of(name, answer)
    shell.set_next_input(f"%%copilot {HELD} {typed(name)}\n{code}" if has_rich_output(shell) else code)


def code_of(name: str, answer: str) -> str:
    """Return the Python code of an answer, else what code it has.

    Raises
    ------
    TurnFailed
        If it holds none.
    """
    blocks = code_blocks(answer)
    chosen = [block for block in blocks if block.language.lower() in _PYTHON] or list(blocks)
    if not chosen:
        raise TurnFailed(f"the answer of {name} holds no code", "ask again")
    return "\n\n".join(block.code.rstrip("\n") for block in chosen)
