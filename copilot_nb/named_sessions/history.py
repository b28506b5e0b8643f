"""The history of a session: a sequence of turns that renders inline and can be sliced, searched and exported."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, overload

from copilot_nb.conversation.prompt import require_text, require_whole
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.dataframes import pandas
from copilot_nb.render.escape import well_formed
from copilot_nb.render.history import Extract, history_html, history_markdown
from copilot_nb.render.search import Needle
from copilot_nb.render.turn import Label
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from pandas import DataFrame

PAGE_TURNS = 20
"""How many turns are rendered of a history that has not been sliced."""


class _Printer(Protocol):
    def text(self, text: str, /) -> None: ...


class History(Sequence[TurnRecord]):
    """All or some turns of a session, oldest first.

    Indexing returns a turn; slicing and `search` return a `History`. Each turn keeps its number in the session. As the
    last value of a cell, a history renders its last 20 turns; a slice renders all its turns.

    Parameters
    ----------
    name, provider : str
        The session and its provider.
    turns : sequence of TurnRecord
        Consecutive turns of the session.
    first : int, default 1
        The number of the first of `turns`; turns are numbered from 1.
    total : int, optional
        How many turns the session has; by default `turns` are its last ones.
    note : str, optional
        A note for the reader, shown first: for example that a part of the log cannot be read.
    """

    def __init__(
        self,
        name: str,
        provider: str,
        turns: Sequence[TurnRecord],
        *,
        first: int = 1,
        total: int | None = None,
        note: str = "",
    ) -> None:
        self._label = Label(name, provider)
        self._turns = tuple(turns)
        self._numbers: Sequence[int] = range(first, first + len(self._turns))
        self._total = first - 1 + len(self._turns) if total is None else total
        self._note = note
        self._needle: Needle | None = None
        self._is_sliced = False

    @overload
    def __getitem__(self, index: int) -> TurnRecord: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> TurnRecord | History:
        places = range(len(self))
        try:
            found = places[index]
        except TypeError as error:
            said = f"a history is indexed by whole numbers and slices, not {type(index).__name__}"
            raise InputError(said, 'history[-1] is the last turn; history.search("…") finds a text') from error
        return self._part(found, _is_sliced=True) if isinstance(found, range) else self._turns[found]

    def __len__(self) -> int:
        return len(self._turns)

    def __repr__(self) -> str:
        return history_markdown(self._shown())

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:  # noqa: ARG002 - the signature is IPython's
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        return history_html(self._shown())

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of these turns in the session, counted from 1."""
        return tuple(self._numbers)

    def turn(self, number: int) -> TurnRecord:
        """Return a turn by its number in the session.

        Raises
        ------
        InputError
            If this history does not contain the turn.
        """
        number = require_whole(number, "the number of a turn is a whole number", "turns are numbered from 1")
        if number in self._numbers:
            return self._turns[self._numbers.index(number)]
        name = self._label.session
        if 1 <= number <= self._total:
            raise InputError(f"turn {number} of session {name!r} is not in this part of its history")
        has = f"it has {count(self._total, 'turn')}, numbered from 1" if self._total else "it has no turns yet"
        raise InputError(f"session {name!r} has no turn {number}: {has}")

    def search(self, text: str) -> History:
        """Return the turns whose prompt, answer or tool calls contain `text`; matches are highlighted when rendered.

        The search ignores case and treats a line break like a space.

        Raises
        ------
        InputError
            If `text` is blank.
        """
        if not require_text(text, "the search text").strip():
            raise InputError("no search text given")
        needle = Needle(text)
        found = [i for i, turn in enumerate(self._turns) if needle.is_in(turn)]
        return self._part(found, _needle=needle, _is_sliced=False)

    def to_markdown(self) -> str:
        """Return all these turns as a Markdown document without active content."""
        return history_markdown(self._whole())

    def to_frame(self) -> DataFrame:
        """Return these turns as a pandas table with two rows per turn: the prompt and the answer.

        The columns have pandas' nullable type ``string`` unless another type is given:

        - ``session``; ``turn`` (int64): its number in the session; ``role``: ``user`` or ``assistant``; ``text``;
        - on both rows of a turn: ``model``, ``provider``, ``state``, ``started_at`` (datetime64[us, UTC]);
        - on the assistant's row only, so that sums count a turn once: ``duration_s``, ``ttft_s`` (time to first token;
          float64), ``input_tokens``, ``output_tokens`` (Int64), ``cost`` (float64), ``error``.

        Unknown values are missing (``NaN``, ``NaT`` or ``<NA>``).

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        rows = [row for number, turn in self._whole().turns for row in _rows(self._label, number, turn)]
        table: DataFrame = pandas().DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
        return table

    def _part(self, indices: Sequence[int], **changes: object) -> History:
        turns, numbers = tuple(self._turns[i] for i in indices), [self._numbers[i] for i in indices]
        part = copy.copy(self)
        vars(part).update(_turns=turns, _numbers=numbers, **changes)
        return part

    def _whole(self) -> Extract:
        numbered = tuple(zip(self._numbers, self._turns, strict=True))
        return Extract(self._label, numbered, self._total, 0, self._needle, self._note)

    def _shown(self) -> Extract:
        """Return the turns to render: all turns of a slice, else the last page."""
        whole = self._whole()
        if self._is_sliced:
            return whole
        page = whole.turns[-PAGE_TURNS:]
        of_them = len(self) if self._needle else self._total
        return dataclasses.replace(whole, turns=page, left_out=of_them - len(page))


_COLUMNS = {
    "session": "string",
    "turn": "int64",
    "role": "string",
    "text": "string",
    "model": "string",
    "provider": "string",
    "state": "string",
    "started_at": "datetime64[us, UTC]",
    "duration_s": "float64",
    "ttft_s": "float64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cost": "float64",
    "error": "string",
}


_Cell = str | int | float | datetime | None


def _rows(label: Label, number: int, turn: TurnRecord) -> list[dict[str, _Cell]]:
    """Return a turn as two rows; a key that a row lacks becomes a missing value."""
    both: dict[str, _Cell] = {
        "session": well_formed(label.session),
        "turn": number,
        "model": well_formed(turn.model) or None,
        "provider": well_formed(label.provider),
        "state": turn.state.value,
        "started_at": turn.started_at,
    }
    said: dict[str, _Cell] = {
        "duration_s": turn.duration_s,
        "ttft_s": turn.time_to_first_token_s,
        "input_tokens": turn.usage.input_tokens if turn.usage else None,
        "output_tokens": turn.usage.output_tokens if turn.usage else None,
        "cost": turn.usage.cost if turn.usage else None,
        "error": well_formed(turn.error) or None,
    }
    return [
        {**both, "role": "user", "text": well_formed(turn.prompt)},
        {**both, "role": "assistant", "text": well_formed(turn.text), **said},
    ]
