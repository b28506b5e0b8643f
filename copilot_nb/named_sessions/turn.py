"""The handle of a turn: its sender can wait for it, stop it, and read the answer while it streams."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from copilot_nb.conversation.changes import Change
from copilot_nb.conversation.parts import Image, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord, advance_turn
from copilot_nb.errors import CopilotNBError, TurnInterrupted
from copilot_nb.named_sessions import waiting
from copilot_nb.named_sessions.checked_answer import Attempts
from copilot_nb.named_sessions.names import quoted
from copilot_nb.render.markdown import CodeBlock, code_blocks
from copilot_nb.render.turn import Label, turn_html, turn_metadata, turn_text
from copilot_nb.render.words import count
from copilot_nb.structured import read_json
from copilot_nb.system.main_thread import JobCancelled, is_main_thread

if TYPE_CHECKING:
    from copilot_nb.runtime.loop import LoopThread
    from copilot_nb.structured import Checked, Schema


class TurnSession(Protocol):
    """The session of a turn: a `Session`, or a `PastSession` once the turn has been pickled."""

    @property
    def name(self) -> str:
        """Its name for the user."""

    @property
    def session_id(self) -> str:
        """Its id in the runtime."""

    @property
    def provider(self) -> str:
        """The provider of its model."""

    @property
    def model(self) -> str:
        """Its model."""

    @property
    def user(self) -> str:
        """The user it belongs to; ``""`` if none."""


class TurnOwner(Protocol):
    """The queue that runs a turn."""

    @property
    def loop(self) -> LoopThread:
        """The event loop thread that receives the answer."""

    def stop(self, turn: Turn) -> None:
        """Stop a turn, from any thread."""

    def before(self, turn: Turn) -> int:
        """Return how many turns must end before `turn` begins."""

    def loading_note(self) -> str:
        """Return what the provider is doing before it can answer, such as loading a model; ``""`` if nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class PastSession:
    """The facts about its session that a pickled turn keeps."""

    name: str
    session_id: str
    provider: str
    model: str = ""
    user: str = ""


class Turn:
    """One prompt sent to a session, and its answer; created by `Session.send`.

    A turn can be waited for (`wait`), awaited from any event loop, and stopped. `text` holds the answer received so
    far. A notebook renders a turn as its answer.

    Attributes
    ----------
    session : Session
        The session it was sent to.
    owner : TurnOwner or None
        The queue that runs it; ``None`` if no queue does, as for an unpickled turn.
    notes : list of str
        Notes for the reader, shown before the answer: "resumed …", "switched from …".
    ended : concurrent.futures.Future
        Done when the turn has ended; its result is ``None``, also for a turn that failed.
    on_change : callable
        Called with the turn after each change, on the thread that made the change.
    replaces : str
        The id of the stored turn that it replaces, together with all later turns; ``""`` to append.
    schema : Schema or None
        What its answer must look like, if it was sent with a schema.
    correction : Turn or None
        The next turn of the session, which asks for a corrected answer, if the answer did not conform to the schema.
    checked : Checked or None
        The answer that counts (of the correction, if there is one), once it has been checked against the schema.

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
        *,
        owner: TurnOwner | None = None,
        schema: Schema | None = None,
    ) -> None:
        self.session = session
        self.owner = owner
        self.replaces = replaces
        self.schema = schema
        self.correction: Turn | None = None
        self.checked: Checked | None = None
        self._first_error = ""
        self.notes: list[str] = []
        self._record = TurnRecord("", prompt, state=TurnState.QUEUED, images=images)
        self._error: CopilotNBError | None = None
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended.set_running_or_notify_cancel()  # so that one waiter that gives up cannot cancel it for the others
        self._changed = threading.Condition()
        self._version = 0
        self._seen = -1
        self._saying = ""
        self.stop_requested = False
        self.on_change: Callable[[Turn], object] = lambda _turn: None

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.done:
            raise TypeError(f"{self!r} cannot be pickled before it has ended")
        of = self.session
        session = PastSession(of.name, of.session_id, of.provider, of.model, of.user)
        structured = {name: vars(self)[name] for name in ("checked", "correction", "_first_error")}
        return _restored, (session, self._record, list(self.notes), self._error, structured)

    def __repr__(self) -> str:
        return f"<Turn of {self.session.name!r}: {self.state.value}, {len(self.text)} characters>"

    @property
    def record(self) -> TurnRecord:
        """An immutable snapshot of the turn."""
        return self._record

    @property
    def prompt(self) -> str:
        """The prompt that was sent."""
        return self._record.prompt

    @property
    def images(self) -> tuple[Image, ...]:
        """The images attached to the prompt."""
        return self._record.images

    @property
    def text(self) -> str:
        """The Markdown of the answer received so far."""
        return self._record.text

    @property
    def state(self) -> TurnState:
        """The current state of the turn."""
        return self._record.state

    @property
    def done(self) -> bool:
        """Whether the turn has ended."""
        return self.ended.done()

    @property
    def model(self) -> str:
        """The model that answers; ``""`` until it is known."""
        return self._record.model

    @property
    def usage(self) -> Usage | None:
        """Tokens and cost; ``None`` until they are reported."""
        return self._record.usage

    @property
    def error(self) -> CopilotNBError | None:
        """Why the turn failed or was interrupted; ``None`` if it did not, or is still running."""
        return self._error

    @property
    def code_blocks(self) -> tuple[CodeBlock, ...]:
        """The fenced code blocks of the answer, in order."""
        return code_blocks(self.text)

    @property
    def value(self) -> Any:
        """The answer as an instance of the schema it was asked with, or, of a JSON schema, as Python data.

        ``None`` without a schema, before the turn has ended, and if the answer does not conform (see `error`).

        Examples
        --------
        >>> from typing import Literal
        >>> turn = session("session1").ask("Is Python compiled?", schema=Literal["yes", "no"])
        >>> turn.value
        'no'
        """
        return self.checked.value if self.checked is not None else None

    def json(self) -> Any:
        """Return the first JSON value in the answer as Python data; with a schema, the answer that conforms to it.

        Raises
        ------
        ValueError
            If the answer holds no JSON.
        """
        if self.checked is not None and not self.checked.error:
            return self.checked.data
        return read_json(self.text)

    def shown(self, *, is_html: bool) -> TurnRecord:
        """Return the turn as a cell shows it: the turn itself, or with a schema, its value and both attempts."""
        if self.schema is None and self.checked is None:
            return self._record
        second = self.correction.record if self.correction is not None else None
        return Attempts(self._record, self._first_error, second, self.checked).shown(is_html=is_html)

    def wait(self, timeout_s: float | None = None, on_update: Callable[[Turn], object] | None = None) -> Turn:
        """Wait until the turn has ended and return the turn itself.

        Parameters
        ----------
        timeout_s : float, optional
            Maximum time to wait, in seconds; the turn continues after that. ``None`` to wait until it has ended.
        on_update : callable, optional
            Called with the turn after it has changed, on the waiting thread; one call may cover several changes.

        Raises
        ------
        TurnError or another CopilotNBError
            If the turn failed or was interrupted; `text` keeps the partial answer. Interrupting the kernel stops the
            turn.
        TimeoutError
            If the turn has not ended after `timeout_s` seconds.
        RuntimeError
            If called on the thread that receives the answers, which would wait for itself.
        """
        waiting.wait([self], timeout_s, on_update)
        return self

    def wait_for_change(self, timeout_s: float) -> None:
        """Wait until the turn has changed since the last call, for at most `timeout_s` seconds."""
        with self._changed:
            if self._version == self._seen:
                self._changed.wait(timeout_s)
            self._seen = self._version

    def stop(self) -> None:
        """Stop the turn and keep its partial answer. Does nothing if the turn has ended."""
        if self.owner is not None:
            self.owner.stop(self)

    def __await__(self) -> Generator[Any, None, Turn]:
        if not self.done and self.owner is not None:
            self.owner.loop.check_own()
            waiting.check_owners([self])
        yield from self._awaited().__await__()
        if self._error is not None:
            raise self._error
        return self

    async def _awaited(self) -> None:
        """Wait until the turn has ended; on the main thread, do what the turn needs that thread for."""
        ended = asyncio.wrap_future(self.ended)
        while not ended.done():
            await asyncio.wait([ended], timeout=waiting.AWAITED_POLL_S if is_main_thread() else None)
            try:
                waiting.attend([self])
            except JobCancelled:  # the turn that this code runs for was stopped, not this one
                raise
            except KeyboardInterrupt:  # the kernel's loop must not end with it
                self.stop()

    def apply(self, change: Change) -> None:
        """Apply a change and, if the turn has changed, notify the waiters; called by the turn runner on the loop."""
        if (record := advance_turn(self._record, change)) is not self._record:
            self._update(record)

    def begin(self, record: TurnRecord) -> None:
        """Adopt the identity that the runtime gave the turn; called by the turn runner."""
        notes = (*self._record.notes, *record.notes)
        self._update(dataclasses.replace(record, notes=notes, images=self._record.images or record.images))

    def correct(self, correction: Turn, error: str) -> None:
        """Record the turn that asks again because of `error`; called by the turn queue."""
        self._first_error, self.correction = error, correction
        self._notify()

    def finish(self, error: CopilotNBError | None = None) -> None:
        """End the turn; waiters raise `error` if it is given. Called by the turn queue."""
        if self.done:
            return
        self._error = error
        if error is not None:
            self._record = self._ended_by(error)
        self.ended.set_result(None)
        self._notify()

    def _ended_by(self, error: CopilotNBError) -> TurnRecord:
        """Return the record with the error's words: those of the runtime name no remedy, and addresses of ours."""
        record = self._record
        said = error.message if self.session.user else str(error)  # a visitor cannot do what the hint says
        if record.state is TurnState.FAILED:
            return dataclasses.replace(record, error=said)
        if record.state.is_final:
            return record
        state = TurnState.INTERRUPTED if isinstance(error, TurnInterrupted) else TurnState.FAILED
        return dataclasses.replace(record, state=state, error=record.error or said)

    def _update(self, record: TurnRecord) -> None:
        self._record = record
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()
        self.on_change(self)

    def say(self, note: str) -> None:
        """Show a note while the turn runs, in place of the last one; ``""``: none (from any thread)."""
        if note != self._saying:
            self._saying = note
            self._notify()

    @property
    def label(self) -> Label:
        """The facts that a rendering needs in addition to the record."""
        return self._label(self._queue_note())

    @property
    def panel_label(self) -> Label:
        """The same without its place in the queue, which a panel shows with a button that withdraws the prompt."""
        return self._label([])

    def _label(self, queue_note: list[str]) -> Label:
        saying = [self._saying] if self._saying and not self.done else []
        notes = [*self.notes, *queue_note, *self._preparing_note(), *saying]
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
        return [f"waits for {count(before, 'turn')} of {name}; to cancel: %copilot stop {quoted(name)}"]

    def _repr_mimebundle_(self, **_options: object) -> tuple[dict[str, str], dict[str, object]]:
        html, record = (self.shown(is_html=is_html) for is_html in (True, False))
        bundle = {"text/html": turn_html(html, self.label), "text/plain": turn_text(record, self.label)}
        return bundle, turn_metadata(record, self.label, self.session.session_id)


def _restored(
    session: PastSession,
    record: TurnRecord,
    notes: list[str],
    error: CopilotNBError | None,
    structured: Mapping[str, object],
) -> Turn:
    turn = Turn(session, record.prompt)
    vars(turn).update(structured)
    turn.notes += notes
    turn.begin(record)
    turn.finish(error)
    return turn
