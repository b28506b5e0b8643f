"""The way out of this machine for model requests: one connection pool, behind the proxy and the authorities one has.

Proxies are httpx's own affair (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``). Trusted are the system's certificate
authorities, those that come with httpx, and the ones in ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE``
and, because the runtime's other requests honour it, ``NODE_EXTRA_CA_CERTS``. What changes there counts from the next
request.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

CONNECT_TIMEOUT_S = 15.0
"""To connect, that is: how long an answer may be silent, the turn's own timeout says."""
_EXTRA_AUTHORITIES = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
_DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
"""What is on this machine is never asked through a proxy, which would look for it on its own."""
_WATCHED = (*_EXTRA_AUTHORITIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Network(httpx.AsyncBaseTransport):
    """Sends requests as they are; streams their responses. To be used on the loop's thread."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._retired: list[httpx.AsyncClient] = []
        self._surroundings: tuple[str | None, ...] = ()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        client = self._current()
        request.extensions.setdefault("timeout", client.timeout.as_dict())
        return await client.send(request, stream=True)

    def _current(self) -> httpx.AsyncClient:
        now = tuple(os.environ.get(name) or os.environ.get(name.lower()) for name in _WATCHED)
        if self._client is None or now != self._surroundings:
            fresh = _client()
            self._retired += [self._client] if self._client else []  # answers may still come through it
            self._client, self._surroundings = fresh, now
        return self._client

    async def aclose(self) -> None:
        """Close its connections; it can be used again."""
        clients = [*self._retired, *([self._client] if self._client else [])]
        self._client, self._retired = None, []
        for client in clients:
            await client.aclose()


def _client() -> httpx.AsyncClient:
    context = authorities()
    try:
        return httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            mounts=_DIRECT,
            follow_redirects=False,  # a key goes where its user sends it, nowhere else
        )
    except (ImportError, ValueError) as error:  # a SOCKS proxy without socksio; an address that is none
        raise httpx.ProxyError(str(error).splitlines()[0]) from error


def authorities() -> ssl.SSLContext:
    """Return a context that trusts what the system, httpx and the environment trust.

    Raises
    ------
    httpx.ConnectError
        If a file that the environment names cannot be read.
    """
    name, path = "SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", "")
    try:
        context = httpx.create_ssl_context()
        context.load_default_certs()
        for name in _EXTRA_AUTHORITIES:
            if path := os.environ.get(name, ""):
                context.load_verify_locations(*((None, path) if Path(path).is_dir() else (path,)))
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise httpx.ConnectError(f"[SSL] {name}={path}: {reason}") from error
    return context
