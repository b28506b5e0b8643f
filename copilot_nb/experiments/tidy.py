"""The answers of a comparison as tables: tidy rows for pandas, and the usage of each variant."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from copilot_nb.conversation.prompt import require_path
from copilot_nb.errors import InputError
from copilot_nb.experiments.grid import Cell, Grid, Variant
from copilot_nb.experiments.prompts import ATTACH, Prompt
from copilot_nb.experiments.ratings import Opinion
from copilot_nb.experiments.store import Answer, AnsweredTurn
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.render.table import Table
from copilot_nb.render.words import duration
from copilot_nb.structured import Checked, Schema
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from pandas import DataFrame

_OF_TURN = ("prompt", "input_tokens", "output_tokens", "cost", "duration_s", "first_token_s")
_COLUMNS = {
    "variant": "string",
    "provider": "string",
    "model": "string",
    "system": "string",
    "effort": "string",
    "repeat": "Int64",
    "turn": "Int64",
    "prompt": "string",
    "answer": "string",
    "state": "string",
    "error": "string",
    "answered_by": "string",
    "attempts": "Int64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cost": "Float64",
    "duration_s": "Float64",
    "first_token_s": "Float64",
    "answered_at": "datetime64[us, UTC]",
}

Scored = tuple[Cell, Answer, Mapping[str, object]]


def to_frame(cells: Iterable[Scored], prompts: Sequence[Prompt], more: Mapping[str, str]) -> DataFrame:
    """Return one row for each turn, with `more` columns of values read from the answers, and their types.

    Input columns that have the name of one of ours, and attachments, are left out. A value or score that has such a
    name gets the column ``read_NAME``.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    more = {_column_of(name): kind for name, kind in more.items()}
    own = {"row", ATTACH, *_COLUMNS, *more}
    names = dict.fromkeys((name for prompt in prompts for name in prompt.variables if name not in own), "")
    return frame([row for each in cells for row in _rows(*each)], {"row": "Int64"} | names | _COLUMNS | more)


_OF_OPINION = {
    "row": "Int64",
    "repeat": "Int64",
    "first": "string",
    "second": "string",
    "rater": "string",
    "outcome": "Float64",
    "flipped": "boolean",
    "sent": "string",
    "reply": "string",
    "reply_swapped": "string",
}


def judgements_frame(opinions: Iterable[Opinion]) -> DataFrame:
    """Return one row for each opinion on two answers, in the order of the input.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    rows = [
        {
            "row": one.first.prompt.row,
            "repeat": one.first.repeat,
            "first": one.first.variant.name,
            "second": one.second.variant.name,
            "rater": one.rater,
            "outcome": one.outcome,
            "flipped": one.is_flipped,
            "sent": one.sent,
            **dict(zip(("reply", "reply_swapped"), one.replies, strict=False)),
        }
        for one in sorted(opinions, key=lambda one: (one.first.prompt.row, one.first.repeat))
    ]
    return frame(rows, _OF_OPINION)


def _rows(cell: Cell, answer: Answer, read: Mapping[str, object]) -> Iterator[dict[str, object]]:
    options = cell.variant.options
    of_cell = {
        **cell.prompt.variables,
        "row": cell.prompt.row,
        "variant": cell.variant.name,
        "provider": options.provider,
        "model": options.model,
        "system": cell.variant.system,
        "effort": options.effort,
        "repeat": cell.repeat,
        "state": answer.state,
        "error": answer.error,
        "attempts": answer.attempts,
        "answered_at": answer.answered_s and datetime.fromtimestamp(answer.answered_s, UTC),
    }
    if not answer.turns:
        yield {**of_cell, "turn": 1, "prompt": cell.prompt.turns[0]}
    for number, turn in enumerate(answer.turns, 1):
        is_last = number == len(answer.turns)
        values = {_column_of(name): value for name, value in read.items()} if is_last else {}
        yield {**of_cell, **_of_turn(turn), "turn": number, **values}


def _column_of(name: str) -> str:
    """Return the column of a value or a score: its name, or ``read_NAME`` if one of our columns has that name."""
    return f"read_{name}" if name == "row" or name in _COLUMNS else name


def _of_turn(turn: AnsweredTurn) -> dict[str, object]:
    return {"answer": turn.text, "answered_by": turn.model, **{name: getattr(turn, name) for name in _OF_TURN}}


def values_of(schema: Schema | None, answer: Answer) -> dict[str, object]:
    """Return the values in an answer by column: the fields of a flat schema, else ``value``."""
    if schema is None:
        return {}
    found = schema.read(answer.turns[-1].text) if answer.turns else Checked()
    return schema.row(found) if schema.columns else {"value": found.data}


def written(frame: DataFrame, path: str | Path, write: Callable[[DataFrame, Path], object], hint: str = "") -> Path:
    """Write a table to a file, the values of a column with lists or objects as JSON, and return the file's path.

    Raises
    ------
    InputError
        If it cannot be written, or a library for it is not installed; with `hint` if the format cannot hold the table.
    """
    file = expanded(require_path(path))
    plain = frame.copy()
    for name in frame:
        if any(isinstance(value, dict | list) for value in frame[name]):
            plain[name] = frame[name].map(_as_json, na_action="ignore")
    try:
        write(plain, file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from error
    except (TypeError, ValueError) as error:  # pyarrow's own, as for a column with values of several types; a path's
        raise InputError(f"cannot write {file}: {' '.join(map(str, error.args))}", hint) from error
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is not installed here", "pip install pyarrow") from error
    return file


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


Measure = Literal["cost", "duration_s", "input_tokens", "output_tokens"]


def numbers_of(cells: Iterable[tuple[Cell, Answer]], name: Measure) -> dict[str, list[float | None]]:
    """Return a measure of each answer, by variant; ``None`` if it is unknown for one of its turns."""
    found: dict[str, list[float | None]] = {}
    for cell, answer in _distinct(cells):
        if answer.turns:
            values = [getattr(turn, name) for turn in answer.turns]
            found.setdefault(cell.variant.name, []).append(None if None in values else sum(values))
    return found


def _distinct(cells: Iterable[tuple[Cell, Answer]]) -> list[tuple[Cell, Answer]]:
    """Return each answer once: prompts that repeat an earlier one share its answer."""
    return list({cell.key: (cell, answer) for cell, answer in cells}.values())


def _total(values: Iterable[float]) -> str:
    return f"{sum(values):,.6f}".rstrip("0").rstrip(".")


def usage_table(variants: Sequence[Variant], cells: Iterable[tuple[Cell, Answer]], caption: str) -> Table:
    """Return the usage of each variant, one row per variant."""
    asked = _distinct(cells)
    measures: tuple[Measure, ...] = ("duration_s", "input_tokens", "output_tokens", "cost")
    columns = [numbers_of(asked, name) for name in measures]
    rows = []
    for variant in variants:
        states = [answer.state for cell, answer in asked if cell.variant == variant]
        failed = len(states) - states.count("done")
        times, *sums = ([value for value in column.get(variant.name, []) if value is not None] for column in columns)
        rows.append(
            (
                variant.name,
                variant.label,
                f"{states.count('done'):,}",
                f"{failed:,}" if failed else "",
                duration(statistics.median(times)) if times else "",
                *(_total(values) if values else "" for values in sums),
            )
        )
    heads = ("Variant", "Model", "Answers", "Failed", "Median time", "Tokens in", "Tokens out", "Cost")
    return Table(heads, tuple(rows), caption=caption, is_dense=True)


def answers_table(grid: Grid, answers: Mapping[tuple[int, Variant], Answer]) -> Table:
    """Return the answers side by side: a row for each prompt as the user wrote it, a column for each variant."""
    nothing = Answer("wanted")
    rows = [
        (
            " → ".join(prompt.written),
            *(_shown(answers.get((prompt.row, variant), nothing)) for variant in grid.variants),
        )
        for prompt in grid.prompts
    ]
    return Table(("prompt", *(variant.name for variant in grid.variants)), tuple(rows))


def first_rows(table: Table, number: int) -> Table:
    """Return the first rows of a table of prompts, with the total number in its caption."""
    size = len(table.rows)
    caption = f"The first {number} of {size:,} prompts; all of them: to_frame()" if size > number else ""
    return replace(table, rows=table.rows[:number], caption=caption)


def _shown(answer: Answer) -> str:
    return answer.turns[-1].text if answer.turns else f"({answer.state})"
