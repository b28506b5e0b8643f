"""The event bus: it lets a panel show what a cell sent, and vice versa.

Observers are called on the loop thread, after each event and in order. An observer should only record what changed and
return, because a streaming turn changes a hundred times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from copilot_nb.runtime.loop import LoopThread

E = TypeVar("E")


class EventBus(Generic[E]):
    """The observers of one manager.

    Parameters
    ----------
    loop : LoopThread
        The event loop thread on which the observers are called.
    """

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._observers: dict[object, Callable[[E], object]] = {}

    def add(self, observer: Callable[[E], object]) -> Callable[[], None]:
        """Call `observer` with each event from now on; return a function that removes it (both from any thread)."""
        key = object()  # the same observer may be added twice
        self._observers[key] = observer

        def remove() -> None:
            self._observers.pop(key, None)

        return remove

    def tell(self, event: E) -> None:
        """Send an event to the observers, from any thread."""
        for observer in tuple(self._observers.values()):
            self._loop.call_soon(observer, event)
