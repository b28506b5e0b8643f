"""The embedded model: GGUF files run beside the kernel, so that answers need no account and no network.

`LocalModel` prepares what a small model needs (`window.fit`: its window, without the runtime's preamble), queues
(`_Capacity`), and passes llama.cpp's tokens on in pieces of about 50 ms: each piece crosses to the runtime and
back, which for single tokens would cost as much as making them. Each file is loaded once, by a `ModelLoader`.

An answer that reaches the limit of tokens ends as ``stop``, not as ``length``: on ``length`` the runtime asks
the model to go on, which turns one rambling answer into three.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import ProviderError
from copilot_nb.providers.chat import ChatError, ChatModel, ChatRequest, Message
from copilot_nb.providers.local import hugging_face
from copilot_nb.providers.local.llama import LlamaServer, default_threads
from copilot_nb.providers.local.model_loader import ModelLoader, Progress
from copilot_nb.providers.local.model_names import LocalName, LocalNames, default_name
from copilot_nb.providers.local.presets import Preset, preset
from copilot_nb.providers.local.window import fit
from copilot_nb.providers.pieces import Activity, Finish, Piece, Thought

if TYPE_CHECKING:
    from copilot_nb.settings import CopilotNB

MERGE_S = 0.05
"""Seconds of tokens that travel as one piece; the first token travels at once."""
TEMPLATE_TOKENS = 64
"""Tokens kept for what the chat template adds once: a default system message, the answer's opening."""


class _Capacity:
    """What the answers in progress share: seats, and tokens of context. First come, first served.

    Attributes
    ----------
    line : list of str
        The sessions that wait, in their order.
    """

    def __init__(self, seats: int, tokens: int) -> None:
        self.line: list[str] = []
        self._seats = seats
        self._tokens = tokens
        self._front = asyncio.Lock()  # held by the one who waits in front
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def take(self, tokens: int, session_id: str) -> AsyncGenerator[None, None]:
        self.line.append(session_id)
        try:
            async with self._front:
                while self._seats < 1 or self._tokens < tokens:
                    self._freed.clear()
                    await self._freed.wait()
                self._seats -= 1
                self._tokens -= tokens
        finally:
            self.line.remove(session_id)
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model file's server, and the capacity that its answers share."""

    loader: ModelLoader
    capacity: _Capacity


class LocalModel(ChatModel):
    """The local models: every GGUF file that is named, each by its two presets.

    Constructing it costs nothing. A file is loaded (the installed one in half a second, in a process of its own) by
    `preload` or by the first request to it, and unloaded when idle. Use it on one event loop.

    Parameters
    ----------
    settings : CopilotNB
        Name the models (see `LocalNames`), the context window (`local_context_tokens`; a conversation that outgrows
        it loses its oldest exchanges) and how long an idle model stays (`local_idle_s`).
    max_answer_tokens : int, default 512
        The longest answer, in tokens.
    parallel : int, default 3
        Answers of one model at the same time (count); more wait their turn.
    threads : int, optional
        Processor threads of a model; default: `llama.default_threads`.
    """

    def __init__(
        self,
        settings: CopilotNB,
        *,
        max_answer_tokens: int = 512,
        parallel: int = 3,
        threads: int | None = None,
    ) -> None:
        self.context_tokens: int = settings.local_context_tokens
        self.max_answer_tokens = min(max_answer_tokens, self.context_tokens // 2)
        self._settings = settings
        self._names = LocalNames(settings)
        self._parallel = parallel
        self._threads = threads or default_threads()
        self._loaded: dict[Path | hugging_face.HubFile, _Entry] = {}
        self._closed = False

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The names known beforehand; see `LocalNames.model_ids`."""
        return self._names.model_ids

    @property
    def parallel(self) -> int:
        """How many answers of one model it gives at the same time (count)."""
        return self._parallel

    def find(self, model_id: str) -> str:
        """Return the full name; see `ChatModel.find`."""
        return self._names.find(model_id).model_id

    def note(self, model_id: str, session_id: str = "") -> str:
        """Say that the model is loaded or downloaded, or answers others first; see `ChatModel.note`."""
        entry = self._loaded.get(self._names.find(model_id).source)
        if entry is None:
            return ""
        line = entry.capacity.line.copy()  # any thread may ask
        waits = f"waits in the line of the model, place {line.index(session_id) + 1}" if session_id in line else ""
        return entry.loader.note or waits

    def preload(self) -> None:
        """Start loading the default model in the background; does not wait."""
        self._use(self._names.find("")).loader.load()

    def _use(self, name: LocalName) -> _Entry:
        if self._closed:
            raise ProviderError("The embedded model was closed; restart the kernel to use it again")
        if name.source not in self._loaded:
            label = default_name(name.source) if isinstance(name.source, Path) else str(name.source)
            loader = ModelLoader(label, self._locator(name.source), self._load, self._settings.local_idle_s)
            self._loaded[name.source] = _Entry(loader, _Capacity(self._parallel, self.context_tokens))
        return self._loaded[name.source]

    def _locator(self, source: Path | hugging_face.HubFile) -> Callable[[Progress], Path]:
        if isinstance(source, Path):
            return lambda _progress: source
        return lambda progress: hugging_face.fetch(source, offline=self._settings.offline, progress=progress)

    def _load(self, path: Path) -> LlamaServer:
        return LlamaServer(path, context_tokens=self.context_tokens, parallel=self._parallel, threads=self._threads)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Start an answer; see `ChatModel.answer`."""
        limit = min(request.max_tokens or self.max_answer_tokens, self.max_answer_tokens)
        room_tokens = self.context_tokens - limit - TEMPLATE_TOKENS
        try:
            name = self._names.find(request.model)
            loaded = self._use(name)
            async with loaded.loader.server() as server:
                loop, worker = asyncio.get_running_loop(), loaded.loader.worker
                seen, tokens = await loop.run_in_executor(worker, fit, request.messages, room_tokens, server.count)
        except ChatError:
            raise
        except ProviderError as error:
            raise ChatError(400, str(error)) from error
        needed = tokens + TEMPLATE_TOKENS + limit
        return self._pieces(loaded, _body(seen, preset(name.model_id), limit), needed, request.session_id)

    async def _pieces(
        self, loaded: _Entry, body: dict[str, Any], needed: int, session_id: str
    ) -> AsyncGenerator[Piece, None]:
        yield Activity()  # it is loaded
        async with (
            loaded.capacity.take(needed, session_id),
            loaded.loader.server() as server,
            aclosing(server.stream(body)) as events,
        ):
            yield Activity()  # it has answered those before this one
            async for piece in _merge(events):
                yield piece

    async def aclose(self) -> None:
        """Free the models; answers in progress fail, later requests are refused."""
        await asyncio.gather(*map(asyncio.wrap_future, self._close_all()))

    def close(self) -> None:
        """Do as `aclose` does, waiting for it: not on the loop's thread."""
        wait(self._close_all())

    def _close_all(self) -> list[Future[None]]:
        self._closed = True
        loaded, self._loaded = self._loaded, {}
        return [one.loader.close() for one in loaded.values()]


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
            if thought := choice["delta"].get("reasoning_content"):
                yield Thought(thought)
            waiting += choice["delta"].get("content") or ""
            finished = finished or choice["finish_reason"] is not None
        if waiting and (finished or time.monotonic() - sent_at >= MERGE_S):
            yield waiting
            waiting, sent_at = "", time.monotonic()
        if usage := event.get("usage"):
            yield Finish("stop", usage["prompt_tokens"], usage["completion_tokens"])
