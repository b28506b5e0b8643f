"""Who wants to know what happens to the sessions of this kernel: a panel shows what a cell sent, and the other way.

A watcher is told on the loop's thread, after the fact and in order. It should note what changed and return: a turn that
streams changes a hundred times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.runtime.loop import LoopThread


Kind = Literal["turn", "history", "session", "listed", "gone"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened.

    Attributes
    ----------
    kind : str
        ``"turn"``: a turn was queued, changed or ended; ``"history"``: turns were taken back or brought back;
        ``"session"``: its name, model or state changed; ``"listed"``: it came to this kernel; ``"gone"``: it left.
    session : Session
        To which.
    turn : Turn or None
        Which turn.
    """

    kind: Kind
    session: Session
    turn: Turn | None = None


Watcher = Callable[[Event], object]


class EventBus:
    """The watchers of one manager.

    Parameters
    ----------
    loop : LoopThread
        Where they are told.
    """

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._watchers: tuple[Watcher, ...] = ()

    def add(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` from now on; return what ends that."""
        self._watchers = (*self._watchers, watcher)

        def remove() -> None:
            self._watchers = tuple(each for each in self._watchers if each is not watcher)

        return remove

    def tell(self, event: Event) -> None:
        """Tell what happened (from any thread)."""
        for watcher in self._watchers:
            self._loop.call_soon(watcher, event)
