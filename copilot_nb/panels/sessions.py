"""The sessions panel: a list in which sessions are found, opened, created, renamed, copied and deleted.

The list shows the stored sessions (`Manager.sessions`, about 50 ms for 300 sessions), updated by the current state of
this kernel's sessions. Changes in this kernel arrive as events and are sent as single rows. Changes by other kernels
are only on disk: the list is read again every five seconds, less often if nothing changes, and only while a runtime
runs.

Opening a session makes a `ChatPanel`, which the page shows below the list as a widget inside the widget.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.prompt import require_kind
from copilot_nb.errors import CopilotNBError
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.listing import SHOWN_ROWS, STATE_LABELS, SessionList, merged
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import state_of
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.chat import ChatPanel
from copilot_nb.render.escape import well_formed

if TYPE_CHECKING:
    from copilot_nb.named_sessions.metadata import StoredSession
    from copilot_nb.named_sessions.session import Event, Session
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.panels.static_output import Transcript

MAX_ROWS = 2000
"""Most sessions that are sent to the page, the most recently used (count)."""
READ_AGAIN_S = 1.0
"""The shortest time between two readings of the stored sessions, in seconds."""
POLL_S, MAX_POLL_S = 5.0, 30.0
"""Seconds between readings without an event in this kernel: at first, and the longest after repeated doubling."""
GONE_S = 10.0
"""How long a deleted session is hidden although it is still stored, in seconds: deleting takes a moment."""

Row = dict[str, Any]


class Rows:
    """The rows of the list, and the rows that the page has received. Runs on the panel's thread, except `is_current`.

    Parameters
    ----------
    manager : Manager
        Owns the sessions.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._stored = SessionList()
        self._used_s: dict[str, float] = {}
        self._gone_s: dict[str, float] = {}
        self._sent: dict[str, Row] = {}

    def read(self) -> None:
        """Read the stored sessions.

        Raises
        ------
        CopilotNBError
            If the runtime cannot be asked.
        """
        self._stored = self._manager.sessions(MAX_ROWS)

    def note(self, event: Event) -> None:
        """Record an event of a session."""
        session_id = event.session.session_id
        if event.kind == "gone":
            self._gone_s[session_id] = time.monotonic()
        elif event.kind == "listed":
            self._gone_s.pop(session_id, None)
        elif event.kind == "turn":
            self._used_s[session_id] = time.time()

    def is_current(self, session: Session) -> bool:
        """Whether the page's state and turn count of a session are up to date (from any thread)."""
        told = self._sent.get(session.session_id, {})
        return (
            told.get("state") == STATE_LABELS.get(session.state) and told.get("turns") == state_of(session).turn_count
        )

    def all(self) -> list[Row]:
        """Return all rows, and record them as sent."""
        self._sent = self._current()
        return list(self._sent.values())

    def changes(self) -> list[dict[str, Any]]:
        """Return the changes since the last call, and record them as sent."""
        before, self._sent = self._sent, self._current()
        changed = [{"kind": "row", "row": row} for row in self._sent.values() if before.get(row["id"]) != row]
        return changed + [{"kind": "gone", "id": each} for each in before if each not in self._sent]

    def _current(self) -> dict[str, Row]:
        """Return the rows by session id: the stored sessions, updated by this kernel's own."""
        now_s = time.monotonic()
        self._gone_s = {each: at_s for each, at_s in self._gone_s.items() if now_s - at_s < GONE_S}
        stored = (each for each in self._stored if each.session_id not in self._gone_s)
        here = {state.session_id: state for state in map(state_of, self._manager) if _is_shown(state)}
        known = merged(stored, here.values(), counts=_is_shown, is_fresh=False)
        return {each.session_id: self._row(each, here.get(each.session_id)) for each in known}

    def _row(self, stored: StoredSession, state: SessionState | None) -> Row:
        used_s = stored.used_at.timestamp() if stored.used_at else 0.0
        return {
            "id": stored.session_id,
            "name": well_formed(stored.name),
            "model": well_formed(stored.options.label),
            "turns": stored.turns,
            "used": max(used_s, self._used_s.get(stored.session_id, 0.0)),
            "notebook": well_formed(stored.notebook_name),
            "state": _state_label(state.activity if state is not None else self._stored.state(stored)),
        }


def _is_shown(state: SessionState) -> bool:
    return state.exists or state.is_busy


def _state_label(state: str) -> str:
    return STATE_LABELS.get(state, state)


class SessionsPanel(Panel):
    """A list of all sessions, kept up to date.

    Filter and sort them, open one below the list, create, rename, duplicate and delete, with the mouse or the keyboard
    alone (arrows, Enter, F2, Delete).

    Examples
    --------
    >>> SessionsPanel()  # doctest: +SKIP
    """

    _esm = script("sessions.js")

    def __init__(self, manager: Manager | None = None) -> None:
        self._wake = threading.Event()
        self._is_closed = False
        self._keeper: threading.Thread | None = None
        self._chat: ChatPanel | None = None
        self._open: dict[str, str] | None = None
        self._sent_open: dict[str, str] | None = None
        self._problem = self._sent_problem = ""
        if manager is not None:
            hint = "SessionsPanel(), or ChatPanel(NAME) for one session"
            require_kind(manager, Manager, "a SessionsPanel shows all sessions of a Manager", hint)
        self._rows = Rows(manager or shared_manager())
        super().__init__(manager or shared_manager())

    def __repr__(self) -> str:
        return "<SessionsPanel>"

    def whole(self) -> dict[str, Any]:
        """Return all rows, the providers and models for a new session, and the open session."""
        if self._keeper is None:
            self._read()
            self._keeper = threading.Thread(target=self._keep_reading, name="copilot-nb-list", daemon=True)
            self._keeper.start()
        self._sent_open, self._sent_problem = self._open, self._problem
        providers = self._manager.providers
        return {
            "rows": self._rows.all(),
            "providers": list(providers.chosen_names),
            "models": [well_formed(model) for model in providers.models],
            "open": self._open,
            "problem": self._problem,
        }

    def news(self) -> list[dict[str, Any]]:
        """Return the changed rows, and the open session and the problem if they changed."""
        items = self._rows.changes()
        if self._open != self._sent_open:
            self._sent_open = self._open
            items.append({"kind": "open", "open": self._open})
        if self._problem != self._sent_problem:
            self._sent_problem = self._problem
            items.append({"kind": "problem", "problem": self._problem})
        return items

    def transcript(self) -> Transcript:
        """Return the most recently used sessions."""
        return self._manager.sessions(SHOWN_ROWS)

    def wants(self, event: Event) -> bool:
        """Whether a row may have changed; a streaming answer does not change one."""
        return event.kind != "turn" or not self._rows.is_current(event.session)

    def noted(self, event: Event) -> None:
        """Record an event; when a session appears or disappears, read the stored sessions again."""
        self._rows.note(event)
        if event.kind in ("listed", "gone"):
            self._wake.set()
        if self._open and event.session.session_id == self._open["id"]:
            if event.kind == "gone":
                self._show_none()
            else:
                self._open = {**self._open, "name": well_formed(event.session.name)}

    def close(self) -> None:
        """Remove the panel and the conversation open in it; the sessions stay."""
        self._is_closed = True
        self._wake.set()
        if self._chat is not None:
            self._chat.close()
        super().close()

    def do_create(self, message: Message) -> None:
        """Create a session with a name, a model and a provider (``""``: the default)."""
        model, provider = message.get("model", ""), message.get("provider", "")
        self._manager.create(message["name"], model=model, provider=provider)
        self._reread()

    def do_rename(self, message: Message) -> None:
        """Rename a session."""
        self._manager.existing(message["name"]).rename(message["to"])
        self._reread()

    def do_duplicate(self, message: Message) -> None:
        """Copy a session, with its history."""
        self._manager.existing(message["name"]).fork(message["to"])
        self._reread()

    def do_delete(self, message: Message) -> None:
        """Delete a session; the page has asked the user to confirm."""
        self._manager.delete(message["name"])
        self._reread()

    def do_refresh(self, _message: Message) -> None:
        """Read the stored sessions again."""
        self._reread()

    def do_open(self, message: Message) -> None:
        """Show a session below the list."""
        session = self._manager.existing(message["name"])
        if self._open and self._open["id"] == session.session_id:
            return
        chat = ChatPanel(session)
        opened = {"id": session.session_id, "name": well_formed(session.name), "chat": f"anywidget:{chat.model_id}"}
        self._on_panel(lambda: self._show(chat, opened))

    def do_close(self, _message: Message) -> None:
        """Close the open session."""
        self._on_panel(self._show_none)

    def _show(self, chat: ChatPanel, opened: dict[str, str]) -> None:
        self._show_none()
        self._chat, self._open = chat, opened

    def _show_none(self) -> None:
        chat, self._chat, self._open = self._chat, None, None
        if chat is not None:
            chat.close()

    def _on_panel(self, change: Callable[[], None]) -> None:
        """Run `change` on the panel's thread, and send the news."""
        self._sender.put(change)
        self.mark()

    def _reread(self) -> None:
        self._sender.put(self._read)
        self.mark()

    def _read(self) -> None:
        try:
            self._rows.read()
            self._problem = ""
        except CopilotNBError as error:
            self._problem = well_formed(str(error))

    def _read_and_show(self) -> None:
        if self._manager.running_client is not None and not self._is_resting:  # do not start a stopped runtime again
            self._read()
            self._sender.mark()

    def _keep_reading(self) -> None:
        """Read the stored sessions after each change and at intervals (runs on its own thread)."""
        pause_s = POLL_S
        while not self._is_closed:
            pause_s = POLL_S if self._wake.wait(pause_s) else min(2 * pause_s, MAX_POLL_S)
            self._wake.clear()
            self._sender.put(self._read_and_show)
            time.sleep(READ_AGAIN_S)
