"""Tuples of results that render as a table."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TypeVar

from copilot_nb.characters import visible
from copilot_nb.render.escape import quote
from copilot_nb.render.table import Printer, Table

T = TypeVar("T")
_PLAIN_LINES = "font-family:var(--jp-code-font-family,monospace);white-space:pre;overflow-x:auto"
"""Pages style <pre> differently: JupyterLab wraps its lines, and nbconvert's HTML uses a proportional font."""


class Tabular(tuple[T, ...]):
    """A tuple that renders as a table, in a notebook and as text."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """The items as a table."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    def __str__(self) -> str:
        return str(self.table)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences for the reader of results, one per line, never shortened."""

    lines: tuple[str, ...]

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line in self.lines)
        return f"<ul>{items}</ul>" if items else ""

    def __str__(self) -> str:
        return "\n".join(f"· {visible(line)}" for line in self.lines)


def picture(characters: str) -> str:
    """Return a forest plot as HTML, hidden from screen readers, which read its numbers in the table before it."""
    return f'<pre aria-hidden="true" style="{_PLAIN_LINES}">{quote(characters)}</pre>'


def table_of(caption: str, columns: dict[str, list[str]]) -> Table:
    """Return a table made of columns."""
    return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)), caption=caption, is_dense=True)


def percent(level: float) -> str:
    """Return the confidence level of an interval as text: ``95%``, ``99.9%``."""
    return f"{100 * level:.4g}%"


def p_value(value: float | None) -> str:
    """Return a p-value with three digits; ``–`` for none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= _SMALLEST_P else f"< {_SMALLEST_P}"


_SMALLEST_P = 0.001
