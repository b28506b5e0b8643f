from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from copilot_nb.providers.chat import (
    SESSION_EXTENSION,
    ChatError,
    ChatModel,
    ChatRequest,
    Message,
    parse_request,
)
from copilot_nb.providers.pieces import Finish, FunctionCall, Piece, Thought

URL = "http://model/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}


class Pieces(ChatModel):
    """A model that says the given pieces, and notes whether its generator was closed."""

    model_ids = ("m", "n")

    def __init__(self, *pieces: Piece | Exception) -> None:
        self.pieces = pieces
        self.closed = False

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        assert request.model in self.model_ids
        if self.pieces and isinstance(self.pieces[0], Exception):
            raise self.pieces[0]
        return self._say()

    async def _say(self) -> AsyncGenerator[Piece, None]:
        try:
            for piece in self.pieces:
                assert not isinstance(piece, Exception)
                yield piece
        finally:
            self.closed = True


def post(model: ChatModel, body: dict[str, Any]) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=model) as client:
            return await client.post(URL, json=body)

    return asyncio.run(send())


def events(response: httpx.Response) -> list[Any]:
    """Decode server-sent events; the closing ``[DONE]`` stays a string."""
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [d if d == "[DONE]" else json.loads(d) for d in data]


def test_text_streams_as_deltas_then_finish_usage_and_done() -> None:
    response = post(Pieces("Hel", "lo", Finish("stop", 3, 2)), HELLO)
    assert response.headers["content-type"] == "text/event-stream"
    first, second, finish, usage, done = events(response)
    assert [c["choices"][0]["delta"]["content"] for c in (first, second)] == ["Hel", "lo"]
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert done == "[DONE]"
    assert len({c["id"] for c in (first, second, finish, usage)}) == 1


def test_function_calls_are_numbered() -> None:
    call = FunctionCall("look", '{"at": "it"}', "call_1")
    chunks = events(post(Pieces(call, FunctionCall("again"), Finish("tool_calls")), HELLO))
    first, second = (c["choices"][0]["delta"]["tool_calls"][0] for c in chunks[:2])
    assert first == {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at": "it"}'},
    }
    assert (second["index"], second["function"]) == (1, {"name": "again", "arguments": "{}"})
    assert second["id"].startswith("call_")


@pytest.mark.parametrize(
    "pieces",
    [
        ("<think>", "Hm.</think>\n\nHel", "lo"),
        (Thought("Hm."), "Hel", "lo"),
    ],
)
def test_thoughts_are_no_part_of_the_answer(pieces: tuple[Piece, ...]) -> None:
    chunks = events(post(Pieces(*pieces, Finish()), HELLO))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:3]]
    assert [delta.get("reasoning_content") for delta in deltas] == ["Hm.", None, None]
    assert [delta.get("content") for delta in deltas] == [None, "Hel", "lo"]
    whole = post(Pieces(*pieces, Finish()), HELLO | {"stream": False}).json()["choices"][0]["message"]
    assert whole == {"role": "assistant", "content": "Hello", "reasoning_content": "Hm."}


def test_an_answer_without_finish_ends_without_done() -> None:
    assert "[DONE]" not in events(post(Pieces("half"), HELLO))


def test_whole_answer_when_no_stream_is_asked_for() -> None:
    body = post(Pieces("a", "b", FunctionCall("f"), Finish("tool_calls", 1, 2)), HELLO | {"stream": False}).json()
    choice = body["choices"][0]
    assert choice["message"]["content"] == "ab"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert choice["finish_reason"] == "tool_calls"
    assert body["usage"]["total_tokens"] == 3


def test_whole_answer_that_was_cut_is_an_error() -> None:
    assert post(Pieces("half"), HELLO | {"stream": False}).status_code == 502


def test_models_are_listed_under_any_prefix() -> None:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=Pieces()) as client:
            return await client.get("http://any.host/some/prefix/models")

    assert [m["id"] for m in asyncio.run(get()).json()["data"]] == ["m", "n"]


def test_unknown_model_is_named_with_the_known_ones() -> None:
    response = post(Pieces(), HELLO | {"model": "gpt-5"})
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == "model_not_found"
    assert "'gpt-5'" in error["message"]
    assert "m, n" in error["message"]


def test_other_paths_are_not_found() -> None:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=Pieces()) as client:
            return await client.get("http://model/v1/embeddings")

    assert asyncio.run(get()).status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "m"}', b'{"model": "m", "messages": [1]}'])
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(ChatError, match="not a chat-completions request") as caught:
        parse_request(httpx.Request("POST", URL, content=body))
    assert caught.value.status == 400


def test_chat_error_becomes_a_response() -> None:
    response = post(Pieces(ChatError(429, "Slow down.", "rate_limit", retry_after_s=2)), HELLO)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    error = response.json()["error"]
    assert (error["message"], error["code"], error["type"]) == ("Slow down.", "rate_limit", "invalid_request_error")


def test_server_errors_say_so() -> None:
    assert ChatError(500, "x").response().json()["error"]["type"] == "server_error"


def test_other_exceptions_pass_through() -> None:
    with pytest.raises(httpx.ConnectError, match="refused"):
        post(Pieces(httpx.ConnectError("refused")), HELLO)


def test_closing_the_response_closes_the_generator_at_once() -> None:
    async def check() -> None:
        model = Pieces("a", "b", Finish())
        response = await model.handle_async_request(httpx.Request("POST", URL, json=HELLO))
        stream = response.aiter_raw()
        await anext(stream)
        assert not model.closed
        await response.aclose()
        assert model.closed

    asyncio.run(check())


def test_request_is_parsed() -> None:
    body = {
        "model": "m",
        "stream": True,
        "max_tokens": 7,
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "messages": [
            {"role": "system", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "seen"},
            {"role": "user", "content": "b"},
        ],
    }
    chat = parse_request(httpx.Request("POST", URL, json=body, extensions={SESSION_EXTENSION: "s1"}))
    assert (chat.model, chat.session_id, chat.stream, chat.max_tokens) == ("m", "s1", True, 7)
    assert chat.tools == ("look",)
    assert chat.messages[2:4] == (
        Message("assistant", "", (FunctionCall("look", "{}", "1"),)),
        Message("tool", "seen", call_id="1"),
    )
    assert (chat.system_text, chat.user_texts, chat.prompt) == ("Be kind.", ("a", "b"), "b")


def test_requests_without_user_have_an_empty_prompt() -> None:
    assert ChatRequest("m", ()).prompt == ""


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("<current_datetime>2026-01-01T00:00:00Z</current_datetime>\n\nhello", "hello"),
        ("<tools_changed_notice>x\ny</tools_changed_notice>\n<current_datetime>z</current_datetime>\n\nhi", "hi"),
        ("what is <current_datetime>?", "what is <current_datetime>?"),
        ("say <current_datetime>x</current_datetime>", "say <current_datetime>x</current_datetime>"),
    ],
)
def test_bare_text_is_what_the_user_typed(text: str, bare: str) -> None:
    assert Message("user", text).bare_text == bare
    assert Message("assistant", text).bare_text == text
