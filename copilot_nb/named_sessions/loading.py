"""A session's coming into the runtime's memory, and its going; all of it runs on the loop's thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from copilot_nb.errors import SessionInUse
from copilot_nb.named_sessions.turn_runner import TurnRunner

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn_queue import TurnQueue
    from copilot_nb.runtime.connection import Connection


class Loadable:
    """The part of a `Session` that is loaded into the runtime at its first use, and unloaded when it is idle.

    Attributes
    ----------
    exists : bool
        Whether the runtime has stored the session.
    """

    manager: Manager
    queue: TurnQueue
    exists: bool

    def __init__(self) -> None:
        self.runner = TurnRunner()
        self._loading = asyncio.Lock()

    async def loaded(self) -> Connection:
        """Return the session's connection: loaded into the runtime if it is not.

        Raises
        ------
        SessionInUse
            If another process has it open.
        """
        async with self._loading:
            if (connection := self.runner.connection) is not None:
                return connection
            connection = await self.manager.attach(cast("Session", self), exists=self.exists)
            await self.runner.connect(connection)
            self.exists = True
            return connection

    async def settle(self) -> None:
        """Have written to the log what was lost with a runtime; where another process has it open, that waits."""
        if self.runner.has_unkept:
            with suppress(SessionInUse):
                await self.loaded()

    async def unload(self) -> bool:
        """Take the session out of the runtime's memory, unless it is working; whether it was unloaded."""
        if self.queue.pending or self.queue.lock.locked() or not self.runner.is_loaded:
            return False
        await self.runner.disconnect()
        return True

    async def quiesce(self) -> None:
        """Stop what is under way and wait until nothing is (before the session is deleted)."""
        self.queue.stop_all()
        await self.queue.emptied()
        await self.runner.disconnect()
