"""A session's turns, as a sequence that renders inline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.history import history_html, history_text
from copilot_nb.render.turn import Label


class History(Sequence[TurnRecord]):
    """The turns of a session, oldest first; indexing gives a turn, slicing a `History`."""

    def __init__(self, name: str, provider: str, turns: Sequence[TurnRecord]) -> None:
        self._label = Label(name, provider)
        self._turns = tuple(turns)

    @overload
    def __getitem__(self, index: int) -> TurnRecord: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> TurnRecord | History:
        if isinstance(index, slice):
            return History(self._label.session, self._label.provider, self._turns[index])
        return self._turns[index]

    def __len__(self) -> int:
        return len(self._turns)

    def __repr__(self) -> str:
        return history_text(self._turns, self._label)

    def _repr_html_(self) -> str:
        return history_html(self._turns, self._label)
