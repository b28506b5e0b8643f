"""A model provider on this machine: the real wire formats of three APIs, and faults by script.

It speaks OpenAI's chat completions and responses and Anthropic's messages, streamed, and lists models. Nothing is
timed: a fault that waits, waits until the other side or the test lets go.

Formats: https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Event = tuple[str, dict[str, Any]]
_RUNTIME_PREFIX = re.compile(r"\A(?:\s*<(current_datetime|tools_changed_notice)>.*?</\1>\s*)+", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """One request for an answer, as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def wire(self) -> str:
        return wire_of(self.path)

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def user_texts(self) -> list[str]:
        """What the user said, oldest first, without what the runtime puts before it."""
        messages = self.body.get("messages") or self.body.get("input") or []
        return [_RUNTIME_PREFIX.sub("", _text(m["content"])) for m in messages if m.get("role") == "user"]

    @property
    def key(self) -> str:
        """The key it came with, whichever header holds it."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return bearer or self.headers.get("api-key") or self.headers.get("x-api-key") or ""


class Reply:
    """The answering side of one request."""

    def __init__(self, handler: BaseHTTPRequestHandler, asked: Asked, loopback: Loopback) -> None:
        self.handler = handler
        self.asked = asked
        self.loopback = loopback

    def whole(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Answer with one body: JSON, or text as it is."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.handler.send_response(status)
        kind = "text/html" if isinstance(body, str) else "application/json"
        for name, value in ({"content-type": kind, "content-length": str(len(data))} | (headers or {})).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def begin(self) -> None:
        """Begin a stream of events."""
        self.handler.send_response(200)
        self.handler.send_header("content-type", "text/event-stream")
        self.handler.send_header("transfer-encoding", "chunked")
        self.handler.end_headers()

    def raw(self, text: str) -> None:
        """Send a piece of the stream."""
        data = text.encode()
        self.handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.handler.wfile.flush()

    def events(self, events: list[Event]) -> None:
        """Send events as the wire writes them."""
        for name, data in events:
            head = f"event: {name}\n" if name else ""
            self.raw(f"{head}data: {json.dumps(data)}\n\n")

    def end(self) -> None:
        """End the stream as it should."""
        if self.asked.wire == "completions":
            self.raw("data: [DONE]\n\n")
        self.handler.wfile.write(b"0\r\n\r\n")
        self.handler.wfile.flush()

    def break_off(self) -> None:
        """Close the connection in the middle of a stream."""
        self.handler.close_connection = True


Fault = Callable[[Reply], None]


def status(code: int, message: str = "", *, kind: str = "", retry_after_s: float | None = None) -> Fault:
    """Refuse with a status, in the words of the wire asked."""

    def refuse(reply: Reply) -> None:
        headers = {} if retry_after_s is None else {"retry-after": f"{retry_after_s:g}"}
        reply.whole(code, error_body(reply.asked.wire, message or f"fault {code}", kind or "api_error"), headers)

    return refuse


def page(code: int, html: str = "<html><body>Not here</body></html>") -> Fault:
    """Answer with a web page, as a proxy or a wrong address does."""
    return lambda reply: reply.whole(code, html)


def text(body: str, kind: str = "text/event-stream") -> Fault:
    """Send this body as it is, under any content type."""
    return lambda reply: reply.whole(200, body, {"content-type": kind})


def answered_in(kind: str) -> Fault:
    """Answer as one should, but under another content type."""

    def send(reply: Reply) -> None:
        events = "".join(f"data: {json.dumps(data)}\n\n" for _, data in answer(reply.asked, reply.loopback.text))
        reply.whole(200, events, {"content-type": kind})

    return send


def answered_whole(behind: str = "", kind: str = "application/json") -> Fault:
    """Answer by one body, although a stream was asked for; `behind` follows it."""

    def send(reply: Reply) -> None:
        reply.whole(200, json.dumps(whole_answer(reply.asked, reply.loopback.text)) + behind, {"content-type": kind})

    return send


def silent(reply: Reply) -> None:
    """Accept the request and send nothing at all, until `Loopback.release`."""
    with reply.loopback.waiting():
        reply.break_off()


def stalled(reply: Reply) -> None:
    """Send the beginning of an answer and then nothing more, until `Loopback.release`."""
    reply.begin()
    reply.events(answer(reply.asked, "The beginning", cut=True))
    with reply.loopback.waiting():
        reply.break_off()


def malformed(reply: Reply) -> None:
    """Send events that are none."""
    reply.begin()
    reply.raw("data: {this is not JSON\n\n")
    reply.end()


def cut(reply: Reply) -> None:
    """Send the beginning of an answer and close the connection."""
    reply.begin()
    reply.events(answer(reply.asked, "The beginning", cut=True))
    reply.break_off()


def hang_up(reply: Reply) -> None:
    """Close the connection without a word."""
    reply.break_off()


def error_in_200(message: str) -> Fault:
    """Say 200 and send an error as the body."""
    return lambda reply: reply.whole(200, error_body(reply.asked.wire, message, "server_error"))


def error_in_stream(message: str) -> Fault:
    """Say 200, begin an answer, and send an error as an event."""

    def fail(reply: Reply) -> None:
        reply.begin()
        reply.events(answer(reply.asked, "The beginning", cut=True))
        reply.events([("error", error_body(reply.asked.wire, message, "overloaded_error") | {"type": "error"})])
        reply.end()

    return fail


class Loopback:
    """A server on a port of its own; a context manager.

    Parameters
    ----------
    text : str
        What it answers.
    key : str
        The key it wants; ``""``: any.
    models : tuple of str
        The models it lists; ``()``: it has no list, and knows every model.
    tls : ssl.SSLContext or None
        Speak TLS.
    """

    def __init__(
        self, text: str = "Hello.", *, key: str = "", models: tuple[str, ...] = (), tls: ssl.SSLContext | None = None
    ) -> None:
        self.text = text
        self.key = key
        self.models = models
        self.faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.listed = 0
        self.connects: list[str] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.connections: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def fail(self, *faults: Fault) -> None:
        """Let the next requests for an answer meet these faults, one each."""
        self.faults.extend(faults)

    def release(self) -> None:
        """Let go of what waits."""
        self._released.set()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for `release`."""
        self._released.wait()
        yield

    def take(self, asked: Asked) -> Fault | None:
        """Note a request and return its fault."""
        with self._lock:
            self.asked.append(asked)
            if self.key and asked.key != self.key:
                return status(401, f"Incorrect API key provided: {asked.key}.", kind="authentication_error")
            if self.models and asked.model not in self.models:
                return status(404, f"The model `{asked.model}` does not exist.", kind="not_found_error")
            return self.faults.popleft() if self.faults else None


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = Reply(self, Asked(self.path, {}, {}), loopback)
            if not self.path.partition("?")[0].endswith("/models") or not loopback.models:
                reply.whole(404, {"error": {"message": "not found"}})
                return
            loopback.listed += 1
            reply.whole(200, {"object": "list", "data": [{"id": model} for model in loopback.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = Reply(self, Asked(self.path, headers, body), loopback)
            fault = loopback.take(reply.asked) or plain
            with contextlib.suppress(ConnectionError):
                fault(reply)

        def do_CONNECT(self) -> None:
            loopback.connects.append(self.path)
            self.send_error(407)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            loopback.connections.add(self.connection)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                super().handle()
            loopback.connections.discard(self.connection)

    return Handler


def plain(reply: Reply) -> None:
    """Answer as one should."""
    events = answer(reply.asked, reply.loopback.text)
    if not reply.asked.body.get("stream"):
        reply.whole(500, error_body(reply.asked.wire, "this server only streams", "server_error"))
        return
    reply.begin()
    reply.events(events)
    reply.end()


def wire_of(path: str) -> str:
    """Return which API a path belongs to: ``completions``, ``responses`` or ``messages``."""
    return path.partition("?")[0].rpartition("/")[2]


def error_body(wire: str, message: str, kind: str) -> dict[str, Any]:
    """Return an error as an API words it."""
    if wire == "messages":
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def answer(asked: Asked, text: str, *, cut: bool = False) -> list[Event]:
    """Return the events of an answer; `cut`: only those up to its first words."""
    make = {"completions": _completions, "responses": _responses, "messages": _messages}[asked.wire]
    events = make(asked.model, text)
    first = next(i for i, (_, data) in enumerate(events) if text in json.dumps(data))
    return events[: first + 1] if cut else events


def whole_answer(asked: Asked, text: str) -> dict[str, Any]:
    """Return an answer as one body."""
    if asked.wire == "responses":
        response: dict[str, Any] = _responses(asked.model, text)[-1][1]["response"]
        return response
    if asked.wire == "messages":
        head: dict[str, Any] = _messages(asked.model, text)[0][1]["message"]
        return head | {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [choice]}


def _completions(model: str, text: str) -> list[Event]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> Event:
        return "", head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    said = chunk({"role": "assistant", "content": text})
    return [said, chunk({}, "stop"), ("", head | {"choices": [], "usage": usage})]


def _messages(model: str, text: str) -> list[Event]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    start = {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]


def _responses(model: str, text: str) -> list[Event]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "status": "in_progress"}
    usage = {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 14,
    }
    empty: dict[str, Any] = {"status": "in_progress", "content": []}
    done = head | {"status": "completed", "output": [item], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": head | {"output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item | empty},
        {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text},
        {"type": "response.output_text.done", **place, "text": text},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return [(event["type"], event | {"sequence_number": number}) for number, event in enumerate(events)]


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
