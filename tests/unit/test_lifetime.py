"""How things end: forked children, threads that outlive the main one, and turns whose waiters stop waiting.

Each process here is a real one; none needs the runtime.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.turn import PastSession, Turn
from copilot_nb.named_sessions.waiting import as_completed, wait
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.system.main_thread import MAIN_THREAD
from copilot_nb.system.threads import DaemonPool

LIMIT_S = 30.0


def printed(code: str) -> str:
    """Return what a Python process prints that runs `code` to its end."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert not ran.stderr
    return ran.stdout.strip()


needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")


@needs_fork
def test_a_forked_child_ends_after_the_sessions_were_used() -> None:
    said = printed("""
import asyncio, multiprocessing
from copilot_nb.named_sessions.api import shared_manager
shared_manager().loop.blocking(asyncio.sleep(0))
child = multiprocessing.get_context("fork").Process(target=int)
child.start()
child.join(20)
print(child.exitcode)
child.kill()
""")
    assert said == "0"


@needs_fork
def test_a_forked_child_gets_an_error_in_place_of_an_answer() -> None:
    said = printed("""
import asyncio, os
from copilot_nb.errors import InputError
from copilot_nb.runtime.loop import LoopThread
loop = LoopThread()
loop.blocking(asyncio.sleep(0))
if (child := os.fork()) == 0:
    try:
        loop.blocking(asyncio.sleep(0))
    except InputError as error:
        print(error, loop.is_running)
else:
    os.waitpid(child, 0)
""")
    assert said == (
        "this process was forked from the one that opened the session → open it here: copilot_nb.session(NAME) False"
    )


@needs_fork
def test_a_forked_child_does_not_keep_what_ends_with_its_standard_input() -> None:
    said = printed("""
import os, signal, subprocess
from copilot_nb.system.forks import keep_pipes_from_forks
reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
keep_pipes_from_forks(reader)
if (child := os.fork()) == 0:
    signal.pause()
reader.stdin.close()
print(reader.wait(20))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
""")
    assert said == "0"


def test_a_thread_that_outlives_the_main_one_is_served() -> None:
    said = printed("""
import asyncio, threading
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.system.threads import in_thread
loop = LoopThread()
loop.blocking(asyncio.sleep(0))

def late():
    threading.main_thread().join()
    print(loop.blocking(asyncio.to_thread(len, "sdk")), loop.blocking(in_thread(len, "files")))

threading.Thread(target=late).start()
""")
    assert said == "3 5"


def test_a_pool_hands_on_what_its_jobs_return_and_raise_until_it_is_closed() -> None:
    pool = DaemonPool(2, "test")
    assert list(pool.map(len, ["a", "bb", "ccc"], timeout=LIMIT_S)) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(LIMIT_S)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="were closed"):
        pool.submit(len, "")


@needs_fork
def test_a_forked_child_has_threads_of_its_own() -> None:
    said = printed("""
import asyncio, os
from copilot_nb.system.threads import in_thread
asyncio.run(in_thread(len, "parent"))
if (child := os.fork()) == 0:
    print(asyncio.run(in_thread(len, "child")))
else:
    os.waitpid(child, 0)
""")
    assert said == "5"


def test_what_still_runs_when_the_loop_is_stopped_cleans_up() -> None:
    loop, begun, cleaned = LoopThread(), threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    waiter = loop.submit(work())
    assert begun.wait(LIMIT_S)
    loop.stop()
    assert cleaned.is_set()
    assert waiter.cancelled()
    assert not loop.is_running  # the end of the waiter does not start another loop


def test_what_is_submitted_while_the_loop_ends_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = LoopThread()
    waiters: list[Future[Any]] = []
    ending = loop.loop
    call_soon = ending.call_soon_threadsafe

    def submit_first(callback: Any, *args: Any, **more: Any) -> asyncio.Handle:
        if callback == ending.stop:
            with monkeypatch.context() as patch:  # as one that had looked at the loop just before
                patch.setattr(loop, "_loop", ending)
                waiters.append(loop.submit(asyncio.Event().wait()))
        return call_soon(callback, *args, **more)

    monkeypatch.setattr(ending, "call_soon_threadsafe", submit_first)
    loop.stop()
    assert [waiter.cancelled() for waiter in waiters] == [True]


def test_a_waiter_that_gives_up_leaves_the_turn_to_the_others() -> None:
    turn = Turn(PastSession("s1", "s1-id", "p"), "Hello", owner=cast(Any, SimpleNamespace(loop=LoopThread())))

    async def give_up() -> None:
        await asyncio.wait_for(turn, 0.01)

    async def wait() -> Turn:
        return await turn

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert not turn.done
    assert not turn.ended.cancel()
    turn.finish()
    assert asyncio.run(wait()) is turn


def awaited(turns: list[Turn], timeout_s: float) -> list[Turn]:
    async def waiting() -> list[Turn]:
        async with asyncio.timeout(timeout_s):
            return [await turn for turn in turns]

    return asyncio.run(waiting())


@pytest.mark.parametrize("waits", [wait, as_completed, awaited])
def test_code_that_runs_for_a_turn_cannot_wait_for_that_turn(
    waits: Callable[[list[Turn], float], Iterable[Turn]],
) -> None:
    turn = Turn(PastSession("s1", "s1-id", "p"), "Hello", owner=cast(Any, SimpleNamespace(loop=LoopThread())))
    job = MAIN_THREAD.submit(lambda: list(waits([turn], 0.1)), "s1-id")
    MAIN_THREAD.serve()
    with pytest.raises(InputError, match="cannot answer before the code has ended"):
        job.result.result()


@pytest.mark.parametrize("waits", [wait, as_completed])
def test_the_thread_that_receives_the_answers_cannot_wait_for_one(
    waits: Callable[[list[Turn], float], Iterable[Turn]],
) -> None:
    loop = LoopThread()
    turn = Turn(PastSession("s1", "s1-id", "p"), "Hello", owner=cast(Any, SimpleNamespace(loop=loop)))

    async def waiting() -> None:
        list(waits([turn], 0.0))

    with pytest.raises(RuntimeError, match="await the turns instead"):
        loop.blocking(waiting())


def test_another_thread_can_wait_for_a_turn_whose_code_runs() -> None:
    turn = Turn(PastSession("s1", "s1-id", "p"), "Hello", owner=cast(Any, SimpleNamespace(loop=LoopThread())))

    def watched() -> None:
        with ThreadPoolExecutor(1) as threads, pytest.raises(TimeoutError):
            threads.submit(wait, [turn], 0.01).result()

    job = MAIN_THREAD.submit(watched, "s1-id")
    MAIN_THREAD.serve()
    job.result.result()
