"""What a user sees of a network that does not lead to GitHub."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from copilot_nb.providers.chat import SESSION_EXTENSION
from copilot_nb.providers.registry import Providers
from copilot_nb.settings import CopilotNB

HOST = "api.githubcopilot.com"
CHECK = "check the network, and HTTPS_PROXY where a proxy leads out of it"


class Broken(httpx.AsyncBaseTransport):
    """A network that fails."""

    def __init__(self, error: httpx.TransportError, cause: Exception | None) -> None:
        error.__cause__ = cause
        self.error = error

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        raise self.error


@pytest.mark.parametrize(
    ("error", "cause", "line"),
    [
        (
            httpx.ConnectError("[Errno -2]"),
            socket.gaierror(-2, "Name or service not known"),
            f"github cannot be reached: no host has the name in https://{HOST} → {CHECK}",
        ),
        (
            httpx.ConnectError("All connection attempts failed"),
            ConnectionRefusedError(),
            f"github cannot be reached at https://{HOST} → {CHECK}",
        ),
        (httpx.ConnectTimeout(""), None, f"github cannot be reached at https://{HOST}: it does not answer → {CHECK}"),
        (
            httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
            None,
            f"github cannot be trusted at https://{HOST}: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed → "
            "name the file of its certificate authority: %env SSL_CERT_FILE=/path/ca.pem",
        ),
        (
            httpx.ProxyError("407 Proxy Authentication Required"),
            None,
            "github cannot be reached through the proxy: 407 Proxy Authentication Required → "
            "check HTTPS_PROXY, ALL_PROXY and NO_PROXY",
        ),
        (httpx.ReadError("cut"), None, "None"),  # the runtime's own words say it: it broke off
    ],
)
def test_a_network_that_does_not_lead_to_github_is_one_line(
    error: httpx.TransportError, cause: Exception | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers = Providers(CopilotNB(offline=False))
    monkeypatch.setattr(providers, "network", lambda: Broken(error, cause))
    request = httpx.Request("POST", f"https://{HOST}/responses", extensions={SESSION_EXTENSION: "id-1"})
    with pytest.raises(httpx.TransportError):
        asyncio.run(providers.route(HOST).handle_async_request(request))
    assert str(providers.error("github", "id-1", "[Errno -2]", "gpt-5")) == line
