"""What can happen to a conversation: the changes that `transcript.advance` folds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from copilot_nb.conversation.parts import Image, TurnState, Usage


@dataclass(frozen=True, slots=True)
class Prompted:
    """A prompt was accepted: a turn begins."""

    turn_id: str
    prompt: str
    at: datetime | None = None
    event_id: str = ""
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of an answer."""

    part_id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TextDone:
    """A whole message of the answer, as the runtime stored it; `model` wrote it."""

    part_id: str
    text: str
    model: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning."""

    part_id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDone:
    """The whole reasoning of one model call, as the runtime stored it."""

    part_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The model called a tool."""

    call_id: str
    name: str
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool answered."""

    call_id: str
    succeeded: bool
    result: str = ""


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What one model call cost; `first_token_at` where the call's own deltas are not kept."""

    usage: Usage
    model: str = ""
    first_token_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """The runtime calls the model again: what had come of that call is void.

    `times` counts, where it is known, how often it has; without a reason there is nothing to tell that was not told.
    """

    reason: str
    times: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a reader should know: a compaction, a model switch."""

    note: str


@dataclass(frozen=True, slots=True)
class RoundStarted:
    """The model is called: once for a plain answer, again after each tool."""


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """The model has said what it had to say in this round; unless it called a tool, that is the answer."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn that the runtime may not have stored (not its end, or not at all), read back from where it was kept."""

    turn_id: str
    prompt: str
    text: str
    state: TurnState = TurnState.INTERRUPTED
    at: datetime | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over: `state` is one of the final ones."""

    state: TurnState = TurnState.DONE
    error: str = ""
    at: datetime | None = None


Change = (
    Prompted
    | TextDelta
    | TextDone
    | ReasoningDelta
    | ReasoningDone
    | ToolStarted
    | ToolFinished
    | UsageReported
    | Retried
    | Noted
    | RoundStarted
    | RoundEnded
    | Kept
    | Ended
)
