"""Small tables for notebooks and terminals.

Values are strings, which are escaped here. In a terminal a character takes none, one or two columns (Unicode's
East Asian Width), so columns line up with any script.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Protocol

from copilot_nb.characters import visible
from copilot_nb.render.escape import escape, well_formed

MAX_CELL_COLUMNS = 60

_LEFT = ' style="text-align:left"'  # JupyterLab's default is to the right
_DENSE = ' style="text-align:left;white-space:nowrap"'


class Printer(Protocol):
    """The printer that IPython hands to `_repr_pretty_`."""

    def text(self, text: str, /) -> None:
        """Print `text`."""


@dataclass(frozen=True)
class Table:
    """Rows of strings under named columns.

    Attributes
    ----------
    columns : tuple of str
        The heads of the columns.
    rows : tuple of tuple of str
        The cells; a short row is filled up, of a long one the rest is left out.
    caption : str
        What the table shows, in a line.
    empty : str
        What is said instead of a table without rows.
    is_dense : bool
        Whether each row is one line, however wide the table gets.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    empty: str = ""
    is_dense: bool = False

    def _repr_html_(self) -> str:
        if not self.rows and self.empty:
            return f"<p>{_escaped(self.empty)}</p>"
        style = _DENSE if self.is_dense else _LEFT
        head = "".join(f'<th scope="col"{style}>{_escaped(column)}</th>' for column in self.columns)
        body = "".join(f"<tr>{''.join(f'<td{style}>{_escaped(c)}</td>' for c in row)}</tr>" for row in self._rows())
        return f"<table>{_caption(self.caption)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __str__(self) -> str:
        if not self.rows and self.empty:
            return visible(self.empty)
        rows = [tuple(_shortened(cell) for cell in row) for row in (self.columns, *self._rows())]
        widths = [max(map(text_columns, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([visible(self.caption), *lines] if self.caption else lines)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))

    def _rows(self) -> list[tuple[str, ...]]:
        size = len(self.columns)
        return [(*row[:size], *[""] * (size - len(row))) for row in self.rows]


@dataclass(frozen=True)
class Card:
    """A title above pairs of label and value."""

    title: str
    rows: tuple[tuple[str, str], ...]

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><th scope="row"{_LEFT}>{_escaped(label)}</th><td{_LEFT}>{_escaped(value)}</td></tr>'
            for label, value in self.rows
        )
        return f"<table>{_caption(self.title)}<tbody>{body}</tbody></table>"

    def __str__(self) -> str:
        width = max((text_columns(label) for label, _ in self.rows), default=0)
        indent = "\n" + " " * (width + 2)
        pairs = ((label, well_formed(value).rstrip().replace("\n", indent)) for label, value in self.rows)
        lines = [self.title, *(f"{_padded(label, width)}  {value}".rstrip() for label, value in pairs)]
        return visible("\n".join(lines))

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(str(self))


def text_columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(map(_character_columns, text))


def _character_columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shortened(cell: str) -> str:
    """Return a cell as one line of at most `MAX_CELL_COLUMNS` columns."""
    line = visible(" ".join(well_formed(cell).split()))
    if text_columns(line) <= MAX_CELL_COLUMNS:
        return line
    kept, width = [], 1
    for character in line:
        width += _character_columns(character)
        if width > MAX_CELL_COLUMNS:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - text_columns(text))


def _escaped(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _caption(text: str) -> str:
    return f"<caption{_LEFT}>{_escaped(text)}</caption>" if text else ""
