"""Inserts the code of an answer into the next cell (``--format code``), once, so that no Run All runs it.

Run All runs every cell, so the cell with a model's code begins with a line that prevents it from running until the
user deletes that line. A cell that is run again must not insert a second copy: the session's marks (`rerun`) say that
it was run before, also after a kernel restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import ToolCall
from copilot_nb.errors import TurnFailed
from copilot_nb.foreign_json import parsed
from copilot_nb.frontend import has_rich_output
from copilot_nb.named_sessions.names import quoted
from copilot_nb.render.markdown import code_blocks

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.conversation.transcript import TurnRecord

HELD = "--do-not-run"
"""Begins the cell, as an option of ``%%copilot``."""
PROPOSE = "propose_cell"
"""The tool with which a model proposes a cell."""
_PYTHON = ("", "python", "python3", "py", "ipython")


def insert_code(shell: InteractiveShell, name: str, turn: TurnRecord) -> None:
    """Insert the code of a turn of the session `name` into the next cell; in a terminal, Enter runs it unchanged.

    Raises
    ------
    TurnFailed
        If it has no code.
    """
    insert(shell, name, code_of(name, turn))


def insert(shell: InteractiveShell, name: str, code: str) -> None:
    """Insert code that a model of the session `name` wrote into the next cell."""
    shell.set_next_input(f"%%copilot {HELD} {quoted(name)}\n{code}" if has_rich_output(shell) else code)


def proposed_code(turn: TurnRecord) -> str:
    """Return the cells that a turn proposed by a tool, as one; ``""`` if it proposed none."""
    calls = (part for part in turn.parts if isinstance(part, ToolCall) and part.name == PROPOSE and part.succeeded)
    return "\n\n".join(str(parsed(call.arguments)["code"]).strip("\n") for call in calls)


def code_of(name: str, turn: TurnRecord) -> str:
    """Return the cells that a turn proposed, else the Python code of its answer, else its code in other languages.

    Raises
    ------
    TurnFailed
        If it has none.
    """
    if proposed := proposed_code(turn):
        return proposed
    blocks = code_blocks(turn.text)
    chosen = [block for block in blocks if block.language.lower() in _PYTHON] or list(blocks)
    if not chosen:
        raise TurnFailed(f"the answer of {name} has no code", "ask for code, or choose another format")
    return "\n\n".join(block.code.rstrip("\n") for block in chosen)


def corrected_cell(answer: str, *, is_magic: bool) -> str:
    """Return the cell that an answer proposes: its longest block of Python, as others quote a part; ``""``: none.

    Parameters
    ----------
    answer : str
        The answer's Markdown.
    is_magic : bool
        Whether the cell belongs to a cell magic, and may be in any language.
    """
    blocks = [each.code for each in code_blocks(answer) if is_magic or each.language.lower() in _PYTHON]
    return max(blocks, key=len, default="").rstrip("\n")
