"""The way to GitHub's models: the network, and what was wrong with it, for the error of the turn.

The runtime asks again after a failed request and reports only the system's words ("[Errno -2]"). A user's own provider
has a relay, which knows more; this is the same for GitHub.
"""

from __future__ import annotations

from dataclasses import replace

import httpx

from copilot_nb.errors import ProviderError
from copilot_nb.providers.chat import SESSION_EXTENSION
from copilot_nb.providers.provider_error import network_error
from copilot_nb.providers.relay import fault_of


class WayOut(httpx.AsyncBaseTransport):
    """Sends requests as they are, and keeps the last error of each session.

    Parameters
    ----------
    network : httpx.AsyncBaseTransport
        Sends them.
    """

    def __init__(self, network: httpx.AsyncBaseTransport) -> None:
        self._network = network
        self._errors: dict[str, ProviderError] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        session_id = str(request.extensions.get(SESSION_EXTENSION) or "")
        self._errors.pop(session_id, None)
        try:
            return await self._network.handle_async_request(request)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            fault = fault_of(error)
            if fault.kind == "refused":  # GitHub runs; a firewall refuses
                fault = replace(fault, kind="unreachable")
            if fault.kind != "broken":
                self._errors[session_id] = network_error(fault, "github", f"https://{request.url.host}")
            raise

    def error(self, session_id: str) -> ProviderError | None:
        """Return why the last request of a session could not be sent; ``None`` if it was."""
        return self._errors.pop(session_id, None)
