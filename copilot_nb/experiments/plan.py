"""The plan of a comparison: requested answers, stored answers, and the expected usage of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from copilot_nb.experiments.grid import Grid, Variant
from copilot_nb.experiments.judging import Judging
from copilot_nb.experiments.store import Answer
from copilot_nb.render.table import Card
from copilot_nb.render.words import count


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a comparison and its stored answers, before or after a run; renders as a card.

    Attributes
    ----------
    prompts, variants, repeats : int
        The sides of the grid (count).
    cells : int
        Requested answers (count); the same prompt in two rows counts once.
    kept : int
        Stored answers (count).
    tokens : int
        Input and output tokens of the stored answers.
    cost : float or None
        Their cost in the runtime's unit; ``None``: no answer's cost is known.
    unknown : int
        Stored answers of unknown cost (count).
    cost_of_missing : float or None
        Expected cost of the missing answers, by the mean cost of their variant's stored ones; ``None``: it is not known
        for one of the variants.
    path : Path
        The file that holds the answers.
    judging : Plan or None
        The judge's replies, as far as the answers are known: two for each pair of answers.
    """

    prompts: int
    variants: int
    repeats: int
    cells: int
    kept: int
    tokens: int
    cost: float | None
    unknown: int
    cost_of_missing: float | None
    path: Path
    judging: Plan | None = None

    @classmethod
    def of(
        cls,
        grid: Grid,
        answers: Mapping[str, Answer],
        path: Path,
        judging: Plan | None = None,
        more: Mapping[Variant, int] | None = None,
    ) -> Plan:
        """Return the plan of a grid with these stored `answers`, and of `more` cells that are not in the grid yet."""
        done = {key: answer.turns for key, answer in answers.items() if answer.state == "done"}
        costs = {key: _total([turn.cost for turn in turns]) for key, turns in done.items()}
        known = {key: cost for key, cost in costs.items() if cost is not None}
        missing = Counter(more or {}) + Counter(cell.variant for key, cell in grid.unique.items() if key not in done)
        return cls(
            prompts=len(grid.prompts),
            variants=len(grid.variants),
            repeats=grid.repeats,
            cells=len(grid.unique) + sum((more or {}).values()),
            kept=len(done),
            tokens=sum((turn.input_tokens or 0) + (turn.output_tokens or 0) for turn in chain(*done.values())),
            cost=sum(known.values()) if known else None,
            unknown=len(costs) - len(known),
            cost_of_missing=_cost_of(missing, grid, known),
            path=path,
            judging=judging,
        )

    @property
    def missing(self) -> int:
        """Answers that are not stored (count)."""
        return self.cells - self.kept

    @property
    def left(self) -> int:
        """Answers still to request, including those of the judge (count)."""
        return self.missing + (self.judging.left if self.judging else 0)

    @property
    def expected_tokens(self) -> int | None:
        """Expected tokens of the rest, by the mean of the stored answers; ``None``: unknown."""
        own = 0 if not self.missing else round(self.tokens / self.kept * self.missing) if self.kept else None
        judging = self.judging.expected_tokens if self.judging else 0
        return None if own is None or judging is None else own + judging

    @property
    def expected_cost(self) -> float | None:
        """Expected cost of the rest, including that of the judge; ``None``: unknown."""
        judging = self.judging.expected_cost if self.judging else 0.0
        return None if self.cost_of_missing is None or judging is None else self.cost_of_missing + judging

    @property
    def grid(self) -> str:
        """The sides of the grid, as text."""
        sides = (count(self.prompts, "prompt"), count(self.variants, "variant"), count(self.repeats, "repeat"))
        return " × ".join(sides)

    @property
    def outlook(self) -> str:
        """The expected usage of the rest, as text."""
        tokens = "unknown" if self.expected_tokens is None else f"about {self.expected_tokens:,}"
        cost = "unknown" if self.expected_cost is None else f"about {self.expected_cost:.3g}"
        return f"tokens {tokens}, cost {cost}"

    def card(self) -> Card:
        """Return the plan as a card."""
        judging = self.judging
        judged = [("judge", f"{judging.cells:,} replies, of which {judging.kept:,} are kept")] if judging else []
        rows = (
            ("grid", self.grid),
            ("answers", f"{self.cells:,}, of which {self.kept:,} are kept"),
            *judged,
            ("to ask", f"{self.left:,}: {self.outlook}" if self.left else "nothing"),
            ("file", _shown(self.path)),
        )
        return Card("Plan of a comparison", rows)

    def __str__(self) -> str:
        return str(self.card())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.card()._repr_html_()


def planned(
    grid: Grid,
    answers: Mapping[str, Answer],
    path: Path,
    judging: Judging | None = None,
    replies: Mapping[str, Answer] | None = None,
) -> Plan:
    """Return the plan of a grid with these stored `answers`, and of its judge with these stored `replies`."""
    judged = None
    if judging:
        later = {judging.variant: judging.expected - len(judging.grid.unique)}
        judged = Plan.of(judging.grid, replies or {}, path, more=later)
    return Plan.of(grid, answers, path, judged)


def _cost_of(missing: Mapping[Variant, int], grid: Grid, known: Mapping[str, float]) -> float | None:
    """Return the cost of missing answers by the mean of their variant's; ``None`` if that of one variant is unknown."""
    costs: dict[Variant, list[float]] = {}
    for key, cell in grid.unique.items():
        if key in known:
            costs.setdefault(cell.variant, []).append(known[key])
    if not missing.keys() <= costs.keys():
        return None
    return sum(number * sum(costs[variant]) / len(costs[variant]) for variant, number in missing.items())


def _shown(path: Path) -> str:
    """Return a path as a reader needs it: without the current folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _total(costs: Sequence[float | None]) -> float | None:
    """Return the sum; ``None`` if one of them is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
