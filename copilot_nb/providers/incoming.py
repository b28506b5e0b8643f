"""A response of a provider that the user has added: a stream of events or one body, an answer or an error.

The first bytes decide which it is: servers send events under any content type, or one body under that of events.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import httpx

from copilot_nb.foreign_json import parsed, parsed_beginning
from copilot_nb.providers.answer_repair import Data, Repair, fault_in, repair_for
from copilot_nb.providers.keys import Secret
from copilot_nb.providers.provider_error import Fault, one_line, read
from copilot_nb.providers.sse import DECIDING_BYTES, Decoder, Event, EventTooLong, is_stream

MAX_BODY_BYTES = 8_000_000
"""The most that is read of a body that is no stream (bytes): a long list of models has two million."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.status} {fault.text}" if fault.status else fault.text)  # as `from_runtime` reads it
        self.fault = fault


class Body:
    """The body of a response, whose first bytes were read to see what it is."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._pieces = response.aiter_bytes()
        self._begun = b""

    @classmethod
    async def opened(cls, response: httpx.Response) -> Body:
        """Read until it is clear whether this is a stream of events."""
        body = cls(response)
        try:
            while len(body._beginning) < DECIDING_BYTES and not is_stream(body._beginning):
                body._begun += await anext(body._pieces)
        except StopAsyncIteration:
            pass
        except BaseException:
            await response.aclose()
            raise
        return body

    @property
    def _beginning(self) -> bytes:
        return self._begun.lstrip(b"\xef\xbb\xbf \r\n\t")

    @property
    def is_stream(self) -> bool:
        """Whether this is a stream of events."""
        return self.response.status_code == httpx.codes.OK and is_stream(self._beginning)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces, as it arrives."""
        yield self._begun
        async for piece in self._pieces:
            yield piece

    async def text(self) -> str:
        """Return the body, up to a maximum."""
        data = b""
        try:
            async for piece in self.pieces():
                data += piece
                if len(data) > MAX_BODY_BYTES:
                    break
        finally:
            await self.response.aclose()
        return data.decode("utf-8", "replace")


class AnswerStream(httpx.AsyncByteStream):
    """A streaming answer, repaired; calls `on_fault` if it breaks off."""

    def __init__(self, body: Body, repair: Repair, secret: Secret | None) -> None:
        self._body = body
        self._repair = repair
        self._secret = secret
        self._first = b""
        self._events = self._repaired()
        self.on_fault: Callable[[Fault], None] = lambda _fault: None

    async def begin(self) -> None:
        """Read up to the first event."""
        try:
            self._first = await anext(self._events, b"")
        except BaseException:
            await self.aclose()
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield self._first
            async with aclosing(self._events):
                async for event in self._events:
                    yield event
        except httpx.RequestError as error:
            self.on_fault(Fault("broken", text=one_line(str(error))))
            raise
        except Refused as error:
            self.on_fault(error.fault)
            raise httpx.RemoteProtocolError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connection."""
        await self._events.aclose()
        await self._body.response.aclose()

    async def _repaired(self) -> AsyncGenerator[bytes, None]:
        decoder = Decoder()
        async with aclosing(self._body.pieces()) as pieces:
            async for piece in pieces:
                try:
                    for event in decoder.feed(piece):
                        yield self._passed(event)
                except EventTooLong as error:
                    raise Refused(Fault("broken", text=str(error))) from error
        for event in decoder.end():
            yield self._passed(event)

    def _passed(self, event: Event) -> bytes:
        """Return the events to pass on for an event: itself repaired, none, or several."""
        if not event.data:
            return event.encoded()
        if event.data.strip() == "[DONE]":
            return b"".join([*map(_encoded, self._repair.done()), event.encoded()])
        try:
            data = parsed(event.data)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            said = self._secret.hidden_in(event.data) if self._secret else event.data
            raise Refused(Fault("broken", text=one_line(f"it sent an event that is no JSON object: {said}")))
        if fault := fault_in(data, self._secret):
            raise Refused(fault)
        return b"".join(map(_encoded, self._repair.event(data)))


def _encoded(data: Data) -> bytes:
    name = data.get("type")
    return Event(json.dumps(data), name if isinstance(name, str) else "").encoded()


def wire_of(request: httpx.Request) -> str:
    """Return which API a request is for, as the last part of its path: ``completions``, ``messages``, ``responses``."""
    return request.url.path.rpartition("/")[2]


def whole(response: httpx.Response, body: str, secret: Secret | None) -> Data | Fault:
    """Return the answer in a complete body, or the fault that it reports, whatever the status is."""
    if response.status_code != httpx.codes.OK:
        return read(response.status_code, body, response.headers.get("retry-after", ""), secret)
    try:
        data = parsed_beginning(body.lstrip("\ufeff \r\n\t"))  # some send [DONE] behind it
    except ValueError:
        is_page = "html" in response.headers.get("content-type", "") or body.lstrip()[:1] == "<"
        return Fault("page") if is_page else read(200, body, secret=secret)
    return data if isinstance(data, dict) and not data.get("error") else read(200, body, secret=secret)


def answered(request: httpx.Request, data: Data) -> httpx.Response:
    """Return a complete answer in the form that the runtime reads."""
    is_streamed = bool(json.loads(request.content or b"{}").get("stream"))
    found = repair_for(wire_of(request)).whole(data) if is_streamed or wire_of(request) != "messages" else data
    if isinstance(found, dict):
        return httpx.Response(200, json=found)
    events = b"".join(Event(json.dumps(event), event["type"]).encoded() for event in found)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)
