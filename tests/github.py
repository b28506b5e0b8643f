"""A stand-in for GitHub on this machine: the device flow, the user, the account's models.

It speaks what the runtime asks of a host with data residency, whose address is its own, and its models answer.
`elsewhere` is the proxy for everything else: it lets nothing through, and keeps what was asked for.

Shapes: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps, and what the runtime
1.0.102 reads.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Asked, answer

TOKEN = "gho_" + "planted1" * 4
USER = "octocat"
CODE = "ABCD-1234"


def model(model_id: str, multiplier: float, efforts: tuple[str, ...] = (), **limits: int) -> dict[str, Any]:
    """Return a model as GitHub lists it."""
    supports = {"streaming": True, "tool_calls": True, "vision": bool(efforts)}
    return {
        "id": model_id,
        "name": model_id.upper(),
        "object": "model",
        "vendor": "Azure OpenAI",
        "version": model_id,
        "preview": False,
        "model_picker_enabled": True,
        "billing": {"is_premium": multiplier > 0, "multiplier": multiplier},
        "policy": {"state": "enabled", "terms": "terms"},
        "capabilities": {
            "family": model_id,
            "type": "chat",
            "object": "model_capabilities",
            "tokenizer": "o200k_base",
            "limits": limits,
            "supports": supports | ({"reasoning_effort": list(efforts)} if efforts else {}),
        },
        "supported_endpoints": ["/chat/completions", "/responses"],
    }


class GitHubStandIn:
    """GitHub on a port of its own; a context manager.

    Parameters
    ----------
    pending : int
        How often it says that nobody has entered the code yet; -1: always.

    Attributes
    ----------
    prompts : list of str
        What its models were asked, in order.
    """

    def __init__(self, pending: int = 1) -> None:
        self.pending = pending
        self.polled = 0
        self.asked: list[str] = []
        self.elsewhere: list[str] = []
        self.prompts: list[str] = []
        self.expires_in_s = 900
        self.on_poll: Callable[[], None] = lambda: None
        self.models = [
            model(
                "gpt-5",
                1,
                ("low", "medium", "high"),
                max_context_window_tokens=264_000,
                max_output_tokens=64_000,
                max_prompt_tokens=128_000,
            )
        ]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> GitHubStandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def keep_login(self, home: Path) -> None:
        """Write the login into the runtime's folder, as the runtime does without a keychain."""
        user = {"host": self.url, "login": USER}
        tokens = {f"{self.url}:{USER}:github": {"token": TOKEN}, f"{self.url}:{USER}": {"token": TOKEN}}
        config = {"authTokens": tokens, "loggedInUsers": [user | {"kind": "proxima"}], "lastLoggedInUser": user}
        home.mkdir(exist_ok=True)
        (home / "config.json").write_text(json.dumps(config))

    def answer(self, path: str) -> dict[str, Any] | None:
        """Return what it says to a request."""
        if path == "/login/device/code":
            code = {"device_code": "d", "user_code": CODE, "verification_uri": f"{self.url}/login/device"}
            return code | {"expires_in": self.expires_in_s, "interval": 1}
        if path == "/login/oauth/access_token":
            self.polled += 1
            self.on_poll()
            if self.pending < 0 or self.polled <= self.pending:
                return {"error": "authorization_pending"}
            return {"access_token": TOKEN, "token_type": "bearer", "scope": "read:user"}
        if path == "/copilot_internal/user":
            return self._user()
        return {"data": self.models} if path == "/models" else None

    def _user(self) -> dict[str, Any]:
        unlimited = {"entitlement": 0, "percent_remaining": 100.0, "remaining": 0, "unlimited": True}
        premium = {"entitlement": 300, "percent_remaining": 87.5, "remaining": 262, "unlimited": False}
        more = {"overage_count": 0, "overage_permitted": False}
        return {
            "login": USER,
            "copilot_plan": "individual",
            "chat_enabled": True,
            "endpoints": dict.fromkeys(("api", "proxy", "telemetry"), self.url),
            "quota_snapshots": {
                "chat": unlimited | more | {"quota_id": "chat", "quota_remaining": 0.0},
                "premium_interactions": premium | more | {"quota_id": "premium_interactions", "quota_remaining": 262.5},
            },
        }


def _handler(github: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith("http"):  # asked as a proxy
                self._refuse()
                return
            path = self.path.partition("?")[0]
            github.asked.append(path)
            if path == "/responses":
                self._say(200, "text/event-stream", _said(github, Asked(path, {}, json.loads(sent))))
                return
            said = github.answer(path)
            self._say(404 if said is None else 200, "application/json", json.dumps(said or {}))

        def _say(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name is the server's

        def do_CONNECT(self) -> None:
            self._refuse()

        def _refuse(self) -> None:
            github.elsewhere.append(self.path)
            self.send_error(407)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _said(github: GitHubStandIn, asked: Asked) -> str:
    """Return the answer of a model, as a stream."""
    github.prompts.append(asked.user_texts[-1])
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in answer(asked, "From GitHub."))


@contextmanager
def github_here(pending: int = 1) -> Iterator[GitHubStandIn]:
    """Run the stand-in, as the only thing that can be reached, on a system without a keychain."""
    if sys.platform == "darwin":
        pytest.skip("macOS always has a keychain, and it is the user's own")
    with GitHubStandIn(pending) as github, pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(name, github.url)
            patch.setenv(name.lower(), github.url)
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1")
        for name in ("COPILOT_OFFLINE", "GH_TOKEN", "GITHUB_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")  # no keychain
        yield github
