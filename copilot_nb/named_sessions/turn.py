"""A turn as its sender holds it: a handle that fills while the answer comes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import json
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from copilot_nb.conversation.changes import Change
from copilot_nb.conversation.parts import Image, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord, advance_turn
from copilot_nb.errors import CopilotNBError, TurnInterrupted
from copilot_nb.named_sessions import waiting
from copilot_nb.named_sessions.names import quoted
from copilot_nb.render.markdown import CodeBlock, code_blocks
from copilot_nb.render.turn import Label, turn_html, turn_metadata, turn_text
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.runtime.loop import LoopThread


class TurnSession(Protocol):
    """What a turn knows of the session it was sent to: usually a `Session`."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def session_id(self) -> str:
        """What the runtime calls it."""

    @property
    def provider(self) -> str:
        """Where its answers come from."""

    @property
    def model(self) -> str:
        """The model that answers."""


class TurnOwner(Protocol):
    """What runs a turn: the queue it is in."""

    @property
    def loop(self) -> LoopThread:
        """Where its answer comes in."""

    def stop(self, turn: Turn) -> None:
        """Stop a turn (from any thread)."""

    def before(self, turn: Turn) -> int:
        """Return how many turns must end before `turn` begins."""

    def loading_note(self) -> str:
        """Return what the provider does before it can answer, such as loading a model; ``""``: nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class PastSession:
    """What a turn that was pickled still knows of its session."""

    name: str
    session_id: str
    provider: str
    model: str = ""


class Turn:
    """One prompt sent to a session, and what came of it; made by `Session.send`.

    It can be waited for (`wait`), awaited from any event loop, stopped, and looked at at any moment: what has come
    so far is in `text`. A notebook renders it as the answer.

    Attributes
    ----------
    session : Session
        The session it was sent to.
    owner : TurnOwner or None
        What runs it; ``None``: it has ended.
    notes : list of str
        What a reader should know before the answer: "resumed …", "switched from …".
    ended : concurrent.futures.Future
        Done when nothing more will come; its result is ``None``, also for a turn that failed.
    on_change : callable
        Called with the turn after each change, on the thread that made it.
    replaces : str
        The id of the stored turn whose place it takes, and that of all turns after that; ``""``: it is appended.

    Examples
    --------
    >>> turn = session("session1").send("How do I create a virtual environment?")
    >>> turn.wait().text
    >>> turn.usage
    """

    def __init__(
        self,
        session: TurnSession,
        prompt: str,
        images: tuple[Image, ...] = (),
        replaces: str = "",
        owner: TurnOwner | None = None,
    ) -> None:
        self.session = session
        self.owner = owner
        self.replaces = replaces
        self.notes: list[str] = []
        self._record = TurnRecord("", prompt, state=TurnState.QUEUED, images=images)
        self._error: CopilotNBError | None = None
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended.set_running_or_notify_cancel()  # from now on no waiter that gives up can cancel it for the others
        self._changed = threading.Condition()
        self._version = 0
        self._seen = -1
        self.stop_requested = False
        self.on_change: Callable[[Turn], object] = lambda _turn: None

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.done:
            raise TypeError(f"{self!r} cannot be pickled before it has ended")
        session = PastSession(self.session.name, self.session.session_id, self.session.provider, self.session.model)
        return _restored, (session, self._record, list(self.notes), self._error)

    def __repr__(self) -> str:
        return f"<Turn of {self.session.name!r}: {self.state.value}, {len(self.text)} characters>"

    @property
    def record(self) -> TurnRecord:
        """The turn as it stands: an immutable snapshot."""
        return self._record

    @property
    def prompt(self) -> str:
        """What was sent."""
        return self._record.prompt

    @property
    def images(self) -> tuple[Image, ...]:
        """What went with the prompt."""
        return self._record.images

    @property
    def text(self) -> str:
        """The answer's Markdown, as far as it has come."""
        return self._record.text

    @property
    def state(self) -> TurnState:
        """Where the turn stands."""
        return self._record.state

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.ended.done()

    @property
    def model(self) -> str:
        """The model that answers; ``""`` until known."""
        return self._record.model

    @property
    def usage(self) -> Usage | None:
        """Tokens and cost; ``None`` until reported."""
        return self._record.usage

    @property
    def error(self) -> CopilotNBError | None:
        """Why the turn failed or was interrupted; ``None`` where it was not (or not yet)."""
        return self._error

    @property
    def code_blocks(self) -> tuple[CodeBlock, ...]:
        """The fenced code blocks of the answer, in order."""
        return code_blocks(self.text)

    def json(self) -> Any:
        """Return the answer, or its first JSON block, as Python data.

        Raises
        ------
        ValueError
            If it is not JSON.
        """
        fenced = [block.code for block in self.code_blocks if block.language.lower() in ("json", "")]
        return json.loads(fenced[0] if fenced else self.text)

    def wait(self, timeout_s: float | None = None, on_update: Callable[[Turn], object] | None = None) -> Turn:
        """Wait for the end and return the turn itself.

        Parameters
        ----------
        timeout_s : float, optional
            Seconds to wait at most; the turn goes on after that. ``None``: until it has ended.
        on_update : callable, optional
            Called in the waiting thread with the turn, after changes (several may be folded into one call).

        Raises
        ------
        TurnError or another CopilotNBError
            If the turn failed or was interrupted. What had come stays in `text`. An interrupt of the kernel stops
            the turn.
        TimeoutError
            After `timeout_s` seconds.
        RuntimeError
            If called from the thread that receives the answers, which would wait for itself.
        """
        waiting.wait([self], timeout_s, on_update)
        return self

    def wait_for_change(self, timeout_s: float) -> None:
        """Wait until something came since the last call, for at most `timeout_s` seconds."""
        with self._changed:
            if self._version == self._seen:
                self._changed.wait(timeout_s)
            self._seen = self._version

    def stop(self) -> None:
        """Ask the model to stop; what has come is kept. Without effect on a turn that has ended."""
        if self.owner is not None:
            self.owner.stop(self)

    def __await__(self) -> Generator[Any, None, Turn]:
        if not self.done and self.owner is not None:
            self.owner.loop.check_own()
        yield from asyncio.wrap_future(self.ended).__await__()
        if self._error is not None:
            raise self._error
        return self

    def apply(self, change: Change) -> None:
        """Fold a change in and tell whoever waits (called by the session, on the loop's thread)."""
        self._update(advance_turn(self._record, change))

    def begin(self, record: TurnRecord) -> None:
        """Take over the identity the runtime gave the turn (called by the session)."""
        notes = (*self._record.notes, *record.notes)
        self._update(dataclasses.replace(record, notes=notes, images=self._record.images or record.images))

    def finish(self, error: CopilotNBError | None = None) -> None:
        """End the turn (called by the session); `error` is what a waiter gets."""
        if self.done:
            return
        self._error = error
        if error is not None and not self._record.state.is_final:
            state = TurnState.INTERRUPTED if isinstance(error, TurnInterrupted) else TurnState.FAILED
            self._record = dataclasses.replace(self._record, state=state, error=self._record.error or str(error))
        self.ended.set_result(None)
        self._notify()

    def _update(self, record: TurnRecord) -> None:
        self._record = record
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()
        self.on_change(self)

    @property
    def label(self) -> Label:
        """What a rendering needs to know beside the record."""
        notes = [*self.notes, *self._queue_note(), *self._preparing_note()]
        return Label(self.session.name, self.session.provider, " · ".join(notes))

    def _preparing_note(self) -> list[str]:
        if self.owner is None or self.state is not TurnState.WORKING or self._record.parts:
            return []
        return [note] if (note := self.owner.loading_note()) else []

    def _queue_note(self) -> list[str]:
        if self.owner is None or self.state is not TurnState.QUEUED or self.done:
            return []
        if not (before := self.owner.before(self)):
            return []
        name = self.session.name
        return [f"waits for {count(before, 'turn')} of {name}; withdraw: %copilot stop {quoted(name)}"]

    def _repr_mimebundle_(self, **_options: object) -> tuple[dict[str, str], dict[str, object]]:
        record = self._record
        bundle = {"text/html": turn_html(record, self.label), "text/plain": turn_text(record, self.label)}
        return bundle, turn_metadata(record, self.label, self.session.session_id)


def _restored(session: PastSession, record: TurnRecord, notes: list[str], error: CopilotNBError | None) -> Turn:
    turn = Turn(session, record.prompt)
    turn.notes += notes
    turn.begin(record)
    turn.finish(error)
    return turn
