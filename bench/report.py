"""The results: medians with their spread, compared with goals; as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One quantity.

    Attributes
    ----------
    name : str
        What was measured.
    samples : sequence of float
        One value for each repetition.
    unit : str
        ``"×"`` for a ratio.
    at_most : float or None
        The goal for the median; ``None`` for a value without a goal.
    """

    name: str
    samples: Sequence[float]
    unit: str = "×"
    at_most: float | None = None

    @property
    def median(self) -> float:
        """The median of the repetitions."""
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; ``None`` without a goal."""
        return None if self.at_most is None else self.median <= self.at_most

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        goal = "" if self.at_most is None else f"≤ {_number(self.at_most)}"
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        spread = f"{_number(min(self.samples))} … {_number(max(self.samples))}"
        return (self.name, f"{_number(self.median)} {self.unit}", spread, str(len(self.samples)), goal, verdict)


def ratios(name: str, ours: Sequence[float], peers: Sequence[float], at_most: float | None = None) -> Result:
    """Return our time over the peer's for each repetition."""
    return Result(name, [our / peer for our, peer in zip(ours, peers, strict=True)], at_most=at_most)


def table(results: Iterable[Result]) -> str:
    """Return the results as text for a terminal."""
    rows = [("measured", "median", "spread", "n", "goal", ""), *(result.cells() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def write(path: Path, results: Sequence[Result]) -> None:
    """Store the results with the versions and the machine that they depend on."""
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {name: version(name) for name in ("copilot-nb", "github-copilot-sdk", "ipykernel", "jupyterlab")},
    }
    rows = [
        {
            "name": result.name,
            "unit": result.unit,
            "median": result.median,
            "samples": list(result.samples),
            "at_most": result.at_most,
            "met": result.met,
        }
        for result in results
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"about": about, "results": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
