"""A model's code in a real kernel: when it runs, what it leaves as it was, and how it is interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .conftest import WAIT_S, Kernel, prepared

ENDS_WITHIN_S = 2.0  # 0.1 s as a rule; the machine may be busy
SETUP = """
import asyncio, threading, time
from copilot_nb.notebook.run_code import run_code
from copilot_nb.system.main_thread import MAIN_THREAD
ip, jobs, during = get_ipython(), [], ''
def later(code, after_s=0.0):
    timer = threading.Timer(after_s, lambda: jobs.append(MAIN_THREAD.submit(lambda: run_code(ip, code))))
    timer.start()
    return timer
"""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with prepared(tmp_path_factory.mktemp("main-thread"), SETUP) as kernel:
        yield kernel


def ran(kernel: Kernel) -> str:
    """Wait until the kernel has run a request of its own, and return what the last job showed."""
    result = "jobs[-1].result"
    for _ in range(int(WAIT_S)):
        if kernel.run(f"print(bool(jobs) and {result}.done())", "1").printed == "True\n":
            return kernel.run(f"print(getattr({result}.result(), 'text', ''), end='')", "1").printed
        until_idle(kernel)
    raise TimeoutError


def until_idle(kernel: Kernel) -> None:
    """Wait until a request that is not the front end's has ended."""
    while True:
        message = kernel.client.get_iopub_msg(timeout=WAIT_S)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return


def test_an_idle_kernel_runs_the_code_and_nothing_of_the_users_changes(ready: Kernel) -> None:
    state = "lambda: (ip.execution_count, list(Out), _, ip.kernel._allow_stdin)"
    code = "print('hello')\n1 / 0"
    ready.run(f"submit, state = MAIN_THREAD.submit, {state}\n'the last result'", "1")
    ready.run(f"jobs += [submit(state), submit(lambda: run_code(ip, {code!r})), submit(state)]", "1")
    ran(ready)
    same = ready.run("after = jobs.pop().result.result(); print(jobs[-2].result.result() == after)", "1")
    assert same.printed == "True\n"
    shown = ran(ready)
    assert shown.startswith("hello\n")
    assert "ZeroDivisionError" in shown


def test_an_interrupt_ends_the_code_that_an_idle_kernel_runs(ready: Kernel) -> None:
    ready.run("_ = later(\"threading.Thread(target=print, args=['begun']).start(); time.sleep(60)\")", "1")
    while "begun" not in ready.client.get_iopub_msg(timeout=WAIT_S)["content"].get("text", ""):
        pass
    interrupted_at = time.monotonic()
    ready.manager.interrupt_kernel()
    until_idle(ready)
    assert time.monotonic() - interrupted_at < ENDS_WITHIN_S
    assert "KeyboardInterrupt" in ran(ready)
    assert ready.run("print(jobs[-1].is_interrupted)", "1").printed == "True\n"


@pytest.mark.parametrize("pause", ["time.sleep(0.5)", "await asyncio.sleep(0.5)"])
def test_code_waits_for_the_users_cell_and_never_runs_within_it(ready: Kernel, pause: str) -> None:
    ready.run(f"during = 'the cell'; _ = later('print(repr(during))', 0.1)\n{pause}\nduring = ''", "1")
    assert ran(ready) == "''\n"


def test_code_runs_although_the_cell_before_it_has_failed(ready: Kernel) -> None:
    request = ready.send("jobs.clear(); _ = later('1 + 1', 0.1); time.sleep(0.5); {}['missing']", "1")
    assert "KeyError" in ready.result(request).error
    assert ran(ready) == "2\n"
    assert ready.run("import sys; print(type(sys.last_value).__name__)", "1").printed == "KeyError\n"
