"""A named session: what a user does with a conversation, from any thread; coroutines run on the loop's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from copilot_nb.conversation.prompt import sendable
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.named_sessions import rewind as rewinding
from copilot_nb.named_sessions.attach import Attachable, attached
from copilot_nb.named_sessions.events import Event, Kind
from copilot_nb.named_sessions.formats.export import Exported, export
from copilot_nb.named_sessions.loading import Loadable
from copilot_nb.named_sessions.options import OptionValues, SessionOptions, takes_options
from copilot_nb.named_sessions.reading import read_all, read_last
from copilot_nb.named_sessions.rerun import Cells
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.named_sessions.turn_queue import QueuedTurn, TurnQueue
from copilot_nb.named_sessions.usage import SessionUsage
from copilot_nb.named_sessions.users import own_name
from copilot_nb.named_sessions.wording import label

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.history import History
    from copilot_nb.named_sessions.manager import Manager


class Session(Loadable):
    """A conversation with a history, a model and options of its own; made by `copilot_nb.session`.

    Attributes
    ----------
    name : str
        What the user calls it.
    session_id : str
        What the runtime stores it under (`copilot --resume` takes it).
    options : SessionOptions
        Its model, provider, system message and the other options.
    user : str
        Whose it is; ``""``: nobody's in particular.
    loading_note : callable
        Returns what its provider does before it can answer, such as loading a model; ``""``: nothing.
    """

    def __init__(
        self, manager: Manager, name: str, session_id: str, options: SessionOptions, *, user: str = "", exists: bool
    ) -> None:
        super().__init__()
        self.manager = manager
        self.name = name
        self.session_id = session_id
        self.options = options.settled()
        self.user = user
        self.cells = Cells()
        self.turns_stored = 0
        self.last_outcome = ""
        self.resume_note = ""
        self.requested = SessionOptions()
        self.is_gone = False
        self.loading_note: Callable[[], str] = str
        self.exists = exists
        self.queue = TurnQueue(self)

    def __repr__(self) -> str:
        return f"<Session {self.name!r}: {self.model_label}, {self.state}>"

    @property
    def provider(self) -> str:
        """Where its answers come from."""
        return self.options.provider

    @property
    def model(self) -> str:
        """The model that answers; ``""``: the provider's default."""
        return self.options.model

    @property
    def system(self) -> str:
        """Its system message."""
        return self.options.system or ""

    @property
    def effort(self) -> str:
        """How hard its model reasons; ``""``: the model's default."""
        return self.options.effort or ""

    @property
    def context(self) -> str:
        """The size of its model's window; ``""``: the model's default."""
        return self.options.context or ""

    @property
    def model_label(self) -> str:
        """The model and where it comes from, as one reads it."""
        return label(self.provider, self.model)

    @property
    def own_name(self) -> str:
        """What its user calls it; the name, if it belongs to nobody in particular."""
        return own_name(self.name, self.user, self.manager.settings.user_template) if self.user else self.name

    @property
    def is_busy(self) -> bool:
        """Whether a turn is under way or waits."""
        return bool(self.queue.pending)

    @property
    def state(self) -> str:
        """``"working"``, ``"queued"``, ``"idle"``, or how the last turn ended: ``"failed"``, ``"interrupted"``."""
        if self.queue.pending:
            return "working" if self.runner.current is not None else "queued"
        return self.last_outcome or "idle"

    @property
    def history(self) -> History:
        """All turns, oldest first, as the runtime stored them.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return self.manager.loop.blocking(read_all(self))

    def last_turns(self, number: int) -> History:
        """Return the last `number` turns, without reading those before them.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        return self.manager.loop.blocking(read_last(self, number))

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
            The cell that sends it (`cell_key`), by default the running one; its earlier turns are replaced, as the
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
        asked_text, images = attached(prompt, attach)
        self._check(asked_text, images)
        asked = self.manager.selector.expanded(SessionOptions(**options))
        cell = self.cell_key(prompt) if cell is None else cell
        turn = self._new_turn(asked_text, images, str(_turn_id(replaces)))
        limit_s = timeout_s or self.manager.settings.timeout_s
        self.queue.add(QueuedTurn(turn, self._over_wanted(asked), limit_s, cell), now=now)
        return turn

    def _new_turn(self, prompt: str, images: tuple[Image, ...], replaces: str) -> Turn:
        turn = Turn(self, sendable(prompt, "the prompt"), images, replaces)
        turn.on_change = self._turn_changed
        turn.notes, self.resume_note = [self.resume_note] if self.resume_note else [], ""
        return turn

    def cell_key(self, text: str) -> str:
        """Return the digits that stand for a prompt that the running cell sends; ``""`` if no cell sends it.

        Each call counts as one prompt, so ask for it once for each.
        """
        return self.cells.key_of(text, self.manager.notebook)

    def _check(self, prompt: str, images: Sequence[Image]) -> None:
        self.manager.loop.check_own()
        self.manager.check_prompt(prompt, images)
        if self.is_gone:
            raise SessionNotFound(f"session {self.name!r} is gone", f'begin it anew: copilot_nb.session("{self.name}")')

    def _over_wanted(self, asked: SessionOptions) -> SessionOptions:
        """Return what a call wants, and beside it what was wanted before of the next one."""
        wanted, self.requested = self.requested.merged_with(asked), SessionOptions()
        return wanted

    def _turn_changed(self, turn: Turn) -> None:
        self.tell("turn", turn)

    def tell(self, kind: Kind, turn: Turn | None = None) -> None:
        """Tell whoever watches that something happened to the session."""
        self.manager.events.tell(Event(kind, self, turn))

    def ask(self, prompt: str, **options: Any) -> Turn:
        """Send a prompt and wait for the answer: `send` and `Turn.wait` in one."""
        return self.send(prompt, **options).wait()

    def create(self) -> None:
        """SessionRepository the session without asking it anything.

        Raises
        ------
        InputError
            If it exists already.
        """
        if self.exists:
            raise InputError(f"session {self.name!r} exists already", "use it, or begin anew with --new")
        self.manager.loop.blocking(self._create())

    async def _create(self) -> None:
        async with self.queue.lock:
            await (await self.loaded()).flush()  # before that the runtime does not list a session without a prompt

    def stop(self) -> None:
        """Stop the turn under way and withdraw the prompts that wait."""
        self.queue.stop_all()

    def rename(self, name: str) -> None:
        """Give the session another name; its id stays.

        Raises
        ------
        InputError
            If the name cannot be used, or another session has it.
        """
        self.manager.loop.blocking(rewinding.rename(self, name))

    def fork(self, name: str, at: int | None = None) -> Session:
        """Return a new session called `name` that begins with this one's history.

        Parameters
        ----------
        name : str
            Of the new session.
        at : int, optional
            The last turn it has of this one, counted from 1; ``None``: all of them, but for one under way.

        Raises
        ------
        InputError
            If the name is taken, or there is no such turn.
        SessionNotFound
            If nothing is stored of this session yet.
        """
        return self.manager.loop.blocking(rewinding.fork(self, name, at))

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
        return self.manager.loop.blocking(rewinding.rewind(self, None if to is None else _turn_id(to)))

    def undo_rewind(self) -> int:
        """Bring back what the last `rewind` removed, if nothing has been said since; return how many turns that were.

        Raises
        ------
        InputError
            If there is nothing to undo.
        SessionInUse
            If the session is answering, or open in another process.
        """
        return self.manager.loop.blocking(rewinding.undo_rewind(self))

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
        self.manager.delete(self.name)


def _turn_id(turn: int | str | Turn | TurnRecord) -> int | str:
    record = turn.record if isinstance(turn, Turn) else turn
    return record.turn_id if isinstance(record, TurnRecord) else record
