"""A model's code in the user's namespace: what is captured, and what stays as it was."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from copilot_nb.notebook.failures import last_failure
from copilot_nb.notebook.run_code import LIVE_CHARS, LIVE_LINES, MAX_PART_CHARS, CodeOutput, Shown, run_code

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(autouse=True)
def _clean(shell: InteractiveShell) -> Iterator[None]:
    names = set(shell.user_ns)
    yield
    for name in set(shell.user_ns) - names:
        del shell.user_ns[name]


def run(shell: InteractiveShell, code: str) -> CodeOutput:
    return run_code(shell, code)


def test_code_shows_what_a_cell_would_and_its_variables_stay(shell: InteractiveShell) -> None:
    shell.user_ns["x"] = 20
    ran = run(shell, "print('one')\ny = x + 1\n%pwd\n!echo two\n2 * y")
    assert ran.text.splitlines()[0] == "one"
    assert ran.text.splitlines()[-2:] == ["two", "42"]
    assert ran.error is None
    assert shell.user_ns["y"] == 21
    assert run(shell, "y;").text == ""
    assert run(shell, "import sys; print('no', file=sys.stderr)").text == "no\n"


def test_displays_are_text_and_figures(shell: InteractiveShell) -> None:
    shell.user_ns["plot"] = {"text/plain": "a plot", "image/png": PNG}
    shell.user_ns["png"] = base64.b64decode(PNG)
    code = "from IPython.display import Image, display\ndisplay(plot, raw=True)\nImage(data=png)"
    ran = run(shell, f"print('before')\n{code}")
    assert ran.text.startswith("before\na plot\n<IPython.core.display.Image object>")
    assert [figure.mime_type for figure in ran.figures] == ["image/png"] * 2
    assert ran.figures[0].data == base64.b64decode(PNG)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("print('a')\n1 / 0", ZeroDivisionError, "ZeroDivisionError: division by zero"),
        ("def", SyntaxError, "SyntaxError"),
        ("%%nosuchmagic\nx", None, "UsageError: Cell magic `%%nosuchmagic` not found."),
        ("raise SystemExit", None, "SystemExit"),
        ("input('Name? ')", NotImplementedError, "code that a model runs cannot ask for input"),
        ("import getpass; getpass.getpass()", NotImplementedError, "code that a model runs cannot ask for input"),
    ],
)
def test_an_error_is_text(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], code: str, kind: type | None, said: str
) -> None:
    ran = run(shell, code)
    assert said in ran.text
    assert "\x1b" not in ran.text
    assert isinstance(ran.error, kind or object)
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


def test_what_belongs_to_the_user_is_as_before(shell: InteractiveShell) -> None:
    shell.run_cell("{}['missing']")
    shell.run_cell("41 + 1", store_history=True)
    before = {name: shell.user_ns.get(name) for name in ("_", "__", "_i", "Out", "In")}
    count, last, kept = shell.execution_count, shell.last_execution_result, (sys.last_value, sys.last_traceback)
    failure = last_failure(shell)
    for code in ("7", "1 / 0", "def", "await __import__('asyncio').sleep(0)", "get_ipython().set_next_input('x')"):
        run(shell, code)
    assert {name: shell.user_ns.get(name) for name in before} == before
    assert (shell.execution_count, shell.last_execution_result) == (count, last)
    assert (sys.last_value, sys.last_traceback) == kept
    assert last_failure(shell) is failure
    assert shell.payload_manager.read_payload() == []
    assert not {"publish", "clear_output"} & vars(shell.display_pub).keys()
    assert "_showtraceback" not in vars(shell)


def test_a_top_level_await_runs_within_a_running_loop(shell: InteractiveShell) -> None:
    import asyncio

    async def main() -> CodeOutput:
        ran = run(shell, "import asyncio\nawait asyncio.sleep(0.001)\nprint(await asyncio.gather(asyncio.sleep(0, 5)))")
        assert asyncio.current_task() is not None
        await asyncio.sleep(0)
        return ran

    assert asyncio.run(main()).text == "[5]\n"
    assert run(shell, "await asyncio.sleep(0, 6)").text == "6\n"


def test_other_threads_write_where_they_did(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        print("aside")

    shell.user_ns["thread"] = threading.Thread(target=speak)
    ran = run(shell, "thread.start(); thread.join(); print('mine')")
    assert ran.text == "mine\n"
    assert capsys.readouterr().out == "aside\n"


def test_what_a_cell_in_another_thread_shows_is_not_the_codes(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_cells() -> None:  # as a subshell of the kernel does
        shell.run_cell("6 * 7")
        shell.run_cell("1 / 0")

    shell.user_ns["thread"] = threading.Thread(target=run_cells)
    ran = run(shell, "thread.start(); thread.join(); print('mine')")
    assert ran.text == "mine\n"
    shown = capsys.readouterr().out
    assert "42\n" in shown
    assert "ZeroDivisionError: division by zero" in shown


def test_of_a_long_output_the_beginning_and_the_end_are_kept(shell: InteractiveShell) -> None:
    ran = run(shell, "for i in range(30_000): print(f'line {i}')")
    assert ran.text.startswith("line 0\nline 1\n")
    assert ran.text.endswith("line 29998\nline 29999\n")
    assert "characters left out" in ran.text
    assert len(ran.text) < 2 * MAX_PART_CHARS + 100


def test_what_is_shown_so_far_is_a_few_last_lines_as_a_terminal_shows_them(shell: InteractiveShell) -> None:
    shown, seen = Shown(), []
    shell.user_ns["look"] = lambda: seen.append(shown.live(lambda text: text.replace("sesame", "***")))
    bar = r"for n in (7, 50): print(f'\r\x1b[32m{n} %\x1b[0m', end='', file=sys.stderr); look()"
    run_code(shell, f"import sys\nprint('begun: sesame')\n{bar}\nprint('\\r\\nend'); look()", shown)
    assert [(each.text, each.lines_before) for each in seen] == [
        ("begun: ***\n7 %", 0),
        ("begun: ***\n50 %", 0),
        ("begun: ***\n50 %\nend\n", 0),
    ]
    shown = Shown()
    run_code(shell, "for i in range(30_000): print(f'line {i}')\nprint('x' * 5_000, end='')", shown)
    long = shown.live(str)
    assert (long.text, long.lines_before) == ("x" * LIVE_CHARS, 30_000)
    shown = Shown()
    run_code(shell, "for i in range(30): print(i)", shown)
    assert shown.live(str).text.split() == [str(i) for i in range(30 - LIVE_LINES, 30)]
    assert shown.live(str).lines_before == 30 - LIVE_LINES
