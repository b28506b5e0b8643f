"""Forest plots of characters, for a terminal and for a saved notebook.

::

                  −0.30          0         +0.30
    gpt-5 − phi       ├───●────┤ ┊                −0.14 [−0.24, −0.03]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.characters import visible
from copilot_nb.render.escape import well_formed
from copilot_nb.render.table import text_columns

if TYPE_CHECKING:
    from copilot_nb.experiments.intervals import Interval

COLUMNS = 41
MAX_LABEL_CHARS = 40
_WHOLE_FROM, _PLAIN_BELOW = 1000, 1e6
_MAX_DECIMALS = 12


def number(value: float | None, *, signed: bool = False, decimals: int | None = None) -> str:
    """Return a number in three significant digits, or with `decimals` of them after the point; ``–`` for none."""
    if value is None:
        return "–"
    size = abs(value)
    if size >= _PLAIN_BELOW:
        digits = f"{size:.3g}"
    elif decimals is None:
        digits = f"{size:,.0f}" if size >= _WHOLE_FROM else f"{size:.3g}"
    else:
        digits = f"{size:,.{decimals}f}"
    if not digits.strip("0."):
        return digits
    return ("−" if value < 0 else "+" if signed else "") + digits


def decimals_for(width: float) -> int:
    """Return the number of decimals that shows two digits of an interval's width."""
    return 0 if not 0 < width < _PLAIN_BELOW else min(_MAX_DECIMALS, max(0, 1 - math.floor(math.log10(width))))


def interval(value: Interval, *, signed: bool = False) -> str:
    """Return an estimate with its interval: ``0.71 [0.52, 0.85]``; if it has none, the note."""
    if value.estimate is None:
        return value.note or "–"
    if value.low is None or value.high is None:
        estimate = number(value.estimate, signed=signed)
        return f"{estimate} ({value.note})" if value.note else estimate
    decimals = decimals_for(value.high - value.low)
    shown = (number(one, signed=signed, decimals=decimals) for one in (value.estimate, value.low, value.high))
    return "{} [{}, {}]".format(*shown)


def forest(rows: Sequence[tuple[str, Interval]], *, reference: float | None = 0.0, signed: bool = True) -> str:
    """Return a line of characters for each estimate, below an axis; ``""`` without estimates.

    Parameters
    ----------
    rows : sequence of (str, Interval)
        Labels and estimates.
    reference : float, optional
        Marked on each line, and always within the axis.
    signed : bool
        Whether numbers above 0 have a sign.
    """
    drawn = [(short(label), value) for label, value in rows if value.estimate is not None]
    ends = [end for _, value in drawn for end in (value.estimate, value.low, value.high) if end is not None]
    if not ends:
        return ""
    low, high = min([*ends, *_given(reference)]), max([*ends, *_given(reference)])
    scale = _Scale(low, high) if low < high else _Scale(low - 1, high + 1)
    width = max(text_columns(label) for label, _ in drawn)
    lines = [f"{' ' * width}  {_axis(scale, reference, signed)}"]
    for label, value in drawn:
        padded = label + " " * (width - text_columns(label))
        lines.append(f"{padded}  {_line(scale, value, reference)}  {interval(value, signed=signed)}")
    return "\n".join(line.rstrip() for line in lines)


def short(label: str) -> str:
    """Return a label as one line of at most `MAX_LABEL_CHARS` characters: its beginning and its end."""
    line = visible(" ".join(well_formed(label).split()))
    half = MAX_LABEL_CHARS // 2
    return line if len(line) <= MAX_LABEL_CHARS else f"{line[:half]}…{line[1 - half :]}"


class _Scale:
    """Maps values to columns of characters."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, value: float) -> int:
        return round((value - self.low) / (self.high - self.low) * (COLUMNS - 1))


def _given(reference: float | None) -> list[float]:
    return [] if reference is None else [reference]


def _line(scale: _Scale, value: Interval, reference: float | None) -> str:
    cells = [" "] * COLUMNS
    if value.low is not None and value.high is not None:
        start, end = scale(value.low), scale(value.high)
        cells[start : end + 1] = "─" * (end + 1 - start)
        cells[start], cells[end] = "├", "┤"
    if reference is not None and cells[scale(reference)] in " ─":
        cells[scale(reference)] = "┊" if cells[scale(reference)] == " " else "┼"
    if value.estimate is not None:
        cells[scale(value.estimate)] = "●"
    return "".join(cells)


def _axis(scale: _Scale, reference: float | None, signed: bool) -> str:
    """Return the ends of the axis and the reference above their columns, if there is room."""
    decimals = decimals_for(scale.high - scale.low)
    left, right = (number(end, signed=signed, decimals=decimals) for end in (scale.low, scale.high))
    cells = list(left + " " * max(1, COLUMNS - len(left) - len(right)) + right)
    if reference is not None:
        middle, place = number(reference), scale(reference)
        if len(left) < place - 1 and place + len(middle) < COLUMNS - len(right):
            cells[place : place + len(middle)] = middle
    return "".join(cells)
