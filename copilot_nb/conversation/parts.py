"""The parts of a turn: its state, its usage, and the pieces of the answer."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

Outcome = Literal["once", "session", "rule", "denied", "expired", "unattended", "withdrawn"]
"""How a request for permission was decided.

``once``, ``session``: somebody allowed it, this once or for the whole session; ``rule``: a rule of the settings allowed
it; ``denied``: somebody or a rule denied it; ``expired``: nobody answered in time; ``unattended``: nobody could be
asked; ``withdrawn``: its turn ended before anybody answered.
"""
OUTCOMES: frozenset[str] = frozenset(get_args(Outcome))
ALLOWING = frozenset({"once", "session", "rule"})
"""The outcomes with which a call runs."""


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
class Decision:
    """Whether a call of a tool was allowed, and by whom.

    Attributes
    ----------
    outcome : Outcome
        How it was decided.
    by : str
        Who decided, in words: ``"you, in the cell"``, ``"the rule for bash"``; ``""``: nobody.
    reason : str
        The reason given with a denial, which the model is told; of a question the answer, in words.
    at : datetime or None
        When; ``None`` where unknown.
    waited_s : float
        How long somebody was waited for (seconds).
    answers : mapping
        The answers to the fields of a question, by their names; they are sent, and not kept in the history.
    """

    outcome: Outcome
    by: str = ""
    reason: str = ""
    at: datetime | None = None
    waited_s: float = 0.0
    answers: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def is_allowed(self) -> bool:
        """Whether the call may run."""
        return self.outcome in ALLOWING


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question that the user was asked during a call.

    Attributes
    ----------
    question : str
        The question.
    decision : Decision
        Whether it was answered and by whom; its reason is the answer.
    """

    question: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Image:
    """An image that went with a prompt, or that a tool returned.

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


@dataclass(frozen=True, slots=True)
class LiveOutput:
    """What a tool that runs has shown so far.

    Attributes
    ----------
    text : str
        The last lines; the last one may be unfinished.
    lines_before : int
        The number of lines before those.
    images : tuple of Image
        The images.
    """

    text: str = ""
    lines_before: int = 0
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model called.

    Attributes
    ----------
    call_id, name, arguments : str
        Its id, the tool, and the arguments as JSON.
    result : str
        What the model was told.
    succeeded : bool or None
        Whether the tool did what was asked; ``None`` while it runs.
    decision : Decision or None
        Whether it was allowed; ``None``: it needs no permission, or nobody has decided.
    answers : tuple of Answer
        What came of the questions that it asked the user.
    is_asking : bool
        Whether somebody is being asked for permission, or asked a question.
    is_stopped : bool
        Whether the turn ended before the tool did.
    started_at, ended_at : datetime or None
        When it began and ended; ``None`` where unknown.
    images : tuple of Image
        The images that it returned.
    output : LiveOutput or None
        What it has shown while it ran; ``None`` where unknown, as it is not stored.
    """

    call_id: str
    name: str
    arguments: str = ""
    result: str = ""
    succeeded: bool | None = None
    decision: Decision | None = None
    answers: tuple[Answer, ...] = ()
    is_asking: bool = False
    is_stopped: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    images: tuple[Image, ...] = ()
    output: LiveOutput | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still runs, or waits for an answer."""
        return self.succeeded is None and not self.is_stopped

    @property
    def duration_s(self) -> float | None:
        """Seconds from its beginning to its end, without those in which it waited for the user; ``None``: unknown."""
        if not self.started_at or not self.ended_at:
            return None
        decisions = [answer.decision for answer in self.answers] + ([self.decision] if self.decision else [])
        waited_s = sum(decision.waited_s for decision in decisions)
        return max(0.0, (self.ended_at - self.started_at).total_seconds() - waited_s)


Part = Text | Reasoning | ToolCall
