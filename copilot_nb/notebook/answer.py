"""One prompt from a cell, sent, shown and delivered."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.errors import TurnFailed
from copilot_nb.notebook.arguments import system_message
from copilot_nb.notebook.display import output_for
from copilot_nb.notebook.kernel import assign, check_variable

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.sessions.manager import Manager
    from copilot_nb.sessions.turn import Turn

_PYTHON = ("", "python", "python3", "py", "ipython")


def answer(shell: InteractiveShell, manager: Manager, name: str, prompt: str, args: argparse.Namespace) -> None:
    """Send `prompt` to the session `name`, show the answer while it comes, and deliver it as `args` says.

    Raises
    ------
    CopilotNBError
        If the prompt cannot be sent, or its turn failed or was interrupted.
    """
    check_variable(args.out)
    manager.check_prompt(prompt)
    output = output_for(shell, quiet=args.quiet, plain=args.format in ("text", "json"))
    session = manager.session(
        name,
        model=args.model or "",
        provider=args.provider or "",
        system=system_message(args.system),
        session_id=args.session_id or "",
        new=args.new,
    )
    turn = session.send(prompt, timeout_s=args.timeout_s)
    if args.out:
        assign(shell, args.out, turn)
    try:
        turn.wait(on_update=output.show)
    finally:
        output.finish(turn)
    _deliver(shell, turn, args.format)


def _deliver(shell: InteractiveShell, turn: Turn, form: str) -> None:
    if form == "json":
        _check_json(turn)
    elif form == "code":
        shell.set_next_input(_code(turn))


def _check_json(turn: Turn) -> None:
    try:
        turn.json()
    except ValueError as error:
        raise TurnFailed(f"the answer of {turn.session.name} is not JSON: {error}", "ask again") from error


def _code(turn: Turn) -> str:
    blocks = turn.code_blocks
    chosen = [block for block in blocks if block.language.lower() in _PYTHON] or list(blocks)
    if not chosen:
        raise TurnFailed(f"the answer of {turn.session.name} holds no code", "ask again")
    return "\n\n".join(block.code.rstrip("\n") for block in chosen)
