"""Serves models in the kernel by OpenAI's chat completions API, as an httpx transport.

A model is a `ChatModel`: it names its `model_ids` and turns a `ChatRequest` into pieces (text, function calls,
one `Finish`). This module does the rest: it parses and checks requests, encodes answers as
server-sent events (or as one JSON body if no stream was requested), and turns a `ChatError` into an error response.

Closing the response closes the generator of pieces at once, in the same task; its ``finally`` is where a
model stops working. (httpx's own wrapper around a generator leaves that to the garbage collector.)

Format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from copilot_nb.errors import ProviderError
from copilot_nb.providers.pieces import FunctionCall, Piece, stream_response, whole_response

SESSION_EXTENSION = "copilot_session_id"
"""Key in `httpx.Request.extensions` under which the session's id travels."""

# What the runtime puts before the user's words: the time, and a line after a switch of model or tools.
_RUNTIME_PREFIX = re.compile(r"\A(?:\s*<(current_datetime|tools_changed_notice)>.*?</\1>\s*)+", re.DOTALL)


class ChatError(ProviderError):
    """A request that is answered by an error response.

    Parameters
    ----------
    status : int
        HTTP status. The runtime fails at once on 400, 403 and 404, and retries on 429 and 5xx.
    message : str
        What the user reads.
    code : str, optional
        OpenAI's error code, such as ``"context_length_exceeded"``.
    retry_after_s : float, optional
        Seconds after which to try again.
    """

    def __init__(self, status: int, message: str, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    def response(self) -> httpx.Response:
        """Give the error as the response that the client reads."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004
        body = {"error": {"message": self.message, "type": kind, "param": None, "code": self.code or None}}
        headers = {} if self.retry_after_s is None else {"retry-after": f"{self.retry_after_s:g}"}
        return httpx.Response(self.status, headers=headers, json=body)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request.

    Attributes
    ----------
    role : str
        ``system``, ``user``, ``assistant`` or ``tool``.
    text : str
        Its text parts joined.
    calls : tuple of FunctionCall
        What an assistant message called.
    call_id : str
        The call that a tool message answers.
    images : tuple of str
        Its images, as ``data:`` URLs.
    """

    role: str
    text: str
    calls: tuple[FunctionCall, ...] = ()
    call_id: str = ""
    images: tuple[str, ...] = ()

    @property
    def bare_text(self) -> str:
        """`text` without the runtime's additions before the user's words (the time, notices)."""
        return _RUNTIME_PREFIX.sub("", self.text) if self.role == "user" else self.text


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for an answer, reduced to what a model in the kernel needs.

    Attributes
    ----------
    model : str
        The model asked for.
    messages : tuple of Message
        The conversation so far, oldest first.
    session_id : str
        The session it belongs to; ``""`` where unknown.
    tools : tuple of str
        Names of the tools on offer.
    stream : bool
        Whether the answer is wanted piece by piece.
    max_tokens : int or None
        The longest answer wanted, in tokens.
    """

    model: str
    messages: tuple[Message, ...]
    session_id: str = ""
    tools: tuple[str, ...] = ()
    stream: bool = True
    max_tokens: int | None = None

    @property
    def system_text(self) -> str:
        """The system messages, joined by blank lines."""
        return "\n\n".join(m.text for m in self.messages if m.role == "system")

    @property
    def user_texts(self) -> tuple[str, ...]:
        """The user's messages, oldest first, without the runtime's additions."""
        return tuple(m.bare_text for m in self.messages if m.role == "user")

    @property
    def prompt(self) -> str:
        """The user's last message; ``""`` if there is none."""
        return self.user_texts[-1] if self.user_texts else ""


class ChatModel(httpx.AsyncBaseTransport, ABC):
    """A model in the kernel, behind the chat completions API.

    Any host and any path prefix will do: ``GET …/models`` lists, ``POST …/chat/completions`` answers.
    """

    @property
    @abstractmethod
    def model_ids(self) -> tuple[str, ...]:
        """The ids of its models; the first is the default."""

    @property
    def sees_images(self) -> bool:
        """Whether it takes images."""
        return False

    @property
    def calls_tools(self) -> bool:
        """Whether it calls the tools that a request offers."""
        return False

    @property
    def parallel(self) -> int:
        """How many answers it gives at the same time (count); 0: as many as are asked for."""
        return 0

    @abstractmethod
    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Start answering.

        What is refused before the first piece raises here (`ChatError` becomes an error response, anything
        else a failed connection); whatever must be released belongs into the generator's ``finally``.
        """

    def find(self, model_id: str) -> str:
        """Return the full id of a model (``""``: of the default one); ``""`` where there is none.

        Raises
        ------
        ProviderError
            If it is there and cannot be used.
        """
        return model_id if model_id in self.model_ids else "" if model_id else self.model_ids[0]

    def note(self, model_id: str, session_id: str = "") -> str:  # noqa: ARG002
        """Say why a model cannot answer a session at once; ``""`` if it can. While it says so, no turn times out."""
        return ""

    def preload(self) -> None:
        """Start loading the model in the background; any thread may call it."""

    def close(self) -> None:
        """Free the model's resources; do not call it on the loop's thread."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one HTTP request; see `httpx.AsyncBaseTransport`."""
        await request.aread()
        try:
            return await self._respond(request)
        except ChatError as error:
            return error.response()

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        route = (request.method, request.url.path.rsplit("/", 1)[-1])
        if route == ("GET", "models"):
            return models_response(self.model_ids)
        if route != ("POST", "completions"):
            raise ChatError(404, f"There is no {request.method} {request.url.path} here.")
        chat = parse_request(request)
        self._check(chat.model)
        pieces = await self.answer(chat)
        if chat.stream:
            return stream_response(chat.model, pieces)
        whole = await whole_response(chat.model, pieces)
        if whole is None:
            raise ChatError(502, "The model's answer was cut off.")
        return whole

    def _check(self, model_id: str) -> None:
        try:
            found = self.find(model_id)
        except ProviderError as error:
            raise ChatError(404, str(error), "model_not_found") from error
        if not found:
            known = ", ".join(self.model_ids)
            raise ChatError(404, f"There is no model {model_id!r} here; there is {known}.", "model_not_found")


def parse_request(request: httpx.Request) -> ChatRequest:
    """Read a chat-completions request whose body has been read.

    Raises
    ------
    ChatError
        With status 400, where the body is not such a request.
    """
    try:
        body = json.loads(request.content)
        return ChatRequest(
            model=str(body["model"]),
            messages=tuple(_message(m) for m in body["messages"]),
            session_id=request.extensions.get(SESSION_EXTENSION) or "",
            tools=tuple(t["function"]["name"] for t in body.get("tools") or ()),
            stream=bool(body.get("stream")),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChatError(400, f"This is not a chat-completions request: {error!r}.") from error


def _message(data: dict[str, Any]) -> Message:
    calls = tuple(
        FunctionCall(c["function"]["name"], c["function"].get("arguments") or "{}", c.get("id") or "")
        for c in data.get("tool_calls") or ()
    )
    content = data.get("content") or ""
    parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "\n".join(part["text"] for part in parts if part.get("type") == "text")
    images = tuple(part["image_url"]["url"] for part in parts if part.get("type") == "image_url")
    return Message(data["role"], text, calls, data.get("tool_call_id") or "", images)


def models_response(model_ids: Iterable[str]) -> httpx.Response:
    """Answer with the list of models."""
    data = [{"id": model, "object": "model", "created": 0, "owned_by": "copilot-nb"} for model in model_ids]
    return httpx.Response(200, json={"object": "list", "data": data})
