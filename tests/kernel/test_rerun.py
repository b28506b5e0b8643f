"""Cells that are run again, as JupyterLab and nbclient ask for it: a notebook run twice ends with the same turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.forked_kernels import FORKED

from .conftest import SCRIPTED, Kernel, Ran

APPENDED = "appended: the session has newer turns since this cell was run"
ELSEWHERE = "import copilot_nb as cp; cp.session('a').ask('from elsewhere', cell='')"
CELLS = {"1": "%%copilot a\none", "2": "%%copilot a\ntwo", "3": "%%copilot a\nthree"}


def run_all(kernel: Kernel, cells: dict[str, str]) -> list[Ran]:
    """Run cells as a page does, which gives each a lasting id."""
    return [kernel.run(source, cell_id) for cell_id, source in cells.items()]


def prompts(kernel: Kernel, name: str = "a") -> list[str]:
    """What a session's history holds, and its stored number of turns, which must agree."""
    told = kernel.run(
        "import json, copilot_nb as cp\n"
        "counts = {stored.name: stored.turns for stored in cp.sessions()}\n"
        f"print(json.dumps([[turn.prompt for turn in cp.session({name!r}).history], counts[{name!r}]]))"
    )
    said, count = json.loads(told.printed)
    assert len(said) == count
    return list(said)


def text(ran: Ran) -> str:
    (output,) = ran.shown
    return str(output["data"]["text/plain"])


def html(ran: Ran) -> str:
    (output,) = ran.shown
    return str(output["data"]["text/html"])


def test_run_all_again_and_again_ends_with_the_same_turns(kernel: Kernel) -> None:
    kernel.load()
    for _ in range(3):
        answers = [text(ran) for ran in run_all(kernel, CELLS)]
        assert answers == [f"You said: {word} (message {i})" for i, word in enumerate(("one", "two", "three"), 1)]
        assert prompts(kernel) == ["one", "two", "three"]


def test_run_all_again_after_a_restart(own_kernel: Kernel) -> None:
    for _ in range(2):
        own_kernel.load()
        answers = [text(ran) for ran in run_all(own_kernel, CELLS)]
        assert answers[-1] == "You said: three (message 3)"
        assert prompts(own_kernel) == ["one", "two", "three"]
        own_kernel.restart()


def test_the_last_cell_run_again_replaces_its_turn_also_when_edited(kernel: Kernel) -> None:
    kernel.load()
    run_all(kernel, CELLS)
    again = kernel.run("%%copilot a\nthree, better", "3")
    assert text(again) == "You said: three, better (message 3)"
    assert "replaces the earlier turn" not in html(again)
    assert prompts(kernel) == ["one", "two", "three, better"]


def test_a_cell_in_the_middle_takes_back_what_cells_asked_after_it(kernel: Kernel) -> None:
    kernel.load()
    run_all(kernel, CELLS)
    again = kernel.run("%%copilot a\nzwei", "2")
    assert "replaces the earlier turn of this cell and the 1 turn after it" in html(again)
    assert text(again) == "You said: zwei (message 2)"
    assert prompts(kernel) == ["one", "zwei"]
    kernel.run(CELLS["3"], "3")
    assert prompts(kernel) == ["one", "zwei", "three"]


def test_what_was_said_elsewhere_is_never_taken_back_by_default(kernel: Kernel) -> None:
    kernel.load()
    run_all(kernel, CELLS)
    kernel.run(ELSEWHERE)
    ran = run_all(kernel, CELLS)
    assert [APPENDED in html(each) for each in ran] == [True, True, True]
    everything = ["one", "two", "three", "from elsewhere", "one", "two", "three"]
    assert prompts(kernel) == everything
    ran = run_all(kernel, CELLS)
    assert [APPENDED in html(each) for each in ran] == [False, False, False]
    assert prompts(kernel) == everything


def test_no_answer_of_this_run_is_taken_back_by_a_cell_that_was_appended(kernel: Kernel) -> None:
    """What a panel says between two cells keeps both where they are, not only the first of them."""
    kernel.load()
    cells = {number: CELLS[number] for number in ("1", "2")}
    kernel.run(CELLS["1"], "1")
    kernel.run(ELSEWHERE)
    kernel.run(CELLS["2"], "2")
    for appended in (True, False):
        assert [APPENDED in html(ran) for ran in run_all(kernel, cells)] == [appended, appended]
        assert prompts(kernel) == ["one", "from elsewhere", "two", "one", "two"]


PYTHON = {
    "1": "a, b = cp.session('a'), cp.session('b')\nturns = [s.send(f'{s.name} {i}') for i in range(2) for s in (a, b)]",
    "2": "for turn in cp.as_completed(turns): pass\nfor word in ('x', 'x'): a.ask(word)",
    "3": "%%copilot a\nmagic",
    "4": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n"
    "    list(pool.map(lambda session: session.ask('thread'), (a, b)))",
    "5": "copy = a.fork(f'copy{len(cp.sessions())}'); copy.ask('in the copy'); assert len(copy.history) == 7",
}
PYTHON_TURNS = (["a 0", "a 1", "x", "x", "magic", "thread"], ["b 0", "b 1", "thread"])


def test_prompts_from_python_are_their_cell_s(own_kernel: Kernel) -> None:
    for _ in range(2):
        own_kernel.load()
        own_kernel.run("import copilot_nb as cp")
        for _ in range(2):
            assert not any(ran.error for ran in run_all(own_kernel, PYTHON))
            assert (prompts(own_kernel), prompts(own_kernel, "b")) == PYTHON_TURNS
        own_kernel.restart()


def test_a_widget_s_message_is_no_cell_s_prompt(kernel: Kernel) -> None:
    kernel.load()
    kernel.run(
        "import copilot_nb as cp\n"
        "from copilot_nb.named_sessions.session import state_of\n"
        "def opened(comm, message): print(repr(state_of(cp.session('a')).cells.key_of('from a widget', '')))\n"
        "get_ipython().kernel.comm_manager.register_target('asks', opened)\n"
        "print(repr(state_of(cp.session('a')).cells.key_of('from a cell', '')))"
    )
    message = kernel.client.session.msg("comm_open", {"comm_id": "1", "target_name": "asks", "data": {}})
    kernel.client.shell_channel.send(message)
    assert kernel.result(message["header"]["msg_id"]).printed == "''\n"


def test_another_cell_between_is_run_again_too(kernel: Kernel) -> None:
    """A cell of this notebook that was added later does not count as said elsewhere."""
    kernel.load()
    run_all(kernel, CELLS)
    kernel.run("%%copilot a\nadded", "4")
    run_all(kernel, CELLS | {"4": "%%copilot a\nadded"})
    assert prompts(kernel) == ["one", "two", "three", "added"]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("append", ["one", "two", "three", "from elsewhere", "two", "three"]),
        ("rewind", ["one", "two", "three"]),
        ("replace-last", ["one", "two", "three", "from elsewhere", "two", "three"]),
    ],
)
def test_the_setting_says_what_running_again_does(kernel: Kernel, policy: str, left: list[str]) -> None:
    kernel.load()
    kernel.run(f"%config CopilotNB.rerun = {policy!r}")
    run_all(kernel, CELLS)
    kernel.run(ELSEWHERE)
    run_all(kernel, {number: CELLS[number] for number in ("2", "3")})
    assert prompts(kernel) == left
    kernel.run("%config CopilotNB.rerun = 'replace-last'")


def test_each_line_of_a_cell_that_asks_twice_has_its_place(kernel: Kernel) -> None:
    kernel.load()
    cells = {"1": "%copilot ask a one\n%copilot ask b one\n%copilot ask a one", "2": CELLS["2"]}
    for _ in range(2):
        assert [len(ran.shown) for ran in run_all(kernel, cells)] == [3, 1]
        assert prompts(kernel) == ["one", "one", "two"]
        assert prompts(kernel, "b") == ["one"]


def test_one_cell_to_several_sessions(kernel: Kernel) -> None:
    kernel.load()
    for _ in range(2):
        run_all(kernel, {"1": "%%copilot a b --create\none", "2": "%%copilot b\ntwo"})
    assert (prompts(kernel), prompts(kernel, "b")) == (["one"], ["one", "two"])


def test_background_cells_run_again(kernel: Kernel) -> None:
    kernel.load()
    cells = {"1": "%%copilot a -b\none", "2": "%%copilot a -b\ntwo", "3": "%%copilot b -b\none", "4": "%copilot wait"}
    for _ in range(3):
        run_all(kernel, cells)
        assert (prompts(kernel), prompts(kernel, "b")) == (["one", "two"], ["one"])


def test_a_background_cell_run_again_while_it_answers(kernel: Kernel) -> None:
    kernel.load()
    kernel.run("model.hold()")
    for _ in range(2):
        kernel.run("%%copilot a -b\none", "1")
    kernel.run("model.wait_for_stalled(1); model.release()")
    kernel.run("%copilot wait")
    assert prompts(kernel) == ["one"]


def test_a_cell_that_was_interrupted_or_failed_is_replaced_too(kernel: Kernel) -> None:
    kernel.load("['fine', t.Reply(error=t.ChatError(400, 'no')), 'fine again']")
    run_all(kernel, {"1": "%%copilot a\none"})
    (failed,) = run_all(kernel, {"2": "%%copilot a\ntwo"})
    assert "TurnFailed" in failed.error
    run_all(kernel, {"2": "%%copilot a\ntwo"})
    assert prompts(kernel) == ["one", "two"]


def test_an_earlier_interruption_is_noted_each_time(kernel: Kernel) -> None:
    kernel.load("['fine', t.Reply('It is forty-two, because', stall_after_chars=16)]")
    kernel.run(CELLS["1"], "1")
    request = kernel.send("%%copilot a\nwhy?", "2")
    kernel.result(request, until=lambda message: "forty-two," in str(message["content"].get("data")))
    kernel.manager.interrupt_kernel()
    kernel.result(request)
    for _ in range(2):
        kernel.run(CELLS["3"], "3")
        assert kernel.run("print('forty-two' in model.requests[-1].prompt)").printed == "True\n"
        assert prompts(kernel) == ["one", "why?", "three"]


def test_another_notebook_s_turns_are_left_alone(kernel: Kernel) -> None:
    kernel.load()
    run_all(kernel, CELLS)
    kernel.run("__vsc_ipynb_file__ = '/some/other.ipynb'")
    run_all(kernel, {"1": CELLS["1"]})
    kernel.run("del __vsc_ipynb_file__")
    again = kernel.run(CELLS["3"], "3")
    assert APPENDED in html(again)
    assert prompts(kernel) == ["one", "two", "three", "one", "three"]


def test_a_console_has_no_cells_to_run_again(kernel: Kernel) -> None:
    kernel.load()
    for _ in range(2):
        request = kernel.client.execute("%%copilot a\none", allow_stdin=True)
        kernel.result(request)
    assert prompts(kernel) == ["one", "one"]


def test_nbclient_run_twice_on_one_home(forked_kernels: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "home"))
    load = f"%load_ext copilot_nb\n{SCRIPTED.format('')}"
    asked = [
        "%%copilot a\none",
        "%%copilot a\none",
        "%copilot ask a two\n%copilot ask a two",
        "%%copilot a b --create\nthree",
    ]
    asked += ["import copilot_nb as cp\nfor s in (cp.session('a'), cp.session('b')):\n    s.ask('four'); s.ask('four')"]
    counted = "(s.name, s.turns, len(cp.session(s.name).history)) for s in cp.sessions()"
    count = f"import copilot_nb as cp\nprint(sorted({counted}))"
    for _ in range(2):
        notebook: Any = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in (load, *asked, count)]
        NotebookClient(notebook, timeout=300, kernel_name=FORKED).execute()
        assert notebook.cells[-1].outputs[0]["text"] == "[('a', 7, 7), ('b', 3, 3)]\n"
