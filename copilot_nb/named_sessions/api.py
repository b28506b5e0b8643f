"""The Python interface (`copilot_nb.session`, `sessions`, `delete`, …) and the manager it shares with the magics."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

from copilot_nb.conversation.prompt import require_count
from copilot_nb.named_sessions.listing import SessionList
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import Opening, OptionValues, SessionOptions, takes_options
from copilot_nb.named_sessions.search import SearchResults
from copilot_nb.named_sessions.session import Session
from copilot_nb.named_sessions.usage import UsageReport
from copilot_nb.named_sessions.users import check_user
from copilot_nb.settings import CopilotNB, process_settings

F = TypeVar("F", bound=Callable[..., Any])


class _Shared:
    """The manager of this process; a forked child creates its own."""

    lock = threading.Lock()
    manager: Manager | None = None

    @classmethod
    def forget(cls) -> None:
        """Reset the lock and the manager in a forked child, where a lock held by another thread is never released."""
        cls.lock, cls.manager = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Shared.forget)


def shared_manager(settings: CopilotNB | None = None) -> Manager:
    """Return this process's manager; `settings` (default: those of the process) are used when it is created."""
    with _Shared.lock:
        if _Shared.manager is None:
            _Shared.manager = Manager(settings or process_settings())
            atexit.register(_Shared.manager.close)  # runs after Python has joined the user's threads
        return _Shared.manager


def rest() -> None:
    """Stop what this process's manager started; existing sessions start it again at their next use."""
    if _Shared.manager is not None and _Shared.manager.loop.is_running:
        _Shared.manager.restart()


def drop_manager() -> None:
    """Close and remove this process's manager."""
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
    """Return the session called `name`: this kernel's, else a stored one, else a new one.

    Parameters
    ----------
    name : str
        Up to 300 characters; not a subcommand of ``%copilot``.
    session_id : str, optional
        The id under which the runtime stores the session; by default derived from the name.
    new : bool
        Start a new session with the model and options of an existing one of that name, which is kept as ``name~1``.
    take_over : bool
        If another process has the session open, continue in a copy called ``name~1``.
    user : str, optional
        The user the session belongs to. If the kernel serves several people, each of them can have a session
        ``chat``; it is stored as ``alice-chat`` (see the setting `user_template`).
    {options}

    Raises
    ------
    InputError
        If the name, the id or the user is invalid, or the session belongs to another user.
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
    """Return the user in the form the manager expects; a blank user is an error, as ``""`` skips the user check."""
    return "" if user is None else check_user(user)


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(*, name: str = "", session: str = "", asks: bool = True) -> Callable[[F], F]: ...


def tool(function: F | None = None, /, *, name: str = "", session: str = "", asks: bool = True) -> F | Callable[[F], F]:
    """Let models call a function, and return the function itself.

    Its docstring tells the model what it does, its type hints which arguments it takes. Each call is asked about. It
    runs in a thread of its own, so it may take its time; what it returns, or the error it raises, goes to the model as
    text of at most 16 kB, with secrets hidden. A session with the tools ``none`` does not have it.

    Parameters
    ----------
    function : callable
        The function, plain or ``async``.
    name : str, optional
        The name for the model; by default that of the function. A tool of that name is replaced.
    session : str, optional
        The session that has the tool; by default all of this kernel.
    asks : bool, default True
        Whether you are asked before each call. A rule of the setting `permissions` comes first.

    Raises
    ------
    InputError
        If it is not a function, a parameter has no type that JSON knows, or another tool has the name.

    Examples
    --------
    >>> @tool
    ... def weather(city: str) -> str:
    ...     "Return the weather in a city."
    ...     return f"It rains in {city}."
    """

    def add(given: F) -> F:
        from copilot_nb.agent.functions import tool_of  # imports pydantic

        shared_manager().toolbox.add(tool_of(given, name, asks=asks), session)
        return given

    return add if function is None else add(function)


def remove_tool(name: str, *, session: str = "") -> None:
    """Take a tool of yours away; models can no longer call it, from the next prompt on.

    Parameters
    ----------
    name : str
        The name of the tool for the model: that of its function, or the one given to `tool`.
    session : str, optional
        The session to take it away from; by default all that have it.

    Raises
    ------
    InputError
        If you have no such tool.

    Examples
    --------
    >>> @tool
    ... def weather(city: str) -> str:
    ...     "Return the weather in a city."
    ...     return f"It rains in {city}."
    >>> remove_tool("weather")
    """
    shared_manager().toolbox.remove(name, session)


def delete(name: str, *, user: str | None = None) -> None:
    """Delete the session called `name` and its history irreversibly.

    Parameters
    ----------
    name : str
        The session.
    user : str, optional
        The user the session must belong to; another user's session of that name is not deleted.

    Raises
    ------
    SessionNotFound
        If there is no such session.
    SessionInUse
        If another process has the session open.

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
        The maximum number of sessions; with thousands of stored sessions, a limit is faster.
    user : str, optional
        Return only the sessions of this user.

    Raises
    ------
    InputError
        If `limit` is no number.
    RuntimeUnavailable
        If the Copilot runtime cannot be started.

    Examples
    --------
    >>> sessions().filter(model="gpt", older_than="30d")
    """
    if limit is not None:
        limit = require_count(limit, "the number of sessions")
    if user is None:
        return shared_manager().sessions(limit)
    return shared_manager().sessions().of_user(_checked(user), limit)


def search(text: str) -> SearchResults:
    """Search the prompts and answers of all stored sessions for `text`, ignoring case.

    Raises
    ------
    InputError
        If `text` is blank.

    Examples
    --------
    >>> search("virtual environment").to_frame()
    """
    return shared_manager().search(text)


def usage(*names: str) -> UsageReport:
    """Return the tokens, time, cost and context window use of sessions; without names, of this kernel's sessions.

    Raises
    ------
    SessionNotFound
        If there is no session of a given name.

    Examples
    --------
    >>> usage("session1", "session2").total
    """
    return shared_manager().usage(names)


def import_conversation(path: str | Path, name: str = "") -> Session:
    """Create a session from a conversation that was exported as `.json`.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, optional
        The session's name; by default the one in the file.

    Raises
    ------
    InputError
        If the file is invalid, or a session of that name exists.
    SessionError
        If the runtime does not accept the conversation; no session remains then.

    Examples
    --------
    >>> import_conversation("session1.json", "copy of session1")
    """
    from copilot_nb.named_sessions.formats.import_json import import_session

    return import_session(shared_manager(), path, name)
