"""What an answer of a model in the kernel consists of, and how that is written on OpenAI's chat-completions wire.

Format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from copilot_nb.providers.sse import Event
from copilot_nb.providers.thinking import Splitter

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A tool that the model wants called; `arguments` is JSON text."""

    name: str
    arguments: str = "{}"
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The regular end of an answer; a stream that ends without one was cut. Counts are tokens."""

    reason: FinishReason = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the reasoning. Text between ``<think>`` and ``</think>`` that an answer begins with is made one."""

    text: str


@dataclass(frozen=True, slots=True)
class Activity:
    """A sign that the model works on the answer, before the first piece of it: a comment on the wire."""


Piece = str | Thought | FunctionCall | Finish | Activity


def stream_response(model: str, pieces: AsyncGenerator[Piece, None]) -> httpx.Response:
    """Answer with server-sent events, one for each piece, as they come."""
    stream = _Events(_encode(model, pieces))
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)


async def whole_response(model: str, pieces: AsyncGenerator[Piece, None]) -> httpx.Response | None:
    """Answer with one JSON body, once the answer is complete; ``None``: it was cut."""
    said = {"content": "", "reasoning_content": ""}
    calls: list[dict[str, Any]] = []
    async with aclosing(_told(pieces)) as told:
        async for piece in told:
            match piece:
                case dict():
                    said = {field: text + piece.get(field, "") for field, text in said.items()}
                case FunctionCall():
                    calls.append(_call_json(len(calls), piece))
                case Finish():
                    thoughts = said.pop("reasoning_content")
                    message: dict[str, Any] = {"role": "assistant", **said} | (
                        {"reasoning_content": thoughts} if thoughts else {}
                    )
                    message |= {"tool_calls": calls} if calls else {}
                    choice = {"index": 0, "message": message, "finish_reason": piece.reason}
                    body = _head(model, "chat.completion") | {"choices": [choice], "usage": _usage(piece)}
                    return httpx.Response(200, json=body)
    return None


class _Events(httpx.AsyncByteStream):
    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self._source):
            async for event in self._source:
                yield event

    async def aclose(self) -> None:
        await self._source.aclose()


async def _encode(model: str, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[bytes, None]:
    head = _head(model, "chat.completion.chunk")
    calls = 0
    async with aclosing(_told(pieces)) as told:
        async for piece in told:
            match piece:
                case Activity():
                    yield Event().encoded()
                case dict():
                    yield _chunk(head, {"role": "assistant", **piece})
                case FunctionCall():
                    yield _chunk(head, {"role": "assistant", "tool_calls": [_call_json(calls, piece)]})
                    calls += 1
                case Finish():
                    yield _chunk(head, {}, piece.reason)
                    yield _event(head | {"choices": [], "usage": _usage(piece)})
                    yield b"data: [DONE]\n\n"


Delta = dict[str, str]


async def _told(pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Delta | FunctionCall | Finish | Activity, None]:
    """Yield the pieces with what is said and what is thought as deltas of the wire."""
    splitter = Splitter()
    async with aclosing(pieces):
        async for piece in pieces:
            match piece:
                case str():
                    parts = splitter.feed(piece)
                case Thought():
                    parts = (piece.text, "")
                case Activity():
                    parts = ("", "")
                case _:
                    parts = splitter.end()
            for delta in _deltas(*parts):
                yield delta
            if isinstance(piece, FunctionCall | Finish | Activity):
                yield piece


def _deltas(thoughts: str, answer: str) -> Iterator[Delta]:
    if thoughts:
        yield {"reasoning_content": thoughts}
    if answer:
        yield {"content": answer}


def _head(model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _chunk(head: dict[str, Any], delta: dict[str, Any], reason: str | None = None) -> bytes:
    return _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _call_json(index: int, call: FunctionCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": index, "id": call.call_id or f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _usage(finish: Finish) -> dict[str, int]:
    total = finish.prompt_tokens + finish.completion_tokens
    return {
        "prompt_tokens": finish.prompt_tokens,
        "completion_tokens": finish.completion_tokens,
        "total_tokens": total,
    }
