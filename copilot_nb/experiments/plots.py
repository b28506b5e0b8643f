"""Pictures of a comparison: matplotlib figures that a saved notebook keeps as a PNG and as text.

A `Picture` is a `matplotlib.figure.Figure`, made without pyplot: no global state, no backend, nothing to close; change
it like any other figure. Its background is white, so it is readable on dark pages, too, and nothing in it is conveyed
by colour alone.
"""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.agreement import Agreement
from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.forest import interval, number, short
from copilot_nb.experiments.tabular import percent
from copilot_nb.render.table import Printer
from copilot_nb.render.words import count, did_you_mean

if TYPE_CHECKING:
    from copilot_nb.experiments.intervals import Interval
    from copilot_nb.experiments.statistics import Difference, VariantSummary

with extra("plots"):
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _ROW_IN, _EDGE_IN, _MAX_HEIGHT_IN = 7.0, 0.42, 1.1, 40.0
_DPI, _SCALE = 100, 2
_INK, _SOFT, _FILL = "#1f2328", "#59636e", "#0b5cad"
_SPREAD = 0.32

Values = Mapping[str, Sequence[float | None]]
"""For each variant a number for each answer; ``None`` if it is unknown."""


@dataclass(frozen=True, slots=True)
class PlotData:
    """The data for plots of a comparison; missing data is left empty.

    Attributes
    ----------
    scores : sequence of VariantSummary
        As returned by `statistics.summarize`.
    differences : sequence of Difference
        As returned by `statistics.differences`.
    cost, latency_s : mapping
        For each variant the cost, and the duration in seconds, of each answer; ``None`` if it is unknown.
    cost_unit : str
        Such as ``"USD"``.
    agreement : Agreement, optional
        As returned by `agreement.agreement`.
    """

    scores: Sequence[VariantSummary] = ()
    differences: Sequence[Difference] = ()
    cost: Values = field(default_factory=dict)
    latency_s: Values = field(default_factory=dict)
    cost_unit: str = "USD"
    agreement: Agreement | None = None


class Picture(Figure):
    """A figure whose output in a notebook is a PNG and text, also if matplotlib is not set up there.

    Attributes
    ----------
    description : str
        The contents with their numbers, for readers who cannot see the figure.
    """

    description: str = ""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # a name in a script without a font
            self.savefig(file, format="png", dpi=_DPI * _SCALE, metadata={"Software": None})
        width, height = (round(inches * _DPI) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(self.description)


def plot(kind: str, data: PlotData) -> Picture:
    """Return one plot of a comparison.

    Parameters
    ----------
    kind : {"scores", "differences", "cost", "latency", "agreement"}
        The kind of plot.
    data : PlotData
        The data to plot.

    Raises
    ------
    InputError
        If there is no such kind, or it has no data.
    """
    if kind not in list(_KINDS):  # a list cannot be looked up in a mapping
        raise InputError(
            f"there is no plot {kind!r}", f"{did_you_mean(str(kind), _KINDS)}it is one of {', '.join(_KINDS)}"
        )
    return _KINDS[kind](data)


def _scores(data: PlotData) -> Picture:
    _require(data.scores, "scores", "run with `scorers=[…]`")
    drawn = [(short(one.variant), one.mean) for one in data.scores]
    label = _label("mean score", data.scores)
    failing = [(one.mean_with_failures.estimate, row) for row, one in enumerate(data.scores) if one.failed]
    crosses = [(estimate, row) for estimate, row in failing if estimate is not None]
    picture, axes = _forest(drawn, "Mean score by variant", label + ("; ×: failures as 0" if crosses else ""))
    axes.plot(*zip(*crosses, strict=True), "x", color=_INK) if crosses else None
    return picture


def _differences(data: PlotData) -> Picture:
    _require(data.differences, "pairs of variants", "compare two variants or more")
    drawn = [(f"{short(one.first)} −\n{short(one.second)}", one.effect) for one in data.differences]
    label = _label("difference of the mean scores", data.differences)
    picture, axes = _forest(drawn, "Differences, paired by prompt", label, signed=True)
    axes.axvline(0, color=_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    return picture


def _cost(data: PlotData) -> Picture:
    return _spread(data.cost, "Cost of an answer", data.cost_unit)


def _latency(data: PlotData) -> Picture:
    return _spread(data.latency_s, "Time of an answer", "seconds")


def _label(value: str, found: Sequence[VariantSummary | Difference]) -> str:
    """Return the label of an axis: the value, the level of its intervals, and on how many prompts it is based."""
    fewest, most = min(one.prompts for one in found), max(one.prompts for one in found)
    prompts = count(most, "prompt") if fewest == most else f"{fewest:,} to {count(most, 'prompt')}"
    return f"{value} with its {percent(found[0].level)} interval, {prompts}"


def _forest(
    rows: Sequence[tuple[str, Interval]], title: str, label: str, *, signed: bool = False
) -> tuple[Picture, Axes]:
    """Draw an estimate and its interval in each row; the marker is hollow without an interval."""
    picture, axes = _rows([name for name, _ in rows], title)
    for row, (_, value) in enumerate(rows):
        if value.estimate is None:
            continue
        fill = "white"
        if value.low is not None and value.high is not None:
            axes.plot([value.low, value.high], [row, row], color=_FILL, linewidth=2, marker="|", markersize=9)
            fill = _FILL
        axes.plot([value.estimate], [row], marker="o", markersize=7, color=_FILL, markerfacecolor=fill)
    axes.set_xlabel(label)
    lines = [f"{' '.join(name.split())}: {interval(value, signed=signed)}" for name, value in rows]
    return _described(picture, f"{title}: {label}", lines), axes


def _spread(values: Values, title: str, unit: str) -> Picture:
    """Draw every known value as a point, and the median of each variant as a bar."""
    known = {name: [one for one in found if one is not None] for name, found in values.items()}
    _require(any(known.values()), "numbers", f"the {title.lower()} is not known for any answer")
    names = [_with_unknown(name, len(found) - len(known[name]), len(found)) for name, found in values.items()]
    picture, axes = _rows(names, title)
    for row, found in enumerate(known.values()):
        if found:
            offsets = _SPREAD * np.sin(np.arange(len(found)) * 2.4)  # spread, and the same each time
            axes.scatter(found, row + offsets, s=12, color=_FILL, alpha=0.45, linewidths=0, clip_on=False)
            middle = float(np.median(found))
            axes.plot([middle, middle], [row - _SPREAD, row + _SPREAD], color=_INK, linewidth=2)
    axes.set_xlim(left=min([0.0, *itertools.chain.from_iterable(known.values())]))
    axes.set_xlabel(f"{unit}; a point for each answer, a bar at the median")
    lines = [f"{name}: {_range(found, unit)}" for name, found in zip(names, known.values(), strict=True)]
    return _described(picture, title, lines)


def _with_unknown(name: str, unknown: int, answers: int) -> str:
    return f"{short(name)} ({unknown} of {answers} unknown)" if unknown else short(name)


def _range(values: Sequence[float], unit: str) -> str:
    if not values:
        return "not known"
    return f"median {number(float(np.median(values)))}, {number(min(values))} to {number(max(values))} {unit}"


def _agreement(data: PlotData) -> Picture:
    found = data.agreement
    if found is None or len(found.raters) < 2:  # noqa: PLR2004 - it takes two to agree
        raise InputError("there are no two raters to compare", "vote in the panel, or name a judge")
    names, size = [short(name) for name in found.raters], len(found.raters)
    picture, axes = _rows(names, "Agreement of raters")
    shares = np.array([[np.nan if one is None else one for one in row] for row in found.shares])
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(size), names, parse_math=False, rotation=20, ha="right")
    axes.grid(visible=False)
    for row, column in np.ndindex(size, size):
        share = found.shares[row][column]
        color = "white" if share is not None and share > 0.6 else _INK  # noqa: PLR2004 - where the blue is dark
        axes.text(column, row, "–" if share is None else f"{share:.0%}", ha="center", va="center", color=color)
    axes.set_xlabel("share of the pairs of answers that both rated alike")
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    told = [f"{names[i]} and {names[j]}: {_percent(found.shares[i][j])}" for i, j in pairs]
    return _described(picture, "Agreement of raters", told)


def _percent(share: float | None) -> str:
    return "nothing in common" if share is None else f"{share:.0%}"


def _rows(names: Sequence[str], title: str) -> tuple[Picture, Axes]:
    """Return an empty plot with a row for each name, the first at the top."""
    height = min(_MAX_HEIGHT_IN, _EDGE_IN + _ROW_IN * len(names))
    picture = Picture(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor="white", layout="constrained")
    axes = picture.add_subplot()
    axes.set_facecolor("white")
    axes.set_title(title, color=_INK, loc="left", fontsize=11)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    axes.xaxis.label.set(color=_SOFT, fontsize=9)
    axes.grid(axis="x", color="#d0d7de", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return picture, axes


def _described(picture: Picture, title: str, lines: Sequence[str]) -> Picture:
    picture.description = "\n".join([f"[plot] {title}", *(f"  {line}" for line in lines)])
    return picture


def _require(found: object, what: str, hint: str) -> None:
    if not found:
        raise InputError(f"there are no {what} to draw", hint)


_KINDS: Mapping[str, Callable[[PlotData], Picture]] = {
    "scores": _scores,
    "differences": _differences,
    "cost": _cost,
    "latency": _latency,
    "agreement": _agreement,
}
