"""Translates the SDK's and the runtime's errors into ours: one line, and what to type next.

Neither has error codes for these cases; the texts are those of the SDK 1.0.25 and the runtime 1.0.102, and a test
provokes each on the real runtime.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from copilot._jsonrpc import JsonRpcError, ProcessExitedError

from copilot_nb.errors import (
    CopilotNBError,
    ProviderError,
    RuntimeUnavailable,
    SessionError,
    SessionInUse,
    SessionNotFound,
    TurnFailed,
)
from copilot_nb.providers.provider_error import NETWORK_HINT, from_runtime
from copilot_nb.runtime.login import is_of_network, token_variable

SDK_ERRORS = (JsonRpcError, ProcessExitedError, RuntimeError, OSError, ValueError)
"""What calls of the SDK raise (it wraps most things in plain `RuntimeError`)."""

CALL_TIMEOUT_S = 60.0
"""For calls that take milliseconds; thousands of sessions are listed within 2 s."""

LOGIN_HINT = "log in with %copilot login, or let the embedded model answer: `-p local`"

DAMAGED_HINT = "what is left of it: `%copilot show NAME`; to start again, delete it: `%copilot rm NAME`"

_KINDS: tuple[tuple[str, type[CopilotNBError], str], ...] = (
    (r"No GitHub OAuth token|[Nn]ot authenticated", ProviderError, LOGIN_HINT),
    (r"Failed to validate .*token|Authentication failed: ", ProviderError, LOGIN_HINT),
    (r"in use by another process", SessionInUse, "close it there, or use another name"),
    (r"Session file is corrupted|Failed to load workspace", SessionError, DAMAGED_HINT),
    (r"Session not found|Session file not found", SessionNotFound, "see `%copilot ls`"),
    (
        r"CLI process exited|was ended by signal|not connected|Connection closed|Broken pipe",
        RuntimeUnavailable,
        "run the cell again",
    ),
    (r"Unhandled method|Method not found", RuntimeUnavailable, "this runtime cannot do that: see `%copilot doctor`"),
    (r"Copilot CLI not found|Timeout waiting for CLI", RuntimeUnavailable, "see `%copilot doctor`"),
)


def translate(error: BaseException, doing: str) -> CopilotNBError:
    """Return our error for one of the SDK's, raised while `doing` something ("opening session a")."""
    text = _plain(str(error) or type(error).__name__)
    for pattern, kind, hint in _KINDS:
        if re.search(pattern, text):
            return kind(f"{doing}: {text}", hint)
    return SessionError(f"{doing}: {text}", "see `%copilot doctor`")


def turn_error(message: str, model: str) -> CopilotNBError:
    """Return the error of a turn that the runtime reported as failed with `message`."""
    text = _plain(message).removeprefix("Execution failed: ")
    if re.search(_KINDS[0][0], text):
        return not_logged_in()
    if re.search(r"credentials may be expired|^Authorization error", text):
        return ProviderError("Copilot does not accept the login: it has expired, or may not use Copilot", _renew_hint())
    fault, retried = from_runtime(text)
    said = f"{fault.status} {fault.text}".strip() if fault.status else fault.text
    times = f" (tried {retried + 1} times)" if retried else ""
    hint = "run the cell again, or choose another model"
    return TurnFailed(f"{model or 'the model'} did not answer: {said}{times}", hint)


def not_logged_in() -> ProviderError:
    """Return the error of a prompt to Copilot without a login."""
    return ProviderError("nobody is logged in to Copilot", LOGIN_HINT)


def unusable_login(problem: str) -> ProviderError:
    """Return the error of a prompt to Copilot with a login of which the runtime reports a `problem`."""
    where = f"the login in {variable}" if (variable := token_variable()) else "its login"
    hint = NETWORK_HINT if is_of_network(problem) else _renew_hint()
    return ProviderError(f"Copilot cannot use {where}: {problem}", hint)


def _renew_hint() -> str:
    if variable := token_variable():
        return f"it comes from the environment variable {variable}: renew or unset that, then %copilot restart"
    return "log in again: %copilot login"


@asynccontextmanager
async def translated(doing: str, *, hint: str = "", timeout_s: float = CALL_TIMEOUT_S) -> AsyncIterator[None]:
    """Translate what the SDK raises inside the block; `hint` takes the place of the general one.

    Raises
    ------
    CopilotNBError
        In place of an error of the SDK, with that as its cause.
    RuntimeUnavailable
        If the block takes longer than `timeout_s` seconds: the runtime does not answer what it cannot read.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise RuntimeUnavailable(
            f"{doing}: the Copilot runtime did not answer within {timeout_s:g} s", hint or "%copilot restart"
        ) from error
    except SDK_ERRORS as error:
        told = translate(error, doing)
        raise type(told)(told.message, hint or told.hint) from error


def _plain(text: str) -> str:
    text = re.sub(r"^JSON-RPC Error -?\d+: ", "", text.strip())
    text = re.sub(r"CLI process exited with code -(\d+)", r"the Copilot runtime was ended by signal \1", text)
    text = re.sub(r"^Request \S+ failed with message: ", "", text)
    first, *rest = text.splitlines() or [""]
    if rest and rest[0].startswith("stderr:"):  # what the runtime said before it ended; its last line says why
        return f"{first}: {rest[-1].removeprefix('stderr:').strip()}"
    return first
