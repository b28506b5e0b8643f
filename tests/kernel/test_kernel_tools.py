"""A model runs code in a real kernel: asked at a prompt, by a command, headless, in the background, several at once.

`test_environments` runs these with the oldest ipykernel, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import WAIT_S, Kernel, Ran, prepared

ENDS_WITHIN_S = 2.0  # 0.1 s as a rule; the machine may be busy
SETUP = """
import copilot_nb.testing as t, json, time, threading
from copilot_nb.named_sessions.api import shared_manager
ip = get_ipython()
def runs(code):
    return t.Reply(calls=(t.FunctionCall('run_code', json.dumps({'code': code})),))
def script(*replies):
    global model
    model = t.ScriptedModel([*replies])
    t.install(model)
def each(request):  # the code of the first session runs until the two others have asked
    if request.messages[-1].role == 'tool':
        return 'Done.'
    if len(model.requests) == 1:
        return runs(
            "import time; model.wait_for_stalled(2); model.release()\\n"
            "while len(shared_manager().approvals.pending) < 2: time.sleep(0.01)\\n"
            "seen.append('first')"
        )
    return t.Reply(calls=runs("seen.append('next')").calls, stall_headers=True)
def told():
    return model.requests[-1].messages[-1].text
"""


@pytest.fixture(scope="module")
def running_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with prepared(tmp_path_factory.mktemp("kernel-tools"), SETUP) as kernel:
        yield kernel


def prompted(kernel: Kernel) -> str:
    """Wait for a prompt and return it."""
    return str(kernel.client.get_stdin_msg(timeout=WAIT_S)["content"]["prompt"])


def allow(kernel: Kernel) -> None:
    """Answer a prompt; after one that was left open it asks for the request's number."""
    asked = re.search(r"y( \d+)?: once", prompted(kernel))
    assert asked
    kernel.client.input(f"y{asked[1] or ''}")


def await_begun(kernel: Kernel, request: str) -> None:
    """Wait until what the running code has printed is shown."""
    shown = kernel.result(request, until=lambda message: "begun" in str(message["content"].get("data")))
    assert "begun" in str(shown.messages[-1]["content"])


def failed(kernel: Kernel, request: str) -> str:
    """Return the error of a cell (see `ended`)."""
    return ended(kernel, request).error


def ended(kernel: Kernel, request: str) -> Ran:
    """Return what a failed cell did, when the kernel takes cells again: right after a failure it aborts them."""
    ran = kernel.result(request)
    while not kernel.run("print('ready')", "0").printed:
        pass
    return ran


def test_a_cell_asks_and_runs_the_code_as_a_cell(kernel: Kernel) -> None:
    kernel.run("script(runs('z = 7\\nprint(z)\\nz * 6'), 'It is 42.'); 'before'", "1")
    state = "print(ip.execution_count - n, ip.kernel._allow_stdin, _, 'z' in globals())"
    kernel.run("n = ip.execution_count; _", "2")
    request = kernel.send("%%copilot a -t kernel\nCompute", "3")
    allow(kernel)
    ran = kernel.result(request)
    assert not ran.error
    shown = [str(output["data"]) for output in ran.shown]
    assert any(
        "It is 42." in each and "run_code" in each and "allowed once by you, in the cell" in each for each in shown
    )
    assert "7\\n42" in kernel.run("print(repr(told()))", "4").printed
    assert kernel.run(state, "5").printed == "3 True before True\n"


def test_nobody_is_asked_where_nobody_can_be(kernel: Kernel) -> None:
    kernel.run("script(runs('never = 1'), 'Pity.')")
    assert not kernel.run("%%copilot a -t kernel\nCompute").error
    assert "no one could answer" in kernel.run("print(told())").printed
    assert kernel.run("print('never' in globals())").printed == "False\n"


def test_one_interrupt_stops_the_code_and_the_turn(kernel: Kernel) -> None:
    kernel.run("script(runs('print(\"be\" + \"gun\"); time.sleep(60)'), 'Never.')", "1")
    request = kernel.send("%%copilot a -t kernel\nCompute", "2")
    allow(kernel)
    await_begun(kernel, request)
    kernel.manager.interrupt_kernel()
    assert "TurnInterrupted" in failed(kernel, request)
    assert kernel.run("print(len(model.requests))", "3").printed == "1\n"
    # An abort that the runtime does not confirm is waited for, and then the connection is dropped.
    assert kernel.run("print(shared_manager().session('a')._state.runner.is_loaded)", "4").printed == "True\n"


def test_an_interrupt_ends_the_turn_of_code_that_goes_on(kernel: Kernel) -> None:
    stubborn = """
turn = shared_manager().session('a')._state.pending[0]
print('be' + 'gun')
while not turn.done:
    try:
        time.sleep(0.01)
    except KeyboardInterrupt:
        caught = True
ended_first = True
"""
    kernel.run(f"script(runs({stubborn!r}), 'Never.')", "1")
    request = kernel.send("%%copilot a -t kernel\nCompute", "2")
    allow(kernel)
    await_begun(kernel, request)
    kernel.manager.interrupt_kernel()
    ran = ended(kernel, request)
    assert "TurnInterrupted" in ran.error
    assert "the code went on after the interrupt" in str(ran.shown[-1]["data"])
    assert kernel.run("print(caught, ended_first, len(model.requests))", "3").printed == "True True 1\n"


def test_an_answer_in_a_box_that_was_left_open_allows_nothing(kernel: Kernel) -> None:
    kernel.run("script(runs('one = 1'), runs('two = 2'), 'Done.')", "1")
    request = kernel.send("%%copilot a -t kernel\nCompute", "2")
    prompted(kernel)
    kernel.manager.interrupt_kernel()  # the front end keeps the box
    assert "TurnInterrupted" in failed(kernel, request)
    request = kernel.send("%%copilot a\nCompute", "2")
    prompted(kernel)
    kernel.client.input("y")  # typed into the old box
    allow(kernel)
    assert not kernel.result(request).error
    assert kernel.run("print('one' in globals(), two)", "3").printed == "False 2\n"


def test_in_the_background_a_cell_asks_and_code_runs_when_the_kernel_is_idle(kernel: Kernel) -> None:
    kernel.run("script(runs('during'), 'Done.'); during = 'no cell'", "1")
    cell = kernel.run("%%copilot a -t kernel -b\nCompute", "2")
    assert cell.shown[-1]["data"] == {"text/html": "", "text/plain": ""}
    asks = kernel.result("", until=lambda message: "%copilot approve a" in str(message["content"].get("data")))
    data = asks.shown[-1]["data"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "a asks: run Python\n    during\n" in data["text/plain"]
    kernel.run("during = 'a cell'\n%copilot approve a\ntime.sleep(0.7); during = 'no cell'", "3")
    assert not kernel.run("model.wait_for_requests(2)\n%copilot wait a", "4").error
    assert "'no cell'" in kernel.run("print(told())", "5").printed


def test_a_cell_shows_what_code_prints_while_it_runs(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"import os\nprint('half')\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\nprint('whole')"
    kernel.run(f"script(runs({code!r}), 'Done.')", "1")
    request = kernel.send("%%copilot a -t kernel\nCompute", "2")
    allow(kernel)
    kernel.result(request, until=lambda message: "half</pre>" in str(message["content"].get("data")))
    gate.touch()
    ran = kernel.result(request)
    assert not ran.error
    (final,) = [output for output in ran.shown if "half" in str(output["data"])][-1:]
    assert "half\nwhole\n" in final["data"]["text/html"]
    assert "<pre" not in final["data"]["text/html"].split("</details>")[1]


def test_three_sessions_run_code_at_once_and_ask_while_code_runs(kernel: Kernel) -> None:
    kernel.run("seen = []; model = t.ScriptedModel(each); t.install(model)", "1")
    request = kernel.send("%%copilot a b c -t kernel --create\nCompute", "2")
    for _ in "abc":
        allow(kernel)
    assert not kernel.result(request).error
    assert kernel.run("print(seen)", "3").printed == "['first', 'next', 'next']\n"


def test_an_awaited_turn_asks_and_runs_its_code(kernel: Kernel) -> None:
    kernel.run(
        "script(runs('import asyncio; await asyncio.sleep(0); here = 5'), 'Done.'); import copilot_nb as cp", "1"
    )
    request = kernel.send("turn = await cp.session('a', tools='kernel').send('Compute')\nprint(turn.text, here)", "2")
    allow(kernel)
    ran = kernel.result(request)
    assert not ran.error
    assert ran.printed.endswith("Done. 5\n")


def test_a_stop_from_elsewhere_ends_the_code_or_the_prompt_of_the_cell_that_waits(kernel: Kernel) -> None:
    stop = "threading.Timer(0.3, lambda: shared_manager().session('a').stop()).start()"
    kernel.run(f"script(runs({stop!r} + '; time.sleep(60); never = 1'), 'Never.')", "1")
    request = kernel.send("%%copilot a -t kernel\nCompute", "2")
    allow(kernel)
    allowed_at = time.monotonic()
    assert "TurnInterrupted" in failed(kernel, request)
    assert time.monotonic() - allowed_at < ENDS_WITHIN_S
    kernel.run(f"script(runs('never = 1'), 'Never.'); {stop}", "3")
    request = kernel.send("%%copilot a\nCompute", "4")
    prompted(kernel)
    assert "TurnInterrupted" in failed(kernel, request)
    assert kernel.run("print('never' in globals())", "5").printed == "False\n"


def test_code_that_asks_a_session_gets_its_answer_as_text_and_no_states_before_it(kernel: Kernel) -> None:
    kernel.run("script(runs('%%copilot inner\\nHello'), 'The whole answer.', 'Done.')")
    request = kernel.send("%%copilot outer -t kernel\nAsk", "1")
    allow(kernel)
    assert not kernel.result(request).error
    told = kernel.run("print(told())").printed
    assert "```\nThe whole answer.\n\n[inner" in told
