"""Answers put into the words that the runtime reads, where a server words them otherwise.

The runtime drops or refuses what OpenAI and Anthropic themselves do not send: content in parts, thoughts in the middle
of the content, a refusal in place of content, a stream that ends without saying why, one body where a stream was asked
for. Each wire has its class here, which is fed the decoded events of one answer and yields what goes on.

Why: docs/decisions/0022-repair-answers-in-the-relay.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from copilot_nb.providers.keys import Secret
from copilot_nb.providers.provider_error import Fault, in_stream
from copilot_nb.providers.thinking import Splitter

Data = dict[str, Any]
SAID_NOTHING = "(no answer)"
"""Stands in the conversation for an answer of which only the reasoning came: strict servers refuse an empty one."""


class Repair:
    """Lets the answers of a wire through as they are."""

    def event(self, data: Data) -> Iterator[Data]:
        """Yield what goes on of one event."""
        yield data

    def done(self) -> Iterator[Data]:
        """Yield what is missing now that the server has said that it is done."""
        yield from ()

    def whole(self, data: Data) -> Data | list[Data]:
        """Return a body that came whole: as a body, or as the events that a stream would have been."""
        return data


class ChatRepair(Repair):
    """OpenAI's chat completions, and what passes for them."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._head: Data = {}
        self._reason = "stop"
        self._is_finished = False

    def event(self, data: Data) -> Iterator[Data]:
        """Yield a chunk with its text and its thoughts where they belong."""
        self._head = {name: value for name, value in data.items() if name not in ("choices", "usage")}
        for choice in _dicts(data.get("choices")):
            choice["finish_reason"] = choice.get("finish_reason") or None
            delta = choice.get("delta") or choice.pop("message", None)  # some send the whole answer as one event
            delta = choice["delta"] = self._repaired(delta) if isinstance(delta, dict) else {}
            if delta.get("tool_calls"):
                self._reason = "tool_calls"
            if choice["finish_reason"]:
                self._finish(delta)
        yield data

    def done(self) -> Iterator[Data]:
        """Yield the end, where the server has left it out."""
        if not self._is_finished and self._head:
            delta: Data = {}
            self._finish(delta)
            yield self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": self._reason}]}

    def whole(self, data: Data) -> Data:
        """Return a body with its text and its thoughts where they belong."""
        for choice in _dicts(data.get("choices")):
            if isinstance(choice.get("message"), dict):
                message = choice["message"] = self._repaired(choice["message"])
                self._finish(message)
                reason = "tool_calls" if message.get("tool_calls") else "stop"
                choice["finish_reason"] = choice.get("finish_reason") or reason
        return data

    def _repaired(self, delta: Data) -> Data:
        text, thoughts = _parted(delta.get("content"))
        if isinstance(delta.get("refusal"), str):
            text += delta["refusal"]
        if not text and not thoughts:
            return delta | {"content": None} if isinstance(delta.get("content"), list) else delta
        own, answer = self._splitter.feed(text)
        return _with(delta | {"content": None, "refusal": None}, thoughts + own, answer)

    def _finish(self, delta: Data) -> None:
        """Add to the last delta what was held back."""
        if not self._is_finished:
            self._is_finished = True
            delta |= _with(delta, *self._splitter.end())


class MessagesRepair(Repair):
    """Anthropic's messages, whose stream the runtime wants also where the server has sent one body.

    Thoughts that the first text begins with become a block of their own before it; the later blocks move up by one.
    """

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._moved_by = 0
        self._held: Data | None = None  # the beginning of the first text, until its first words
        self._had_text = False
        self._is_thinking = False

    def event(self, data: Data) -> Iterator[Data]:
        """Yield the event, or what of its text is thought and what is said."""
        match data:
            case {"type": "content_block_start", "index": int(), "content_block": {"type": "text"}} if (
                not self._had_text
            ):
                self._had_text, self._held = True, data
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}} if self._held:
                yield from self._parted(*self._splitter.feed(text))
            case {"type": "content_block_stop", "index": int(index)}:
                if self._held:
                    yield from self._parted(*self._splitter.end())
                if self._held and not self._is_thinking:
                    yield self._held
                self._held = None
                yield data | {"index": index + self._moved_by}
            case {"index": int(index)}:
                yield data | {"index": index + self._moved_by}
            case _:
                yield data

    def _parted(self, thoughts: str, answer: str) -> Iterator[Data]:
        assert self._held is not None
        index = self._held["index"]
        if thoughts and not self._is_thinking:
            self._is_thinking = True
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield {"type": "content_block_start", "index": index, "content_block": block}
        if thoughts:
            yield _block_delta(index, {"type": "thinking_delta", "thinking": thoughts})
        if answer:
            if self._is_thinking:
                yield {"type": "content_block_stop", "index": index}
                self._moved_by = 1
            yield self._held | {"index": index + self._moved_by}
            yield _block_delta(index + self._moved_by, {"type": "text_delta", "text": answer})
            self._held = None

    def whole(self, data: Data) -> list[Data]:
        """Return the events that tell the same."""
        head = data | {"content": [], "stop_reason": None, "stop_sequence": None}
        events: list[Data] = [{"type": "message_start", "message": head}]
        for index, block in enumerate(_dicts(data.get("content"))):
            events += [mended for event in _block_events(index, block) for mended in self.event(event)]
        ended = {"stop_reason": data.get("stop_reason") or "end_turn", "stop_sequence": data.get("stop_sequence")}
        usage = data.get("usage") or {"output_tokens": 0}
        return [*events, {"type": "message_delta", "delta": ended, "usage": usage}, {"type": "message_stop"}]


def _block_events(index: int, block: Data) -> list[Data]:
    """Return the events of one part of Anthropic's answer, which in a stream begins empty and is filled."""
    deltas: list[Data] = []
    empty = dict(block)
    for field, kind in (("text", "text_delta"), ("thinking", "thinking_delta"), ("signature", "signature_delta")):
        if isinstance(block.get(field), str):
            empty[field] = ""
            deltas.append({"type": kind, field: block[field]})
    if block.get("type") == "tool_use":
        empty["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block.get("input") or {})})
    started: Data = {"type": "content_block_start", "index": index, "content_block": empty}
    filled = [_block_delta(index, delta) for delta in deltas]
    return [started, *filled, {"type": "content_block_stop", "index": index}]


def _block_delta(index: int, delta: Data) -> Data:
    return {"type": "content_block_delta", "index": index, "delta": delta}


class ResponsesRepair(Repair):
    """OpenAI's responses, where a refusal is a kind of content that the runtime does not read."""

    def event(self, data: Data) -> Iterator[Data]:
        """Yield the event with refusals as text."""
        data = _refusals_as_text(data)
        kind = str(data.get("type"))
        if kind.startswith("response.refusal."):
            data["type"] = kind.replace(".refusal.", ".output_text.")
        if kind == "response.refusal.done":
            data["text"] = data.pop("refusal", "")
        yield data

    def whole(self, data: Data) -> Data:
        """Return the body with refusals as text."""
        mended: Data = _refusals_as_text(data)
        return mended


def _refusals_as_text(value: Any) -> Any:
    match value:
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "output_text", "text": text, "annotations": []}
        case dict():
            return {name: _refusals_as_text(each) for name, each in value.items()}
        case list():
            return [_refusals_as_text(each) for each in value]
        case _:
            return value


def repair_for(wire: str) -> Repair:
    """Return what mends one answer of a wire, which the last part of a request's path names."""
    kind = {"completions": ChatRepair, "messages": MessagesRepair, "responses": ResponsesRepair}.get(wire, Repair)
    return kind()


def repaired_request(fields: Data) -> Data:
    """Return a request without an assistant's message that holds nothing."""
    messages = fields.get("messages")
    if not isinstance(messages, list):
        return fields
    return fields | {"messages": [_filled(message) for message in messages]}


def _filled(message: Any) -> Any:
    is_empty = isinstance(message, dict) and message.get("role") == "assistant" and not message.get("content")
    return message | {"content": SAID_NOTHING} if is_empty and not message.get("tool_calls") else message


def fault_in(data: Mapping[str, Any], secret: Secret | None) -> Fault | None:
    """Return the fault that an event tells of, if it tells of one."""
    match data:
        case {"type": "response.failed", "response": {"error": error}}:
            return in_stream({"error": error or "the response failed"}, secret)
        case {"error": error} if error:
            return in_stream(data, secret)
        case {"type": "error"}:
            return in_stream(data, secret)
        case {"choices": [{"finish_reason": "error"}, *_]}:
            return Fault("broken", text="it ended its answer by an error that it does not name")
        case _:
            return None


def _with(delta: Data, thoughts: str, answer: str) -> Data:
    """Return a delta that says these too."""
    more = {"reasoning_content": thoughts, "content": answer}
    return delta | {field: (delta.get(field) or "") + text for field, text in more.items() if text}


def _parted(content: object) -> tuple[str, str]:
    """Return the text and the thoughts of a content, which may come in parts."""
    if isinstance(content, str):
        return content, ""
    text = thoughts = ""
    for part in _dicts(content):
        more_text, more_thoughts = _parted(part.get("text")), _parted(part.get("thinking"))
        text += more_text[0]
        thoughts += "".join(more_thoughts)
    return text, thoughts


def _dicts(value: object) -> list[Data]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
