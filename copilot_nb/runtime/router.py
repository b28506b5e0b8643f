"""Every model request of the runtime comes through here: to a model in the kernel, a provider of one's own, or out."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from copilot import CopilotRequestContext, CopilotRequestHandler

from copilot_nb.runtime.providers.chat import SESSION_EXTENSION


class Router(CopilotRequestHandler):
    """Sends each request by the transport of its host.

    Parameters
    ----------
    route : callable
        Returns the transport of a host.
    """

    def __init__(self, route: Callable[[str], httpx.AsyncBaseTransport]) -> None:
        self._route = route

    async def send_request(self, request: httpx.Request, ctx: CopilotRequestContext) -> httpx.Response:
        """Send one request; see `CopilotRequestHandler`."""
        await request.aread()
        request.extensions[SESSION_EXTENSION] = ctx.session_id
        return await self._route(request.url.host).handle_async_request(request)
