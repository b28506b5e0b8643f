"""Events: a panel shows what a cell sent, and the other way.

An observer is called on the loop's thread, after the fact and in order. It should note what changed and return: a turn
that streams changes a hundred times a second.
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
        Where they are called.
    """

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._observers: tuple[Callable[[E], object], ...] = ()

    def add(self, observer: Callable[[E], object]) -> Callable[[], None]:
        """Call `observer` with each event from now on; return what ends that."""
        self._observers = (*self._observers, observer)

        def remove() -> None:
            self._observers = tuple(each for each in self._observers if each is not observer)

        return remove

    def tell(self, event: E) -> None:
        """Tell what happened (from any thread)."""
        for observer in self._observers:
            self._loop.call_soon(observer, event)
