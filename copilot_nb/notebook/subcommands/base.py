"""A subcommand of ``%copilot``: its word, its help, its arguments and its function."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot_nb.notebook.arguments import Option, Parser, split_head, split_words

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument of a subcommand.

    Attributes
    ----------
    name, help : str
        Its name and its explanation in the help.
    many : str
        argparse's `nargs`: ``""`` (one), ``"?"``, ``"*"`` or ``"+"``.
    kind : str
        What Tab completes it with: ``"session"``, ``"command"``, ``"model"``, ``"provider"`` or ``""``.
    """

    name: str
    help: str
    many: str = ""
    kind: str = ""

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declare the argument to a parser."""
        more: dict[str, Any] = {"nargs": self.many} if self.many else {}
        if self.many == "?":
            more["default"] = ""
        label = "NAME" if self.kind == "session" else self.name.upper()
        parser.add_argument(self.name, metavar=label, help=self.help, **more)


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A word of ``%copilot``.

    Attributes
    ----------
    word, summary : str
        The word to type, and one line about it.
    run : callable
        Gets the context and the parsed rest of the line; what it returns is what the cell shows.
    takes, options : tuple
        The arguments and options after the word.
    is_literal : bool
        Whether the rest of the line is one text, in which quotes mean nothing.
    prompt : str
        What follows the options and arguments as literal text, as the usage shows it; ``""``: nothing.
    """

    word: str
    summary: str
    run: Callable[[MagicContext, argparse.Namespace], object]
    takes: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    is_literal: bool = False
    prompt: str = ""

    def parser(self) -> Parser:
        """Return the parser of the rest of the line."""
        parser = Parser(f"%copilot {self.word}", self.summary)
        for argument in self.takes:
            argument.add_to(parser)
        for option in self.options:
            option.add_to(parser)
        if self.prompt:
            parser.usage = f"{parser.format_usage().removeprefix('usage:').strip()} {self.prompt}".replace("%", "%%")
        return parser

    def parse(self, rest: str) -> argparse.Namespace:
        """Parse the rest of the line.

        Raises
        ------
        InputError
            If it is not valid.
        """
        if self.prompt:
            head, prompt = split_head(rest, self.options, len(self.takes))
            return argparse.Namespace(**vars(self.parser().parse(head)), prompt=prompt)
        if self.is_literal:
            return self.parser().parse(["--", rest.strip()] if rest.strip() else [])
        return self.parser().parse(split_words(rest))


ONE_SESSION = Argument("name", "the session", kind="session")
MAYBE_ONE_SESSION = Argument("name", "the session", "?", kind="session")
SESSIONS = Argument("names", "the sessions", "+", kind="session")
MAYBE_SESSIONS = Argument("names", "the sessions; none: all", "*", kind="session")
