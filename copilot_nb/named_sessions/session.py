"""A named session: the user's handle on a conversation, usable from any thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from copilot_nb.conversation.prompt import require_count, require_text, require_whole
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError, SessionInUse
from copilot_nb.named_sessions import rewind as rewinding
from copilot_nb.named_sessions.attach import Attachable
from copilot_nb.named_sessions.limits import check_timeout
from copilot_nb.named_sessions.options import OptionValues, SessionOptions, takes_options
from copilot_nb.named_sessions.prompt_plan import PromptPlan, plan_prompt
from copilot_nb.named_sessions.stored_history import read_all, read_last
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.named_sessions.turn_queue import QueuedTurn, TurnQueue
from copilot_nb.named_sessions.usage import SessionUsage

if TYPE_CHECKING:
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.history import History
    from copilot_nb.named_sessions.state import Kind, SessionState
    from copilot_nb.named_sessions.turn import TurnSession


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a session.

    Attributes
    ----------
    kind : str
        ``"turn"``: a turn was queued, changed or ended; ``"ask"``: a request for permission came or was decided
        (`Manager.approvals` has them); ``"history"``: turns were removed or restored; ``"session"``: its name, model or
        state changed; ``"listed"``: it was added to this kernel; ``"gone"``: it was removed from this kernel.
    session : Session
        The session.
    turn : Turn or None
        The turn, if the event concerns one.
    """

    kind: Kind
    session: Session
    turn: Turn | None = None


class Home(Protocol):
    """The operations of a session that involve the other sessions of the kernel; implemented by `Manager`."""

    def tell(self, event: Event) -> None:
        """Send an event to the observers, from any thread."""

    async def rename(self, state: SessionState, name: str) -> None:
        """Give a session another name."""

    async def fork(self, state: SessionState, name: str | None, at: int | str | None) -> Session:
        """Return a copy of a session."""

    async def discard(self, session: Session) -> None:
        """Delete a session and its history."""


class Session:
    """A conversation with its own history, model and options; created by `copilot_nb.session`.

    All methods can be called from any thread.

    Examples
    --------
    >>> s1 = session("session1")
    >>> turn = s1.send("How do I create a virtual environment?")
    >>> s1.history[-1].text
    >>> alternative = s1.fork("alternative")
    """

    def __init__(self, state: SessionState, engine: Engine, home: Home) -> None:
        self._state = state
        self._engine = engine
        self._home = home
        self._queue = TurnQueue(state, engine)
        state.on_event = self._tell

    def _tell(self, kind: Kind, turn: Turn | None) -> None:
        self._home.tell(Event(kind, self, turn))

    def __repr__(self) -> str:
        return f"<Session {self.name!r}: {self._state.options.label}, {self.state}>"

    @property
    def name(self) -> str:
        """Its name for the user."""
        return self._state.name

    @property
    def session_id(self) -> str:
        """Its id in the runtime (`copilot --resume` accepts it)."""
        return self._state.session_id

    @property
    def user(self) -> str:
        """The user it belongs to; ``""`` if none."""
        return self._state.user

    @property
    def own_name(self) -> str:
        """Its name without the part that `user_template` adds; the full name if it belongs to no user."""
        return self._engine.own_name(self._state)

    @property
    def options(self) -> SessionOptions:
        """Its model, provider, system message and the other options."""
        return self._state.options

    @property
    def provider(self) -> str:
        """The provider of its model."""
        return self._state.options.provider

    @property
    def model(self) -> str:
        """Its model; ``""`` for the provider's default."""
        return self._state.options.model

    @property
    def system(self) -> str:
        """Its system message."""
        return self._state.options.system or ""

    @property
    def effort(self) -> str:
        """The reasoning effort of its model; ``""`` for the model's default."""
        return self._state.options.effort or ""

    @property
    def context(self) -> str:
        """The size of its model's context window; ``""`` for the model's default."""
        return self._state.options.context or ""

    @property
    def tools(self) -> str:
        """The level of tools it asked for; ``""`` for that of the settings."""
        return self._state.options.tools or ""

    @property
    def is_busy(self) -> bool:
        """Whether a turn is running or queued."""
        return self._state.is_busy

    @property
    def state(self) -> str:
        """``"asking"``, ``"working"``, ``"queued"``, ``"idle"``, or how the last turn ended.

        ``"asking"``: it waits for your answer to a question or a request for permission. A last turn that did not end
        well makes it ``"failed"`` or ``"interrupted"``.
        """
        return self._state.activity

    @property
    def history(self) -> History:
        """All turns, oldest first, as the runtime stored them.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return self._engine.loop.blocking(read_all(self._state, self._engine))

    def last_turns(self, number: int) -> History:
        """Return the last `number` turns without reading the earlier ones.

        Raises
        ------
        InputError
            If `number` is no number.
        SessionError
            If the session's log cannot be read.
        """
        number = require_count(number, "the number of turns")
        return self._engine.loop.blocking(read_last(self._state, self._engine, number))

    @property
    def usage(self) -> SessionUsage:
        """Tokens, durations and cost of the session's turns.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return SessionUsage.of(self.name, self.history)

    @takes_options
    def send(
        self,
        prompt: str,
        *,
        timeout_s: float = 0.0,
        cell: str | None = None,
        now: bool = False,
        attach: Attachable = (),
        replaces: Turn | TurnRecord | str = "",
        schema: object = None,
        **options: Unpack[OptionValues],
    ) -> Turn:
        """Send a prompt and return its turn at once; the turn runs when the earlier turns have ended.

        Parameters
        ----------
        prompt : str
            Literal text.
        timeout_s : float, optional
            Stop the turn if the model sends nothing for this many seconds; 0 for the setting `timeout_s`.
        cell : str, optional
            The cell that sends the prompt (see `cells`); by default the running cell. The setting `rerun` decides
            whether the earlier turns of that cell are replaced. ``""`` for no cell.
        now : bool, default False
            Stop the running turn, keep its partial answer, and send this prompt next.
        attach : Attachable, optional
            A path, an image, a figure or a table; a list of these; or a mapping from names to these.
        replaces : Turn or TurnRecord or str, optional
            The turn (or its id) to replace with all later turns; they are kept if the prompt cannot be sent. A turn
            that was never sent stands for the one that it was to replace.
        schema : object, optional
            What the answer must look like, for `Turn.value`: a JSON schema (a dict), a dataclass, a TypedDict, a
            pydantic model or another type. If the answer does not conform, the model is asked once more.
        {options}

        Raises
        ------
        InputError
            If the prompt is empty or too large, or it, an attachment or the schema cannot be used.
        SessionNotFound
            If the session has been deleted.
        SessionInUse
            If `replaces` is given and a turn is running or queued.
        """
        plan = plan_prompt(self._engine, prompt, attach, schema)
        return self._send(plan, SessionOptions(**options), timeout_s, cell, now=now, replaces=replaces)

    def _send(
        self,
        plan: PromptPlan,
        options: SessionOptions,
        timeout_s: float,
        cell: str | None,
        *,
        now: bool = False,
        replaces: Turn | TurnRecord | str = "",
    ) -> Turn:
        state, engine = self._state, self._engine
        if cell is not None:
            require_text(cell, "the cell")
        silence_s = check_timeout(timeout_s) or engine.settings.timeout_s
        asked = engine.selector.expanded(options)
        state.check_here()
        turn = Turn(self, plan.text, plan.images, replaced_id(replaces), owner=self._queue, schema=plan.schema)
        turn.on_change = self._turn_changed
        turn.notes, state.resume_note = [state.resume_note] if state.resume_note else [], ""
        cell = state.cells.key_of(plan.prompt, engine.notebook) if cell is None else cell
        requested, state.requested = state.requested, SessionOptions()
        queued = QueuedTurn(turn, asked, silence_s, cell, _may_append(replaces), requested)
        try:
            self._queue.add(queued, now=now)
        except SessionInUse:  # the next prompt needs them
            state.requested = requested
            raise
        return turn

    def _turn_changed(self, turn: Turn) -> None:
        self._state.tell("turn", turn)

    def ask(self, prompt: str, **options: Any) -> Turn:
        """Send a prompt and wait for the answer: `send` followed by `Turn.wait`.

        Examples
        --------
        >>> s1.ask("How do I create a virtual environment?").text
        >>> s1.ask("Name three colours.", schema=list[str]).value
        """
        return self.send(prompt, **options).wait()

    def create(self) -> None:
        """Store the session without sending a prompt.

        Raises
        ------
        InputError
            If the session is already stored.
        SessionNotFound
            If it has been deleted.
        """
        self._state.check_here()
        if self._state.exists:
            raise InputError(f"session {self.name!r} exists already", "use it, or start again with --new")
        self._engine.loop.blocking(self._create())

    async def _create(self) -> None:
        async with self._state.lock:
            self._state.check_here()
            connection = await self._engine.loaded(self._state)
            await connection.flush()  # until then the runtime does not list a session that has no prompt

    def stop(self) -> None:
        """Stop the running turn and cancel the queued ones."""
        self._queue.stop_all()

    def rename(self, name: str) -> None:
        """Rename the session; its id stays the same.

        Raises
        ------
        InputError
            If the name is invalid or another session has it.
        SessionNotFound
            If the session has been deleted.
        """
        self._engine.loop.blocking(self._home.rename(self._state, name))

    def fork(self, name: str | None = None, at: int | Turn | TurnRecord | None = None) -> Session:
        """Copy the session, or its first `at` turns, and return the new session.

        Parameters
        ----------
        name : str, optional
            The name of the new session; by default ``name~1``.
        at : int or Turn or TurnRecord, optional
            The last turn to copy, or its number, counted from 1; ``None`` to copy all turns except a running one.

        Raises
        ------
        InputError
            If the name is taken, or there is no such turn.
        SessionNotFound
            If this session is not stored yet.

        Examples
        --------
        >>> s1.fork("s1-shorter", at=2).ask("Now in one sentence.").text
        """
        last = None if at is None else _turn_id(at)
        return self._engine.loop.blocking(self._home.fork(self._state, name, last))

    def rewind(self, to: int | Turn | TurnRecord | None = None) -> int:
        """Remove the turns after `to` and return how many were removed.

        Parameters
        ----------
        to : int or Turn or TurnRecord, optional
            The turn that becomes the last one, or its number, counted from 1; 0 removes all turns, ``None`` only the
            last one.

        Raises
        ------
        InputError
            If there is no such turn.
        SessionInUse
            If a turn is running or queued, or another process has the session open.

        Examples
        --------
        >>> s1.rewind()  # removes the last turn
        1
        >>> s1.undo_rewind()  # restores it
        1
        """
        last = None if to is None else _turn_id(to)
        return self._engine.loop.blocking(rewinding.rewind(self._state, self._engine, last))

    def undo_rewind(self) -> int:
        """Restore the turns that the last `rewind` removed and return how many were restored.

        Raises
        ------
        InputError
            If there is no rewind to undo, or newer turns have been added since.
        SessionInUse
            If a turn is running or queued, or another process has the session open.
        """
        return self._engine.loop.blocking(rewinding.undo_rewind(self._state, self._engine))

    def export(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the conversation to a file and return the file's path.

        Parameters
        ----------
        path : str or Path
            The file; its suffix (``.md``, ``.html``, ``.json``, ``.ipynb``) selects the format.
        force : bool, default False
            Whether to replace an existing file.

        Raises
        ------
        InputError
            If the suffix is unknown, the file exists and `force` is not set, or it cannot be written.

        Examples
        --------
        >>> s1.export("s1.md")
        """
        from copilot_nb.named_sessions.formats.export import Exported, export

        facts = Exported(self.name, self.session_id, self.provider, self.model, self.system)
        return export(self.history, facts, path, force=force)

    def delete(self) -> None:
        """Delete the session and its history irreversibly; a running turn is stopped first.

        Raises
        ------
        SessionNotFound
            If it has been deleted before; another session of its name stays.
        SessionInUse
            If another process has the session open.
        """
        self._engine.loop.blocking(self._home.discard(self))


def _turn_id(turn: int | str | Turn | TurnRecord) -> int | str:
    record = turn.record if isinstance(turn, Turn) else turn
    if isinstance(record, TurnRecord):
        return record.turn_id
    if isinstance(record, str):
        return record
    return require_whole(record, "a turn is a Turn or its number", "see %copilot show")


def replaced_id(turn: Turn | TurnRecord | str) -> str:
    """Return the id of the stored turn that a prompt sent in place of `turn` replaces.

    A turn that was never sent has no id; it stands for the turn that it was to replace, if any.
    """
    return str(_turn_id(turn)) or (turn.replaces if isinstance(turn, Turn) else "")


def _may_append(replaces: Turn | TurnRecord | str) -> bool:
    """Whether the prompt is appended if the replaced turn is gone: `replaces` was never sent, so nothing is lost."""
    return isinstance(replaces, Turn) and not replaces.record.turn_id


def state_of(session: TurnSession) -> SessionState:
    """Return the state of a session, for the packages that show or change it."""
    return own_session(session)._state  # noqa: SLF001 - the door of this module


def engine_of(session: TurnSession) -> Engine:
    """Return the engine of a session."""
    return own_session(session)._engine  # noqa: SLF001 - the door of this module


def home_of(session: TurnSession) -> Home:
    """Return the home of a session: its manager."""
    return own_session(session)._home  # noqa: SLF001 - the door of this module


def send_planned(
    session: Session, plan: PromptPlan, *, timeout_s: float = 0.0, cell: str | None = None, now: bool = False
) -> Turn:
    """Send a plan as `Session.send` does."""
    return session._send(plan, SessionOptions(), timeout_s, cell, now=now)  # noqa: SLF001 - the door of this module


def queue_of(session: TurnSession) -> TurnQueue:
    """Return the turn queue of a session."""
    return own_session(session)._queue  # noqa: SLF001 - the door of this module


def own_session(session: TurnSession) -> Session:
    """Return `session`, which must be a `Session` and not that of an unpickled turn."""
    assert isinstance(session, Session), "a turn that was pickled has no session any more"
    return session
