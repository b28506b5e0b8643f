"""The parts of a turn: its state, its usage, and the pieces of the answer."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class TurnState(enum.Enum):
    """The state of a turn."""

    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether the turn has ended."""
        return self in (TurnState.DONE, TurnState.FAILED, TurnState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a turn, in tokens.

    Attributes
    ----------
    input_tokens, output_tokens : int
        Summed over the model calls of the turn.
    cost : float or None
        The runtime's own figure; ``None`` where unknown.
    context_tokens : int
        What the last call held of the model's window: its prompt and its answer.
    window_tokens : int or None
        The most that a prompt to the model may hold; ``None`` where unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    context_tokens: int = 0
    window_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [c for c in (self.cost, other.cost) if c is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
            other.context_tokens or self.context_tokens,
            other.window_tokens or self.window_tokens,
        )


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, in Markdown; `complete` once the runtime has stored it."""

    part_id: str
    text: str
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of the model's reasoning, if the provider shows it."""

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


@dataclass(frozen=True, slots=True)
class Image:
    """An image that went with a prompt.

    Attributes
    ----------
    name : str
        What it is called: the name of a file or of a variable.
    mime_type : str
        ``image/png`` or ``image/jpeg``.
    size_bytes : int
        Its size.
    data : bytes
        The image itself; empty where a damaged log has lost it.
    """

    name: str
    mime_type: str
    size_bytes: int
    data: bytes = field(default=b"", repr=False)
