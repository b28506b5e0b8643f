"""The changes of a conversation, which `transcript.advance` applies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from copilot_nb.conversation.parts import Answer, Image, LiveOutput, Outcome, TurnState, Usage


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
    """The next piece of an answer."""

    part_id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TextDone:
    """A complete message of the answer, as the runtime stored it, and the model that wrote it."""

    part_id: str
    text: str
    model: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the reasoning."""

    part_id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReasoningDone:
    """The complete reasoning of one model call, as the runtime stored it."""

    part_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The model called a tool."""

    call_id: str
    name: str
    arguments: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ToolShowed:
    """A tool that runs has shown something; not stored, because the result says all of it."""

    call_id: str
    output: LiveOutput


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool answered."""

    call_id: str
    succeeded: bool
    result: str = ""
    at: datetime | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody is asked whether a call may run, or asked the model's question."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A call was allowed or denied; see `parts.Decision`.

    Of several decisions of ours the last counts: a rule may allow what a person must then decide. The runtime's own
    account counts where there is none of ours.
    """

    call_id: str
    outcome: Outcome
    by: str = ""
    reason: str = ""
    at: datetime | None = None
    waited_s: float = 0.0
    is_runtimes: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """A question that a call asked the user was answered, or not; see `parts.Answer`."""

    call_id: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class UsageReported:
    """The usage of one model call; `first_token_at` is set if the call's own deltas are not kept."""

    usage: Usage
    model: str = ""
    first_token_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """The runtime calls the model again; the pieces of the failed call are dropped.

    `times` counts, where it is known, how often it has; without a reason there is nothing to tell that was not told.
    """

    reason: str
    times: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """A note for the reader: a compaction, a model switch."""

    note: str


@dataclass(frozen=True, slots=True)
class ServerMissing:
    """An MCP server of the session could not be started, so its tools are missing; it is no part of a turn."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundStarted:
    """A model call begins: one for a plain answer, another after each round of tools."""


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A model call has ended; unless the model called a tool, its text is the answer."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn that the runtime may not have stored completely, read back from our own entry in its log."""

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
    | ToolShowed
    | ToolFinished
    | Asked
    | Decided
    | Answered
    | UsageReported
    | Retried
    | Noted
    | ServerMissing
    | RoundStarted
    | RoundEnded
    | Kept
    | Ended
)
