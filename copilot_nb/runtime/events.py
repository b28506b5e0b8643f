"""Translates the runtime's events into changes of a transcript; an unknown event gives none.

The same table serves live events and the ones read back from a session's log. Deltas, usage and
`session.idle` are live only; a log ends where the process did, so `history` settles the last turn. The reasoning of a
model call comes with its message, live and stored; the runtime's own event for it, live only, would repeat it.

The partial answer of an interrupted turn is not stored by the runtime, nor the prompt if the runtime was killed
at once. We write both to the session's log as an information line (`keep_line`), where `copilot --resume` shows it in a
terminal and `changes` finds it again. Who allowed a call of a tool, and how, is kept in the same way (`decided_line`):
the runtime's own events say less, and none is written for a call that a rule allowed.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from copilot import session_events as sdk

from copilot_nb.conversation.changes import (
    Answered,
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
    ToolStarted,
    UsageReported,
)
from copilot_nb.conversation.parts import OUTCOMES, Answer, Decision, Image, Outcome, Text, TurnState, Usage
from copilot_nb.conversation.transcript import Transcript, TurnRecord, advance_turn, is_only_reasoned, replay, settled
from copilot_nb.foreign_json import parsed
from copilot_nb.providers.base import NEVER_FULL_TOKENS
from copilot_nb.providers.provider_error import of_call
from copilot_nb.runtime.logfile import KEPT_PREFIX

MAX_RETRIES = 5
"""How often the runtime calls a model again that fails."""
DECIDED_PREFIX = "A call of a tool was decided in copilot_nb: "
"""How the line of a log begins its message that keeps a `Decision`."""
_TOLD_AT_THE_FAILURE = ("rate_limit", "api_error", "streaming_error", "transient_auth_error")


def keep_line(turn: TurnRecord) -> str:
    """Return the line that stores an interrupted turn in the session's log."""
    kept = {"turn_id": turn.turn_id, "prompt": turn.prompt, "text": turn.text, "state": turn.state.value}
    return KEPT_PREFIX + json.dumps(kept)


def decided_line(call_id: str, decision: Decision, question: str = "") -> str:
    """Return the line that stores a decision in the session's log; the event of the line has the time.

    With a `question`, it stores what came of that.
    """
    kept: dict[str, object] = {"call_id": call_id, "outcome": decision.outcome, "by": decision.by}
    kept |= {"reason": decision.reason, "waited_s": round(decision.waited_s, 3)}
    return DECIDED_PREFIX + json.dumps(kept | ({"question": question} if question else {}))


def _decided(said: Mapping[str, Any], at: datetime) -> Iterator[Change]:
    """Yield what a line of ours says about a call."""
    if said["outcome"] not in OUTCOMES:
        return
    decision = Decision(said["outcome"], said["by"], said["reason"], at, float(said.get("waited_s", 0.0)))
    if question := said.get("question"):
        yield Answered(said["call_id"], Answer(str(question), decision))
    else:
        yield Decided(said["call_id"], decision.outcome, decision.by, decision.reason, at, decision.waited_s)


def changes(event: sdk.SessionEvent) -> Iterator[Change]:
    """Yield the changes that `event` means for a transcript; none for events of sub-agents or without meaning here."""
    mapping = _CHANGES.get(event.type) or _RAW_CHANGES.get(event.raw_type or "")
    if mapping is None or event.agent_id is not None or getattr(event.data, "parent_tool_call_id", None) is not None:
        return iter(())
    return mapping(event)


def history(events: Iterable[sdk.SessionEvent]) -> Transcript:
    """Apply the events of a session's log, oldest first, and return its transcript."""
    transcript = replay(change for event in events for change in changes(event))
    return Transcript(tuple(_settled(turn) for turn in transcript.turns))


def _settled(turn: TurnRecord) -> TurnRecord:
    turn = settled(turn)
    if turn.state.is_final:
        return turn
    if is_only_reasoned(turn):
        return advance_turn(turn, Ended(TurnState.DONE))
    answered = any(isinstance(part, Text) and part.complete for part in turn.parts)
    return dataclasses.replace(turn, state=TurnState.DONE if answered else TurnState.INTERRUPTED)


def _prompted(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.UserMessageData)
    if data.source in (None, "user"):
        images = tuple(_image(each) for each in data.attachments or () if _is_image(each))
        yield Prompted(data.message_id or str(event.id), data.content, event.timestamp, str(event.id), images)


def _is_image(attachment: object) -> TypeGuard[sdk.AttachmentBlob]:
    return isinstance(attachment, sdk.AttachmentBlob) and attachment.mime_type.startswith("image/")


def _image(blob: sdk.AttachmentBlob) -> Image:
    data = base64.b64decode(blob.data or "")
    return Image(blob.display_name or "image", blob.mime_type, blob.byte_length or len(data), data)


def _text_delta(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.AssistantMessageDeltaData)
    yield TextDelta(data.message_id, data.delta_content, event.timestamp)


def _text_done(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.AssistantMessageData)
    if data.reasoning_text:
        yield ReasoningDone(f"{data.message_id}:reasoning", data.reasoning_text)
    yield TextDone(data.message_id, data.content, data.model or "", event.timestamp)


def _reasoning_delta(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.AssistantReasoningDeltaData)
    yield ReasoningDelta(data.reasoning_id, data.delta_content, event.timestamp)


def _tool_started(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.ToolExecutionStartData)
    arguments = json.dumps(data.arguments, default=str, ensure_ascii=False)
    yield ToolStarted(data.tool_call_id, data.tool_name, arguments, event.timestamp)


def _tool_finished(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.ToolExecutionCompleteData)
    outcome = data.result.content if data.result else data.error.message if data.error else ""
    found = data.result.binary_results_for_llm if data.result else None
    images = tuple(_returned(each) for each in found or () if isinstance(each, sdk.PersistedBinaryImage))
    yield ToolFinished(data.tool_call_id, data.success, outcome, event.timestamp, images)


def _returned(image: sdk.PersistedBinaryImage) -> Image:
    data = base64.b64decode(image.data)
    return Image(image.description or "figure", image.mime_type, len(data), data)


_OUTCOMES: dict[str, Outcome] = {
    "approved": "once",
    "approved-for-session": "session",
    "approved-read-only-for-session": "session",
    "approved-for-location": "rule",
    "denied-no-approval-rule-and-could-not-request-from-user": "unattended",
    "cancelled": "withdrawn",
}


def _permitted(event: sdk.SessionEvent) -> Iterator[Change]:
    """Yield the runtime's own account of a decision."""
    data = event.data
    assert isinstance(data, sdk.PermissionCompletedData)
    if data.tool_call_id:
        feedback = getattr(data.result, "feedback", None) or ""
        outcome = _OUTCOMES.get(data.result.kind, "denied")
        yield Decided(data.tool_call_id, outcome, "", feedback, event.timestamp, is_runtimes=True)


def _usage(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.AssistantUsageData)
    tokens = data.input_tokens or 0, data.output_tokens or 0
    yield UsageReported(Usage(*tokens, data.cost, sum(tokens)), data.model)
    yield from _filtered(data.finish_reason)


def _usage_record(event: sdk.SessionEvent) -> Iterator[Change]:
    """Yield the usage of a model call from the log; live, `assistant.usage` has it."""
    data = event.data
    assert isinstance(data, sdk.RawSessionEventData)
    with suppress(KeyError, TypeError):  # the SDK does not know this event, so nobody has checked its shape
        call = data.raw["usage"]
        tokens = int(call.get("inputTokens") or 0), int(call.get("outputTokens") or 0)
        usage = Usage(*tokens, call.get("cost"), sum(tokens), _window(call.get("maxPromptTokens")))
        first = None
        if call.get("timeToFirstTokenMs") is not None and call.get("duration") is not None:
            first = event.timestamp - timedelta(milliseconds=call["duration"] - call["timeToFirstTokenMs"])
        yield UsageReported(usage, str(call.get("model") or ""), first)
        yield from _filtered(call.get("finishReason"))


def _filtered(finish_reason: str | None) -> Iterator[Change]:
    if finish_reason == "content_filter":
        yield Noted("the provider's content filter cut this answer")


def _window(tokens: int | None) -> int | None:
    return None if tokens == NEVER_FULL_TOKENS else tokens


def _retried(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.AssistantTurnRetryData)
    told = data.reason in _TOLD_AT_THE_FAILURE
    yield Retried("" if told else (data.reason or "the provider did not answer").replace("_", " "))


def _call_failed(event: sdk.SessionEvent) -> Iterator[Change]:
    """Yield a retry as soon as a call has failed: the runtime reports it only after its pause, which may be long."""
    data = event.data
    assert isinstance(data, sdk.ModelCallFailureData)
    times = (data.retry_attempt or 0) + 1
    fault = of_call(data.status_code or 0, data.error_message or "")
    if times <= MAX_RETRIES and not fault.is_final:
        yield Retried(fault.summary, times)


def _failed(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionErrorData)
    yield Ended(TurnState.FAILED, data.message, event.timestamp)


def _aborted(event: sdk.SessionEvent) -> Iterator[Change]:
    yield Ended(TurnState.INTERRUPTED, at=event.timestamp)


def _idle(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionIdleData)
    yield Ended(TurnState.INTERRUPTED if data.aborted else TurnState.DONE)


def _info(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionInfoData)
    with suppress(ValueError, KeyError, TypeError):  # somebody else's line that begins like ours
        if data.message.startswith(DECIDED_PREFIX):
            yield from _decided(parsed(data.message.removeprefix(DECIDED_PREFIX)), event.timestamp)
        if data.message.startswith(KEPT_PREFIX):
            kept = parsed(data.message.removeprefix(KEPT_PREFIX))
            state = TurnState(kept["state"])
            yield Kept(kept["turn_id"], kept["prompt"], kept["text"], state, event.timestamp, str(event.id))


def _round_started(_event: sdk.SessionEvent) -> Iterator[Change]:
    yield RoundStarted()


def _round_ended(_event: sdk.SessionEvent) -> Iterator[Change]:
    yield RoundEnded()


def _model_changed(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionModelChangeData)
    if data.previous_model and data.previous_model != data.new_model:
        yield Noted(f"model: {data.previous_model} → {data.new_model}")


def _servers_loaded(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionMcpServersLoadedData)
    for server in data.servers:
        if server.status is sdk.McpServerStatus.FAILED:
            yield ServerMissing(server.name, server.error or "")
        elif server.status is sdk.McpServerStatus.NEEDS_AUTH:
            yield ServerMissing(server.name, "it wants a login, which copilot_nb cannot do")


def _compaction_began(event: sdk.SessionEvent) -> Iterator[Change]:
    """Yield the note when it begins: it goes on beside the answer and may end after it, when no turn is under way."""
    data = event.data
    assert isinstance(data, sdk.SessionCompactionStartData)
    filled = (
        f" ({data.current_tokens:,} of {data.token_limit:,} tokens)" if data.current_tokens and data.token_limit else ""
    )
    yield Noted(f"earlier turns are summarised for the model, whose window is nearly full{filled}")


def _compacted(event: sdk.SessionEvent) -> Iterator[Change]:
    data = event.data
    assert isinstance(data, sdk.SessionCompactionCompleteData)
    if not data.success:
        yield Noted("earlier turns could not be summarised")


_CHANGES: dict[sdk.SessionEventType, Callable[[sdk.SessionEvent], Iterator[Change]]] = {
    sdk.SessionEventType.USER_MESSAGE: _prompted,
    sdk.SessionEventType.ASSISTANT_MESSAGE_DELTA: _text_delta,
    sdk.SessionEventType.ASSISTANT_MESSAGE: _text_done,
    sdk.SessionEventType.ASSISTANT_REASONING_DELTA: _reasoning_delta,
    sdk.SessionEventType.ASSISTANT_USAGE: _usage,
    sdk.SessionEventType.ASSISTANT_TURN_RETRY: _retried,
    sdk.SessionEventType.MODEL_CALL_FAILURE: _call_failed,
    sdk.SessionEventType.ASSISTANT_TURN_START: _round_started,
    sdk.SessionEventType.ASSISTANT_TURN_END: _round_ended,
    sdk.SessionEventType.TOOL_EXECUTION_START: _tool_started,
    sdk.SessionEventType.TOOL_EXECUTION_COMPLETE: _tool_finished,
    sdk.SessionEventType.PERMISSION_COMPLETED: _permitted,
    sdk.SessionEventType.SESSION_ERROR: _failed,
    sdk.SessionEventType.ABORT: _aborted,
    sdk.SessionEventType.SESSION_IDLE: _idle,
    sdk.SessionEventType.SESSION_INFO: _info,
    sdk.SessionEventType.SESSION_MODEL_CHANGE: _model_changed,
    sdk.SessionEventType.SESSION_MCP_SERVERS_LOADED: _servers_loaded,
    sdk.SessionEventType.SESSION_COMPACTION_START: _compaction_began,
    sdk.SessionEventType.SESSION_COMPACTION_COMPLETE: _compacted,
}
_RAW_CHANGES: dict[str, Callable[[sdk.SessionEvent], Iterator[Change]]] = {"session.usage_record": _usage_record}
