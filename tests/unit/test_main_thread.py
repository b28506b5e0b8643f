"""Jobs for the main thread: who runs them, and what an interrupt or a withdrawal does at each moment."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.errors import InputError
from copilot_nb.named_sessions import waiting
from copilot_nb.named_sessions.turn import PastSession, Turn
from copilot_nb.named_sessions.waiting import as_completed, wait
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.system import main_thread
from copilot_nb.system.main_thread import MAIN_THREAD, Job, JobInterrupted, MainThread
from copilot_nb.system.threads import in_thread

LONG_S = 10.0
AT_ONCE_S = 2.0


def soon(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def sleeping(begun: threading.Event) -> Callable[[], str]:
    def work() -> str:
        begun.set()
        time.sleep(LONG_S)
        return "slept"

    return work


def napping(begun: threading.Event) -> Callable[[], str]:
    """A signal that comes just before a nap ends the job after it."""

    def work() -> str:
        begun.set()
        for _ in range(1000):
            time.sleep(LONG_S / 1000)
        return "slept"

    return work


def cancelled_when_begun(job: Job[Any], begun: threading.Event) -> threading.Thread:
    def cancel() -> None:
        begun.wait(LONG_S)
        job.cancel()

    return soon(cancel)


def test_jobs_run_in_order_on_the_main_thread_only() -> None:
    main, ran = MainThread(), list[str]()
    jobs = [main.submit(lambda name=name: ran.append(name) or threading.current_thread()) for name in "ab"]  # type: ignore[misc,func-returns-value]
    soon(main.serve).join()
    assert ran == []
    main.serve()
    assert ran == ["a", "b"]
    assert {job.result.result() for job in jobs} == {threading.main_thread()}


def test_a_job_that_is_withdrawn_in_time_does_not_run() -> None:
    main = MainThread()
    job = main.submit(lambda: pytest.fail("it ran"))
    job.cancel()
    main.serve()
    assert job.result.cancelled()
    assert job.is_cancelled


def test_a_running_job_is_interrupted_from_another_thread() -> None:
    main, begun, began_s = MainThread(), threading.Event(), time.monotonic()
    job = main.submit(sleeping(begun))
    thread = cancelled_when_begun(job, begun)
    main.serve()  # the user has interrupted nothing, so nothing is raised here
    thread.join()
    assert isinstance(job.result.exception(), JobInterrupted)
    assert time.monotonic() - began_s < AT_ONCE_S
    assert (job.is_cancelled, job.is_interrupted) == (True, False)


def test_a_job_is_interrupted_again_if_the_first_signal_had_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt, sent = main_thread._interrupt_main_thread, itertools.count()
    monkeypatch.setattr(main_thread, "_interrupt_main_thread", lambda: next(sent) and interrupt())
    main, begun, began_s = MainThread(), threading.Event(), time.monotonic()
    job = main.submit(sleeping(begun))
    thread = cancelled_when_begun(job, begun)
    main.serve()
    thread.join()
    assert isinstance(job.result.exception(), JobInterrupted)
    assert time.monotonic() - began_s < AT_ONCE_S
    assert (job.is_cancelled, job.is_interrupted) == (True, False)


def test_an_interrupt_of_the_kernel_ends_the_job_and_the_call_that_waits() -> None:
    main, begun = MainThread(), threading.Event()
    before = signal.getsignal(signal.SIGINT)
    job = main.submit(napping(begun))
    after = main.submit(lambda: "later")
    thread = soon(lambda: begun.wait(LONG_S) and signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        main.serve()
    thread.join()
    assert isinstance(job.result.exception(), JobInterrupted)
    assert (job.is_cancelled, job.is_interrupted) == (False, True)
    assert signal.getsignal(signal.SIGINT) is before
    main.serve()
    assert after.result.result() == "later"


def test_an_interruption_at_any_moment_hits_the_job_or_nothing() -> None:
    for pause_s in (0.0, 0.0001, 0.0003, 0.001, 0.003) * 20:
        main = MainThread()
        job = main.submit(lambda: sum(range(20_000)))
        thread = soon(lambda job=job, pause_s=pause_s: (time.sleep(pause_s), job.cancel()))  # type: ignore[misc]
        main.serve()  # a signal that came late would be raised here or below
        thread.join()
        assert job.result.done()


def test_code_that_handles_the_interrupt_itself_gets_one_and_its_result_counts() -> None:
    main, begun = MainThread(), threading.Event()

    def stubborn() -> str:
        try:
            return sleeping(begun)()
        except KeyboardInterrupt:
            return "not stopped"

    job = main.submit(stubborn)
    thread = cancelled_when_begun(job, begun)
    main.serve()
    thread.join()
    assert job.result.result() == "not stopped"


def test_each_job_wakes_the_kernel_and_a_kernel_that_cannot_be_woken_fails_it() -> None:
    main = MainThread()
    main.wake = lambda job: job.fail(InputError("no"))
    job = main.submit(lambda: pytest.fail("it ran"))
    main.serve()
    assert isinstance(job.result.exception(), InputError)


def test_a_thread_that_waits_on_the_main_thread_is_seen() -> None:
    main = MainThread()
    assert not main.is_attended
    main.serve()
    assert main.is_attended


def test_a_call_that_waits_is_seen_however_slow_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_thread, "ATTENDED_S", 0.0)
    seen = list[bool]()

    def look(turn: Turn) -> None:
        seen.append(MAIN_THREAD.is_attended)
        turn.finish()

    wait([a_turn()], on_update=look)
    turn = a_turn()
    futures = SimpleNamespace(wait=lambda *_: look(turn), FIRST_COMPLETED="")
    monkeypatch.setattr(waiting, "concurrent", SimpleNamespace(futures=futures))
    assert list(as_completed([turn])) == [turn]
    assert all(seen)
    assert len(seen) > 1
    assert not MAIN_THREAD.is_attended


def a_turn(session_id: str = "a") -> Turn:
    owner = SimpleNamespace(loop=LoopThread(), stop=lambda _turn: None)
    return Turn(PastSession("a", session_id, "p"), "Hello", owner=cast(Any, owner))


def test_a_call_that_waits_for_a_turn_runs_the_job_that_the_turn_needs() -> None:
    turn = a_turn()
    job = MAIN_THREAD.submit(turn.finish)
    assert wait([turn]) == [turn]
    assert job.result.done()


def test_a_job_may_wait_for_another_session_but_not_for_the_one_it_runs_for() -> None:
    own, other = a_turn(), a_turn("b")

    def work() -> None:
        MAIN_THREAD.submit(other.finish)
        wait([other])
        with pytest.raises(InputError, match="this code runs for a turn of a"):
            wait([own])
        own.finish()

    job = MAIN_THREAD.submit(work, owner="a")
    wait([own])
    assert job.result.result() is None


def test_a_long_wait_for_the_loop_runs_the_job_that_it_waits_for() -> None:
    loop, done = LoopThread(), threading.Event()

    async def until_done() -> None:
        await in_thread(done.wait, LONG_S)

    MAIN_THREAD.submit(done.set)
    loop.blocking(until_done(), timeout_s=LONG_S)
    loop.stop()


class Nested:
    """A job that runs another one within its work, and what it got then."""

    def __init__(self, inner_work: Callable[[], object]) -> None:
        self.main, self.got = MainThread(), list[str]()
        self.inner = Job(inner_work)
        self.outer = self.main.submit(self._work)

    def _work(self) -> None:
        try:
            self.main.run(self.inner)
        except KeyboardInterrupt as error:
            self.got.append(type(error).__name__)
            raise


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_a_job_that_is_cancelled_while_another_runs_within_it_is_interrupted_after_that() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def cancel() -> None:
        begun.wait(LONG_S)
        nested.outer.cancel()
        go_on.set()

    def inner() -> bool:
        begun.set()
        return go_on.wait(LONG_S)

    nested = Nested(inner)
    thread = soon(cancel)
    nested.main.serve()
    thread.join()
    assert nested.inner.result.result() is True
    assert nested.got == ["JobCancelled"]
    assert isinstance(nested.outer.result.exception(), JobInterrupted)
    assert (nested.outer.is_interrupted, nested.inner.is_cancelled, nested.inner.is_interrupted) == (False,) * 3


def test_an_interrupt_of_the_kernel_ends_all_jobs_from_the_inside() -> None:
    nested = Nested(interrupt)
    with pytest.raises(KeyboardInterrupt):
        nested.main.serve()
    assert nested.got == ["KeyboardInterrupt"]
    assert [type(job.result.exception()) for job in (nested.inner, nested.outer)] == [JobInterrupted] * 2
    assert (nested.inner.is_interrupted, nested.outer.is_interrupted) == (True, True)


def test_a_signal_that_arrives_as_a_job_ends_does_not_end_the_job_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = Nested(lambda: "whole")
    nested.inner._sent = 1  # by a cancellation just before
    monkeypatch.setattr(nested.inner, "_await_signal", interrupt)
    nested.main.serve()
    assert nested.inner.result.result() == "whole"
    assert nested.got == []
    assert nested.outer.result.result() is None


def test_an_interrupt_that_comes_before_the_next_job_begins_leaves_that_job_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = MainThread()
    outer, inner = main.submit(main.serve), main.submit(lambda: "whole")
    monkeypatch.setattr(outer, "_await_signal", interrupt)
    with pytest.raises(KeyboardInterrupt):
        main.serve()
    assert isinstance(outer.result.exception(), JobInterrupted)
    assert not inner.has_begun
    main.serve()
    assert inner.result.result(0) == "whole"


@pytest.mark.parametrize("is_awaited", [False, True])
def test_code_whose_turn_is_stopped_does_not_stop_the_turn_that_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, *, is_awaited: bool
) -> None:
    other, stopped = a_turn("b"), list[Turn]()

    def stop(turn: Turn) -> None:
        stopped.append(turn)
        turn.finish()

    cast(Any, other.owner).stop = stop
    monkeypatch.setattr(waiting, "AWAITED_POLL_S", 0.0)
    monkeypatch.setattr(waiting, "attendants", [lambda _turns: job.cancel()])  # while the code waits

    async def awaited() -> None:
        await other

    job = MAIN_THREAD.submit(lambda: asyncio.run(awaited()) if is_awaited else wait([other]), owner="a")
    MAIN_THREAD.serve()
    assert isinstance(job.result.exception(), JobInterrupted)
    assert (stopped, other.done) == ([], False)
