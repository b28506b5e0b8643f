"""What is known of one session of this kernel: plain data, which the queue, the runner and the engine share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from copilot_nb.named_sessions.cells import CellMarks
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.turn_runner import TurnRunner
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn

Kind = Literal["turn", "history", "session", "listed", "gone"]


def _told_nobody(kind: Kind, turn: Turn | None) -> None:
    pass


@dataclass(eq=False, kw_only=True)
class SessionState:
    """One session.

    Attributes
    ----------
    name, session_id : str
        What the user and what the runtime calls it.
    user : str
        Whose it is; ``""``: nobody's in particular.
    options : SessionOptions
        What it is asked with; none is left open.
    requested : SessionOptions
        What is to be changed of them by the next prompt.
    exists : bool
        Whether the runtime has stored it.
    is_gone : bool
        Whether it was deleted, or another took its name.
    turn_count : int
        Turns that are stored (count).
    last_outcome : str
        How the last turn ended, if it was ``"failed"`` or ``"interrupted"``.
    resume_note : str
        What the reader of its next answer should know.
    loading_note : callable
        Returns what its provider does before it can answer, such as loading a model; ``""``: nothing.
    cells : CellMarks
        Which cell made which turn.
    pending : list of Turn
        The turn under way and those that wait, in order.
    runner : TurnRunner
        The connection to the runtime, and the turn whose prompt is there.
    on_event : callable
        Called with what happened, and to which turn (from any thread).
    """

    name: str
    session_id: str
    user: str = ""
    options: SessionOptions = field(default_factory=SessionOptions)
    requested: SessionOptions = field(default_factory=SessionOptions)
    exists: bool = False
    is_gone: bool = False
    turn_count: int = 0
    last_outcome: str = ""
    resume_note: str = ""
    loading_note: Callable[[], str] = str
    cells: CellMarks = field(default_factory=CellMarks)
    pending: list[Turn] = field(default_factory=list)
    runner: TurnRunner = field(default_factory=TurnRunner)
    on_event: Callable[[Kind, Turn | None], None] = _told_nobody
    _lock: PerLoop[asyncio.Lock] = field(default_factory=lambda: PerLoop(asyncio.Lock))
    _loading: PerLoop[asyncio.Lock] = field(default_factory=lambda: PerLoop(asyncio.Lock))

    def __post_init__(self) -> None:
        self.options = self.options.settled()

    @property
    def lock(self) -> asyncio.Lock:
        """Held while a turn runs, or while the history is changed."""
        return self._lock()

    @property
    def loading(self) -> asyncio.Lock:
        """Held while the session is loaded into the runtime."""
        return self._loading()

    @property
    def is_busy(self) -> bool:
        """Whether a turn is under way or waits."""
        return bool(self.pending)

    @property
    def activity(self) -> str:
        """``"working"``, ``"queued"``, ``"idle"``, or how the last turn ended: ``"failed"``, ``"interrupted"``."""
        if self.pending:
            return "working" if self.runner.current is not None else "queued"
        return self.last_outcome or "idle"

    @property
    def model_label(self) -> str:
        """The model and where it comes from, as one reads it."""
        return self.options.label

    def tell(self, kind: Kind, turn: Turn | None = None) -> None:
        """Tell that something happened to the session (from any thread)."""
        self.on_event(kind, turn)
