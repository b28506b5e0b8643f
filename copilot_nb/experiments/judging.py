"""The judge of a comparison: the pairs of answers that it compares, the cells of its replies, and its verdicts.

A judge's cell is a cell like any other. Its prompt holds both answers, so its key changes with them: a stored reply is
never paid for twice, and a pair is judged again when an answer was replaced. Two answers with the same text are a tie,
and nobody is asked.

Why: docs/decisions/0039-a-judge-s-reply-is-a-cell.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from copilot_nb.experiments.grid import Cell, Grid, Variant, cell_of
from copilot_nb.experiments.judge import Judge, Judgement, judged, prompts
from copilot_nb.experiments.prompts import Prompt
from copilot_nb.experiments.store import Answer

SAME = Judgement("tie", "tie")
"""The verdict on two answers with the same text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt.

    Attributes
    ----------
    first, second : Cell
        The cells of the answers.
    asked : tuple of Cell
        The judge's cells, for (first, second) and for (second, first); empty for answers with the same text.
    """

    first: Cell
    second: Cell
    asked: tuple[Cell, ...]


class Judging:
    """What a judge compares.

    Parameters
    ----------
    judge : Judge
        Its prompt.
    variant : Variant
        Its model and options, resolved.
    grid : Grid
        The cells whose answers are compared, in the order in which they are judged.
    answers : mapping of str to Answer
        The answers so far, by the cells' keys.

    Attributes
    ----------
    pairs : tuple of Pair
        The pairs of which both are answered.
    expected : int
        The judge's replies once all cells are answered (count); fewer if answers have the same text.
    """

    def __init__(self, judge: Judge, variant: Variant, grid: Grid, answers: Mapping[str, Answer]) -> None:
        self.judge = judge
        self.variant = variant
        self._answers = answers
        done = [cell for cell in grid.unique.values() if cell.key in answers and answers[cell.key].state == "done"]
        places = {variant: place for place, variant in enumerate(grid.variants)}
        self.pairs = tuple(self._pairs(done, places))
        unanswered = len(list(_alike(grid.unique.values(), places))) - len(self.pairs)
        self.expected = len({cell.key for pair in self.pairs for cell in pair.asked}) + 2 * unanswered

    @property
    def name(self) -> str:
        """The judge's name: its model."""
        return self.variant.name

    @property
    def grid(self) -> Grid:
        """The judge's cells; empty if there is nothing to ask."""
        cells = tuple(cell for pair in self.pairs for cell in pair.asked)
        return Grid(tuple(cell.prompt for cell in cells), (self.variant,), cells)

    def judgements(self, replies: Mapping[str, Answer]) -> list[tuple[Pair, Judgement]]:
        """Return the judgements of the pairs to which both replies are there."""
        return [(pair, judgement) for pair in self.pairs if (judgement := _judgement(pair, replies)) is not None]

    def _pairs(self, cells: list[Cell], places: Mapping[Variant, int]) -> Iterator[Pair]:
        for first, second in _alike(cells, places):
            texts = self._text(first), self._text(second)
            yield Pair(first, second, () if texts[0] == texts[1] else self._asked(first, *texts))

    def _asked(self, cell: Cell, first: str, second: str) -> tuple[Cell, ...]:
        prompt = cell.prompt
        both = prompts(self.judge, "\n\n".join(prompt.turns), first, second, prompt.target)
        return tuple(
            cell_of(Prompt(prompt.row, (text,), prompt.images, variables=prompt.variables), self.variant)
            for text in both
        )

    def _text(self, cell: Cell) -> str:
        return self._answers[cell.key].turns[-1].text


def _alike(cells: Iterable[Cell], places: Mapping[Variant, int]) -> Iterator[tuple[Cell, Cell]]:
    """Yield the pairs of cells with the same prompt and repeat, the first variant first."""
    groups: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.prompt.row, cell.repeat), []).append(cell)
    for group in groups.values():
        yield from combinations(sorted(group, key=lambda cell: places[cell.variant]), 2)


def _judgement(pair: Pair, replies: Mapping[str, Answer]) -> Judgement | None:
    if not pair.asked:
        return SAME
    texts = [replies[cell.key].turns[-1].text for cell in pair.asked if cell.key in replies and replies[cell.key].turns]
    return judged(*texts) if len(texts) == len(pair.asked) else None
