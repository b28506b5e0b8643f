"""A named session: what a user does with a conversation, from any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.named_sessions import rewind as rewinding
from copilot_nb.named_sessions.attach import Attachable, attached
from copilot_nb.named_sessions.formats.export import Exported, export
from copilot_nb.named_sessions.limits import check_prompt
from copilot_nb.named_sessions.options import OptionValues, SessionOptions, takes_options
from copilot_nb.named_sessions.reading import read_all, read_last
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.named_sessions.turn_queue import QueuedTurn, TurnQueue
from copilot_nb.named_sessions.usage import SessionUsage

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.history import History
    from copilot_nb.named_sessions.state import Kind, SessionState
    from copilot_nb.named_sessions.turn import TurnSession


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


class Home(Protocol):
    """What a session asks of those who hold it by its name: a `Manager`."""

    def tell(self, event: Event) -> None:
        """Tell the observers what happened (from any thread)."""

    async def rename(self, state: SessionState, name: str) -> None:
        """Give a session another name."""

    async def fork(self, state: SessionState, name: str | None, at: int | None) -> Session:
        """Return a copy of a session."""

    def delete(self, name: str) -> None:
        """Delete a session and its history."""


class Session:
    """A conversation with a history, a model and options of its own; made by `copilot_nb.session`.

    Its methods may be called from any thread.

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
        """What the user calls it."""
        return self._state.name

    @property
    def session_id(self) -> str:
        """What the runtime stores it under (`copilot --resume` takes it)."""
        return self._state.session_id

    @property
    def user(self) -> str:
        """Whose it is; ``""``: nobody's in particular."""
        return self._state.user

    @property
    def own_name(self) -> str:
        """What its user calls it; the name, if it belongs to nobody in particular."""
        return self._engine.own_name(self._state)

    @property
    def options(self) -> SessionOptions:
        """Its model, provider, system message and the other options."""
        return self._state.options

    @property
    def provider(self) -> str:
        """Where its answers come from."""
        return self._state.options.provider

    @property
    def model(self) -> str:
        """The model that answers; ``""``: the provider's default."""
        return self._state.options.model

    @property
    def system(self) -> str:
        """Its system message."""
        return self._state.options.system or ""

    @property
    def effort(self) -> str:
        """How hard its model reasons; ``""``: the model's default."""
        return self._state.options.effort or ""

    @property
    def context(self) -> str:
        """The size of its model's window; ``""``: the model's default."""
        return self._state.options.context or ""

    @property
    def is_busy(self) -> bool:
        """Whether a turn is under way or waits."""
        return self._state.is_busy

    @property
    def state(self) -> str:
        """``"working"``, ``"queued"``, ``"idle"``, or how the last turn ended: ``"failed"``, ``"interrupted"``."""
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
        """Return the last `number` turns, without reading those before them.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return self._engine.loop.blocking(read_last(self._state, self._engine, number))

    @property
    def usage(self) -> SessionUsage:
        """What the turns of the session took: tokens, times, cost.

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
        **options: Unpack[OptionValues],
    ) -> Turn:
        """Send a prompt and return its turn at once; it runs when the turns before it have ended.

        Parameters
        ----------
        prompt : str
            Literal text.
        timeout_s : float, optional
            Seconds without a sign from the model after which the turn is given up; 0: the setting `timeout_s`.
        cell : str, optional
            The cell that sends it (see `cells`), by default the running one; its earlier turns are replaced, as the
            setting `rerun` says. ``""``: none.
        now : bool, default False
            Stop the answer under way, which is kept as far as it came, and go next.
        attach : Attachable, optional
            What goes with the prompt: a path, an image, a figure, a table; a list of such, or names and such.
        replaces : Turn or TurnRecord or str, optional
            The turn (or its id) whose place it takes, with all after it; if the prompt cannot be sent, they stay.
        {options}

        Raises
        ------
        InputError
            If the prompt is empty, too large or cannot be encoded, or something cannot be attached.
        SessionNotFound, SessionInUse
            If the session has been deleted since; if it is answering, and turns are to be replaced.
        """
        state, settings = self._state, self._engine.settings
        text, images = attached(prompt, attach, self._engine.hide_secrets)
        text = self._checked(text, images)
        asked = self._engine.selector.expanded(SessionOptions(**options))
        cell = state.cells.key_of(prompt, self._engine.notebook) if cell is None else cell
        turn = Turn(self, text, images, str(_turn_id(replaces)), self._queue)
        turn.on_change = self._turn_changed
        turn.notes, state.resume_note = [state.resume_note] if state.resume_note else [], ""
        requested, state.requested = state.requested.merged_with(asked), SessionOptions()
        self._queue.add(QueuedTurn(turn, requested, timeout_s or settings.timeout_s, cell), now=now)
        return turn

    def _checked(self, text: str, images: Sequence[Image]) -> str:
        self._engine.loop.check_own()
        text = check_prompt(text, images, self._engine.settings.max_prompt_bytes)
        if self._state.is_gone:
            raise SessionNotFound(f"session {self.name!r} is gone", f'begin it anew: copilot_nb.session("{self.name}")')
        return text

    def _turn_changed(self, turn: Turn) -> None:
        self._state.tell("turn", turn)

    def ask(self, prompt: str, **options: Any) -> Turn:
        """Send a prompt and wait for the answer: `send` and `Turn.wait` in one."""
        return self.send(prompt, **options).wait()

    def create(self) -> None:
        """Store the session without asking it anything.

        Raises
        ------
        InputError
            If it exists already.
        """
        if self._state.exists:
            raise InputError(f"session {self.name!r} exists already", "use it, or start again with --new")
        self._engine.loop.blocking(self._create())

    async def _create(self) -> None:
        async with self._state.lock:
            connection = await self._engine.loaded(self._state)
            await connection.flush()  # before that the runtime does not list a session without a prompt

    def stop(self) -> None:
        """Stop the turn under way and withdraw the prompts that wait."""
        self._queue.stop_all()

    def rename(self, name: str) -> None:
        """Give the session another name; its id stays.

        Raises
        ------
        InputError
            If the name cannot be used, or another session has it.
        """
        self._engine.loop.blocking(self._home.rename(self._state, name))

    def fork(self, name: str | None = None, at: int | None = None) -> Session:
        """Return a new session called `name` that begins with this one's history.

        Parameters
        ----------
        name : str, optional
            Of the new session; by default ``name~1``.
        at : int, optional
            The last turn it has of this one, counted from 1; ``None``: all of them, but for one under way.

        Raises
        ------
        InputError
            If the name is taken, or there is no such turn.
        SessionNotFound
            If nothing is stored of this session yet.
        """
        return self._engine.loop.blocking(self._home.fork(self._state, name, at))

    def rewind(self, to: int | Turn | TurnRecord | None = None) -> int:
        """Take turns back: `to` becomes the last one; return how many were removed.

        Parameters
        ----------
        to : int or Turn or TurnRecord, optional
            A turn, or its number, counted from 1 (0: none is left); ``None``: the last but one.

        Raises
        ------
        InputError
            If there is no such turn.
        SessionInUse
            If the session is answering, or open in another process.
        """
        last = None if to is None else _turn_id(to)
        return self._engine.loop.blocking(rewinding.rewind(self._state, self._engine, last))

    def undo_rewind(self) -> int:
        """Bring back what the last `rewind` removed, if nothing has been said since; return how many turns that were.

        Raises
        ------
        InputError
            If there is nothing to undo.
        SessionInUse
            If the session is answering, or open in another process.
        """
        return self._engine.loop.blocking(rewinding.undo_rewind(self._state, self._engine))

    def export(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the conversation to a file and return the file's path.

        Parameters
        ----------
        path : str or Path
            Where to; the suffix (``.md``, ``.html``, ``.json``, ``.ipynb``) names the format.
        force : bool, default False
            Whether a file that is there is replaced.

        Raises
        ------
        InputError
            If there is no such format, the file exists, or it cannot be written.
        """
        facts = Exported(self.name, self.session_id, self.provider, self.model, self.system)
        return export(self.history, facts, path, force=force)

    def delete(self) -> None:
        """Delete the session and its history, irreversibly; a turn under way is stopped first."""
        self._home.delete(self.name)


def _turn_id(turn: int | str | Turn | TurnRecord) -> int | str:
    record = turn.record if isinstance(turn, Turn) else turn
    return record.turn_id if isinstance(record, TurnRecord) else record


def state_of(session: TurnSession) -> SessionState:
    """Return what is known of a session, for the rooms that show and change it."""
    return own_session(session)._state  # noqa: SLF001 - the door of this module


def engine_of(session: TurnSession) -> Engine:
    """Return what a session runs on."""
    return own_session(session)._engine  # noqa: SLF001 - the door of this module


def home_of(session: TurnSession) -> Home:
    """Return who holds a session by its name."""
    return own_session(session)._home  # noqa: SLF001 - the door of this module


def queue_of(session: TurnSession) -> TurnQueue:
    """Return the prompts of a session."""
    return own_session(session)._queue  # noqa: SLF001 - the door of this module


def own_session(session: TurnSession) -> Session:
    """Return the session of a turn that was not pickled."""
    assert isinstance(session, Session), "a turn that was pickled has no session any more"
    return session
