"""Routes every model request of the runtime: to a model in the kernel, to one of the user's providers, or out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
from copilot import CopilotRequestContext, CopilotRequestHandler

from copilot_nb.providers.chat import SESSION_EXTENSION


class Router(CopilotRequestHandler):
    """Sends each request by the transport of its host.

    Parameters
    ----------
    route : callable
        Returns the transport of a host.
    on_activity : callable
        Called with a session's id whenever something comes for it, be it only a comment that keeps a connection open.
    """

    def __init__(self, route: Callable[[str], httpx.AsyncBaseTransport], on_activity: Callable[[str], None]) -> None:
        self._route = route
        self._on_activity = on_activity

    async def send_request(self, request: httpx.Request, ctx: CopilotRequestContext) -> httpx.Response:
        """Send one request; see `CopilotRequestHandler`."""
        await request.aread()
        request.extensions[SESSION_EXTENSION] = ctx.session_id
        response = await self._route(request.url.host).handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _WatchedStream(response.stream, lambda: self._on_activity(ctx.session_id or ""))
        return response


class _WatchedStream(httpx.AsyncByteStream):
    """A response that calls `on_activity` for each piece of it."""

    def __init__(self, stream: httpx.AsyncByteStream, on_activity: Callable[[], None]) -> None:
        self._stream = stream
        self._on_activity = on_activity

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._on_activity()
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
