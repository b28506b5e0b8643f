"""The Python face: `copilot_nb.session`, `sessions`, `delete`; and the manager that they and the magics share."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from typing import Unpack

from copilot_nb.named_sessions.formats.import_json import import_session
from copilot_nb.named_sessions.listing import SessionList
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import Opening, OptionValues, SessionOptions, takes_options
from copilot_nb.named_sessions.search import SearchResults
from copilot_nb.named_sessions.session import Session
from copilot_nb.named_sessions.usage import UsageReport
from copilot_nb.named_sessions.users import check_user
from copilot_nb.settings import CopilotNB, process_settings


class _Shared:
    """The manager of this process; a forked child makes its own."""

    lock = threading.Lock()
    manager: Manager | None = None

    @classmethod
    def forget(cls) -> None:
        """Begin anew in a forked child, where another thread's lock would never be let go."""
        cls.lock, cls.manager = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Shared.forget)


def shared_manager(settings: CopilotNB | None = None) -> Manager:
    """Return this process's manager; `settings` count when it is made (else: those of the process)."""
    with _Shared.lock:
        if _Shared.manager is None:
            _Shared.manager = Manager(settings or process_settings())
            atexit.register(_Shared.manager.close)  # Python has waited for the user's threads by then
        return _Shared.manager


def rest() -> None:
    """Stop what this process's manager started; sessions that are held start it again at their next use."""
    if _Shared.manager is not None and _Shared.manager.loop.is_running:
        _Shared.manager.restart()


def drop_manager() -> None:
    """Stop what this process's manager started, and forget it."""
    if _Shared.manager is not None:
        _Shared.manager.close()
        atexit.unregister(_Shared.manager.close)
        _Shared.manager = None


@takes_options
def session(
    name: str,
    *,
    session_id: str = "",
    new: bool = False,
    take_over: bool = False,
    user: str | None = None,
    **options: Unpack[OptionValues],
) -> Session:
    """Return the session called `name`: this kernel's, else one stored earlier, else a new one.

    Parameters
    ----------
    name : str
        Up to 300 characters; not a word of ``%copilot``.
    session_id : str, optional
        What the runtime stores the session under; by default made from the name.
    new : bool
        Begin anew, with the model and options of an earlier session of that name, which is kept as ``name~1``.
    take_over : bool
        If another process has the session open, go on in a copy of it, called ``name~1``.
    user : str, optional
        Whose session it is: of several people for whom this kernel acts, each has their own ``chat``. It is stored as
        ``alice-chat`` (the setting `user_template`).
    {options}

    Raises
    ------
    InputError
        If the name, the id or the user cannot be used, or the session is another user's.
    RuntimeUnavailable
        If the Copilot runtime cannot be started.
    ProviderError
        If no model can answer.

    Examples
    --------
    >>> s1 = session("session1", model="gpt-5")
    >>> s1.ask("How do I create a virtual environment?").text
    """
    opening = Opening(session_id=session_id, new=new, take_over=take_over, user=_checked(user))
    return shared_manager().open(name, SessionOptions(**options), opening)


def _checked(user: str | None) -> str:
    """Return the user as the manager takes it; a blank one is a mistake, it must not mean everybody."""
    return "" if user is None else check_user(user)


def delete(name: str, *, user: str | None = None) -> None:
    """Delete the session called `name` and its history, irreversibly.

    Parameters
    ----------
    name : str
        The session.
    user : str, optional
        Whose it must be; what another user calls so stays.

    Raises
    ------
    SessionNotFound
        If there is none.
    SessionInUse
        If another process has it open.

    Examples
    --------
    >>> delete("session1")
    """
    shared_manager().delete(name, _checked(user))


def sessions(limit: int | None = None, *, user: str | None = None) -> SessionList:
    """Return the stored sessions that copilot_nb made, the one last used first.

    Parameters
    ----------
    limit : int, optional
        No more than so many: of thousands, the last used are found sooner.
    user : str, optional
        Those of one user only.

    Raises
    ------
    RuntimeUnavailable
        If the Copilot runtime cannot be started.

    Examples
    --------
    >>> sessions().filter(model="gpt", older_than="30d")
    """
    if user is None:
        return shared_manager().sessions(limit)
    return shared_manager().sessions().of_user(_checked(user), limit)


def search(text: str) -> SearchResults:
    """Return where `text` occurs in the prompts and answers of all stored sessions; upper and lower case are one.

    Raises
    ------
    InputError
        If it is blank.

    Examples
    --------
    >>> search("virtual environment").to_frame()
    """
    return shared_manager().search(text)


def usage(*names: str) -> UsageReport:
    """Return what sessions took: tokens, time, cost, the model's window; without names: those of this kernel.

    Raises
    ------
    SessionNotFound
        If there is none of a name.

    Examples
    --------
    >>> usage("session1", "session2").total
    """
    return shared_manager().usage(names)


def import_conversation(path: str | Path, name: str = "") -> Session:
    """Make a session of a conversation that was exported as `.json`.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, optional
        The session's name; by default the one in the file.

    Raises
    ------
    InputError
        If the file cannot be used, or there is a session of that name.
    SessionError
        If the runtime does not take the conversation; nothing is left of the session then.

    Examples
    --------
    >>> import_conversation("session1.json", "copy of session1")
    """
    return import_session(shared_manager(), path, name)
