"""The subcommands of ``%copilot``: their words, their help and their parsers, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from copilot_nb.errors import InputError
from copilot_nb.notebook.arguments import SESSION_OPTIONS, Parser, ask_parser, cell_parser


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A word of ``%copilot``: what it does in a line, and how its parser is filled."""

    word: str
    summary: str
    fill: Callable[[Parser], None] | None = None

    def parser(self) -> Parser:
        """Return the parser of what follows the word."""
        parser = Parser(f"%copilot {self.word}".strip(), self.summary)
        if self.fill is not None:
            self.fill(parser)
        return parser


def _name(parser: Parser) -> None:
    parser.add_argument("name", help="the session")


def _optional_name(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", default="", help="the session")


def _new(parser: Parser) -> None:
    _name(parser)
    for option in SESSION_OPTIONS:
        option.add_to(parser)


def _rm(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="name", help="the sessions")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask (needed where nobody can be asked)")


def _stop(parser: Parser) -> None:
    _optional_name(parser)
    parser.add_argument("--all", action="store_true", help="every session of this kernel")


def _show(parser: Parser) -> None:
    _name(parser)
    parser.add_argument("-n", "--number", type=int, default=10, metavar="N", help="how many of its last turns (10)")


def _names(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="the sessions; none: all")


def _help(parser: Parser) -> None:
    parser.add_argument("command", nargs="?", default="", help="the subcommand")


_ALL = (
    Subcommand("status", "Show which model answers and what this kernel's sessions do (also: %copilot alone)."),
    Subcommand("ls", "List the stored sessions that copilot_nb made."),
    Subcommand("show", "Show the last turns of a session.", _show),
    Subcommand("new", "Create a session without asking it anything yet.", _new),
    Subcommand("use", "Choose the session of %%copilot cells that name none.", _optional_name),
    Subcommand("ask", "Send one line to a session: %copilot ask [options] NAME PROMPT"),
    Subcommand("rm", "Delete sessions and their histories, irreversibly.", _rm),
    Subcommand("wait", "Wait for the turns in the background, and fail if one of them did.", _names),
    Subcommand("stop", "Stop the turns under way; what has come is kept.", _stop),
    Subcommand("doctor", "Check the runtime, the versions, the provider and the model."),
    Subcommand("restart", "Stop the Copilot runtime; the next prompt starts it again. Sessions are kept."),
    Subcommand("help", "Show this list, or the help of one subcommand.", _help),
)
SUBCOMMANDS = {subcommand.word: subcommand for subcommand in _ALL}


def help_text(word: str) -> str:
    """Return the help of a subcommand; ``""``: of all.

    Raises
    ------
    InputError
        If there is no such subcommand.
    """
    if not word:
        lines = [f"  {subcommand.word:<9}{subcommand.summary}" for subcommand in _ALL]
        return f"{cell_parser().format_help()}\n%copilot SUBCOMMAND\n" + "\n".join(lines)
    if word == "copilot":
        return cell_parser().format_help()
    if word == "ask":
        return ask_parser().format_help()
    if word not in SUBCOMMANDS:
        raise InputError(f"%copilot has no subcommand {word!r}", f"there are: {', '.join(SUBCOMMANDS)}")
    return SUBCOMMANDS[word].parser().format_help()
