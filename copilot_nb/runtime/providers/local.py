"""The embedded model: a GGUF file run inside the kernel, so that answers need no account and no network.

`LocalModel` prepares what a small model needs (`fit`: its window, without the runtime's preamble), queues
(`_Room`), and passes llama.cpp's tokens on in pieces of about 50 ms: each piece crosses to the runtime and
back, which for single tokens would cost as much as making them.

An answer that reaches the limit of tokens ends as ``stop``, not as ``length``: on ``length`` the runtime asks
the model to go on, which turns one rambling answer into three.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.providers.chat import ChatError, ChatModel, ChatRequest, Finish, Message, Piece
from copilot_nb.runtime.providers.llama import Engine, default_threads

MERGE_S = 0.05
"""Seconds of tokens that travel as one piece; the first token travels at once."""
TEMPLATE_TOKENS = 64
"""Tokens kept for what the chat template adds once: a default system message, the answer's opening."""
MESSAGE_TOKENS = 8
"""Tokens kept for what the chat template adds to each message (SmolLM2: 5)."""

_BUNDLED_STEM = "SmolLM2-135M-Instruct.Q4_1"


@dataclass(frozen=True, slots=True)
class Preset:
    """A model file with a way of choosing among its tokens, under an id of its own.

    Attributes
    ----------
    model_id : str
        What `--model` names.
    temperature, top_p, min_p : float
        llama.cpp's sampling parameters.
    repeat_penalty : float
        Weakens what was said in the last 64 tokens; 1 is off. Much more than this weakens the question's own
        digits: at 1.05, 2 of 12 answers to 2 + 2 were right, at 1.03 10 of 12.
    dry_multiplier : float
        Strength of the DRY sampler, which ends the loops that small models fall into; 0 is off.
    dry_allowed_tokens : int
        Length of a repetition that DRY leaves alone, in tokens.
    """

    model_id: str
    temperature: float
    top_p: float
    min_p: float
    repeat_penalty: float = 1.03
    dry_multiplier: float = 0.8
    dry_allowed_tokens: int = 6

    def sampling(self) -> dict[str, Any]:
        """Give the parameters as llama.cpp's request names them."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
            "dry_multiplier": self.dry_multiplier,
            "dry_allowed_length": self.dry_allowed_tokens,
            "dry_sequence_breakers": ["```"],  # not the default, line ends: the loops are of short lines
        }


def presets(path: Path) -> tuple[Preset, Preset]:
    """Name the two presets of a model file: ``<stem>`` (the default) and ``<stem>:creative``.

    The file that `copilot-nb[local]` is made for is called ``smollm2-135m``.
    """
    name = "smollm2-135m" if path.stem == _BUNDLED_STEM else path.stem
    return (
        Preset(name, temperature=0.2, top_p=0.9, min_p=0.05),
        Preset(f"{name}:creative", temperature=0.8, top_p=1.0, min_p=0.1),
    )


LOCAL_PRESETS = presets(Path(f"{_BUNDLED_STEM}.gguf"))
"""The presets of the model that is installed by default."""


def fit(messages: Sequence[Message], room_tokens: int, count: Callable[[str], int]) -> tuple[list[Message], int]:
    """Choose the messages that the model gets to see: all, or the system's and the latest exchanges.

    Old exchanges go in blocks of half the room, so that the beginning of what is kept, which the model has
    already read, stays the same for many turns.

    Parameters
    ----------
    messages : sequence of Message
        The conversation, oldest first.
    room_tokens : int
        Tokens that there is room for.
    count : callable
        Counts the tokens of a text.

    Returns
    -------
    tuple of list of Message, int
        The messages that stay, and their size in tokens.

    Raises
    ------
    ChatError
        With status 400, where the system message and the last exchange alone are too long.
    """
    seen = [m for m in messages if m.role in ("system", "user", "assistant") and m.text]
    system = [m for m in seen if m.role == "system"]
    exchanges = _exchanges(m for m in seen if m.role != "system")
    sizes = [_tokens(e, count) for e in exchanges]
    system_tokens = _tokens(system, count)
    room_tokens -= system_tokens
    if not exchanges or sizes[-1] > room_tokens:
        raise _too_long(sizes[-1] if sizes else 0, room_tokens)
    dropped = _dropped(sizes, room_tokens)
    return system + [m for e in exchanges[dropped:] for m in e], system_tokens + sum(sizes[dropped:])


def _dropped(sizes: Sequence[int], room_tokens: int) -> int:
    """Count the oldest exchanges that must go; never the last."""
    excess, block = sum(sizes) - room_tokens, max(1, room_tokens // 2)
    goal, gone, dropped = -(-excess // block) * block, 0, 0
    while gone < goal and dropped < len(sizes) - 1:
        gone += sizes[dropped]
        dropped += 1
    return dropped


def _exchanges(messages: Iterator[Message]) -> list[list[Message]]:
    exchanges: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not exchanges:
            exchanges.append([])
        exchanges[-1].append(message)
    return exchanges


def _tokens(messages: Sequence[Message], count: Callable[[str], int]) -> int:
    return sum(count(m.bare_text) + MESSAGE_TOKENS for m in messages)


def _too_long(tokens: int, room_tokens: int) -> ChatError:
    message = (
        f"The prompt is too long for the embedded model: {tokens} tokens, and there is room for "
        f"{max(0, room_tokens)}. Shorten it, or choose another model with --model."
    )
    return ChatError(400, message, "context_length_exceeded")


class _Room:
    """What the answers in progress share: seats, and tokens of context. First come, first served."""

    def __init__(self, seats: int, tokens: int) -> None:
        self._seats = seats
        self._tokens = tokens
        self._door = asyncio.Lock()  # held by the one who waits in front
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def take(self, tokens: int) -> AsyncGenerator[None, None]:
        async with self._door:
            while self._seats < 1 or self._tokens < tokens:
                self._freed.clear()
                await self._freed.wait()
            self._seats -= 1
            self._tokens -= tokens
        with self._give_back(tokens):
            yield

    @contextmanager
    def _give_back(self, tokens: int) -> Iterator[None]:
        try:
            yield
        finally:
            self._seats += 1
            self._tokens += tokens
            self._freed.set()


class LocalModel(ChatModel):
    """A model file that answers inside the kernel, by its two presets.

    Constructing it costs nothing; the file is loaded (about a second, in a thread of its own) by `preload` or by the
    first request. Use it on one event loop.

    Parameters
    ----------
    path : Path
        The GGUF file.
    context_tokens : int, default 4096
        Context window, in tokens. A conversation that outgrows it loses its oldest exchanges. Reading a full
        window again, as after a restart, takes about half a minute on one processor.
    max_answer_tokens : int, default 512
        The longest answer, in tokens.
    parallel : int, default 3
        Answers at the same time (count); more wait their turn.
    threads : int, optional
        Processor threads; default: `llama.default_threads`.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int = 4096,
        max_answer_tokens: int = 512,
        parallel: int = 3,
        threads: int | None = None,
    ) -> None:
        self.path = path
        self.context_tokens = context_tokens
        self.max_answer_tokens = min(max_answer_tokens, context_tokens // 2)
        self._presets = {preset.model_id: preset for preset in presets(path)}
        self._parallel = parallel
        self._threads = threads or default_threads()
        self._room = _Room(parallel, context_tokens)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="copilot-nb-local-model")
        self._lock = threading.Lock()
        self._loading: Future[Engine] | None = None
        self._closed = False

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The ids of the two presets."""
        return tuple(self._presets)

    def preload(self) -> None:
        """Start loading the model in the background; does not wait and does not raise. Any thread may call it."""
        self._load()

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Start an answer; see `ChatModel.answer`."""
        limit = min(request.max_tokens or self.max_answer_tokens, self.max_answer_tokens)
        engine = await self._engine()
        room_tokens = self.context_tokens - limit - TEMPLATE_TOKENS
        loop = asyncio.get_running_loop()
        seen, tokens = await loop.run_in_executor(self._worker, fit, request.messages, room_tokens, engine.count)
        needed = tokens + TEMPLATE_TOKENS + limit
        return self._pieces(engine, _body(seen, self._presets[request.model], limit), needed)

    async def _pieces(self, engine: Engine, body: dict[str, Any], needed: int) -> AsyncGenerator[Piece, None]:
        async with self._room.take(needed), aclosing(engine.stream(body)) as events:
            async for piece in _merge(events):
                yield piece

    async def _engine(self) -> Engine:
        if self._closed:
            raise ChatError(400, "The embedded model was closed; restart the kernel to use it again.")
        try:
            return await asyncio.shield(asyncio.wrap_future(self._load()))
        except ProviderError as error:
            raise ChatError(400, str(error)) from error

    def _load(self) -> Future[Engine]:
        with self._lock:
            if self._loading is None or (self._loading.done() and self._loading.exception()):
                self._loading = self._worker.submit(self._make_engine)
            return self._loading

    def _make_engine(self) -> Engine:
        return Engine(self.path, context_tokens=self.context_tokens, parallel=self._parallel, threads=self._threads)

    async def aclose(self) -> None:
        """Free the model; answers in progress fail, later requests are refused."""
        if not self._closed:
            self._closed = True
            await asyncio.wrap_future(self._worker.submit(self._free))
            self._worker.shutdown(wait=False)

    def close(self) -> None:
        """Do as `aclose` does, waiting for it: not on the loop's thread."""
        if not self._closed:
            self._closed = True
            self._worker.submit(self._free)
            self._worker.shutdown()

    def _free(self) -> None:
        if self._loading is not None and self._loading.exception() is None:
            self._loading.result().close()
        self._loading = None


def _body(messages: Sequence[Message], preset: Preset, limit: int) -> dict[str, Any]:
    return {
        "messages": [{"role": m.role, "content": m.bare_text} for m in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # an event after each batch of the prompt: where a closed connection is noticed
        "cache_prompt": True,
        "max_tokens": limit,
    } | preset.sampling()


async def _merge(events: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[Piece, None]:
    """Turn llama.cpp's events into pieces: tokens of `MERGE_S` together, and a `Finish` with the usage."""
    waiting, sent_at, finished = "", 0.0, False
    async for event in events:
        for choice in event.get("choices", ()):
            waiting += choice["delta"].get("content") or ""
            finished = finished or choice["finish_reason"] is not None
        if waiting and (finished or time.monotonic() - sent_at >= MERGE_S):
            yield waiting
            waiting, sent_at = "", time.monotonic()
        if usage := event.get("usage"):
            yield Finish("stop", usage["prompt_tokens"], usage["completion_tokens"])
