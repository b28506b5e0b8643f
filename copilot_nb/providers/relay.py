"""Sends the runtime's requests to a provider that the user has added, with its address and key, and watches them.

The runtime gets a host that does not exist, and no key. Here a request gets its real address and its key, and the
answer the form that the runtime reads (`answer_repair`); its first bytes say what it is, not its content type. Errors
that a retry cannot help (a wrong key, a refused connection) reach the runtime with a status that it does not retry, and
the relay keeps the fault for the message that the user reads.

A request that is refused because of an optional parameter that the runtime adds (an effort for a model that does not
reason, a temperature for one that does) is sent again without it, and so are the later ones to that model.
"""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import httpx

from copilot_nb.errors import ProviderError
from copilot_nb.foreign_json import parsed
from copilot_nb.providers.answer_repair import Data, repair_for, repaired_request
from copilot_nb.providers.chat import SESSION_EXTENSION
from copilot_nb.providers.incoming import AnswerStream, Body, Refused, answered, whole, wire_of
from copilot_nb.providers.keys import Secret, obtained
from copilot_nb.providers.network import Network
from copilot_nb.providers.provider_error import Fault, one_line, words_of
from copilot_nb.providers.spec import Spec

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
        self._refused: dict[str, tuple[bytes, Fault]] = {}
        self.faults: dict[str, Fault] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of the runtime; see `httpx.AsyncBaseTransport`."""
        session_id = request.extensions.get(SESSION_EXTENSION) or ""
        self.faults.pop(session_id, None)
        content, fault = self._refused.pop(session_id, (b"", None))
        if fault is not None and content == request.content:  # asked again, although that is in vain
            return self._failed(session_id, fault)
        try:
            secret = await obtained(self._spec.key)
            body = await Body.opened(await self._sent(request, secret))
            if body.is_stream:
                return await self._stream(session_id, request, body, secret)
            found = whole(body.response, await body.text(), secret)
        except Refused as error:
            found = error.fault
        except (ProviderError, httpx.RequestError, httpx.InvalidURL) as error:
            found = fault_of(error)
        if not isinstance(found, Fault):
            return answered(request, found)
        if found.status == httpx.codes.NOT_FOUND:
            await self._on_missing()
        return self._failed(session_id, found)

    async def _sent(self, request: httpx.Request, secret: Secret | None) -> httpx.Response:
        """Send the request; if a parameter is refused, send it again without it."""
        fields = repaired_request(_fields(request))
        unwanted = self._unwanted.setdefault(str(fields.get("model", "")), set())
        while True:
            kept = {name: value for name, value in fields.items() if name not in unwanted}
            response = await self._network.handle_async_request(self._addressed(request, kept, secret))
            if response.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
                return response
            body = await (await Body.opened(response)).text()
            blamed = [name for name in OPTIONAL if name in kept and re.search(rf"\b{name}\b", _complaint(body))]
            if not blamed:
                return httpx.Response(response.status_code, headers={"content-type": "application/json"}, text=body)
            unwanted.add(blamed[0])

    def _addressed(self, request: httpx.Request, fields: Data, secret: Secret | None) -> httpx.Request:
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
        wait = {} if fault.retry_after_s is None else {"retry-after": str(math.ceil(fault.retry_after_s))}
        error = {"message": fault.text or fault.kind, "type": fault.code or fault.kind, "code": fault.code or None}
        return httpx.Response(fault.shown_status, headers=wait, json={"type": "error", "error": error})

    async def _stream(
        self, session_id: str, request: httpx.Request, body: Body, secret: Secret | None
    ) -> httpx.Response:
        """Return the stream of an answer after its first event, unless that is an error.

        Raises
        ------
        Refused
            If it has begun with one.
        """
        stream = AnswerStream(body, repair_for(wire_of(request)), secret)
        await stream.begin()

        def broke(fault: Fault) -> None:
            self.faults[session_id] = fault
            if fault.is_final:
                self._refused[session_id] = request.content, fault

        stream.on_fault = broke
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)


def key_headers(spec: Spec, secret: Secret | None) -> dict[str, str]:
    """Return the header that carries the key."""
    if secret is None:
        return {}
    if spec.is_bearer or spec.api not in ("azure", "anthropic"):
        return {"authorization": f"Bearer {secret.reveal()}"}
    return {"api-key" if spec.api == "azure" else "x-api-key": secret.reveal()}


def _fields(request: httpx.Request) -> dict[str, object]:
    fields = json.loads(request.content or b"{}")
    assert isinstance(fields, dict)
    return fields


def _complaint(body: str) -> str:
    """Return why a request was refused: the error's text, without the parts of the request that it repeats."""
    try:
        data = parsed(body)
    except ValueError:
        return body
    error = data.get("error") if isinstance(data, dict) else None
    return f"{words_of(data)} {error.get('param') if isinstance(error, dict) else ''}"


def fault_of(error: ProviderError | httpx.RequestError | httpx.InvalidURL) -> Fault:
    """Return the fault that an exception means."""
    if isinstance(error, ProviderError):
        return Fault("key", text=error.message, hint=error.hint)
    if isinstance(error, httpx.InvalidURL):
        return Fault("unknown host", text=one_line(str(error)))
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
    """Yield an exception and its causes."""
    yield error
    for other in (error.__cause__ or error.__context__, *getattr(error, "exceptions", ())):
        if other is not None:
            yield from _causes(other)
