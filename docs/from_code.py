"""Sphinx directives that write reference pages from the code: the magics' options, the subcommands, the settings.

Each writes Markdown, from the same objects as ``%copilot help`` and ``%config CopilotNB``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from copilot_nb.notebook.arguments import cell_parser
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.settings import CopilotNB

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class _Written(SphinxDirective):
    """A directive that stands for lines of Markdown."""

    def lines(self) -> Iterable[str]:
        """Return the lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Return what the lines say, parsed as if the page held them."""
        self.content = StringList(list(self.lines()), self.get_source_info()[0])
        return self.parse_content_to_nodes(allow_section_headings=True)


class CellOptions(_Written):
    """The options of ``%%copilot``."""

    def lines(self) -> Iterator[str]:
        """Return a table."""
        return _table(cell_parser())


class Subcommands(_Written):
    """The subcommands of ``%copilot``, each with its arguments and options."""

    def lines(self) -> Iterator[str]:
        """Return a section for each."""
        for word, subcommand in SUBCOMMANDS.items():
            parser = subcommand.parser()
            usage = " ".join(parser.format_usage().removeprefix("usage:").split())
            yield from (f"## {word}", "", _escaped(subcommand.summary), "", "```text", usage, "```", "")
            yield from _table(parser)


class Settings(_Written):
    """The settings, with their defaults."""

    def lines(self) -> Iterator[str]:
        """Return a section for each."""
        traits = CopilotNB.class_traits(config=True)
        for name, trait in sorted(traits.items()):
            yield from (f"## {name}", "", _escaped(" ".join(trait.help.split())), "")
            yield from (f"{type(trait).__name__}, default `{trait.default()!r}`", "")


def _table(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Return the arguments and options of a parser."""
    actions = [action for action in parser._actions if action.help is not argparse.SUPPRESS]  # noqa: SLF001 - argparse names no other way
    if not actions:
        return
    yield from ("| argument or option | what it does |", "|---|---|")
    for action in actions:
        value = "" if action.nargs == 0 else str(action.metavar or "")
        names = [f"`{name} {value}`" if value else f"`{name}`" for name in action.option_strings] or [f"`{value}`"]
        text = _escaped(str(action.help or "").replace("%%", "%"))
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in (", ".join(names), text)) + " |"
    yield ""


def _escaped(text: str) -> str:
    """Return a help text as Markdown that reads the same."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#" else character for character in text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives."""
    app.add_directive("cell-options", CellOptions)
    app.add_directive("subcommands", Subcommands)
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
