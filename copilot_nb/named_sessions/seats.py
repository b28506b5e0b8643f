"""Limits how many turns run at the same time in all sessions of this kernel."""

from __future__ import annotations

import asyncio
from collections import deque


class Seats:
    """Seats for running turns, given in the order of the requests. Use it on the loop thread only.

    Parameters
    ----------
    limit : int
        Number of seats.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, limit: int) -> None:
        """Change the number of seats; turns that have a seat keep it."""
        self._limit = limit
        self._admit()

    def line_up(self) -> asyncio.Future[None]:
        """Return a place in the line; it is done when it has become a seat."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        return place

    def leave(self, place: asyncio.Future[None]) -> None:
        """Leave the line, or the seat that the place has become."""
        if not place.cancel() and not place.cancelled():
            self._taken -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)
