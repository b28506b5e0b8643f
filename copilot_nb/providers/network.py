"""The way out of this machine for model requests: one connection pool for each proxy, and the authorities to trust.

Proxies are named as everywhere (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, or the system's settings); ``NO_PROXY``
may also hold networks (``10.0.0.0/8``, ``fd00::/8``). The proxy is chosen for each request, so one that cannot be used
is in the way of no server that needs none. Trusted are the system's certificate authorities, those that come with
httpx, and the ones in ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` and, because the runtime's other
requests honour it, ``NODE_EXTRA_CA_CERTS``. What changes there counts from the next request.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from pathlib import Path

import httpx

from copilot_nb.providers.spec import is_this_machine

CONNECT_TIMEOUT_S = 15.0
"""To connect, that is: how long an answer may be silent, the turn's own timeout says."""
_EXTRA_AUTHORITIES = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
_WATCHED = (*_EXTRA_AUTHORITIES, "SSL_CERT_FILE", "SSL_CERT_DIR")


class Network(httpx.AsyncBaseTransport):
    """Sends requests as they are; streams their responses. To be used on the loop's thread."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._retired: list[httpx.AsyncClient] = []
        self._surroundings: tuple[str | None, ...] = ()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        client = self._client(proxy_for(request.url))
        request.extensions.setdefault("timeout", client.timeout.as_dict())
        return await client.send(request, stream=True)

    def _client(self, proxy: str) -> httpx.AsyncClient:
        now = tuple(os.environ.get(name) for name in _WATCHED)
        if now != self._surroundings:
            self._retired += self._clients.values()  # answers may still come through them
            self._clients, self._surroundings = {}, now
        if proxy not in self._clients:
            self._clients[proxy] = _client(proxy)
        return self._clients[proxy]

    async def aclose(self) -> None:
        """Close its connections; it can be used again."""
        clients = [*self._retired, *self._clients.values()]
        self._clients, self._retired = {}, []
        for client in clients:
            await client.aclose()


def _client(proxy: str) -> httpx.AsyncClient:
    context = authorities()
    try:
        return httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            proxy=proxy or None,
            trust_env=False,
            follow_redirects=False,  # a key goes where its user sends it, nowhere else
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # SOCKS without socksio; an address that is none
        raise httpx.ProxyError(str(error).splitlines()[0]) from error


def proxy_for(url: httpx.URL) -> str:
    """Return the address of the proxy for requests to `url`; ``""``: none, as always for this machine."""
    if is_this_machine(url.host):
        return ""
    proxies = urllib.request.getproxies()
    named = proxies.get(url.scheme) or proxies.get("all", "")
    if not named or _is_exempt(url, [entry.strip() for entry in proxies.get("no", "").split(",")]):
        return ""
    return named if "://" in named else f"http://{named}"


def _is_exempt(url: httpx.URL, exempt: list[str]) -> bool:
    host = f"[{url.host}]" if ":" in url.host else url.host
    if "*" in exempt or urllib.request.proxy_bypass(f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"):
        return True
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, exempt) if network is not None)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


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
