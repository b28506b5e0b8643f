from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from copilot_nb.providers.chat import SESSION_EXTENSION
from copilot_nb.testing import ChatError, FunctionCall, Reply, ScriptedModel

URL = "http://scripted/v1/chat/completions"


async def ask(model: ScriptedModel, *user: str, session_id: str = "", name: str = "scripted") -> str:
    """Ask and return the answer's text; what the model answered comes between the user's messages."""
    messages = [m for said in user for m in ({"role": "user", "content": said}, {"role": "assistant", "content": "…"})]
    body = {"model": name, "messages": messages[:-1], "stream": True}
    client = httpx.AsyncClient(transport=model)
    response = await client.post(URL, json=body, extensions={SESSION_EXTENSION: session_id})
    response.raise_for_status()
    return "".join(deltas(response))


def deltas(response: httpx.Response) -> list[str]:
    return [c["choices"][0]["delta"]["content"] for c in chunks(response) if _has_text(c)]


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [json.loads(d) for d in data if d != "[DONE]"]


def _has_text(chunk: dict[str, Any]) -> bool:
    return bool(chunk["choices"] and "content" in chunk["choices"][0]["delta"])


async def post(model: ScriptedModel, text: str = "hi") -> httpx.Response:
    body = {"model": "scripted", "messages": [{"role": "user", "content": text}], "stream": True}
    return await httpx.AsyncClient(transport=model).post(URL, json=body)


def run_while(work: Callable[[], Awaitable[Any]], meanwhile: Callable[[], None]) -> Any:
    """Run `work` on an event loop in another thread, and `meanwhile` in this one."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(_awaited(work))))
    thread.start()
    try:
        meanwhile()
    finally:
        thread.join(10)
    assert not thread.is_alive()
    return results[0]


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await work()
    except (httpx.HTTPError, asyncio.CancelledError) as error:
        return error


def test_without_a_script_it_echoes_and_counts() -> None:
    model = ScriptedModel()
    assert asyncio.run(ask(model, "hello")) == "You said: hello (message 1)"
    assert asyncio.run(ask(model, "hello", "again")) == "You said: again (message 2)"


def test_requests_are_recorded_with_their_sessions() -> None:
    model = ScriptedModel()
    asyncio.run(ask(model, "a", session_id="s1"))
    asyncio.run(ask(model, "b", session_id="s2", name="scripted-b"))
    assert [(r.session_id, r.model, r.prompt) for r in model.requests] == [
        ("s1", "scripted", "a"),
        ("s2", "scripted-b", "b"),
    ]


def test_same_answer_always() -> None:
    model = ScriptedModel("42")
    assert [asyncio.run(ask(model, "a")), asyncio.run(ask(model, "b"))] == ["42", "42"]


def test_replies_in_order_then_echo() -> None:
    model = ScriptedModel(["one", Reply("two"), ""])
    said = [asyncio.run(ask(model, "x")) for _ in range(4)]
    assert said == ["one", "two", "", "You said: x (message 1)"]


def test_a_callable_sees_the_request() -> None:
    model = ScriptedModel(lambda request: f"{request.session_id}/{request.prompt.upper()}")
    assert asyncio.run(ask(model, "shout", session_id="s")) == "s/SHOUT"


def test_text_comes_in_pieces_with_usage_in_words() -> None:
    response = asyncio.run(post(ScriptedModel("one two three", chunk_chars=5), "say it"))
    assert deltas(response) == ["one t", "wo th", "ree"]
    assert chunks(response)[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


def test_delays_are_kept() -> None:
    before = time.monotonic()
    asyncio.run(post(ScriptedModel("abc", chunk_chars=1, delay_s=0.05, chunk_delay_s=0.02)))
    assert time.monotonic() - before >= 0.05 + 2 * 0.02


def test_tools_are_called_after_the_text() -> None:
    response = asyncio.run(post(ScriptedModel(Reply("Let me see.", calls=(FunctionCall("look", "{}"),)))))
    *_, call, finish, _usage = chunks(response)
    assert call["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "look"
    assert finish["choices"][0]["finish_reason"] == "tool_calls"


def test_length() -> None:
    response = asyncio.run(post(ScriptedModel(Reply("and so on", ending="length"))))
    assert chunks(response)[-2]["choices"][0]["finish_reason"] == "length"


def test_provider_error_then_success() -> None:
    model = ScriptedModel([Reply(error=ChatError(429, "Slow down.", retry_after_s=1.5)), "better"])
    response = asyncio.run(post(model))
    assert (response.status_code, response.headers["retry-after"]) == (429, "1.5")
    assert response.json()["error"]["message"] == "Slow down."
    assert asyncio.run(ask(model, "again")) == "better"


def test_refused_connection() -> None:
    with pytest.raises(httpx.ConnectError, match="refused"):
        asyncio.run(post(ScriptedModel(Reply(error=httpx.ConnectError("refused")))))


def test_cut_without_an_end() -> None:
    response = asyncio.run(post(ScriptedModel(Reply("half of", ending="cut"))))
    assert deltas(response) == ["half of"]
    assert "[DONE]" not in response.text


def test_cut_by_an_error() -> None:
    with pytest.raises(httpx.ReadError, match="gone"):
        asyncio.run(post(ScriptedModel(Reply("half of", error=httpx.ReadError("gone")))))


@pytest.mark.parametrize(
    "reply",
    [
        Reply("some text", stall_after_chars=0),
        Reply("some text", stall_after_chars=3),
        Reply("some text", stall_after_chars=9),
        Reply("some text", stall_after_chars=99),
        Reply("some text", stall_headers=True),
    ],
)
def test_stalled_until_released(reply: Reply) -> None:
    model = ScriptedModel(reply, chunk_chars=4)

    def meanwhile() -> None:
        model.wait_for_stalled(1)
        model.release()

    assert run_while(lambda: ask(model, "x"), meanwhile) == "some text"
    assert (model.stalled, model.abandoned) == (0, 0)


def test_hold_stops_every_answer_after_its_first_piece() -> None:
    model = ScriptedModel(chunk_chars=4)
    model.hold()

    async def both() -> list[str]:
        return await asyncio.gather(ask(model, "a"), ask(model, "b"))

    def meanwhile() -> None:
        model.wait_for_requests(2)
        model.wait_for_stalled(2)
        model.release()

    assert run_while(both, meanwhile) == ["You said: a (message 1)", "You said: b (message 1)"]
    assert asyncio.run(ask(model, "c")) == "You said: c (message 1)"


def test_what_came_before_a_stall_has_arrived() -> None:
    async def check() -> str:
        model = ScriptedModel(Reply("some text", stall_after_chars=4))
        body = {"model": "scripted", "messages": [{"role": "user", "content": "x"}], "stream": True}
        response = await model.handle_async_request(httpx.Request("POST", URL, json=body))
        first = await anext(response.aiter_raw())
        await response.aclose()
        return str(json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]["content"])

    assert asyncio.run(check()) == "some"


@pytest.mark.parametrize("reply", [Reply("text", stall_after_chars=2), Reply("text", stall_headers=True)])
def test_an_answer_given_up_is_noticed(reply: Reply) -> None:
    model = ScriptedModel(reply)

    async def cancelled() -> object:
        task = asyncio.ensure_future(ask(model, "x"))
        await asyncio.to_thread(model.wait_for_stalled, 1)
        task.cancel()
        return await task

    run_while(cancelled, lambda: model.wait_for_abandoned(1))
    assert (model.stalled, model.abandoned) == (0, 1)


def test_a_wait_that_times_out_says_what_was_missing() -> None:
    with pytest.raises(TimeoutError, match=r"0 of 2 requests after 0\.01 s"):
        ScriptedModel().wait_for_requests(2, timeout_s=0.01)
