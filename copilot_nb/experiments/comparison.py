"""The result of a comparison: what its file holds of the cells that were asked for, and the scores of the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.grid import Cell, Grid, Variant
from copilot_nb.experiments.plan import Plan
from copilot_nb.experiments.scorers import Outcome, Scorer
from copilot_nb.experiments.scores import ScoreRow
from copilot_nb.experiments.scoring import Place, checked, place_of, score_missing
from copilot_nb.experiments.store import Answer, AnsweredTurn, Store
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.render.table import Table
from copilot_nb.render.words import count, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session

_NOTHING = Answer("wanted")
_BEFORE = ("row",)
_AFTER = (
    "variant",
    "provider",
    "model",
    "effort",
    "repeat",
    "turn",
    "prompt",
    "answer",
    "state",
    "error",
    "answered_by",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cost",
    "duration_s",
    "first_token_s",
    "answered_at",
)


class Comparison:
    """The answers of a comparison and their scores; made by `copilot_nb.compare`.

    Parameters
    ----------
    manager : Manager
        Opens the sessions that were kept.
    grid : Grid
        What was asked for.
    path : Path
        The file that holds the answers.
    notes : sequence of str
        What a reader should know of the run.
    cluster : str
        The column that says which prompts belong together; ``""``: each is by itself.

    Attributes
    ----------
    answers : mapping of str to Answer
        What the file holds, by the cells' keys.
    scorers : tuple of Scorer
        Whose scores are there, the first one's by default.
    """

    def __init__(self, manager: Manager, grid: Grid, path: Path, notes: Sequence[str] = (), cluster: str = "") -> None:
        self._manager = manager
        self._grid = grid
        self._path = path
        self._cluster = cluster
        self._run_notes = tuple(notes)
        self._outcomes: dict[str, dict[Place, Outcome]] = {}
        self.scorers: tuple[Scorer, ...] = ()
        with Store(path) as store:
            self.answers: Mapping[str, Answer] = store.answers(grid.unique)

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """What is compared."""
        return self._grid.variants

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know: answers that are missing, models of another name, scorers that raised."""
        return (*self._run_notes, *self._missing_notes(), *self._model_notes(), *self._score_notes())

    def score(
        self,
        scorers: Scorer | Callable[..., object] | Iterable[Scorer | Callable[..., object]],
        on_progress: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Comparison:
        """Score the kept answers and return the comparison itself; nothing is asked for.

        Parameters
        ----------
        scorers : Scorer or callable, or several
            See `copilot_nb.experiments.scorers`. They take the place of the scorers so far; what they have scored
            before is not scored again.
        on_progress : callable, optional
            Called with how many answers are scored, and of how many.

        Raises
        ------
        InputError
            If one of them is no scorer. What a scorer raises is told in `notes`, and loses nothing.
        """
        found = checked(scorers)
        done = [cell for cell in self._grid.cells if self._answer(cell).state == "done"]
        with Store(self._path) as store:
            self._outcomes = {s.name: score_missing(store, s, done, self.answers, on_progress) for s in found}
        self.scorers = found
        return self

    def rows(self, scorer: str = "") -> tuple[ScoreRow, ...]:
        """Return the scores as the statistics take them: one row for each cell that was asked.

        Parameters
        ----------
        scorer : str, optional
            Whose, by its name; ``""``: the first one's.

        Raises
        ------
        InputError
            If there is no such scorer.
        """
        outcomes = self._outcomes[self._scorer(scorer)]
        return tuple(
            ScoreRow(
                self._unit(cell),
                cell.variant.name,
                cell.repeat,
                outcomes[place_of(cell)].value if answer.state == "done" else None,
                retried=answer.attempts > 1,
                failed=answer.state != "done",
            )
            for cell, answer in self._asked()
        )

    def to_frame(self) -> DataFrame:
        """Return one row for each turn of each cell, in the order of the input.

        The columns: ``row`` (of the input, counted from 0) and those of the input's table; ``variant``, ``provider``,
        ``model``, ``effort``, ``repeat``, ``turn`` (counted from 1); ``prompt``, ``answer``, ``state``, ``error``;
        ``answered_by`` (the model's name as the provider told it), ``attempts``; of the turn ``input_tokens``,
        ``output_tokens``, ``cost``, ``duration_s``, ``first_token_s``; ``answered_at`` (UTC); and, on the last turn's
        row, the score of each scorer under its name. What is not known is missing.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        own = {*_BEFORE, *_AFTER, *self._outcomes}
        names = dict.fromkeys(name for prompt in self._grid.prompts for name in prompt.variables)
        columns = (*_BEFORE, *(name for name in names if name not in own), *_AFTER, *self._outcomes)
        return frame([row for cell in self._in_order() for row in self._turn_rows(cell)], columns)

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` to a CSV file and return its path.

        Raises
        ------
        InputError
            If pandas is not installed, or the file cannot be written.
        """
        return _written(path, lambda file: self.to_frame().to_csv(file, index=False))

    def to_parquet(self, path: str | Path) -> Path:
        """Write `to_frame` to a Parquet file and return its path.

        Raises
        ------
        InputError
            If pandas or pyarrow is not installed, or the file cannot be written.
        """
        return _written(path, lambda file: self.to_frame().to_parquet(file, index=False))

    def table(self, repeat: int = 1) -> Table:
        """Return the answers side by side: a row for each prompt, a column for each variant."""
        cells = {(c.prompt.row, c.variant): self._answer(c) for c in self._grid.cells if c.repeat == repeat}
        rows = [
            (prompt.turns[-1], *(_shown(cells.get((prompt.row, each), _NOTHING)) for each in self.variants))
            for prompt in self._grid.prompts
        ]
        return Table(("prompt", *(variant.name for variant in self.variants)), tuple(rows))

    def plan(self) -> Plan:
        """Return how much was wanted, how much of it is there, and what the rest would take."""
        return Plan.of(self._grid, self.answers, self._path)

    def session(self, row: int = 0, variant: str = "", repeat: int = 1) -> Session:
        """Return the session of an answer, to go on talking in it; it was kept by ``keep="sessions"``.

        Parameters
        ----------
        row : int
            The prompt's row in the input, counted from 0.
        variant : str
            The variant's name; ``""``: the first.
        repeat : int
            Counted from 1.

        Raises
        ------
        InputError
            If there is no such cell, or its session was not kept.
        """
        wanted = (row, variant or self.variants[0].name, repeat)
        cells = {(cell.prompt.row, cell.variant.name, cell.repeat): cell for cell in self._grid.cells}
        if wanted not in cells:
            known = ", ".join(each.name for each in self.variants)
            raise InputError(
                f"there is no cell of row {row}, variant {wanted[1]!r}, repeat {repeat}", f"variants: {known}"
            )
        answer = self._answer(cells[wanted])
        if answer.state != "done" or not answer.session_id:
            raise InputError("the session of this answer was not kept", 'ask in a new file with keep="sessions"')
        return self._manager.existing(answer.session_id)

    def _answer(self, cell: Cell) -> Answer:
        return self.answers.get(cell.key, _NOTHING)

    def _asked(self) -> Iterator[tuple[Cell, Answer]]:
        for cell in self._in_order():
            if (answer := self._answer(cell)).state in ("done", "failed", "refused"):
                yield cell, answer

    def _in_order(self) -> list[Cell]:
        places = {variant: number for number, variant in enumerate(self.variants)}
        return sorted(self._grid.cells, key=lambda cell: (cell.prompt.row, places[cell.variant], cell.repeat))

    def _unit(self, cell: Cell) -> str:
        """Return the unit of the statistics that a cell belongs to: its prompt, or the prompts of its cluster."""
        if not self._cluster:
            return cell.prompt_key
        variables = cell.prompt.variables
        if self._cluster not in variables:
            raise InputError(f"there is no column {self._cluster!r} for cluster=", f"columns: {', '.join(variables)}")
        return str(variables[self._cluster])

    def _scorer(self, name: str) -> str:
        if not self._outcomes:
            raise InputError("there are no scores", "add scorers: result.score([…]), or compare(…, scorers=[…])")
        if name and name not in self._outcomes:
            hint = f"{did_you_mean(name, self._outcomes)}there are: {', '.join(self._outcomes)}"
            raise InputError(f"there are no scores of {name!r}", hint)
        return name or self.scorers[0].name

    def _turn_rows(self, cell: Cell) -> Iterator[dict[str, object]]:
        answer, options = self._answer(cell), cell.variant.options
        of_cell = {
            **cell.prompt.variables,
            "row": cell.prompt.row,
            "variant": cell.variant.name,
            "provider": options.provider,
            "model": options.model,
            "effort": options.effort,
            "repeat": cell.repeat,
            "state": answer.state,
            "error": answer.error,
            "attempts": answer.attempts,
            "answered_at": answer.answered_s and datetime.fromtimestamp(answer.answered_s, UTC),
        }
        if not answer.turns:
            yield {**of_cell, "turn": 1, "prompt": cell.prompt.turns[0]}
        scores = {name: found[place_of(cell)].value for name, found in self._outcomes.items() if answer.turns}
        for number, turn in enumerate(answer.turns, 1):
            is_last = number == len(answer.turns)
            yield {**of_cell, **_of_turn(turn), "turn": number, **(scores if is_last else {})}

    def _missing_notes(self) -> Iterator[str]:
        states = Counter(answer.state for answer in self.answers.values())
        errors = Counter(a.error for a in self.answers.values() if a.state in ("failed", "refused"))
        if failed := states["failed"] + states["refused"]:
            (said, times), *others = errors.most_common()
            more = f" ({times:,} times, and {count(len(others), 'other reason')})" if others else ""
            yield f"{count(failed, 'cell')} failed: {said}{more}"
        if unasked := states["wanted"] + states["asking"]:
            yield f"{count(unasked, 'cell')} of {len(self.answers):,} have no answer yet: run it again to go on"

    def _model_notes(self) -> Iterator[str]:
        """Yield the variants whose answers came from a model of another name than the one that was asked."""
        for variant in self.variants:
            cells = [cell for cell in self._grid.cells if cell.variant == variant]
            said = Counter(turn.model for cell in cells for turn in self._answer(cell).turns if turn.model)
            if others := [name for name in said if name != variant.options.model and variant.options.model]:
                named = ", ".join(f"{name} ({count(said[name], 'turn')})" for name in others)
                yield f"{variant.name}: asked for {variant.options.model}, answered by {named}"
            elif len(said) > 1:
                yield f"{variant.name}: answered by {len(said)} models: {', '.join(said)}"

    def _score_notes(self) -> Iterator[str]:
        for outcomes in self._outcomes.values():
            errors = Counter(outcome.error for outcome in outcomes.values() if outcome.value is None)
            if errors:
                said, _ = errors.most_common(1)[0]
                yield f"{count(errors.total(), 'answer')} of {len(outcomes):,} have no score: {said}"


def _of_turn(turn: AnsweredTurn) -> dict[str, object]:
    named = ("prompt", "input_tokens", "output_tokens", "cost", "duration_s", "first_token_s")
    return {"answer": turn.text, "answered_by": turn.model, **{name: getattr(turn, name) for name in named}}


def _written(path: str | Path, write: Callable[[Path], object]) -> Path:
    file = Path(path).expanduser()
    try:
        write(file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from error
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is not installed here", "pip install pyarrow") from error
    return file


def _shown(answer: Answer) -> str:
    return answer.turns[-1].text if answer.turns else f"({answer.state})"
