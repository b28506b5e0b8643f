"""The embedded model through the whole stack, over xllamacpp called directly with the same options.

`session.ask` is timed as its caller sees it; the peer is a second copy of the model, loaded into this process, whose
`handle_chat_completions` gets the same messages. The two take turns, with one answer at a time and with three. Before
each measurement the model has read the beginning that all prompts share. Also measured: how much of a conversation is
read again at each turn, with as many sessions as slots and with twice as many; and how fast Python runs meanwhile.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import Result, ratios
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.providers.chat import Message
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.providers.local import llama, llama_process
from copilot_nb.providers.local.model import LocalModel, _body
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.providers.local.presets import preset
from copilot_nb.settings import DEFAULT_SYSTEM_MESSAGE, CopilotNB

PROMPT = "Write a long story about a dog who travels by sea, with many details."
ANSWER_TOKENS, SHORT_TOKENS = 200, 40
REPETITIONS = {1: 7, 3: 5}
CONVERSATION_TURNS = 6
SPEED_GOAL, FIRST_GOAL_MS, NEW_TOKENS_GOAL = 1 / 0.85, 100.0, 32.0


@dataclass(frozen=True)
class Answer:
    """The length of an answer, and the seconds until its first token."""

    tokens: int
    first_s: float


def run() -> list[Result]:
    """Measure."""
    settings = CopilotNB(provider="local", local_model_path="")
    manager, model = Manager(settings), LocalModel(settings, max_answer_tokens=ANSWER_TOKENS)
    manager.providers.add(InKernel("local", lambda: model))
    manager.session("warm-up").ask("hello")
    try:
        speeds = [result for count in REPETITIONS for result in _speed(manager, count)]
        slowdown = _slowdown(manager)
        model.max_answer_tokens = SHORT_TOKENS
        return [*speeds, slowdown, *(_read_again(manager, count) for count in (1, 3, 6))]
    finally:
        manager.close()


def _speed(manager: Manager, count: int) -> list[Result]:
    numbers = iter(range(1000))
    with tempfile.TemporaryDirectory(prefix="cnb-") as folder:
        server = _direct_server(folder)
        _direct(server)
        ours, peers = [], []
        for _ in range(REPETITIONS[count]):
            sessions = [manager.session(f"speed-{count}-{next(numbers)}") for _ in range(count)]
            for session in sessions:
                session.create()
            ours.append(_together([lambda s=session: _asked(s.send(PROMPT)) for session in sessions]))
            peers.append(_together([lambda: _direct(server)] * count))
    label = f"local: {count} at a time"
    overheads_ms = [1000 * (mine.first_s - other.first_s) for (_, mine), (_, other) in zip(ours, peers, strict=True)]
    return [
        ratios(f"{label}: xllamacpp's tokens/s over ours", [p for p, _ in peers], [o for o, _ in ours], SPEED_GOAL),
        Result(f"{label}: first token, ours - xllamacpp's", overheads_ms, "ms", FIRST_GOAL_MS),
        Result(f"{label}: (xllamacpp's tokens/s)", [p for p, _ in peers], "1/s"),
    ]


def _direct_server(folder: str) -> Any:
    return llama_process.load(
        {
            "path": str(find_local_model("")),
            "socket": str(Path(folder, "llm.sock")),
            "context_tokens": 4096,
            "parallel": 3,
            "threads": llama.default_threads(),
            "batch_tokens": llama.BATCH_TOKENS,
            "prompt_cache_mib": llama.PROMPT_CACHE_MIB,
        }
    )


def _together(askers: list[Callable[[], Answer]]) -> tuple[float, Answer]:
    """Return the tokens per second of all answers, and the answer with the median time to its first token."""
    with ThreadPoolExecutor(len(askers)) as pool:
        began_s = time.perf_counter()
        answers = list(pool.map(lambda asker: asker(), askers))
        took_s = time.perf_counter() - began_s
    return sum(a.tokens for a in answers) / took_s, sorted(answers, key=lambda a: a.first_s)[len(answers) // 2]


def _asked(turn: Turn) -> Answer:
    began_s, first_s = time.perf_counter(), []
    turn.wait(on_update=lambda t: first_s.append(time.perf_counter() - began_s) if t.text and not first_s else None)
    assert turn.usage is not None
    return Answer(turn.usage.output_tokens, first_s[0])


def _direct(server: Any) -> Answer:
    messages = [Message("system", DEFAULT_SYSTEM_MESSAGE), Message("user", PROMPT)]
    began_s, first_s, tokens = time.perf_counter(), [], []

    def on_answer(data: str | bytes | dict[str, Any] | list[dict[str, Any]]) -> None:
        found = json.loads(data) if isinstance(data, str | bytes) else data
        for event in found if isinstance(found, list) else [found]:
            if not first_s and any(choice["delta"].get("content") for choice in event.get("choices", ())):
                first_s.append(time.perf_counter() - began_s)
            if usage := event.get("usage"):
                tokens.append(usage["completion_tokens"])

    server.handle_chat_completions(_body(messages, preset(""), ANSWER_TOKENS), on_answer)
    return Answer(tokens[-1], first_s[0])


def _slowdown(manager: Manager) -> Result:
    """Time a Python loop in the main thread, during an answer over without one."""
    alone_s = statistics.median(_loop_s() for _ in range(30))
    turn = manager.session("beside").send(PROMPT)
    while not turn.text:
        turn.wait_for_change(1.0)
    beside_s = []
    while not turn.done:
        beside_s.append(_loop_s())
    return Result("local: a loop in the kernel, beside an answer over alone", [s / alone_s for s in beside_s])


def _loop_s() -> float:
    began_s, total = time.perf_counter(), 0
    for number in range(300_000):
        total += number * number
    return time.perf_counter() - began_s


def _read_again(manager: Manager, count: int) -> Result:
    """Count the tokens that each later turn reads, in conversations that alternate; a prompt alone has about 20."""
    sessions = [manager.session(f"talk-{count}-{number}") for number in range(count)]
    with _noted() as read:
        for turn in range(CONVERSATION_TURNS):
            for session in sessions:
                session.ask(f"Tell {session.name} one more thing about dogs, number {turn}.")
    name = f"local: tokens read a turn, {CONVERSATION_TURNS} turns of {count} sessions"
    return Result(name, read[count:], "tokens", NEW_TOKENS_GOAL)


@contextmanager
def _noted() -> Iterator[list[float]]:
    """Record how many tokens of each prompt llama.cpp reads."""
    read: list[float] = []
    stream = llama.LlamaServer.stream

    async def noted(self: llama.LlamaServer, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(stream(self, body)) as events:
            async for event in events:
                if "usage" in event:
                    read.append(event["timings"]["prompt_n"])
                yield event

    llama.LlamaServer.stream = noted  # type: ignore[method-assign]
    try:
        yield read
    finally:
        llama.LlamaServer.stream = stream  # type: ignore[method-assign]
