"""What a kernel does to the magics: it interrupts, restarts, is killed; and its messages are counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from .conftest import Kernel

StartKernel = Callable[[], Kernel]

STALLED = "[t.Reply('It is forty-two, because', stall_after_chars=16), 'Yes.']"
ENDS_WITHIN_S = 2.0  # 0.1 s as a rule; the machine may be busy
GONE_WITHIN_S = 5.0


def says(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: text in message["content"].get("data", {}).get("text/html", "")


def end_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    assert processes
    return psutil.wait_procs(processes, timeout=GONE_WITHIN_S)[1]


def test_an_answer_is_one_output_with_metadata_and_no_widget(kernel: Kernel) -> None:
    kernel.load("'**Hello**, `you`.'")
    (output,) = kernel.run("%%copilot a\nhi").shown
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert output["data"]["text/plain"] == "**Hello**, `you`."
    assert "<strong>Hello</strong>" in output["data"]["text/html"]
    facts = output["metadata"]["copilot_nb"]
    assert (facts["session"], facts["session_id"], facts["model"], facts["provider"], facts["state"]) == (
        *("a", "a", "scripted", "scripted", "done"),
    )
    assert facts["turn_id"]
    assert facts["usage"]["output_tokens"] > 0


@pytest.mark.parametrize(("form", "text"), [("text", "*x*"), ("json", "[1]")])
def test_plain_formats_are_plain_text(kernel: Kernel, form: str, text: str) -> None:
    kernel.load(repr(text))
    (output,) = kernel.run(f"%%copilot a -f {form}\nhi").shown
    assert output["data"] == {"text/plain": text}
    assert output["metadata"]["copilot_nb"]["session"] == "a"


def payload(kernel: Kernel, cell: str, cell_id: str) -> list[dict[str, Any]]:
    """What a cell asks its front end to do once it has ended."""
    request = kernel.send(cell, cell_id)
    kernel.result(request)
    while (reply := kernel.client.get_shell_msg(timeout=10))["parent_header"].get("msg_id") != request:
        pass
    return list(reply["content"]["payload"])


def test_a_corrected_cell_is_proposed_once_for_each_error_and_no_run_all_runs_it(kernel: Kernel) -> None:
    kernel.load("'```python\\nx = 1\\n```'")
    new_cell = [{"source": "set_next_input", "text": "%%copilot --do-not-run a\nx = 1", "replace": False}]
    assert "no cell has failed" in kernel.run("%copilot fix a", "2").error
    assert "ZeroDivisionError" in kernel.run("1 / 0", "1").error
    assert payload(kernel, "%copilot fix a", "2") == new_cell
    assert payload(kernel, "%copilot fix a", "2") == []
    again = kernel.run("%copilot fix a", "2")
    assert again.printed == "The corrected cell is below already. To add it again: %copilot show a --code\n"
    assert kernel.run("import copilot_nb as cp; print(len(cp.session('a').history))", "3").printed == "1\n"
    assert "KeyError" in kernel.run("{}['k']", "1").error
    assert payload(kernel, "%copilot fix a", "2") == new_cell


def test_code_goes_into_one_new_cell_that_run_all_does_not_run(kernel: Kernel) -> None:
    kernel.load("'```python\\nx = 1\\n```'")
    held = "%%copilot --do-not-run a\nx = 1"
    new_cell = [{"source": "set_next_input", "text": held, "replace": False}]
    assert payload(kernel, "%%copilot a -f code\nhi", "1") == new_cell
    assert kernel.run(held, "2").printed.startswith("Not run: ")
    assert payload(kernel, "%%copilot a -f code\nhi", "1") == []
    again = kernel.run("%%copilot a -f code\nhi", "1")
    assert again.printed.endswith("To add one: %copilot show a --code\n")
    assert payload(kernel, "%copilot show a --code", "3") == new_cell
    assert "NameError" in kernel.run("x", "4").error
    kernel.run(held.partition("\n")[2], "2")
    assert kernel.run("print(x)", "4").printed == "1\n"


def test_an_output_left_in_mid_answer_says_how_to_see_the_answer(kernel: Kernel) -> None:
    kernel.load("[t.Reply('It is forty-two, because', stall_after_chars=16)] * 2")
    for cell in ("%%copilot a\nwhy?", "%%copilot b -f text\nwhy?"):
        request = kernel.send(cell)
        shown = kernel.result(request, until=lambda message: "forty-two" in str(message["content"].get("data", "")))
        name = cell.split()[1]
        for text in shown.shown[-1]["data"].values():
            assert f"before the end: %copilot show {name}" in text
        kernel.manager.interrupt_kernel()
        (output,) = kernel.result(request).shown
        assert "%copilot show" not in str(output["data"])


def test_interrupt_stops_the_turn_and_keeps_what_was_said(kernel: Kernel) -> None:
    kernel.load(STALLED)
    runtimes = kernel.runtimes()
    request = kernel.send("%%copilot a\nwhy?")
    first = kernel.result(request, until=says("It is forty-two,"))
    interrupted_at = time.monotonic()
    kernel.manager.interrupt_kernel()
    rest = kernel.result(request)
    assert time.monotonic() - interrupted_at < ENDS_WITHIN_S
    first.messages += rest.messages
    (error,) = first.of("error")
    assert error["ename"] == "TurnInterrupted"
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith("TurnInterrupted: a: ")
    (output,) = first.shown
    assert output["data"]["text/plain"].startswith("It is forty-two,\n\n[a: interrupted")
    assert output["metadata"]["copilot_nb"]["state"] == "interrupted"
    (after,) = kernel.run("%%copilot a\nand?").shown
    assert after["data"]["text/plain"] == "Yes."
    assert kernel.runtimes() == runtimes
    assert "1" in kernel.run("print(len(model.requests[-1].prompt.split('It is forty-two,')) - 1)").printed


def test_interrupt_of_a_cell_that_does_not_use_copilot(kernel: Kernel) -> None:
    kernel.load()
    kernel.run("%%copilot a\nx")
    runtimes = kernel.runtimes()
    request = kernel.send("import time; print('begun', flush=True); time.sleep(60)")
    kernel.result(request, until=lambda message: message["msg_type"] == "stream")
    kernel.manager.interrupt_kernel()
    assert "KeyboardInterrupt" in kernel.result(request).error
    assert kernel.run("%%copilot a\ny").shown
    assert kernel.runtimes() == runtimes


@pytest.mark.parametrize("how", ["shutdown", "kill"])
def test_a_kernel_that_ends_leaves_no_runtime(own_kernel: Kernel, how: str) -> None:
    own_kernel.load(STALLED)
    request = own_kernel.send("%%copilot a\nwhy?")
    own_kernel.result(request, until=says("It is forty-two,"))
    runtimes = own_kernel.runtimes()
    if how == "kill":
        own_kernel.process.kill()
    else:
        own_kernel.manager.shutdown_kernel(now=False)
    assert end_of(runtimes) == []


def test_an_idle_kernel_that_ends_leaves_no_runtime(own_kernel: Kernel) -> None:
    own_kernel.load()
    own_kernel.run("%%copilot a\nx")
    runtimes = own_kernel.runtimes()
    own_kernel.manager.shutdown_kernel(now=False)
    assert end_of(runtimes) == []


def test_a_session_goes_on_after_a_restart_and_says_so(own_kernel: Kernel) -> None:
    own_kernel.load()
    own_kernel.run("%%copilot a\none")
    runtimes = own_kernel.runtimes()
    own_kernel.restart()
    assert end_of(runtimes) == []
    own_kernel.load()
    (output,) = own_kernel.run("%%copilot a\ntwo").shown
    assert "resumed a: 1 turn, last used " in output["data"]["text/html"]
    assert "message 2" in output["data"]["text/plain"]
    (output,) = own_kernel.run("%%copilot a\nthree").shown
    assert "resumed" not in output["data"]["text/html"]


def test_a_kernel_killed_in_a_turn_loses_no_finished_one(own_kernel: Kernel, start_kernel: StartKernel) -> None:
    own_kernel.load("['one', t.Reply('never heard to the end', stall_after_chars=5)]")
    own_kernel.run("%%copilot a\nfirst")
    own_kernel.result(own_kernel.send("%%copilot a\nsecond"), until=says("never"))
    runtimes = own_kernel.runtimes()
    own_kernel.process.kill()
    assert end_of(runtimes) == []
    again = start_kernel()
    again.load()
    again.run("%%copilot a -q\nthird")
    said = again.run(
        "import copilot_nb as cp\nfor turn in cp.session('a').history: print(turn.prompt, turn.state.value)"
    )
    assert said.printed.splitlines() == ["first done", "second interrupted", "third done"]


def test_two_kernels_on_one_home(own_kernel: Kernel, start_kernel: StartKernel) -> None:
    other = start_kernel()
    for each in (own_kernel, other):
        each.load()
    requests = [(each, each.send(f"%%copilot {name}\nhi")) for each, name in ((own_kernel, "a"), (other, "b"))]
    assert [len(each.result(request).shown) for each, request in requests] == [1, 1]
    assert other.run("%%copilot a\nmine?").error.startswith("SessionInUse: session 'a' is open in process ")
    assert own_kernel.run("%%copilot a\nstill here").shown
    listed = other.run("import copilot_nb as cp; print(sorted(s.name for s in cp.sessions()))").printed
    assert listed == "['a', 'b']\n"


def test_what_streaming_sends_is_bounded(kernel: Kernel) -> None:
    answer_bytes = 20_000
    kernel.load(f"'word ' * {answer_bytes // 5}, chunk_chars=20, chunk_delay_s=0.001")
    ran = kernel.run("%%copilot a\ntalk")
    updates = ran.of("display_data", "update_display_data")
    sent = sum(len(content["data"].get("text/html", "")) for content in updates)
    assert 2 <= len(updates) <= 100
    assert sent < 12 * answer_bytes
    assert updates[-1]["data"]["text/plain"] == "word " * (answer_bytes // 5)
    assert updates[-1]["metadata"]["copilot_nb"]["state"] == "done"
    assert len({content["transient"]["display_id"] for content in updates}) == 1


def test_what_user_threads_print_stays_in_its_cell(kernel: Kernel) -> None:
    kernel.load("'x ' * 400, chunk_delay_s=0.002")
    kernel.run("import threading, time")
    ran = kernel.run(
        "stop = threading.Event()\n"
        "def chatter():\n"
        "    while not stop.wait(0.01): print('tick', flush=True)\n"
        "thread = threading.Thread(target=chatter); thread.start()\n"
        "get_ipython().run_cell_magic('copilot', 'a', 'hi')\n"
        "stop.set(); thread.join(); print('after')"
    )
    assert ran.printed.splitlines()[-1] == "after"
    assert set(ran.printed.splitlines()) == {"tick", "after"}
    (output,) = ran.shown
    assert output["data"]["text/plain"] == "x " * 400
    assert kernel.run("print('alone')").printed == "alone\n"


def test_display_in_the_same_cell_keeps_its_place(kernel: Kernel) -> None:
    kernel.load("'the answer'")
    ran = kernel.run("print('one'); get_ipython().run_cell_magic('copilot', 'a', 'hi'); print('two'); 3")
    assert ran.printed == "one\ntwo\n"
    assert [output["data"]["text/plain"] for output in ran.shown] == ["the answer", "3"]


def test_a_bad_cell_shows_one_line_and_no_output(kernel: Kernel) -> None:
    kernel.load("[t.Reply(error=t.ChatError(403, 'no'))]")
    for cell in ("%%copilot a\n{{ nope }}", "%%copilot a\nx", "%%copilot ls\nx", "%%copilot a -m gpt-9\nx"):
        ran = kernel.run(cell)
        (error,) = ran.of("error")
        assert len(error["traceback"]) == 1
        assert "\n" not in error["traceback"][0]
        assert error["traceback"][0].startswith(error["ename"] + ": ")
        assert ran.printed == ""
        # an output cannot be taken back: where a prompt was sent, the line under the answer stays
        assert [output["data"]["text/plain"][:12] for output in ran.shown] == ["a · scripted"] * ("403" in ran.error)


def test_completion_in_a_kernel(kernel: Kernel) -> None:
    kernel.load()
    kernel.run("%%copilot 'my name'\nx")
    for code, matches in (
        ("%copilot doc", ["doctor"]),
        ("%%copilot a --for", ["--format"]),
        ('%copilot rm "m', ['"my name"']),
    ):
        reply = kernel.client.complete(code, reply=True, timeout=20)["content"]
        assert reply["matches"] == matches
        assert code[: reply["cursor_start"]] + matches[0] == code.rsplit(" ", 1)[0] + " " + matches[0]


def test_settings_of_the_shell_count_for_python_too(own_kernel: Kernel) -> None:
    """Also where Python is first to need a session, before any magic has been used."""
    own_kernel.run("get_ipython().config.CopilotNB.warm_start = False")
    ran = own_kernel.run(
        "%load_ext copilot_nb\n%config CopilotNB.timeout_s = 7\n"
        "import copilot_nb as cp, copilot_nb.testing as t; t.install(t.ScriptedModel())\n"
        "from copilot_nb.named_sessions.manager import manager_of\n"
        "print(manager_of(cp.session('a')).settings.timeout_s)"
    )
    assert ran.printed == "7.0\n"


def test_unloading_stops_the_runtime(own_kernel: Kernel) -> None:
    own_kernel.load()
    own_kernel.run("%%copilot a\nx")
    runtimes = own_kernel.runtimes()
    assert not own_kernel.run("%unload_ext copilot_nb").error
    assert end_of(runtimes) == []
    assert "not found" in own_kernel.run("%copilot").printed
    own_kernel.load()
    assert len(own_kernel.run("%%copilot a\ny").shown) == 1
