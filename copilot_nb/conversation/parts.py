"""What a turn consists of: its state, its usage, and the pieces of what followed the prompt."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class TurnState(enum.Enum):
    """Where a turn stands."""

    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the turn."""
        return self in (TurnState.DONE, TurnState.FAILED, TurnState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a turn cost; counts are tokens, `cost` is the runtime's own figure (``None`` where unknown)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [c for c in (self.cost, other.cost) if c is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, in Markdown; `complete` once the runtime has stored it."""

    part_id: str
    text: str
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's reasoning, where the provider shows it."""

    part_id: str
    text: str
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model called; `succeeded` is ``None`` while it runs."""

    call_id: str
    name: str
    arguments: str = ""
    result: str = ""
    succeeded: bool | None = None


Part = Text | Reasoning | ToolCall
