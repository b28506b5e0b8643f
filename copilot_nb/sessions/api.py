"""The Python face: `copilot_nb.session`, `sessions`, `delete`; and the manager that they and the magics share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from importlib import import_module

from copilot_nb.render.table import Table
from copilot_nb.sessions.manager import Manager
from copilot_nb.sessions.session import Session
from copilot_nb.sessions.stored import StoredSession
from copilot_nb.settings import CopilotNB, process_settings


class _Shared:
    """The manager of this process; a forked child makes its own."""

    lock = threading.Lock()
    manager: Manager | None = None
    process_id = 0


def shared_manager(settings: CopilotNB | None = None) -> Manager:
    """Return this process's manager; `settings` count when it is made (else: those of the process)."""
    with _Shared.lock:
        if _Shared.manager is None or _Shared.process_id != os.getpid():
            _Shared.manager = Manager(settings or process_settings())
            _Shared.process_id = os.getpid()
            _at_exit(_Shared.manager.close)
        return _Shared.manager


def _at_exit(function: Callable[[], None]) -> None:
    """Have `function` called when the interpreter ends, while threads can still be used.

    `atexit` is too late: executors are shut down before it, and the SDK writes through one. Where Python has no such
    hook, nothing is lost: the runtime ends when its standard input closes.
    """
    import_module("concurrent.futures.thread")  # hooks run in reverse order: that of the executors must be there
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(function)


def drop_manager() -> None:
    """Stop what this process's manager started, and forget it."""
    if _Shared.manager is not None:
        _Shared.manager.close()
        _Shared.manager = None


def session(
    name: str,
    *,
    model: str = "",
    provider: str = "",
    system: str | None = None,
    session_id: str = "",
    new: bool = False,
    take_over: bool = False,
) -> Session:
    """Return the session called `name`: this kernel's, else one stored earlier, else a new one.

    Parameters
    ----------
    name : str
        Up to 300 characters; not a word of ``%copilot``.
    model, provider : str, optional
        Of a new session: which model answers, and where it comes from. Of an existing one: what it is switched to by
        its next turn. ``""``: the session's own, else the settings'.
    system : str, optional
        System message; ``None``: the session's own, else the settings'.
    session_id : str, optional
        What the runtime stores the session under; by default made from the name.
    new : bool
        Begin anew; an earlier session of that name is kept as ``name~1``.
    take_over : bool
        If another process has the session open, go on in a copy of it, called ``name~1``.

    Raises
    ------
    InputError
        If the name or the id cannot be used.
    RuntimeUnavailable
        If the Copilot runtime cannot be started.
    ProviderError
        If no model can answer.
    """
    return shared_manager().session(
        name,
        model=model,
        provider=provider,
        system=system,
        session_id=session_id,
        new=new,
        take_over=take_over,
    )


def delete(name: str) -> None:
    """Delete the session called `name` and its history, irreversibly.

    Raises
    ------
    SessionNotFound
        If there is none.
    SessionInUse
        If another process has it open.
    """
    shared_manager().delete(name)


class SessionList(list[StoredSession]):
    """Stored sessions, the one last used first; renders as a table."""

    def table(self) -> Table:
        """Return the listing."""
        now = datetime.now().astimezone()
        states = {session.session_id: session.state for session in shared_manager()}
        rows = tuple(
            (
                stored.name,
                stored.session_id,
                f"{stored.model or 'default'} ({stored.provider})",
                str(stored.turns),
                stored.used(now),
                stored.notebook_name,
                states.get(stored.session_id, "stored"),
            )
            for stored in self
        )
        columns = ("name", "session id", "model", "turns", "last used", "notebook", "state")
        return Table(columns, rows, empty="No sessions yet. Begin one with: %%copilot session1")

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def sessions() -> SessionList:
    """Return the stored sessions that copilot_nb made, the one last used first.

    Raises
    ------
    RuntimeUnavailable
        If the Copilot runtime cannot be started.
    """
    return SessionList(shared_manager().stored())
