"""Draws tokens per turn as a small picture, and as block characters in a terminal.

Each session has a figure: input tokens as hollow bars above a line, output tokens as filled bars below it, both in the
colour of the page's text, so no colours have to be told apart. Each row of bars has a scale of its own, whose
top its caption tells: a prompt carries the whole conversation, an answer only itself.

The figure's numbers are in its caption, outside the picture: JupyterLab takes an SVG out of a notebook that it does not
trust, and a terminal has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.table import text_columns
from copilot_nb.render.words import count

MAX_BARS = 100
MAX_TEXT_BARS = 50

_BAR_PX, _GAP_PX, _HALF_PX, _EDGE_PX = 6, 2, 24, 1
_BLOCKS = "·▁▂▃▄▅▆▇█"

Tokens = tuple[int, int]


def tokens_svg(series: Sequence[tuple[str, Sequence[Tokens]]]) -> str:
    """Render tokens per turn for `text/html`.

    Parameters
    ----------
    series : sequence of (str, sequence of (int, int))
        Each session's name, and the input and output tokens of each of its turns. More than `MAX_BARS` turns are drawn
        in groups, at the highest of each.
    """
    figures = "".join(_figure(name, turns) for name, turns in series)
    return f'<div class="copilot-nb">{figures or "<p>no turns yet</p>"}</div>'


def tokens_text(series: Sequence[tuple[str, Sequence[Tokens]]]) -> str:
    """Return tokens per turn for a terminal: two rows of blocks for each session; ``·`` is none."""
    width = max((text_columns(well_formed(name)) for name, _ in series), default=0)
    return "\n".join(_rows(name, turns, width) for name, turns in series) or "no turns yet"


def _figure(name: str, turns: Sequence[Tokens]) -> str:
    bars, size = _grouped(turns, MAX_BARS)
    grouped = f"; a bar is the highest of {size} turns" if size > 1 else ""
    caption = f"<figcaption><strong>{escape(name)}</strong>: {_told(turns)}{grouped}</figcaption>"
    return f'<figure style="margin:0 0 1em">{caption}{_picture(name, bars) if bars else ""}</figure>'


def _picture(name: str, bars: Sequence[Tokens]) -> str:
    width = len(bars) * (_BAR_PX + _GAP_PX) + 2 * _EDGE_PX
    middle = _HALF_PX + _EDGE_PX
    into, out = (_bars(values, middle, way) for values, way in zip(zip(*bars, strict=True), (-1, 1), strict=True))
    said = f"{quote(name)}: tokens of each turn, in as hollow bars upwards, out as filled bars downwards"
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {width} {2 * middle}" width="{width}" height="{2 * middle}" '
        'style="max-width:100%"><title>Tokens per turn</title>'
        f'<path d="{into}" fill="none" stroke="currentColor"/><path d="{out}" fill="currentColor"/>'
        f'<path d="M0 {middle}H{width}" stroke="currentColor"/></svg>'
    )


def _told(turns: Sequence[Tokens]) -> str:
    """Return the figures in words; they hold nothing to escape."""
    if not turns:
        return "no turns yet"
    (into, most_in), (out, most_out) = ((sum(each), max(each)) for each in zip(*turns, strict=True))
    told_in = f"□ {into:,} tokens in, at most {most_in:,} a turn"
    return f"{count(len(turns), 'turn')}; {told_in}; ■ {out:,} out, at most {most_out:,}"


def _grouped(turns: Sequence[Tokens], most_bars: int) -> tuple[list[Tokens], int]:
    """Return at most `most_bars` pairs, each the highest of a group of turns, and the size of a group."""
    size = max(-(-len(turns) // most_bars), 1)
    groups = (turns[i : i + size] for i in range(0, len(turns), size))
    return [(max(into for into, _ in group), max(out for _, out in group)) for group in groups], size


def _levels(values: Sequence[int], top: int) -> list[int]:
    """Scale values so that the highest is `top`; a value above 0 becomes at least 1."""
    highest = max(values)
    return [max(round(top * value / highest), 1) if value > 0 else 0 for value in values]


def _bars(values: Sequence[int], middle: int, direction: int) -> str:
    """Return bars as one path."""
    drawn = (
        f"M{_EDGE_PX + i * (_BAR_PX + _GAP_PX)} {middle}v{direction * height}h{_BAR_PX}v{-direction * height}z"
        for i, height in enumerate(_levels(values, _HALF_PX))
        if height
    )
    return "".join(drawn)


def _rows(name: str, turns: Sequence[Tokens], width: int) -> str:
    name = well_formed(name)
    name += " " * (width - text_columns(name))
    if not turns:
        return f"{name}  no turns yet"
    bars, _ = _grouped(turns, MAX_TEXT_BARS)
    into, out = zip(*bars, strict=True)
    return (
        f"{name}  in   {_blocks(into)}  at most {max(into):,} tokens a turn\n"
        f"{' ' * width}  out  {_blocks(out)}  at most {max(out):,}"
    )


def _blocks(values: Sequence[int]) -> str:
    return "".join(_BLOCKS[level] for level in _levels(values, len(_BLOCKS) - 1))
