"""A model that follows a script: no network, no weights, no randomness.

It takes the place of a real model behind the chat-completions API, so everything else is real: the runtime, its
retries, its history. A test needs no sleeping: it holds answers back and waits for
what has happened (`wait_for_requests`, `wait_for_stalled`, `wait_for_abandoned`), from its own thread, while
the model answers on the event loop's.

::

    model = ScriptedModel(["first", Reply(error=ChatError(500, "oops")), "after the retry"])
    model.hold()  # answers now stop after their first piece …
    model.wait_for_stalled(2)  # … until two are under way …
    model.release()  # … and go on
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Literal

from copilot_nb.providers.chat import ChatModel, ChatRequest
from copilot_nb.providers.pieces import Finish, FunctionCall, Piece

WAIT_S = 10.0
"""Seconds after which the `wait_for…` methods raise."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, or one failure.

    Attributes
    ----------
    text : str
        The answer.
    calls : tuple of FunctionCall
        The tools that the model calls after its text.
    ending : {"stop", "length", "cut"}
        How the answer ends: regularly, at the limit of tokens, or cut off, as when a connection breaks.
    error : Exception or None
        Without text: a `ChatError` is the provider's error response, any other exception a failed connection
        (``httpx.ConnectError("refused")``). With text: raised after it, in the middle of the stream.
    stall_after_chars : int or None
        Stall after this many characters until `ScriptedModel.release`; 0: before the first.
    stall_headers : bool
        Stall before the response's headers are sent.

    Examples
    --------
    >>> Reply("The first half, and the rest.", stall_after_chars=15).ending
    'stop'
    """

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    ending: Literal["stop", "length", "cut"] = "stop"
    error: Exception | None = None
    stall_after_chars: int | None = None
    stall_headers: bool = False


Script = str | Reply | Callable[[ChatRequest], str | Reply] | Sequence[str | Reply]


def echo(request: ChatRequest) -> str:
    """Repeat the prompt and count the user's messages: the reply of a model without a script."""
    return f"You said: {request.prompt} (message {len(request.user_texts)})"


class ScriptedModel(ChatModel):
    """A model that follows a script and records its requests. All its methods are thread-safe.

    Parameters
    ----------
    reply : str, Reply, callable or sequence, optional
        The answer to every request; a callable that makes one of the `ChatRequest`; or a sequence, one reply for each
        request in the order of their arrival (from any session, retries included), and then `echo`. Default: `echo`.
    delay_s : float, default 0.0
        Seconds before the first piece.
    chunk_delay_s : float, default 0.0
        Seconds between pieces.
    chunk_chars : int, default 16
        Characters in a piece.
    models : sequence of str, default ("scripted", "scripted-b")
        The names of its models.

    Examples
    --------
    >>> model = ScriptedModel(["Hello.", Reply(error=ConnectionError("refused")), "Hello again."])
    >>> model.model_ids
    ('scripted', 'scripted-b')
    """

    def __init__(
        self,
        reply: Script = echo,
        *,
        delay_s: float = 0.0,
        chunk_delay_s: float = 0.0,
        chunk_chars: int = 16,
        models: Sequence[str] = ("scripted", "scripted-b"),
    ) -> None:
        self._delay_s = delay_s
        self._chunk_delay_s = chunk_delay_s
        self._chunk_chars = chunk_chars
        self._models = tuple(models)
        self._changed = threading.Condition()  # guards all below
        self._script = _as_callable(reply)
        self._requests: list[ChatRequest] = []
        self._abandoned = 0
        self._held = False
        self._stalled: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The names of its models."""
        return self._models

    @property
    def sees_images(self) -> bool:
        """Whether it takes images: `Message.images` has them."""
        return True

    @property
    def calls_tools(self) -> bool:
        """Whether it calls tools: `Reply.calls` says which."""
        return True

    @property
    def requests(self) -> list[ChatRequest]:
        """The requests so far, oldest first; `ChatRequest.session_id` says from which session."""
        with self._changed:
            return list(self._requests)

    @property
    def abandoned(self) -> int:
        """How many answers the other side cancelled before their end, as `stop` does."""
        with self._changed:
            return self._abandoned

    @property
    def stalled(self) -> int:
        """How many answers are stalled until `release`."""
        with self._changed:
            return len(self._stalled)

    def hold(self) -> None:
        """Stall every new answer after its first piece, until `release`."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        """Continue all stalled answers, and end `hold`."""
        with self._changed:
            self._held = False
            for event, loop in self._stalled.items():
                loop.call_soon_threadsafe(event.set)
            self._stalled.clear()

    def wait_for_requests(self, count: int, timeout_s: float = WAIT_S) -> None:
        """Block until `count` requests have arrived; do not call it on the event loop's thread.

        Raises
        ------
        TimeoutError
            After `timeout_s`.
        """
        self._wait(lambda: len(self._requests), count, "requests", timeout_s)

    def wait_for_stalled(self, count: int, timeout_s: float = WAIT_S) -> None:
        """Block until at least `count` answers are stalled; see `wait_for_requests`."""
        self._wait(lambda: len(self._stalled), count, "stalled answers", timeout_s)

    def wait_for_abandoned(self, count: int, timeout_s: float = WAIT_S) -> None:
        """Block until the other side has cancelled `count` answers; see `wait_for_requests`."""
        self._wait(lambda: self._abandoned, count, "abandoned answers", timeout_s)

    def _wait(self, number: Callable[[], int], count: int, what: str, timeout_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: number() >= count, timeout_s):
                raise TimeoutError(f"{number()} of {count} {what} after {timeout_s:g} s")

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Answer by the script; see `ChatModel.answer`."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            reply, held = self._script(request), self._held
        reply = Reply(reply) if isinstance(reply, str) else reply
        with self._noticing_abandonment():
            if reply.stall_headers:
                await self._stall()
        if reply.error and not reply.text:
            raise reply.error
        return self._pieces(request, reply, held)

    async def _pieces(self, request: ChatRequest, reply: Reply, held: bool) -> AsyncGenerator[Piece, None]:
        with self._noticing_abandonment():
            async with aclosing(self._paced(reply, held)) as texts:
                async for text in texts:
                    yield text
            for call in reply.calls:
                yield call
            if reply.error:
                raise reply.error
            if reply.ending != "cut":
                yield _finish(request, reply)

    async def _paced(self, reply: Reply, held: bool) -> AsyncGenerator[str, None]:
        stall_at = self._chunk_chars if held and reply.stall_after_chars is None else reply.stall_after_chars
        await _pause(self._delay_s)
        sent = 0
        for piece in _cut(reply.text, self._chunk_chars, stall_at):
            if sent == stall_at:
                await self._stall(only_held=reply.stall_after_chars is None)
            yield piece
            sent += len(piece)
            await _pause(self._chunk_delay_s)
        if stall_at is not None and sent <= stall_at:
            await self._stall(only_held=reply.stall_after_chars is None)

    async def _stall(self, *, only_held: bool = False) -> None:
        event = asyncio.Event()
        with self._changed:
            if only_held and not self._held:  # released meanwhile
                return
            self._stalled[event] = asyncio.get_running_loop()
            self._changed.notify_all()
        try:
            await event.wait()
        finally:
            with self._changed:
                self._stalled.pop(event, None)

    @contextmanager
    def _noticing_abandonment(self) -> Iterator[None]:
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            with self._changed:
                self._abandoned += 1
                self._changed.notify_all()
            raise


def _as_callable(reply: Script) -> Callable[[ChatRequest], str | Reply]:
    if callable(reply):
        return reply
    if isinstance(reply, str | Reply):
        return lambda _request: reply
    left = list(reversed(reply))
    return lambda request: left.pop() if left else echo(request)


def _cut(text: str, chars: int, also_at: int | None) -> Iterator[str]:
    edges = sorted({*range(0, len(text), chars), len(text)} | ({also_at} if also_at and also_at < len(text) else set()))
    return (text[start:end] for start, end in itertools.pairwise(edges))


def _finish(request: ChatRequest, reply: Reply) -> Finish:
    """End a reply; its usage counts words in place of tokens."""
    words = sum(len(m.bare_text.split()) for m in request.messages)
    reason: Literal["stop", "length", "tool_calls"] = "length" if reply.ending == "length" else "stop"
    return Finish("tool_calls" if reply.calls else reason, words, len(reply.text.split()))


async def _pause(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)
