"""Serves ``%%copilot`` and ``%copilot``: the prompt of a cell, or a subcommand (see `subcommands`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import check_name
from copilot_nb.notebook import arguments
from copilot_nb.notebook.answer import answer
from copilot_nb.notebook.code import HELD
from copilot_nb.notebook.subcommands import SUBCOMMANDS, suggestion
from copilot_nb.notebook.subcommands.comparing import COMPARE, compare_cell
from copilot_nb.notebook.workspace import evaluate

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext


def run_cell(context: MagicContext, line: str, body: str) -> object:
    """Serve ``%%copilot``: send the body and show the answer, or return the comparison to show."""
    word, _, rest = line.strip().partition(" ")
    if word == HELD:
        print("Not run: a model wrote this code. To run it, delete the first line of the cell.")
        return None

    def value(expression: str) -> str:
        return context.manager.hide_secrets(evaluate(context.shell, expression))

    if word == COMPARE.word:
        return compare_cell(context, COMPARE.parse(rest), body.strip("\n"), value)
    args = arguments.parse_cell(line)
    names = [check_name(name) for name in args.names] or ([context.default_session] if context.default_session else [])
    if not names:
        raise InputError("which session?", "name it (%%copilot session1), or choose one (%copilot use session1)")
    answer(context, names, interpolate(body.strip("\n"), value), args)
    return None


def run_line(context: MagicContext, line: str) -> object:
    """Serve ``%copilot``: a subcommand, or the status card."""
    word, _, rest = line.strip().partition(" ")
    name = word or "status"
    if name not in SUBCOMMANDS:
        hint = f"{suggestion(word)}see %copilot help; to ask: %copilot ask NAME PROMPT"
        raise InputError(f"%copilot does not know {arguments.masked(repr(word))}", hint)
    command = SUBCOMMANDS[name]
    return command.run(context, command.parse(rest))
