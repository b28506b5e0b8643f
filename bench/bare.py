"""The bare SDK doing the same work: sessions with the options that copilot_nb gives its own."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import DEFAULT_SYSTEM_MESSAGE
from copilot_nb.testing import ScriptedModel

if TYPE_CHECKING:
    from copilot import CopilotSession

    from copilot_nb.named_sessions.manager import Manager


def session_options() -> dict[str, Any]:
    """Return the options of `create_session` for a session that the provider ``scripted`` answers."""
    from copilot_nb.runtime.client import _LEAN

    endpoint = InKernel("scripted", ScriptedModel).endpoint("")
    system = {"mode": "replace", "content": DEFAULT_SYSTEM_MESSAGE}
    return {**_LEAN, **endpoint.options, "model": endpoint.model, "system_message": system}


async def bare_session(manager: Manager, session_id: str) -> CopilotSession:
    """Create a session with these options on the runtime and the loop of `manager`."""
    client = await (await manager.client()).ready()
    return await client.create_session(session_id=session_id, **session_options())


def bare_turn_s(manager: Manager, session: CopilotSession, prompt: str) -> float:
    """Return the seconds of a turn on the loop of `manager`, without the way there and back.

    Inside `as_shipped` it is the bare SDK's turn; outside, the SDK reads the runtime's times as ours does.
    """

    async def timed() -> float:
        began_s = time.perf_counter()
        await session.send_and_wait(prompt)
        return time.perf_counter() - began_s

    return manager.loop.blocking(timed())


@contextmanager
def as_shipped() -> Iterator[None]:
    """Have the SDK read the runtime's times by its own parser, which copilot_nb replaces; also a decorator."""
    from copilot_nb.runtime.sdk_times import MODULES, READER, read_times_as_iso

    for module in MODULES:
        vars(module)[READER] = inspect.unwrap(vars(module)[READER])
    try:
        yield
    finally:
        read_times_as_iso()
