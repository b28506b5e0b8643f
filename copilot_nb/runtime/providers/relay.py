"""Requests to a provider of one's own, on their way from the runtime: addressed, given the key, and watched.

The runtime is told of a host that does not exist and of no key. Here a request gets its real address and its key; what
comes back goes on without the key in it. What the runtime would only repeat in vain (a wrong key, a refused
connection) it is told in a way that it gives up at once; what went wrong is kept for whoever tells the user.

A request that is refused because of an optional parameter that the runtime adds (an effort for a model that does not
reason, a temperature for one that does) is sent again without it, and so are the later ones to that model.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.network import Network
from copilot_nb.runtime.providers.chat import SESSION_EXTENSION
from copilot_nb.runtime.providers.fault import Fault, one_line, read
from copilot_nb.runtime.providers.keys import HIDDEN, Secret, obtained
from copilot_nb.runtime.providers.spec import Spec

OPTIONAL = (
    "reasoning_effort",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stream_options",
    "thinking",
    "reasoning",
    "include",
    "prompt_cache_key",
    "store",
)
"""Fields of a request that an answer can do without."""
MAX_BODY_BYTES = 1_000_000
_KEY_HEADERS = ("authorization", "api-key", "x-api-key")


class Relay(httpx.AsyncBaseTransport):
    """The transport of one provider.

    Parameters
    ----------
    spec : Spec
        Its address and where its key is.
    network : Network
        The way out.
    on_missing : callable
        Awaited when the provider does not know what it was asked for, before anyone is told.

    Attributes
    ----------
    faults : dict of str to Fault
        What went wrong in the last request of each session (by id); nothing where nothing did.
    """

    def __init__(self, spec: Spec, network: Network, on_missing: Callable[[], Awaitable[None]]) -> None:
        self._spec = spec
        self._network = network
        self._on_missing = on_missing
        self._unwanted: dict[str, set[str]] = {}
        self.faults: dict[str, Fault] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of the runtime; see `httpx.AsyncBaseTransport`."""
        session_id = request.extensions.get(SESSION_EXTENSION) or ""
        self.faults.pop(session_id, None)
        try:
            secret = await obtained(self._spec.key)
            response = await self._sent(request, secret)
        except (ProviderError, httpx.TransportError) as error:
            return self._failed(session_id, fault_of(error))
        if response.status_code == httpx.codes.OK and "event-stream" in response.headers.get("content-type", ""):
            return self._stream(session_id, response, secret)
        body = hidden(await _whole(response), secret)
        fault = _fault_in(response, body)
        if fault is None:
            headers = {"content-type": response.headers.get("content-type", "application/json")}
            return httpx.Response(response.status_code, headers=headers, content=body)
        if fault.status == httpx.codes.NOT_FOUND:
            await self._on_missing()
        return self._failed(session_id, fault)

    async def _sent(self, request: httpx.Request, secret: Secret | None) -> httpx.Response:
        """Send the request, without what turns out to be unwanted."""
        fields = _fields(request)
        unwanted = self._unwanted.setdefault(str(fields.get("model", "")), set())
        while True:
            kept = {name: value for name, value in fields.items() if name not in unwanted}
            response = await self._network.handle_async_request(self._addressed(request, kept, secret))
            if response.status_code != httpx.codes.BAD_REQUEST:
                return response
            body = await _whole(response)
            blamed = [name for name in OPTIONAL if name in kept and re.search(rf"\b{name}\b", body)]
            if not blamed:
                return httpx.Response(response.status_code, headers={"content-type": "application/json"}, text=body)
            unwanted.add(blamed[0])

    def _addressed(self, request: httpx.Request, fields: dict[str, object], secret: Secret | None) -> httpx.Request:
        base = httpx.URL(self._spec.base_url)
        url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port)
        headers = {name: value for name, value in request.headers.items() if name not in (*_KEY_HEADERS, "host")}
        headers.pop("content-length", None)
        headers |= key_headers(self._spec, secret)
        return httpx.Request(request.method, url, headers=headers, content=json.dumps(fields).encode())

    def _failed(self, session_id: str, fault: Fault) -> httpx.Response:
        self.faults[session_id] = fault
        if not fault.is_final and fault.kind == "broken":
            raise httpx.RemoteProtocolError(fault.text)
        wait = {} if fault.retry_after_s is None else {"retry-after": f"{fault.retry_after_s:g}"}
        error = {"message": fault.text or fault.kind, "type": fault.code or fault.kind, "code": fault.code or None}
        return httpx.Response(fault.shown_status, headers=wait, json={"type": "error", "error": error})

    def _stream(self, session_id: str, response: httpx.Response, secret: Secret | None) -> httpx.Response:
        def broke(error: httpx.TransportError) -> None:
            self.faults[session_id] = fault_of(error)

        stream = _Watched(response, secret, broke)
        return httpx.Response(200, headers={"content-type": response.headers["content-type"]}, stream=stream)


def key_headers(spec: Spec, secret: Secret | None) -> dict[str, str]:
    """Return the header that carries the key."""
    if secret is None:
        return {}
    if spec.is_bearer or spec.api not in ("azure", "anthropic"):
        return {"authorization": f"Bearer {secret.reveal()}"}
    return {"api-key" if spec.api == "azure" else "x-api-key": secret.reveal()}


def hidden(text: str, secret: Secret | None) -> str:
    """Return `text` without the key."""
    return secret.hidden_in(text) if secret else text


def _fields(request: httpx.Request) -> dict[str, object]:
    fields = json.loads(request.content or b"{}")
    assert isinstance(fields, dict)
    return fields


def _fault_in(response: httpx.Response, body: str) -> Fault | None:
    """Return the fault that a response tells of, whatever its status says."""
    if response.status_code != httpx.codes.OK:
        return read(response.status_code, body, response.headers.get("retry-after", ""))
    if "html" in response.headers.get("content-type", ""):
        return Fault("page")
    try:
        data = json.loads(body)
    except ValueError:
        return Fault("status", 200, one_line(body))
    return read(200, body) if isinstance(data, dict) and data.get("error") else None


async def _whole(response: httpx.Response) -> str:
    """Return the body of a response that is not streamed on; no more of it than one needs."""
    data = b""
    try:
        async for piece in response.aiter_bytes():
            data += piece
            if len(data) > MAX_BODY_BYTES:
                break
    finally:
        await response.aclose()
    return data.decode("utf-8", "replace")


def fault_of(error: ProviderError | httpx.TransportError) -> Fault:
    """Return the fault that an exception tells of."""
    if isinstance(error, ProviderError):
        return Fault("key", text=error.message, hint=error.hint)
    causes = list(_causes(error))
    if isinstance(error, httpx.ProxyError):
        return Fault("proxy", text=one_line(str(error)))
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Fault("broken", text=one_line(str(error)))
    if "[SSL" in str(error) or any(isinstance(cause, ssl.SSLError) for cause in causes):
        reasons = [cause.verify_message for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)]
        return Fault("tls", text=reasons[-1] if reasons else one_line(str(error)))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Fault("unknown host")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Fault("refused")
    return Fault("unreachable", text=one_line(str(error)) or "it does not answer")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it."""
    yield error
    for other in (error.__cause__ or error.__context__, *getattr(error, "exceptions", ())):
        if other is not None:
            yield from _causes(other)


class _Watched(httpx.AsyncByteStream):
    """An answer on its way: without the key, and with whoever wants to know told when it breaks off."""

    def __init__(
        self, response: httpx.Response, secret: Secret | None, broke: Callable[[httpx.TransportError], None]
    ) -> None:
        self._response = response
        self._secret = secret
        self._broke = broke

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in without(self._secret, self._response.aiter_bytes()):
                yield piece
        except httpx.TransportError as error:
            self._broke(error)
            raise

    async def aclose(self) -> None:
        await self._response.aclose()


async def without(secret: Secret | None, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a stream without the key, even where it lies across two of them."""
    if secret is None:
        async for piece in pieces:
            yield piece
        return
    key, held = secret.reveal().encode(), b""
    async for piece in pieces:
        text = (held + piece).replace(key, HIDDEN.encode())
        kept = next((n for n in range(min(len(key) - 1, len(text)), 0, -1) if key.startswith(text[-n:])), 0)
        held = text[len(text) - kept :]
        if ready := text[: len(text) - kept]:
            yield ready
    if held:
        yield held
