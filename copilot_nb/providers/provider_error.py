"""The faults of a user's provider, and the line that explains each to a user."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from copilot_nb.conversation.transcript import ONLY_REASONING
from copilot_nb.errors import CopilotNBError, ProviderError, TurnFailed
from copilot_nb.foreign_json import parsed
from copilot_nb.providers.keys import NoKey, Secret
from copilot_nb.render.words import nearest

if TYPE_CHECKING:
    from copilot_nb.providers.spec import Spec

Kind = Literal["status", "refused", "unknown host", "unreachable", "tls", "proxy", "broken", "page", "key", "empty"]

NETWORK_HINT = "check the network, and HTTPS_PROXY where a proxy leads out of it"
MAX_TEXT_CHARS = 300
MAX_WRAPPED_CHARS = 10_000
"""The longest message that may be another error as JSON (characters)."""
NEAREST = 3
_IN_WORDS = {413: "the conversation is too long", 429: "too many requests", 503: "overloaded", 529: "overloaded"}
_STATUS_OF = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "BadRequestError": 400,
    "authentication_error": 401,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "overloaded_error": 529,
}
"""The kinds of errors that the APIs name in an event, where there is no status, and the status of each."""
_NO_ANSWER = "No response was returned"
"""How the runtime's message of an empty answer begins."""
_BAD_KEY = re.compile(
    r"(invalid|incorrect|wrong|expired) (x-)?api[ _-]?key|api[ _-]?key (is )?(not valid|invalid|incorrect|expired)",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"quota|billing|credit", re.IGNORECASE)
_RETRIED = re.compile(r"^Failed to get response from the AI model; retried (\d+) times .*?Last error: (.*)$", re.DOTALL)


@dataclass(frozen=True)
class Fault:
    """What a provider did in place of answering.

    Attributes
    ----------
    kind : str
        ``"status"`` where it said so itself.
    status : int
        The HTTP status; 0 where there is none.
    text : str
        Its own words, without the key.
    code : str
        Its own code, such as ``"context_length_exceeded"``.
    retry_after_s : float or None
        Seconds after which it wants to be asked again.
    hint : str
        What to do, where the source of the fault knows it best.
    """

    kind: Kind
    status: int = 0
    text: str = ""
    code: str = ""
    retry_after_s: float | None = None
    hint: str = ""

    @property
    def is_final(self) -> bool:
        """Whether asking again at once would be in vain."""
        if self.kind != "status":
            return self.kind != "broken"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return bool(_QUOTA.search(f"{self.code} {self.text}"))
        return self.status not in (408, 409, 413, 425) and self.status < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def summary(self) -> str:
        """What happened, in a few words."""
        if self.kind != "status":
            return self.text or "the connection broke"
        return f"{_IN_WORDS.get(self.status, 'an internal error')} ({self.status}){self.text and f': {self.text}'}"

    @property
    def shown_status(self) -> int:
        """The status for the runtime, which retries a 401 and every 429: 400 where that is in vain."""
        return self.status if self.kind == "status" and self.status >= 400 and not self._is_retried else 400  # noqa: PLR2004

    @property
    def _is_retried(self) -> bool:
        return self.is_final and self.status in (401, 429)


def read(status: int, body: str, retry_after: str = "", secret: Secret | None = None) -> Fault:
    """Return the fault that an error response tells of, in whichever of the APIs' shapes, without the key in it."""
    seconds = seconds_of(retry_after)
    hide = secret.hidden_in if secret else str
    try:
        data = parsed(body)
    except ValueError:
        is_page = "<html" in body[:1000].lower() or "<!doctype" in body[:1000].lower()
        return Fault("status", status, "it sent a web page" if is_page else one_line(hide(body)), "", seconds)
    return Fault("status", status, one_line(hide(words_of(data))), hide(_code(data)), seconds)


def seconds_of(retry_after: str) -> float | None:
    """Return how long to wait by the header ``Retry-After``: a number of seconds, or a date."""
    if re.fullmatch(r"\d+(\.\d+)?", retry_after):
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, math.ceil((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()))


def words_of(data: Any) -> str:
    """Return an error's own words: the innermost ones, where a gateway wraps those of its provider."""
    match data:
        case str():
            return _unwrapped(data)
        case [dict(), *_]:
            return "; ".join(filter(None, map(words_of, data)))
        case {"loc": [*_, place], "msg": str(words)}:  # FastAPI's: which field, and why
            return f"{place}: {words}"
        case {"metadata": {"raw": raw, **metadata}, **rest} if raw:
            name = metadata.get("provider_name")
            return f"{words_of(rest)}{f' ({name})' if name else ''}: {words_of(raw)}"
        case {"error": error} if error:
            return words_of(error)
        case dict():
            return words_of(next((data[name] for name in ("message", "detail", "msg", "type") if data.get(name)), ""))
        case _:
            return json.dumps(data)


def _unwrapped(text: str) -> str:
    """Return the words of an error that stands, as JSON, in another one's message; any other text as it is."""
    if len(text) <= MAX_WRAPPED_CHARS and text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return words_of(parsed(text)) or text
    return text


def _error(data: Any) -> Any:
    if isinstance(data, list) and data:
        data = data[0]
    return data.get("error", data) if isinstance(data, dict) else data


def _code(data: Any) -> str:
    error = _error(data)
    return str(error.get("code") or error.get("type") or "") if isinstance(error, dict) else ""


def in_stream(data: Mapping[str, Any], secret: Secret | None = None) -> Fault:
    """Return the fault that an event in the middle of an answer tells of: with a status, where it names its kind."""
    error = _error(data)
    names = [str(error.get(name)) for name in ("code", "type", "status")] if isinstance(error, dict) else []
    status = next((int(name) for name in names if re.fullmatch(r"[45]\d\d", name)), 0)
    status = status or next((_STATUS_OF[name] for name in names if name in _STATUS_OF), 0)
    found = read(status, json.dumps(data), secret=secret)
    return found if status else Fault("broken", text=found.text, code=found.code)


def one_line(text: str) -> str:
    """Return the beginning of `text` as one line."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"


def from_runtime(message: str) -> tuple[Fault, int]:
    """Return the fault that the runtime tells of, and how often it had tried again."""
    retried = 0
    if match := _RETRIED.match(message):
        retried, message = int(match[1]), match[2]
    if message == ONLY_REASONING:
        return Fault("empty", text="only its reasoning came"), retried
    if message.startswith(_NO_ANSWER):
        return Fault("empty", text="nothing came"), retried
    message = one_line(message.removeprefix("Failed native model HTTP request: "))
    if match := re.match(r"(\d{3})\s+(.*)", message):
        return Fault("status", int(match[1]), match[2]), retried
    return Fault("broken", text=message), retried


def of_call(status: int, message: str) -> Fault:
    """Return the fault of one call of a model, of which the runtime tells as JSON."""
    found = read(status, message)
    return found if status else from_runtime(found.text)[0]


def to_error(fault: Fault, spec: Spec, model: str, known: Sequence[str] = (), retried: int = 0) -> CopilotNBError:
    """Return the error for a user: which provider, what it did, what to do next."""
    times = f", tried {retried + 1} times" if retried else ""
    said = f": {fault.text}" if fault.text else ""
    if fault.kind == "status":
        what, hint, kind = _of_status(fault, spec, model, known)
        number = "" if fault.status == HTTPStatus.OK else f" ({fault.status}{times})"
        return kind(f"{spec.name} {what}{number}{said}", hint)
    if fault.kind == "empty":
        return TurnFailed(f"{spec.name} gave no answer: {fault.text}", f"run the cell again, {_ELSEWHERE}")
    if fault.kind == "broken":
        return TurnFailed(f"{spec.name} broke off its answer{times and f' ({times[2:]})'}{said}", "run the cell again")
    return network_error(fault, spec.name, spec.base_url, _way_out(fault, spec))


def network_error(fault: Fault, name: str, url: str, hint: str = "") -> ProviderError:
    """Return the error for a request to the provider `name` that could not be sent to `url`."""
    said = f": {fault.text}" if fault.text else ""
    hint = _OF_NETWORK.get(fault.kind) or hint or NETWORK_HINT
    return ProviderError(f"{name} {_OF_KIND[fault.kind].format(url=url)}{said}", hint)


_ELSEWHERE = "or choose another with --model or --provider"
_OF_KIND: dict[Kind, str] = {
    "refused": "is not running at {url}",
    "unknown host": "cannot be reached: no host has the name in {url}",
    "unreachable": "cannot be reached at {url}",
    "tls": "cannot be trusted at {url}",
    "proxy": "cannot be reached through the proxy",
    "page": "answered with a web page at {url}",
    "key": "was not asked",
}


_OF_NETWORK: dict[Kind, str] = {
    "tls": "name the file of its certificate authority: %env SSL_CERT_FILE=/path/ca.pem",
    "proxy": "check HTTPS_PROXY, ALL_PROXY and NO_PROXY",
}


def _way_out(fault: Fault, spec: Spec) -> str:
    check = f"check the address of provider {spec.name!r} (it comes from {spec.origin})"
    if fault.kind == "refused":
        return "start it: ollama serve" if spec.api == "ollama" else f"start it, or {check}"
    return fault.hint or (f"{NETWORK_HINT}; or {check}" if fault.kind in ("unknown host", "unreachable") else check)


def _of_status(
    fault: Fault, spec: Spec, model: str, known: Sequence[str]
) -> tuple[str, str, type[ProviderError] | type[TurnFailed]]:
    """Return what the provider does, what to do next, and the error's class."""
    is_key_refused = fault.status in (400, 401, 403) and bool(_BAD_KEY.search(fault.text))
    match 401 if is_key_refused else fault.status:
        case 401 if isinstance(spec.key, NoKey):
            add = f"%copilot provider add {spec.name} --type {spec.api} --base-url {spec.base_url} --ask-key"
            hint = f"give it one: {add}"
            return "needs a key", hint, ProviderError
        case 401:
            hint = f"check the key of provider {spec.name!r}: {spec.key.where}"
            return "refused the key", hint, ProviderError
        case 200:
            return "answered with an error", f"run the cell again, {_ELSEWHERE}", TurnFailed
        case 402:
            return "asks for payment", f"check your account there, {_ELSEWHERE}", ProviderError
        case 403:
            hint = f"check what the key of provider {spec.name!r} may do ({spec.key.where}), {_ELSEWHERE}"
            return "does not allow this", hint, ProviderError
        case 404:
            return _not_found(spec, model, known)
        case 413:
            return "finds the conversation too long", f"start again with --new, {_ELSEWHERE}", TurnFailed
        case 429 if fault.is_final:
            return "has no quota left for this key", f"check your plan there, {_ELSEWHERE}", ProviderError
        case 429:
            wait = f"wait {fault.retry_after_s:g} s" if fault.retry_after_s else "wait a little"
            return "received too many requests", f"{wait} and run the cell again, {_ELSEWHERE}", TurnFailed
        case 503 | 529:
            return "is overloaded", f"run the cell again later, {_ELSEWHERE}", TurnFailed
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "has an internal error", f"run the cell again later, {_ELSEWHERE}", TurnFailed
        case status if 300 <= status < 400:  # noqa: PLR2004
            return "has moved", f"check the address of provider {spec.name!r}: {spec.base_url}", ProviderError
        case _:
            return "cannot answer", f"change the prompt, {_ELSEWHERE}", TurnFailed


def _not_found(spec: Spec, model: str, known: Sequence[str]) -> tuple[str, str, type[ProviderError]]:
    if known and model in known:
        return f"cannot use the model {model!r} in this way", "choose another with --model", ProviderError
    if known:
        near = ", ".join(nearest(model, known) or known[:NEAREST])
        return f"has no model {model!r}", f"use --model; it has: {near}", ProviderError
    hint = f"check --model, and the address of provider {spec.name!r}: {spec.base_url}"
    return f"has no model {model!r}, or not at this address", hint, ProviderError
