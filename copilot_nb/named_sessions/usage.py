"""The usage of sessions: tokens, time, cost, and how full the model's context window is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.render.plot import tokens_svg, tokens_text
from copilot_nb.render.table import Table
from copilot_nb.render.words import duration

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """The usage of one session.

    Attributes
    ----------
    name : str
        The name of the session.
    turns : int
        Number of turns.
    input_tokens, output_tokens : int
        Summed over all turns.
    duration_s : float
        Total duration of the turns, in seconds.
    cost : float or None
        The cost that the runtime reported; ``None`` if it reported none.
    context_tokens : int
        Tokens of the context window in use after the last turn that reported usage.
    window_tokens : int or None
        The size of the context window, in tokens; ``None`` if unknown.
    per_turn : tuple of (int, int)
        Input and output tokens of each turn.
    """

    name: str
    turns: int
    input_tokens: int
    output_tokens: int
    duration_s: float
    cost: float | None
    context_tokens: int
    window_tokens: int | None
    per_turn: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, name: str, turns: Sequence[TurnRecord]) -> SessionUsage:
        """Sum the usage of `turns`."""
        usages = [turn.usage for turn in turns if turn.usage is not None]
        costs = [usage.cost for usage in usages if usage.cost is not None]
        return cls(
            name,
            len(turns),
            sum(usage.input_tokens for usage in usages),
            sum(usage.output_tokens for usage in usages),
            sum(turn.duration_s or 0.0 for turn in turns),
            sum(costs) if any(costs) else None,
            usages[-1].context_tokens if usages else 0,
            usages[-1].window_tokens if usages else None,
            tuple((turn.usage.input_tokens, turn.usage.output_tokens) if turn.usage else (0, 0) for turn in turns),
        )

    def cells(self) -> tuple[str, ...]:
        """Return the usage as a table row; unknown values are blank."""
        return (
            self.name,
            f"{self.turns:,}",
            f"{self.input_tokens:,}",
            f"{self.output_tokens:,}",
            duration(self.duration_s),
            "" if self.cost is None else f"{self.cost:.3g}",
            self._window(),
        )

    def _window(self) -> str:
        if not self.window_tokens:
            return f"{self.context_tokens:,} tokens" if self.context_tokens else ""
        return f"{self.context_tokens:,} of {self.window_tokens:,} ({self.context_tokens / self.window_tokens:.0%})"


class UsageReport(list[SessionUsage]):
    """The usage of several sessions and their total; renders as a table and a plot of the tokens per turn."""

    @property
    def total(self) -> SessionUsage:
        """The total over all sessions."""
        costs = [usage.cost for usage in self if usage.cost is not None]
        return SessionUsage(
            "all",
            sum(usage.turns for usage in self),
            sum(usage.input_tokens for usage in self),
            sum(usage.output_tokens for usage in self),
            sum(usage.duration_s for usage in self),
            sum(costs) if costs else None,
            0,
            None,
            (),
        )

    def to_frame(self) -> DataFrame:
        """Return the usage as a pandas table with one row per session.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        counts = ("turns", "input_tokens", "output_tokens")
        columns = {"name": "string", **dict.fromkeys(counts, "Int64"), "duration_s": "Float64", "cost": "Float64"}
        columns |= dict.fromkeys(("context_tokens", "window_tokens"), "Int64")
        return frame([{column: getattr(usage, column) for column in columns} for usage in self], columns)

    def table(self) -> Table:
        """Return the usage as a table to render."""
        columns = ("session", "turns", "tokens in", "tokens out", "time", "cost", "model's window")
        rows = [usage.cells() for usage in self] + ([self.total.cells()] if len(self) > 1 else [])
        return Table(columns, tuple(rows), empty="No sessions in this kernel yet; name some: %copilot usage NAME")

    def __repr__(self) -> str:
        return f"{self.table()}\n\n{tokens_text(self._series())}" if self else str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + (tokens_svg(self._series()) if self else "")

    def _series(self) -> list[tuple[str, Sequence[tuple[int, int]]]]:
        return [(usage.name, usage.per_turn) for usage in self]
