"""The state of one session: plain data that the queue, the turn runner and the engine share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from copilot_nb.errors import SessionNotFound
from copilot_nb.named_sessions.cells import CellMarks
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.turn_runner import TurnRunner
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.named_sessions.gate import Gate
    from copilot_nb.named_sessions.turn import Turn

Kind = Literal["turn", "ask", "history", "session", "listed", "gone"]


def _ignore_event(kind: Kind, turn: Turn | None) -> None:
    pass


@dataclass(eq=False, kw_only=True)
class SessionState:
    """The state of one session of this kernel.

    Attributes
    ----------
    name, session_id : str
        Its name for the user, and its id in the runtime.
    user : str
        The user it belongs to; ``""`` if none.
    options : SessionOptions
        Its current options; none is unset.
    applied : SessionOptions
        The options that its connection has had since the last prompt; others are applied before the next one.
    requested : SessionOptions
        Changes to the options that take effect with the next prompt.
    exists : bool
        Whether the runtime has stored the session.
    is_temporary : bool
        Whether it is deleted after its only conversation, without tools; then no facts about it are stored.
    is_gone : bool
        Whether the session was deleted, or another session took its name.
    turn_count : int
        Number of stored turns.
    last_outcome : str
        How the last turn ended, if it was ``"failed"`` or ``"interrupted"``.
    resume_note : str
        A note for the reader, shown with the next answer.
    loading_note : callable
        Returns why its model cannot answer yet: it is loading, or answers other sessions; ``""`` if it can.
    cells : CellMarks
        Which cell sent which turn.
    pending : list of Turn
        The running turn and the queued turns, in order.
    runner : TurnRunner
        The connection to the runtime, and the turn that is running.
    gate : Gate or None
        Decides what its tools may do; ``None`` until it is loaded for the first time.
    on_event : callable
        Called with the kind of each event and the turn it concerns, from any thread.
    """

    name: str
    session_id: str
    user: str = ""
    options: SessionOptions = field(default_factory=SessionOptions)
    requested: SessionOptions = field(default_factory=SessionOptions)
    exists: bool = False
    is_temporary: bool = False
    is_gone: bool = False
    turn_count: int = 0
    last_outcome: str = ""
    resume_note: str = ""
    loading_note: Callable[[], str] = str
    cells: CellMarks = field(default_factory=CellMarks)
    pending: list[Turn] = field(default_factory=list)
    runner: TurnRunner = field(default_factory=TurnRunner)
    gate: Gate | None = None
    on_event: Callable[[Kind, Turn | None], None] = _ignore_event
    _lock: PerLoop[asyncio.Lock] = field(default_factory=lambda: PerLoop(asyncio.Lock))
    _loading: PerLoop[asyncio.Lock] = field(default_factory=lambda: PerLoop(asyncio.Lock))
    applied: SessionOptions = field(init=False)

    def __post_init__(self) -> None:
        self.options = self.applied = self.options.settled()

    @property
    def lock(self) -> asyncio.Lock:
        """The lock that is held while a turn runs or the history is changed."""
        return self._lock()

    @property
    def loading(self) -> asyncio.Lock:
        """The lock that is held while the session is being loaded into the runtime."""
        return self._loading()

    def check_here(self) -> None:
        """Check that the session was neither deleted nor replaced by another one of its name.

        Raises
        ------
        SessionNotFound
            If it was.
        """
        if self.is_gone:
            raise SessionNotFound(f"session {self.name!r} is gone", f'open it again: copilot_nb.session("{self.name}")')

    @property
    def is_busy(self) -> bool:
        """Whether a turn is running or queued."""
        return bool(self.pending)

    @property
    def activity(self) -> str:
        """``"asking"``, ``"working"``, ``"queued"``, ``"idle"``, or how the last turn ended.

        A last turn that did not end well makes it ``"failed"`` or ``"interrupted"``.
        """
        if self.gate is not None and self.gate.is_asking:
            return "asking"
        if self.pending:
            return "working" if self.runner.current is not None else "queued"
        return self.last_outcome or "idle"

    @property
    def model_label(self) -> str:
        """The model and its provider, for display."""
        return self.options.label

    def tell(self, kind: Kind, turn: Turn | None = None) -> None:
        """Report an event of the session, from any thread."""
        self.on_event(kind, turn)
