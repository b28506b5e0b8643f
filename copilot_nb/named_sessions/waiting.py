"""Waits for turns: for one, for several, or for each as it ends."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from copilot_nb.conversation.prompt import require_function
from copilot_nb.errors import CopilotNBError, InputError, TurnError, TurnInterrupted
from copilot_nb.runtime.loop import POLL_S, LoopThread
from copilot_nb.system.main_thread import MAIN_THREAD, JobCancelled, is_main_thread


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def session_id(self) -> str: ...


class _Owner(Protocol):
    @property
    def loop(self) -> LoopThread: ...


class Waitable(Protocol):
    """An object that can be waited for, such as a `Turn`."""

    ended: concurrent.futures.Future[None]

    @property
    def done(self) -> bool:
        """Whether the turn has ended."""

    @property
    def error(self) -> CopilotNBError | None:
        """Why the turn failed or was interrupted."""

    @property
    def session(self) -> _Named:
        """The session it was sent to."""

    @property
    def owner(self) -> _Owner | None:
        """The queue that runs the turn."""

    def stop(self) -> None:
        """Stop the turn."""

    def wait_for_change(self, timeout_s: float) -> None:
        """Wait until the turn has changed."""


T = TypeVar("T", bound=Waitable)

attendants: list[Callable[[Sequence[Waitable]], object]] = []
"""Called on the main thread, about ten times a second, with the turns that a call waits for there."""

AWAITED_POLL_S = 0.5
"""How often an awaited turn is attended to (seconds); a cell may await hundreds at once."""
STOP_GRACE_S = 3.0
"""How long an interrupted wait waits for the turns to stop (seconds; 0.03 s is usual)."""


def wait(turns: Iterable[T], timeout_s: float | None = None, on_update: Callable[[T], object] | None = None) -> list[T]:
    """Wait until all `turns` have ended and return them, in the order given.

    Parameters
    ----------
    turns : iterable of Turn
        Turns of one or several sessions.
    timeout_s : float, optional
        Maximum time to wait for all turns, in seconds; the turns continue after that. ``None`` to wait until they end.
    on_update : callable, optional
        Called on the waiting thread, about ten times a second, with a turn that has not ended.

    Raises
    ------
    CopilotNBError
        If a turn failed or was interrupted; raised when all turns have ended. With several turns, it is one error that
        summarizes the failed ones. `Turn.text` keeps the partial answers. Interrupting the kernel stops all `turns`.
    TimeoutError
        If the turns have not ended after `timeout_s` seconds.
    RuntimeError
        If called on the thread that receives the answers, which would wait for itself.

    Examples
    --------
    >>> turns = [session(name).send("Hello!") for name in ("session1", "session2")]
    >>> wait(turns)
    """
    turns = _turns_of(turns)
    if on_update is not None:
        require_function(on_update, "on_update")
    _check_can_wait(turns)
    try:
        with MAIN_THREAD.attended():
            _follow(turns, timeout_s, on_update)
    except JobCancelled:  # the turn that this code runs for was stopped, not `turns`
        raise
    except KeyboardInterrupt as interrupt:
        _interrupt(turns, on_update)
        if all(turn.error is None for turn in turns):  # a loop around this call must end too
            raise TurnInterrupted("interrupted just after the answer arrived", "it is in the history") from interrupt
    if errors := [turn.error for turn in turns if turn.error is not None]:
        raise errors[0] if len(turns) == 1 else _summary(turns, errors) from errors[0]
    return turns


def as_completed(turns: Iterable[T], timeout_s: float | None = None) -> Iterator[T]:
    """Yield `turns` as they end, including failed ones (see `Turn.error`).

    Raises
    ------
    TimeoutError
        If not all turns have ended after `timeout_s` seconds.
    RuntimeError
        If called on the thread that receives the answers, which would wait for itself.

    Examples
    --------
    >>> turns = [session(name).send("Hello!") for name in ("session1", "session2")]
    >>> for turn in as_completed(turns):
    ...     print(turn.session.name, turn.error or turn.text)
    """
    pending = _turns_of(turns)
    _check_can_wait(pending)
    deadline = _deadline(timeout_s)
    while pending:
        ended = [turn for turn in pending if turn.done]
        yield from ended
        pending = [turn for turn in pending if turn not in ended]
        if pending and time.monotonic() > deadline:
            raise TimeoutError(f"{len(pending)} turns have not ended within {timeout_s} s")
        with MAIN_THREAD.attended():
            concurrent.futures.wait([turn.ended for turn in pending], POLL_S, concurrent.futures.FIRST_COMPLETED)
            attend(pending)


def attend(turns: Sequence[Waitable]) -> None:
    """Do what `turns` need the main thread for, as a call waits for them; on another thread nothing.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted it; `JobCancelled` if this is code whose own turn was stopped.
    """
    if is_main_thread():
        MAIN_THREAD.serve()
        for attendant in attendants:
            attendant(turns)


def _turns_of(turns: Iterable[T]) -> list[T]:
    """Return turns as a list.

    Raises
    ------
    InputError
        If it is something else, such as one turn, or the name of a session.
    """
    given = list(turns) if isinstance(turns, Iterable) else []
    others = (
        [each for each in given if not hasattr(each, "wait_for_change")] if isinstance(turns, Iterable) else [turns]
    )
    if others:
        raise InputError(f"a list of turns is needed, not {type(others[0]).__name__}", "[turn], or turn.wait()")
    return given


def _check_can_wait(turns: Sequence[Waitable]) -> None:
    """Check that this thread can wait for `turns`, and that they can end while it waits.

    Raises
    ------
    InputError
        In a forked child, and in code that runs for one of the turns.
    RuntimeError
        On the thread that receives the answers.
    """
    if (loop := _loop_of(turns)) is not None and loop.is_current():
        raise RuntimeError("await the turns instead: this thread receives the answers")
    check_owners(turns)


def check_owners(turns: Sequence[Waitable]) -> None:
    """Check that the code that waits does not run for one of `turns`, which end after it.

    Raises
    ------
    InputError
        If it does.
    """
    owners = MAIN_THREAD.owners if is_main_thread() else ()  # other threads are the user's, and may wait for the code
    for turn in turns:
        if not turn.done and turn.session.session_id in owners:
            name = turn.session.name
            raise InputError(f"this code runs for a turn of {name}, so {name} cannot answer before the code has ended")


def _loop_of(turns: Sequence[Waitable]) -> LoopThread | None:
    """Return the event loop thread that receives the answers; ``None`` if all `turns` have ended.

    Raises
    ------
    InputError
        In a forked child, which receives no answers.
    """
    loop = next((turn.owner.loop for turn in turns if not turn.done and turn.owner is not None), None)
    if loop is not None:
        loop.check_own()
    return loop


def _follow(turns: Sequence[T], timeout_s: float | None, on_update: Callable[[T], object] | None) -> None:
    deadline = _deadline(timeout_s)
    for turn in turns:
        while not turn.done:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{turn.session.name} has not ended within {timeout_s} s")
            if on_update is None:  # waking up at each change would slow down the thread that receives the answers
                concurrent.futures.wait([turn.ended], POLL_S)
            else:
                turn.wait_for_change(POLL_S)
                on_update(turn)
            attend(turns)


def _interrupt(turns: Sequence[T], on_update: Callable[[T], object] | None) -> None:
    for turn in turns:
        turn.stop()
    with suppress(KeyboardInterrupt, TimeoutError):
        _follow(turns, STOP_GRACE_S, on_update)
    if not all(turn.done for turn in turns):
        raise TurnInterrupted(f"stopped waiting for {', '.join(t.session.name for t in turns if not t.done)}") from None


def _deadline(timeout_s: float | None) -> float:
    if timeout_s is not None and not isinstance(timeout_s, int | float):
        raise InputError(f"timeout_s is a number of seconds, not {type(timeout_s).__name__}", "leave it out to wait on")
    return float("inf") if timeout_s is None else time.monotonic() + timeout_s


def _summary(turns: Sequence[Waitable], errors: Sequence[CopilotNBError]) -> CopilotNBError:
    said = "; ".join(f"{turn.session.name}: {turn.error.message}" for turn in turns if turn.error is not None)
    kind = type(errors[0]) if isinstance(errors[0], TurnError) else TurnError
    return kind(f"{len(errors)} of {len(turns)} turns did not finish: {said}", errors[0].hint)
