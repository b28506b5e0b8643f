"""The result of a comparison: the stored answers of its cells, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from copilot_nb.conversation.prompt import require_function, require_kind, require_path, require_whole
from copilot_nb.errors import InputError
from copilot_nb.experiments.analysis import Analysis
from copilot_nb.experiments.ballot import Ballot, opinions_of_people
from copilot_nb.experiments.extras import MissingExtra
from copilot_nb.experiments.grid import Cell, Grid
from copilot_nb.experiments.judging import Judging
from copilot_nb.experiments.notes import (
    cluster_notes,
    judge_notes,
    missing_notes,
    model_notes,
    repeated_notes,
    schema_notes,
    score_notes,
)
from copilot_nb.experiments.opening import open_panel
from copilot_nb.experiments.options import Scorers
from copilot_nb.experiments.plan import Plan, planned
from copilot_nb.experiments.ratings import PEOPLE, Ratings, opinions_of
from copilot_nb.experiments.scoring import Progressed, ScoreSheet, checked
from copilot_nb.experiments.shown_answers import Columns
from copilot_nb.experiments.store import Answer, Store
from copilot_nb.experiments.tabular import Notes
from copilot_nb.experiments.tidy import (
    answers_table,
    first_rows,
    to_frame,
    usage_table,
    values_of,
    written,
)
from copilot_nb.render.table import Table
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.experiments.summary import Summary
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.structured import Schema

_NOTHING = Answer("wanted")
MAX_SHOWN_PROMPTS = 10


class Comparison(Analysis):
    """The answers of a comparison and their scores; made by `copilot_nb.compare`.

    Parameters
    ----------
    manager : Manager
        Opens the kept sessions.
    grid : Grid
        The requested cells.
    path : Path
        The file that holds the answers.
    notes : sequence of str
        Remarks on the run for its reader.
    cluster : str
        The column that groups prompts; ``""``: each prompt is its own group.
    schema : Schema, optional
        The schema of the answers.
    judging : Judging, optional
        The pairs of answers that a judge compares.
    is_copy : bool
        Whether to write nothing to the file: scores are computed, and not stored.

    Attributes
    ----------
    answers : mapping of str to Answer
        The stored answers, by the cells' keys.
    """

    def __init__(
        self,
        manager: Manager,
        grid: Grid,
        path: Path,
        notes: Sequence[str] = (),
        *,
        cluster: str = "",
        schema: Schema | None = None,
        judging: Judging | None = None,
        is_copy: bool = False,
    ) -> None:
        super().__init__(grid, cluster)
        self._manager = manager
        self._path = path
        self._schema = schema
        self._run_notes = tuple(notes)
        self._is_copy = is_copy
        self._judging = judging
        with Store(path, is_copy=is_copy) as store:
            self.answers: Mapping[str, Answer] = {**dict.fromkeys(grid.unique, _NOTHING), **store.answers(grid.unique)}
            self._replies = store.answers(judging.grid.unique) if judging else {}

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader: missing answers, models with an unexpected name, scorers that raised."""
        missing, other = missing_notes(self.answers), model_notes(self._grid, self.answers)
        unfit = schema_notes(self._schema, self.answers.values()) if self._schema else ()
        judged = judge_notes(self._judging, self._replies, self._grid) if self._judging else ()
        return (
            *self._run_notes,
            *repeated_notes(self._grid),
            *cluster_notes(self._grid, self._cluster),
            *missing,
            *other,
            *unfit,
            *judged,
            *score_notes(self._scores.outcomes.values()),
        )

    def score(
        self,
        scorers: Scorers,
        on_progress: Progressed = lambda _done, _total: None,
    ) -> Comparison:
        """Score the stored answers and return the comparison itself; no model is asked.

        Parameters
        ----------
        scorers : Scorer or callable, or several
            See `copilot_nb.experiments.scorers`. They replace the earlier scorers; answers that they have scored before
            are not scored again.
        on_progress : callable, optional
            Called with the number of scored answers and the total.

        Raises
        ------
        InputError
            If one of them is not a scorer, or `on_progress` is not a function. An error that a scorer raises is
            reported in `notes`, and loses nothing.
        TurnInterrupted
            If the kernel is interrupted; the scores so far are kept.
        """
        found = checked(scorers)
        require_function(on_progress, "on_progress")
        with self._store() as store:
            self._scores = ScoreSheet.computed(found, self._asked(), store, on_progress, self._schema)
        return self

    def open_panel(self, rater: str = "you") -> object:
        """Return a panel in which a person votes on the answers, blind: names are hidden until the last vote.

        The votes are stored in the comparison's file, so the panel can be closed and opened again. They are part of
        `summary`, `preferences` and `to_frame`. No model is asked.

        Parameters
        ----------
        rater : str
            The person's name; each person has their own votes.

        Raises
        ------
        InputError
            If there are no answers of two variants to a prompt, the name is that of the judge, or the file is gone.
        """
        taken = {PEOPLE, self._judging.name if self._judging else PEOPLE}
        if not isinstance(cast(object, rater), str) or not rater.strip() or rater in taken:
            raise InputError(f"{rater!r} cannot be the name of a person who votes", 'open_panel("ann")')
        if not self._path.exists():
            raise InputError(f"{self._path} is gone, and votes are stored in it", "run the comparison again")
        return open_panel(self._manager, Ballot(self._grid, self.answers, rater, lambda: Store(self._path)))

    def __repr__(self) -> str:
        return "\n\n".join(map(str, self._shown_parts()))

    def _repr_html_(self) -> str:
        return "".join(part._repr_html_() for part in self._shown_parts())

    def to_frame(self) -> DataFrame:
        """Return one row for each turn of each cell, in the order of the input.

        The columns: ``row`` (of the input, counted from 0) and those of the input's table; ``variant``, ``provider``,
        ``model``, ``system`` (the name of the system message, or its text), ``effort``, ``repeat`` (from 0), ``turn``
        (from 1); ``prompt``, ``answer``, ``state``, ``error``;
        ``answered_by`` (the model's name as reported by the provider), ``attempts``; of the turn ``input_tokens``,
        ``output_tokens``, ``cost``, ``duration_s``, ``first_token_s``; ``answered_at`` (UTC); and, on the last turn's
        row, the values of a schema (``value``, if it is not flat), the score of each scorer under its name, and
        ``preferred_by_judge`` and ``preferred_by_people``: the share of the other answers to the prompt over which
        they prefer this one. Unknown values are missing values. The types of the columns do not depend on the values,
        except those of the input and of a schema.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        shares = self._ratings().shares()
        found = [
            (cell, self._answer(cell), self._read(cell) | {name: won.get(cell.key) for name, won in shares.items()})
            for cell in self._grid.by_row
        ]
        values = dict.fromkeys(values_of(self._schema, _NOTHING), "")
        scores = dict.fromkeys((*self._scores.outcomes, *shares), "Float64")
        return to_frame(found, self._grid.prompts, values | scores)

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_frame` to a CSV file, lists and objects as JSON, and return its path.

        Raises
        ------
        InputError
            If pandas is not installed, or the file cannot be written.
        """
        return written(self.to_frame(), path, lambda frame, file: frame.to_csv(file, index=False))

    def to_inspect(self, folder: str | Path) -> list[Path]:
        """Write one log of Inspect (inspect_ai) for each variant, and return their paths: ``compare-1.eval``, ….

        Samples are prompts (the row counted from 1), epochs are repeats (from 1); scores, tokens, costs and errors are
        included, and answers that are missing are left out.

        Raises
        ------
        InputError
            If inspect_ai is not installed, nothing has been asked yet, or a file cannot be written.
        """
        into = expanded(require_path(folder))
        if not (asked := self._asked()):
            raise InputError("there are no answers yet", "run the comparison without ask=False")
        from copilot_nb.experiments.inspect_logs import write_logs

        cells = [(cell, answer, self._scores.of(cell)) for cell, answer in asked]
        return write_logs(into, cells)

    def to_parquet(self, path: str | Path) -> Path:
        """Write `to_frame` to a Parquet file, lists and objects as JSON, and return its path.

        Raises
        ------
        InputError
            If pandas or pyarrow is not installed, or the file cannot be written.
        """
        return written(
            self.to_frame(), path, lambda frame, file: frame.to_parquet(file, index=False), "to_csv writes any table"
        )

    def table(self, repeat: int = 0) -> Table:
        """Return the answers side by side: a row for each prompt, a column for each variant.

        Raises
        ------
        InputError
            If there is no such repeat.
        """
        if repeat not in range(self._grid.repeats):
            raise InputError(f"there is no repeat {repeat}", f"they are counted from 0 to {self._grid.repeats - 1}")
        cells = {(c.prompt.row, c.variant): self._answer(c) for c in self._grid.cells if c.repeat == repeat}
        return answers_table(self._grid, cells)

    def plan(self) -> Plan:
        """Return the number of requested and stored answers, of a judge's too, and the expected usage of the rest."""
        return planned(self._grid, self.answers, self._path, self._judging, self._replies)

    def session(self, row: int = 0, variant: str = "", repeat: int = 0) -> Session:
        """Return the session of an answer, to continue the conversation; requires ``keep="sessions"``.

        Parameters
        ----------
        row : int
            The prompt's row in the input, counted from 0.
        variant : str
            The variant's name; ``""``: the first.
        repeat : int
            Counted from 0.

        Raises
        ------
        InputError
            If there is no such cell, or its session was not kept.
        """
        names = ", ".join(each.name for each in self.variants)
        hint = f"rows and repeats are counted from 0; variants: {names}"
        wanted = (
            require_whole(row, "the row of a prompt is a whole number", hint),
            require_kind(variant or self.variants[0].name, str, "a variant is named by text", hint),
            require_whole(repeat, "a repeat is a whole number", hint),
        )
        cells = {(cell.prompt.row, cell.variant.name, cell.repeat): cell for cell in self._grid.cells}
        if wanted not in cells:
            raise InputError(f"there is no cell of row {row}, variant {wanted[1]!r}, repeat {repeat}", hint)
        answer = self._answer(cells[wanted])
        if answer.state != "done" or not answer.session_id:
            raise InputError("the session of this answer was not kept", 'ask in a new file with keep="sessions"')
        return self._manager.existing(answer.session_id)

    def __reduce__(self) -> NoReturn:
        hint = f"its answers are in {self._path}: run compare(…) again, or pickle result.to_frame()"
        raise InputError("a comparison cannot be pickled or copied", hint)

    def _shown_parts(self) -> list[Table | Columns | Summary | Notes]:
        """Return the parts of the comparison's display; without scores, its answers side by side."""
        if len(self._grid.cells) == len(self.variants) and not self._scores.scorers and not self._ratings().opinions:
            answers = Columns.of((cell, self._answer(cell)) for cell in self._grid.by_row)
            return [answers, *([Notes(self.notes)] if self.notes else [])]
        usage, notes = usage_table(self.variants, self._asked(), self.plan().grid), self.notes
        if self._scores.scorers or self._ratings().opinions:
            try:
                return [usage, self.summary()]
            except MissingExtra as error:
                notes = (*notes, f"the summary is not shown: {error}")
        parts: list[Table | Columns | Summary | Notes] = [usage, first_rows(self.table(), MAX_SHOWN_PROMPTS)]
        return [*parts, Notes(notes)] if notes else parts

    def _ratings(self) -> Ratings:
        judged = opinions_of(self._judging, self._replies) if self._judging else ()
        with self._store() as store:
            voted = opinions_of_people(store.votes(), self._grid, self.answers)
            return Ratings((*judged, *voted))

    def _store(self) -> Store:
        """Return the comparison's file, or a copy of it if nothing is to be written or the file was deleted."""
        return Store(self._path, is_copy=self._is_copy or not self._path.exists())

    def _answer(self, cell: Cell) -> Answer:
        return self.answers.get(cell.key, _NOTHING)

    def _read(self, cell: Cell) -> dict[str, object]:
        """Return the values of an answer by the schema, and its scores."""
        return {**values_of(self._schema, self._answer(cell)), **self._scores.of(cell)}

    def _asked(self) -> list[tuple[Cell, Answer]]:
        cells = [(cell, self._answer(cell)) for cell in self._grid.by_row]
        return [(cell, answer) for cell, answer in cells if answer.state in ("done", "failed", "refused")]
