"""How many turns may be under way at the same time, over all sessions of this kernel."""

from __future__ import annotations

import asyncio
from collections import deque


class Seats:
    """Seats for turns: first come, first served. All of it runs on the loop's thread.

    Parameters
    ----------
    limit : int
        Seats (count).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, limit: int) -> None:
        """Let there be another number of seats; who has one keeps it."""
        self._limit = limit
        self._admit()

    async def take(self) -> None:
        """Wait for a seat."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Give a seat back."""
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
