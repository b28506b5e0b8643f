"""A conversation as immutable data, and the pure step that advances it.

A `Transcript` is a tuple of `TurnRecord`; a `Change` happened to its last turn. `advance`
gives the next transcript, and the same changes give the same transcript whether they come live from the
runtime or are read back from its event log: history and display cannot differ.

Deltas are not persisted by the runtime, finished messages are; therefore a finished part replaces the
deltas of the same `part_id`, and the parts of a call that the runtime retries are dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from copilot_nb.conversation.changes import (
    Answered,
    Asked,
    Change,
    Decided,
    Ended,
    Kept,
    Noted,
    Prompted,
    ReasoningDelta,
    ReasoningDone,
    Retried,
    RoundEnded,
    RoundStarted,
    ServerMissing,
    TextDelta,
    TextDone,
    ToolFinished,
    ToolShowed,
    ToolStarted,
    UsageReported,
)
from copilot_nb.conversation.parts import Decision, Image, Part, Reasoning, Text, ToolCall, TurnState, Usage

ONLY_REASONING = "the model sent its reasoning and no answer"
"""The error of a turn that ended regularly but without an answer."""


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A prompt and its answer.

    Attributes
    ----------
    turn_id : str
        The runtime's message id of the prompt.
    prompt : str
        The prompt as it was sent.
    parts : tuple of Text, Reasoning or ToolCall
        The parts of the answer, in order.
    state : TurnState
        The state of the turn.
    model : str
        The model that answered, as the runtime names it; ``""`` until known.
    usage : Usage or None
        Tokens and cost, summed over the model calls of the turn.
    started_at, first_token_at, finished_at : datetime or None
        Times (with zone) of the prompt, of the first token and of the end.
    notes : tuple of str
        What the runtime did meanwhile: retries, compaction, a model switch.
    error : str
        Why the turn failed; ``""`` if it did not.
    event_id : str
        The runtime's id of the event that began the turn (what rewind and fork refer to).
    images : tuple of Image
        The attached images.
    """

    turn_id: str
    prompt: str
    parts: tuple[Part, ...] = ()
    state: TurnState = TurnState.WORKING
    model: str = ""
    usage: Usage | None = None
    started_at: datetime | None = None
    first_token_at: datetime | None = None
    finished_at: datetime | None = None
    notes: tuple[str, ...] = ()
    error: str = ""
    event_id: str = ""
    images: tuple[Image, ...] = ()

    @property
    def text(self) -> str:
        """The answer's Markdown: its text parts joined, with a blank line in place of a tool call."""
        pieces: list[str] = []
        adjacent = False
        for part in self.parts:
            if isinstance(part, Text):
                if adjacent and pieces:
                    pieces[-1] += part.text
                elif part.text:
                    pieces.append(part.text)
                adjacent = bool(pieces)
            elif isinstance(part, ToolCall):
                adjacent = False
        return "\n\n".join(pieces)

    @property
    def reasoning(self) -> str:
        """The model's reasoning, joined; ``""`` if there is none."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def time_to_first_token_s(self) -> float | None:
        """Seconds from the prompt to the first token; ``None`` before that."""
        return _seconds(self.started_at, self.first_token_at)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the prompt to the end; ``None`` before that."""
        return _seconds(self.started_at, self.finished_at)


@dataclass(frozen=True, slots=True)
class Transcript:
    """All turns of a session, oldest first."""

    turns: tuple[TurnRecord, ...] = ()

    @property
    def last(self) -> TurnRecord | None:
        """The last turn; ``None`` in an empty session."""
        return self.turns[-1] if self.turns else None


def advance(transcript: Transcript, change: Change) -> Transcript:
    """Return the transcript after `change`; a change before the first prompt changes nothing."""
    if (begun := _begun(change, transcript.last)) is not None:
        return Transcript((*transcript.turns, begun))
    if not transcript.turns:
        return transcript
    return Transcript((*transcript.turns[:-1], advance_turn(transcript.turns[-1], change)))


def replay(changes: Iterable[Change]) -> Transcript:
    """Apply all `changes` and return the transcript, in one pass."""
    done: list[TurnRecord] = []
    for change in changes:
        if (begun := _begun(change, done[-1] if done else None)) is not None:
            done.append(begun)
        elif done:
            done[-1] = advance_turn(done[-1], change)
    return Transcript(tuple(done))


def _begun(change: Change, last: TurnRecord | None) -> TurnRecord | None:
    """Return the turn that `change` begins, if it begins one."""
    if isinstance(change, Prompted):
        return TurnRecord(
            change.turn_id, change.prompt, started_at=change.at, event_id=change.event_id, images=change.images
        )
    if isinstance(change, Kept) and (last is None or last.turn_id != change.turn_id):
        begun = TurnRecord(change.turn_id, change.prompt, started_at=change.at, event_id=change.event_id)
        return advance_turn(begun, change)
    return None


def advance_turn(turn: TurnRecord, change: Change) -> TurnRecord:
    """Return `turn` after `change`.

    Raises
    ------
    TypeError
        If `change` is a `Prompted`: that begins a turn of its own.
    """
    match change:
        case TextDelta(part_id, text, at):
            return _appended(turn, Text(part_id, text), at)
        case ReasoningDelta(part_id, text, at):
            return _appended(turn, Reasoning(part_id, text), at)
        case TextDone(part_id, text, model, at):
            turn = _completed(turn, Text(part_id, text, complete=True))
            return dataclasses.replace(turn, model=model or turn.model, finished_at=at or turn.finished_at)
        case ReasoningDone(part_id, text):
            return _reasoned(turn, Reasoning(part_id, text, complete=True))
        case ToolStarted(call_id, name, arguments, at):
            return dataclasses.replace(turn, parts=(*turn.parts, ToolCall(call_id, name, arguments, started_at=at)))
        case ToolShowed() | ToolFinished() | Asked() | Decided() | Answered():
            parts = (_called(part, change) if isinstance(part, ToolCall) else part for part in turn.parts)
            return dataclasses.replace(turn, parts=tuple(parts))
        case UsageReported(usage, model, first_token_at):
            total = turn.usage + usage if turn.usage else usage
            first = turn.first_token_at or first_token_at
            return dataclasses.replace(turn, usage=total, model=model or turn.model, first_token_at=first)
        case Retried(reason, times):
            kept = tuple(p for p in turn.parts if isinstance(p, ToolCall) or p.complete)
            return dataclasses.replace(turn, parts=kept, notes=_with_retry(turn.notes, reason, times))
        case Noted(note):
            return dataclasses.replace(turn, notes=(*turn.notes, note))
        case RoundStarted():
            return dataclasses.replace(turn, state=TurnState.WORKING) if turn.state is TurnState.DONE else turn
        case RoundEnded():
            is_answer = bool(turn.parts) and isinstance(turn.parts[-1], Text) and turn.parts[-1].complete
            return dataclasses.replace(turn, state=TurnState.DONE) if is_answer and not turn.state.is_final else turn
        case Kept(_, _, text, state, _, _):
            return dataclasses.replace(turn, parts=_with_kept(turn.parts, text), state=state)
        case ServerMissing():
            return turn
        case Ended() if turn.state.is_final:
            return turn
        case Ended(TurnState.DONE, _, at) if is_only_reasoned(turn):
            return advance_turn(turn, Ended(TurnState.FAILED, ONLY_REASONING, at))
        case Ended(state, error, at):
            return settled(dataclasses.replace(turn, state=state, error=error, finished_at=at or turn.finished_at))
        case _:
            raise TypeError(f"{type(change).__name__} does not change a turn")


def _with_kept(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    kept = (Text("kept", text, complete=True),) if text else ()
    return (*(part for part in parts if not isinstance(part, Text)), *kept)


def is_only_reasoned(turn: TurnRecord) -> bool:
    """Whether a turn consists of reasoning only."""
    return bool(turn.parts) and all(isinstance(part, Reasoning) for part in turn.parts)


def _with_retry(notes: tuple[str, ...], reason: str, times: int) -> tuple[str, ...]:
    if not reason:
        return notes
    if not times:
        return (*notes, f"retried: {reason}")
    earlier = notes[:-1] if times > 1 and notes and notes[-1].startswith(f"retry {times - 1}: ") else notes
    return (*earlier, f"retry {times}: {reason}")


def _appended(turn: TurnRecord, piece: Text | Reasoning, at: datetime | None) -> TurnRecord:
    *before, last = turn.parts or (None,)
    if isinstance(last, type(piece)) and last.part_id == piece.part_id and not last.complete:
        parts = (*before, dataclasses.replace(last, text=last.text + piece.text))
    else:
        parts = (*turn.parts, piece)
    return dataclasses.replace(turn, parts=parts, first_token_at=turn.first_token_at or at)


def _reasoned(turn: TurnRecord, whole: Reasoning) -> TurnRecord:
    """Replace the pieces of a call's reasoning by the complete reasoning, before the call's answer."""
    kept = [part for part in turn.parts if not isinstance(part, Reasoning) or part.complete]
    answer = [part for part in kept[-1:] if isinstance(part, Text) and not part.complete]
    return dataclasses.replace(turn, parts=(*kept[: len(kept) - len(answer)], whole, *answer))


def _completed(turn: TurnRecord, piece: Text) -> TurnRecord:
    parts = list(turn.parts)
    for i, part in enumerate(parts):
        if isinstance(part, Text) and part.part_id == piece.part_id:
            parts[i] = piece
            break
    else:
        if piece.text:
            parts.append(piece)
    return dataclasses.replace(turn, parts=tuple(parts))


def _called(call: ToolCall, change: ToolShowed | ToolFinished | Asked | Decided | Answered) -> ToolCall:
    """Return `call` after `change`, which may concern another call."""
    if change.call_id != call.call_id:
        return call
    match change:
        case ToolShowed(_, output):
            return dataclasses.replace(call, output=output) if call.is_open else call
        case Asked():
            return dataclasses.replace(call, is_asking=call.is_open)
        case Decided(_, outcome, by, reason, at, waited_s, is_runtimes):
            said = Decision(outcome, by, reason, at, waited_s)
            decision = call.decision or said if is_runtimes else said
            return dataclasses.replace(call, decision=decision, is_asking=False)
        case Answered(_, answer):
            return dataclasses.replace(call, answers=(*call.answers, answer), is_asking=False)
        case ToolFinished(_, succeeded, result, at, images):
            last = dataclasses.replace(call.output, images=()) if call.output else None
            call = dataclasses.replace(call, succeeded=succeeded, result=result, images=images, output=last)
            return dataclasses.replace(call, ended_at=at, is_asking=False, is_stopped=False)


def settled(turn: TurnRecord) -> TurnRecord:
    """Return a turn that has ended, with the calls that had not: nothing more comes of them."""
    if not any(isinstance(part, ToolCall) and part.is_open for part in turn.parts):
        return turn
    parts = (
        dataclasses.replace(part, is_stopped=True, is_asking=False)
        if isinstance(part, ToolCall) and part.is_open
        else part
        for part in turn.parts
    )
    return dataclasses.replace(turn, parts=tuple(parts))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
