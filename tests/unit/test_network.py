"""The way out of this machine: which proxy a request takes, and which proxy is in nobody's way."""

from __future__ import annotations

import httpx
import pytest

from copilot_nb.providers.network import Network, proxy_for
from copilot_nb.providers.spec import is_this_machine
from copilot_nb.runtime.loop import LoopThread


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("127.0.0.1.evil.example", False),
        ("127.evil.example", False),
        ("localhost.evil.example", False),
        ("0.0.0.0.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_this_machine_is_recognised_by_its_address_not_by_the_beginning_of_a_name(host: str, is_here: bool) -> None:
    assert is_this_machine(host) is is_here


@pytest.mark.parametrize(
    ("exempt", "direct", "proxied"),
    [
        ("", ["http://127.0.0.1:9/v1", "http://[::1]/v1", "http://localhost/v1"], ["https://far.example/v1"]),
        ("*", ["https://far.example/v1"], []),
        ("far.example", ["https://far.example/v1", "https://api.far.example/v1"], ["https://nofar.example/v1"]),
        (" .far.example , other", ["https://api.far.example/v1"], ["https://near.example/v1"]),
        ("box:8080", ["http://box:8080/v1"], ["http://box:8081/v1"]),
        ("fd00::/8,localhost", ["http://[fd00::5]/v1"], ["http://[fe00::5]/v1", "https://far.example/v1"]),
        ("[fd00::5]", ["http://[fd00::5]:80/v1"], ["http://[fd00::6]/v1"]),
        ("10.0.0.0/8", ["http://10.1.2.3/v1"], ["http://11.1.2.3/v1"]),
        ("no proxy at all::", [], ["https://far.example/v1"]),
    ],
)
def test_no_proxy_is_read_as_it_is_written_everywhere(
    exempt: str, direct: list[str], proxied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exempt)
    monkeypatch.setenv("no_proxy", exempt)
    assert [proxy_for(httpx.URL(url)) for url in direct] == [""] * len(direct)
    assert [proxy_for(httpx.URL(url)) for url in proxied] == ["http://proxy.example:3128"] * len(proxied)


def test_the_schemes_own_proxy_comes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://all.example:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.example:2")
    assert proxy_for(httpx.URL("https://far.example")) == "http://secure.example:2"
    assert proxy_for(httpx.URL("http://far.example")) == "socks5://all.example:1"


@pytest.mark.parametrize("proxy", ["http://proxy.example:none", "gopher://proxy.example"])
def test_a_proxy_that_cannot_be_used_is_a_proxy_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    loop = LoopThread()
    try:
        with pytest.raises(httpx.ProxyError):
            loop.blocking(Network().handle_async_request(httpx.Request("GET", "http://far.example/v1")))
    finally:
        loop.stop()
