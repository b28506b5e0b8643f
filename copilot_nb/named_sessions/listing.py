"""The stored sessions as a list that filters, sorts and renders as a table."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from copilot_nb.conversation.prompt import require_count, require_kind, require_text, require_texts
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.ages import parse_age
from copilot_nb.named_sessions.approvals import asking_lines
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.render.table import Table

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState

SHOWN_ROWS = 100
ELSEWHERE, OTHER = "in use elsewhere", "not from copilot_nb"

STATE_LABELS = {
    "working": "● working",
    "queued": "◌ queued",
    "asking": "? asks you",
    "ready": "✓ answer ready",
    "idle": "○ idle",
    "failed": "✗ failed",
    "interrupted": "■ interrupted",
    ELSEWHERE: f"⇄ {ELSEWHERE}",
    OTHER: f"– {OTHER}",
}
"""How the table shows the state of a session: a symbol and words."""
_KEYS: Mapping[str, Callable[[StoredSession], Any]] = {
    "name": lambda stored: stored.name.casefold(),
    "used": lambda stored: -(stored.used_at.timestamp() if stored.used_at else 0.0),
    "turns": lambda stored: -stored.turns,
    "model": lambda stored: (stored.provider, stored.model),
}
SORTS = tuple(_KEYS)
_NAMED = 'to open a session by its name: cp.session("…")'


def _age(given: str | timedelta) -> timedelta:
    if isinstance(given, str):
        return parse_age(given)
    return require_kind(given, timedelta, "older_than is a time span", 'for example "30d", or a timedelta')


class SessionList(list[StoredSession]):
    """A list of stored sessions, most recently used first; renders as a table.

    Parameters
    ----------
    sessions : iterable of StoredSession
        The sessions.
    states : mapping of str to str
        The states of this kernel's sessions, by session id.
    hidden : str
        A note on the sessions that are not in the list.
    asks : sequence of (str, str)
        What sessions ask, and how to answer: a session id and a line.
    """

    def __init__(
        self,
        sessions: Iterable[StoredSession] = (),
        states: Mapping[str, str] | None = None,
        hidden: str = "",
        asks: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(sessions)
        self._states = dict(states or {})
        self._hidden = hidden
        self._asks = tuple(asks)

    @overload
    def __getitem__(self, index: SupportsIndex) -> StoredSession: ...
    @overload
    def __getitem__(self, index: slice) -> SessionList: ...
    def __getitem__(self, index: SupportsIndex | slice) -> StoredSession | SessionList:
        try:
            found = super().__getitem__(index)
        except TypeError as error:
            said = f"a list of sessions is indexed by whole numbers and slices, not {type(index).__name__}"
            raise InputError(said, _NAMED) from error
        return self._like(found) if isinstance(found, list) else found

    def filter(
        self, pattern: str = "", *, model: str = "", notebook: str = "", older_than: str | timedelta = ""
    ) -> SessionList:
        """Return the sessions that match all given criteria.

        Parameters
        ----------
        pattern : str, optional
            A pattern for the name, with the wildcards ``*`` and ``?``.
        model, notebook : str, optional
            A part of the model's or the provider's name, and a part of the notebook's path.
        older_than : str or timedelta, optional
            Sessions not used for this time: ``"30d"``, ``"12h"``, ``"45m"``, ``"2w"``.

        Raises
        ------
        InputError
            If `older_than` is not a time span, or another criterion is not text.
        """
        require_text(pattern, "the pattern")
        require_text(model, "the model")
        require_text(notebook, "the notebook")
        before = datetime.now().astimezone() - _age(older_than) if older_than != "" else None
        return self._like(
            stored
            for stored in self
            if (not pattern or fnmatch.fnmatch(stored.name.casefold(), pattern.casefold()))
            and model.casefold() in f"{stored.model} {stored.provider}".casefold()
            and notebook.casefold() in stored.notebook.casefold()
            and (before is None or (stored.used_at is not None and stored.used_at < before))
        )

    def of_user(self, user: str, limit: int | None = None) -> SessionList:
        """Return the sessions of one user, at most the first `limit` of them.

        Raises
        ------
        InputError
            If `user` is not text, or `limit` is no number.
        """
        require_text(user, "a user's name")
        if limit is not None:
            limit = require_count(limit, "the number of sessions")
        return self._like([stored for stored in self if stored.user == user][:limit])

    def without_turns(self) -> SessionList:
        """Return the stored sessions that have no turn, and no prompt that waits for an answer."""
        return self._like(each for each in self if each.used_at and not each.turns and not self._is_in_use(each))

    def _is_in_use(self, stored: StoredSession) -> bool:
        return self.state(stored) not in ("idle", "failed", "interrupted")

    def sorted_by(self, key: str) -> SessionList:
        """Return the same sessions in another order: by ``name``, ``used``, ``turns`` or ``model``.

        Raises
        ------
        InputError
            If `key` is none of these.
        """
        if key not in SORTS:
            raise InputError(f"sessions cannot be sorted by {key!r}", f"by one of: {', '.join(SORTS)}")
        return self._like(sorted(self, key=_KEYS[key]))

    def marked_ready(self, session_ids: Iterable[str]) -> SessionList:
        """Return the same sessions; the table shows idle ones among `session_ids` as "answer ready"."""
        ready = {
            each: "ready" for each in require_texts(session_ids, "session_ids") if self._states.get(each) == "idle"
        }
        return SessionList(self, self._states | ready, self._hidden, self._asks)

    def _like(self, sessions: Iterable[StoredSession]) -> SessionList:
        return SessionList(sessions, self._states, self._hidden, self._asks)

    def state(self, stored: StoredSession) -> str:
        """Return the state of a session of the list: its activity, or how its last turn ended.

        Raises
        ------
        InputError
            If `stored` is not a session of a list.
        """
        require_kind(stored, StoredSession, "the session of a list is a StoredSession", _NAMED)
        if not stored.is_own:
            return OTHER
        here = self._states.get(stored.session_id, "")
        if stored.is_elsewhere and here not in ("asking", "working", "queued"):
            return ELSEWHERE
        return here or stored.last or "idle"

    def to_frame(self) -> DataFrame:
        """Return the sessions as a pandas table with one row per session.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        names = ("name", "session_id", "provider", "model", "turns", "used_at", "notebook")
        rows = [{**{name: getattr(each, name) for name in names}, "state": self.state(each)} for each in self]
        types = {"turns": "Int64", "used_at": "datetime64[us, UTC]"}
        return frame(rows, {name: types.get(name, "string") for name in (*names, "state")})

    def table(self) -> Table:
        """Return the sessions as a table to render; a narrow place shows its first columns only."""
        now = datetime.now().astimezone()
        has_ids = any(stored.session_id != stored.name for stored in self[:SHOWN_ROWS])
        rows = tuple(
            (
                stored.name,
                STATE_LABELS.get(self.state(stored), self.state(stored)),
                str(stored.turns) if stored.is_own else "",
                stored.used(now),
                f"{stored.model or 'default'} ({stored.provider})" if stored.is_own else "",
                stored.notebook_name,
                *([stored.session_id] if has_ids else []),
            )
            for stored in self[:SHOWN_ROWS]
        )
        columns = ("name", "state", "turns", "last used", "model", "notebook", *(["session id"] if has_ids else []))
        empty = "No sessions. Start one with: %%copilot session1"
        return Table(columns, rows, caption=self._caption(), empty=empty, is_dense=True)

    def _caption(self) -> str:
        beyond = f"{SHOWN_ROWS} of {len(self):,} sessions" if len(self) > SHOWN_ROWS else ""
        listed_ids = {stored.session_id for stored in self}
        asks = [line for session_id, line in self._asks if session_id in listed_ids]
        return "\n".join(said for said in (*asks, "; ".join(filter(None, (beyond, self._hidden)))) if said)

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def merged(
    stored: Iterable[StoredSession],
    states: Iterable[SessionState],
    *,
    counts: Callable[[SessionState], bool],
    is_fresh: bool,
) -> list[StoredSession]:
    """Return the stored sessions, updated from this kernel's state and preceded by its sessions that are not stored.

    Parameters
    ----------
    stored : iterable of StoredSession
        The stored sessions as they were read.
    states : iterable of SessionState
        The sessions of this kernel.
    counts : callable
        Whether to include a session of this kernel that is not among the stored ones.
    is_fresh : bool
        Whether `stored` was just read. Then it is not updated, because another process may have continued a session.
    """
    here = {state.session_id: state for state in states}
    both = [(each, here.pop(each.session_id, None)) for each in stored]
    known = [each if is_fresh or state is None else _known_better(each, state) for each, state in both]
    return [*(StoredSession.of(state) for state in here.values() if counts(state)), *known]


def _known_better(stored: StoredSession, state: SessionState) -> StoredSession:
    if not (state.exists or state.is_busy):
        return stored
    return dataclasses.replace(stored, name=state.name, options=state.options, turns=state.turn_count)


async def listed(engine: Engine, states: Sequence[SessionState], limit: int | None, *, everything: bool) -> SessionList:
    """Return at most `limit` stored sessions, preceded by the users' sessions that are not stored yet.

    A session is stored with its first prompt; a program that serves users may list it before that.
    """
    stored_sessions = engine.stored_sessions
    found = await (stored_sessions.everything(limit or SHOWN_ROWS) if everything else stored_sessions.listing(limit))
    activities = {state.session_id: state.activity for state in states}
    seen = {each.session_id: each for each in await stored_sessions.seen_elsewhere(found[:SHOWN_ROWS])}
    hidden = f"the {limit:,} last used; more: %copilot ls -n {limit * 10}" if limit and len(found) >= limit else ""
    stored = [seen.get(each.session_id, each) for each in found]
    begun = merged(stored, states, counts=lambda state: bool(state.user) and not state.exists, is_fresh=True)
    return SessionList(begun, activities, hidden, asking_lines(engine.approvals.pending))
