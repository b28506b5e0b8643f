"""The prompts of a comparison, read from a list, a table or a file.

Each row of a table is one prompt. Its text comes from a template, in which ``{{ column }}`` is the row's value, or from
the column ``prompt``. Two more columns have a meaning: ``target`` is the expected answer, for scorers, and ``attach``
holds the attachments of the prompt.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from copilot_nb.conversation.parts import Image
from copilot_nb.conversation.prompt import interpolate, sendable
from copilot_nb.errors import InputError
from copilot_nb.foreign_json import parsed
from copilot_nb.named_sessions.attach import attached
from copilot_nb.named_sessions.dataframes import pandas
from copilot_nb.render.words import did_you_mean, shortened
from copilot_nb.system.paths import expanded

PROMPT, TARGET, ATTACH = "prompt", "target", "attach"
SUFFIXES = (".csv", ".jsonl", ".ndjson")
_TABLES = (*SUFFIXES, ".tsv", ".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow")
"""A line that ends so is the name of a file."""
_FILES = (".json", ".txt", ".md", ".yaml", ".yml", ".xml", ".html", ".pkl", ".pickle", ".db", ".sqlite", ".gz", ".zip")
"""A word that ends so is the name of a file; a sentence may end so, too."""
_COMPUTED_BY = ("toPandas", "compute", "collect")
"""What computes a table of Spark or Dask, or a `LazyFrame` of polars."""
_SHOWN_COLUMNS, _SHOWN_CHARS, _SHOWN_PATH_CHARS = 12, 60, 200

_COLUMN = re.compile(r"\{\{.*?\}\}", re.DOTALL)

Template = str | Sequence[str]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a comparison.

    Attributes
    ----------
    row : int
        Its row in the input, counted from 0.
    turns : tuple of str
        The texts that are sent one after another in one session; the first includes attached text.
    images : tuple of Image
        Images of the first turn.
    target : str
        The expected answer; ``""`` if there is none.
    variables : mapping of str to object
        The row of the table.
    added : str
        The end of the last turn, if it was not the user's (see `with_text`).
    """

    row: int
    turns: tuple[str, ...]
    images: tuple[Image, ...] = ()
    target: str = ""
    variables: Mapping[str, object] = field(default_factory=dict)
    added: str = ""

    @property
    def written(self) -> tuple[str, ...]:
        """The turns without what `with_text` appended, to show them."""
        return (*self.turns[:-1], self.turns[-1].removesuffix(self.added))

    def with_text(self, text: str) -> Prompt:
        """Return the prompt with `text` appended to its last turn."""
        added = f"\n\n{text}"
        return replace(self, turns=(*self.turns[:-1], f"{self.turns[-1]}{added}"), added=added)


def read_prompts(prompts: object, template: Template = "", hide: Callable[[str], str] = str) -> tuple[Prompt, ...]:
    """Return the prompts of a comparison.

    Parameters
    ----------
    prompts, template : object
        As in `api.compare`.
    hide : callable, optional
        Returns an attached text with its secrets hidden.

    Raises
    ------
    InputError
        If there are no prompts, the file cannot be read, the template names a column that does not exist, a value is
        missing, or an attachment cannot be used.
    """
    rows = [_row(each, number) for number, each in enumerate(_items(prompts), 1)]
    if not rows:
        raise InputError("there are no prompts", 'for example: cp.compare(["Why is the sky blue?"], models=[…])')
    _check_template(template, rows)
    targets = _targets(rows)
    return tuple(_prompt(number, row, template, hide, targets[number]) for number, row in enumerate(rows))


def _check_template(template: Template, rows: Sequence[Row]) -> None:
    """Check that the template uses the prompts and makes different ones, unless the attachments differ."""
    given: object = [template] if isinstance(template, str) else template
    if not isinstance(given, Sequence) or not all(isinstance(text, str) for text in given):
        raise InputError(f"the template must be a text, or a list of texts, not {template!r}", 'such as "{{ text }}"')
    if not template or any(_COLUMN.search(text) for text in given) or any(ATTACH in row for row in rows):
        return
    if len(rows) > 1 or PROMPT in rows[0]:
        effect = "all prompts would be the same" if len(rows) > 1 else "the prompt would not be sent"
        models = "" if isinstance(template, str) else "; to name models: models=[…]"
        hint = f"write {{{{ {next(iter(rows[0]), 'text')} }}}}; {_columns(rows[0])}{models}"
        raise InputError(f"the template names no column, so {effect}", hint)


def _items(prompts: object) -> Iterable[object]:
    match prompts:
        case Path():
            return _file(prompts, "check the path")
        case str() if names_file(prompts):
            return _file(Path(prompts), 'check the path; to send this as a prompt, put it into a list: ["…"]')
        case str() | Mapping():
            return [prompts]
    if way := _computed_by(prompts):
        raise InputError(f"a {type(prompts).__name__} has no rows until it is computed", f"give its table: .{way}()")
    if (rows := _table(prompts)) is not None:
        return rows
    with suppress(TypeError):  # an array without dimensions says that it is iterable
        if isinstance(prompts, Iterable):
            return iter(prompts)
    shown = shortened(repr(prompts), _SHOWN_CHARS)
    raise InputError(f"{shown} contains no prompts", "give a list of texts, a table or a file")


def names_file(text: str) -> bool:
    """Whether a text given for prompts is the name of a file, even of one that does not exist: it is not sent then."""
    lowered, words = text.casefold(), text.split()
    is_named_so = lowered.endswith(_TABLES) and len(text.splitlines()) == 1
    return is_named_so or (lowered.endswith(_FILES) and len(words) == 1) or _is_file(text)


def _is_file(text: str) -> bool:
    """Whether there is a file of this name; `os.path` finds none for a long prompt, where `Path` raises."""
    return bool(Path(text).suffix) and os.path.isfile(os.path.expanduser(text))  # noqa: PTH113 - see above


def _table(thing: Any) -> Iterable[object] | None:
    """Return the rows of a table, by the first method that its library offers; ``None`` if it is not a table."""
    ways: Mapping[str, Callable[[Any], Iterable[object]]] = {
        "to_dicts": lambda table: table.to_dicts(),  # polars
        "to_pylist": lambda table: table.to_pylist(),  # Arrow
        "to_list": lambda table: table.to_list(),  # Hugging Face, whose `to_dict` returns columns
        "to_dict": lambda table: table.to_dict("records"),  # pandas
        "__dataframe__": _exchanged,
    }
    rows = next((rows for way, rows in ways.items() if hasattr(thing, way)), None)
    is_table = rows and any(hasattr(thing, name) for name in ("columns", "column_names", "__dataframe__"))
    return rows(thing) if rows and is_table else None


def _computed_by(thing: object) -> str:
    """Return the method that computes a table whose rows are not there yet; ``""`` if `thing` is no such table."""
    is_list = isinstance(thing, Iterable) and getattr(thing, "ndim", 1) == 1  # of a table, it gives names of columns
    return "" if is_list else next((name for name in _COMPUTED_BY if hasattr(thing, name)), "")


def _exchanged(table: Any) -> Iterable[object]:
    pandas()  # raises if pandas is missing
    from pandas.api.interchange import from_dataframe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 4 will have other ways
        rows: list[object] = list(from_dataframe(table).to_dict("records"))
    return rows


def _file(path: Path, hint: str) -> list[object]:
    if not os.path.exists(expanded(path)):  # noqa: PTH110 - `Path` raises for a long text
        raise InputError(f"there is no file {shortened(str(path), _SHOWN_PATH_CHARS)}", hint)
    if path.suffix.lower() not in SUFFIXES:
        hint = f"a table's name ends with {', '.join(SUFFIXES)}; read another file by pandas, and give the table"
        raise InputError(f"{path} is not a table of prompts", hint)
    try:
        text = expanded(path).read_text("utf-8-sig")
    except (OSError, ValueError) as error:  # it is not UTF-8 text, or this can be no file's name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read the prompts in {path}: {reason}") from error
    return _csv(path, text) if path.suffix.lower() == ".csv" else _json_lines(path, text)


def _csv(path: Path, text: str) -> list[object]:
    reader = csv.DictReader(io.StringIO(text, newline=""))  # `splitlines` would end rows at U+2028, too
    rows: list[object] = list(reader)
    if any(isinstance(row, dict) and None in row for row in rows):
        raise InputError(f"a row of {path} has more cells than the line of column names", "quote cells with commas")
    return rows


def _json_lines(path: Path, text: str) -> list[object]:
    rows: list[object] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [parsed(line)] if line.strip() else []
        except ValueError as error:
            reason = getattr(error, "msg", None) or str(error)
            raise InputError(f"line {number} of {path} is not JSON: {reason}", "write a row as one line") from error
    return rows


def _row(item: object, number: int) -> Row:
    if isinstance(item, Mapping):
        return {str(name): value for name, value in item.items()}
    if isinstance(item, str) or (isinstance(item, Sequence) and all(isinstance(turn, str) for turn in item)):
        return {PROMPT: item}
    raise InputError(
        f"prompt {number} is of type {type(item).__name__}", "a prompt is a text, a list of texts, or a mapping"
    )


def _targets(rows: Sequence[Row]) -> list[str]:
    """Return the expected answers; pandas makes floats of whole numbers if some are missing: 42.0 is 42 then."""
    values = [row.get(TARGET) for row in rows]
    given = [value for value in values if not is_missing(value)]
    has_gaps = any(_is_nan(value) for value in values)
    is_whole = has_gaps and all(isinstance(value, float) and value.is_integer() for value in given)
    return ["" if is_missing(value) else f"{value:.0f}" if is_whole else str(value) for value in values]


def _prompt(number: int, row: Row, template: Template, hide: Callable[[str], str], target: str) -> Prompt:
    where = f"prompt {number + 1}"
    turns = _turns(row, template, where)
    things = () if is_missing(row.get(ATTACH)) else row[ATTACH]
    try:
        first, images = attached(turns[0], things, hide)
        texts = tuple(sendable(turn, "the prompt") for turn in (first, *turns[1:]))
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    if not all(turn.strip() or (images and place == 0) for place, turn in enumerate(texts)):
        raise InputError(f"{where} is empty", "leave it out, or give it a text")
    return Prompt(number, texts, images, target, row)


def _turns(row: Row, template: Template, where: str) -> list[str]:
    if template:
        texts = [template] if isinstance(template, str) else template
        return [interpolate(text, lambda name: _value(row, name, where), row) for text in texts]
    said = row.get(PROMPT)
    if (as_list := getattr(said, "tolist", None)) is not None:  # an array: tables from Parquet files hold such lists
        said = as_list()
    if is_missing(said):
        hint = f'give a template: cp.compare(table, "Classify: {{{{ text }}}}", …); {_columns(row)}'
        raise InputError(f"{where} has no text in a column 'prompt'", hint)
    turns = [str(turn) for turn in said] if isinstance(said, list | tuple) else [str(said)]
    if not turns:
        raise InputError(f"{where} is an empty list of turns")
    return turns


def _value(row: Row, name: str, where: str) -> object:
    if name not in row:
        raise InputError(f"the template names a column {name!r} that is not there", _columns(row, name))
    if is_missing(row[name]):
        raise InputError(f"{where} has no value in the column {name!r}", "leave such rows out, or fill them in")
    return row[name]


def _columns(row: Row, name: str = "") -> str:
    shown = [*list(row)[:_SHOWN_COLUMNS], *(["…"] if len(row) > _SHOWN_COLUMNS else [])]
    return f"{did_you_mean(name, row) if name else ''}the columns: {', '.join(shown)}"


def is_missing(value: object) -> bool:
    """Whether a table's cell is empty: ``None``, NaN, or a missing value of pandas."""
    return value is None or _is_nan(value) or type(value).__name__ in ("NAType", "NaTType")


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
