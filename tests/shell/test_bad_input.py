"""What cannot work: each is one line that says what to type next, the cell fails, and nothing half-made stays."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import httpx
import pytest

import copilot_nb
from copilot_nb.errors import CopilotNBError
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import Notebook

OF_THE_CELL = [
    ("%%copilot a", "InputError: the prompt is empty → write it below %%copilot NAME"),
    ("%%copilot a\n", "InputError: the prompt is empty → "),
    ("%%copilot a\n  \n\t\n", "InputError: the prompt is empty → "),
    ("%%copilot a\n{{ '' }}", "InputError: the prompt is empty → "),
    ("%%copilot\nx", "InputError: which session? → name it (%%copilot session1), or choose one"),
    ("%%copilot a --bogus\nx", "InputError: %%copilot: unrecognized arguments: --bogus → see %copilot help copilot"),
    (
        "%%copilot a --mod scripted\nx",
        "InputError: %%copilot: unrecognized arguments: --mod → did you mean --model? see ",
    ),
    (
        "%%copilot a -m scriptd\nx",
        "ProviderError: provider 'scripted' has no model 'scriptd' → did you mean scripted? it has: ",
    ),
    (
        "%%copilot s9 please be brief\nx",
        "InputError: a cell with several names creates no session, and 's9', 'please', 'be', 'brief' are new → a "
        "prompt goes below this line; to create: %%copilot s9 please be brief --create",
    ),
    ("%%copilot a -m\nx", "InputError: %%copilot: argument -m/--model: expected one argument → "),
    ("%%copilot a -s\nx", "InputError: %%copilot: argument -s/--system: expected one argument → "),
    ("%%copilot a -f xml\nx", "InputError: %%copilot: argument -f/--format: invalid choice: 'xml'"),
    ("%%copilot a --timeout soon\nx", "give a number of seconds above 0, not 'soon'"),
    ("%%copilot a --timeout -3\nx", "give a number of seconds above 0, not '-3'"),
    ("%%copilot a --timeout inf\nx", "give a number of seconds above 0, not 'inf'"),
    ("%%copilot 'a\nx", "no closing quotation → add the closing quote"),
    ("%%copilot it's\nx", "no closing quotation → add the closing quote"),
    ("%%copilot ''\nx", "InputError: a session needs a name → for example: %%copilot session1"),
    (
        "%%copilot ls\nx",
        "InputError: 'ls' is a subcommand of %copilot and cannot name a session → try ls1, or %copilot ls",
    ),
    ("%%copilot ls", "InputError: 'ls' is a subcommand of %copilot and cannot name a session → "),
    ("%%copilot %a\nx", "InputError: a session's name cannot start with '%'"),
    (f"%%copilot {'n' * 301}\nx", "InputError: a session's name has at most 300 characters, not 301"),
    ("%%copilot a --id a/b\nx", "InputError: 'a/b' is not a session id → use 1 to 250 letters"),
    ("%%copilot a --id ../../x\nx", "InputError: '../../x' is not a session id → "),
    ("%%copilot a -m gpt-9\nx", "ProviderError: provider 'scripted' has no model 'gpt-9' → it has: scripted, "),
    (
        "%%copilot a -p azur\nx",
        "ProviderError: there is no provider 'azur' → did you mean azure? there are: github, local, scripted, openai, ",
    ),
    (
        "%%copilot a -p custom\nx",
        "ProviderError: provider 'custom' has no address → set COPILOT_PROVIDER_BASE_URL to it",
    ),
    ("%%copilot a -p github\nx", "ProviderError: 'github' cannot answer: the runtime is offline"),
    ("%%copilot a -o 1x\nx", "InputError: --out takes the name of a variable, not '1x' → for example: -o answer"),
    ("%%copilot a -o for\nx", "InputError: --out takes the name of a variable, not 'for' → "),
    ("%%copilot a -s @/no/where\nx", "cannot read the system message from /no/where: No such file or directory"),
    ("%%copilot a\n{{ nope }}", r"InputError: {{ nope }}: name 'nope' is not defined → define it in a cell above; "),
    ("%%copilot a\n{{ 1/0 }}", "InputError: {{ 1/0 }} raised ZeroDivisionError: division by zero"),
    ("%%copilot a\n{{ type('X', (), {'__str__': lambda x: 1/0})() }}", "raised ZeroDivisionError: division by zero"),
    ("%%copilot a\n{{ open('/no/where').read() }}", "raised FileNotFoundError: "),
    ("%%copilot a\n{{ 1 + }}", "InputError: {{ 1 + }} is not a Python expression → for literal braces write \\{{"),
    ("%%copilot a\n{{ for x in y }}", "is not a Python expression → "),
    ("%%copilot a\n{{ }}", "InputError: {{ }} is not a Python expression → "),
    ("%%copilot a\n" + "x" * 1_000_000, "InputError: the prompt has 1,000,000 bytes, 500,000 are allowed → send less"),
]
OF_THE_LINE = [
    ("%copilot foo", "InputError: %copilot does not know 'foo' → see %copilot help"),
    ("%copilot How are you?", "InputError: %copilot does not know 'How' → "),
    ("%copilot ask", "InputError: %copilot ask: the following arguments are required: NAME → see %copilot help ask"),
    ("%copilot ask a", "InputError: the prompt is empty → "),
    ("%copilot ask --bogus a x", "InputError: %copilot ask: unrecognized arguments: --bogus → "),
    ("%copilot ask ls x", "InputError: 'ls' is a subcommand of %copilot"),
    ("%copilot new", "InputError: %copilot new: the following arguments are required: NAME → see %copilot help new"),
    ("%copilot new ls", "InputError: 'ls' is a subcommand of %copilot"),
    ("%copilot new a --id a/b", "InputError: 'a/b' is not a session id"),
    ("%copilot new a -m gpt-9", "ProviderError: provider 'scripted' has no model 'gpt-9'"),
    ("%copilot new a -p github", "ProviderError: 'github' cannot answer"),
    ("%copilot use ls", "InputError: 'ls' is a subcommand of %copilot"),
    (
        "%copilot rm",
        "InputError: name the sessions to delete, or their age → %copilot rm NAME…, or %copilot rm --older-than 30d",
    ),
    ("%copilot rm nobody -y", "SessionNotFound: there is no session 'nobody' → see %copilot ls"),
    ("%copilot rm nobody", "SessionNotFound: there is no session 'nobody' → see %copilot ls"),
    ("%copilot show nobody", "SessionNotFound: there is no session 'nobody' → see %copilot ls"),
    (
        "%copilot stop",
        "InputError: name the session to stop, or all of them → %copilot stop NAME, or %copilot stop --all",
    ),
    ("%copilot stop a --all", "InputError: name the session to stop, or all of them → "),
    ("%copilot ls --here", "InputError: the front end does not say which notebook this is → name it: --notebook NAME"),
    ("%copilot ls a b", "InputError: %copilot ls: unrecognized arguments: b → see %copilot help ls"),
    ("%copilot modls", "InputError: %copilot does not know 'modls' → did you mean models? see %copilot help; to ask: "),
    (
        "%copilot Delete a",
        "InputError: %copilot does not know 'Delete' → did you mean %copilot rm NAME? see %copilot help",
    ),
    ("%copilot sk-0123456789abcdefghij", "InputError: %copilot does not know '…' → "),
    (
        "%copilot help modls",
        "InputError: %copilot has no subcommand 'modls' → did you mean models? there are: status, ",
    ),
    ("%copilot help foo", "InputError: %copilot has no subcommand 'foo' → there are: status, "),
    ("%copilot rm 'a", "no closing quotation → add the closing quote"),
]

WORDS = [word for word, command in SUBCOMMANDS.items() if not command.prompt and not command.is_literal]


@pytest.mark.parametrize(("cell", "said"), [*OF_THE_CELL, *OF_THE_LINE])
def test_what_cannot_be_used(nb: Notebook, cell: str, said: str) -> None:
    model = nb.answer(ScriptedModel())
    complaint = nb.run(cell).complaint
    assert said in complaint
    assert re.match(r"[A-Z]\w+: \S", complaint)
    assert model.requests == []
    assert nb.names() == nb.on_disk() == []


PROMPTED = ["%%copilot a {}\nx", "%copilot ask -q {} a x", "%copilot compare {} x", "%%copilot compare {}\nx"]


@pytest.mark.parametrize("flag", ["--token", "--api-key", "--key", "--api_key", "--TOKEN", "-token"])
@pytest.mark.parametrize("line", [*PROMPTED, *(f"%copilot {word} a {{}}" for word in WORDS)])
def test_a_key_in_any_line_is_refused_and_not_shown(nb: Notebook, line: str, flag: str) -> None:
    for given in (f"{flag} s3cret", f"{flag}=s3cret"):
        complaint = nb.run(line.format(given)).complaint
        assert complaint.startswith("InputError: do not type a key into a cell: ")
        assert "s3cret" not in complaint


def test_one_new_session_among_several_is_refused_too(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    complaint = nb.run("%%copilot a 'two words'\nx").complaint
    assert complaint == (
        "InputError: a cell with several names creates no session, and 'two words' is new → a prompt goes below this "
        "line; to create: %%copilot a 'two words' --create"
    )
    assert nb.names() == ["a"]
    assert nb.run("%%copilot a b --create\nx").ok
    assert nb.run("%%copilot a b\nx").ok
    assert sorted(nb.names()) == ["a", "b"]


def test_a_prompt_too_long_with_its_schema_is_refused_before_a_session_is_created(nb: Notebook) -> None:
    nb.run("%config CopilotNB.max_prompt_bytes = 20")
    assert nb.run("%%copilot a --schema int\nHow many?").complaint.startswith("InputError: the prompt has ")
    assert nb.names() == nb.on_disk() == []


@pytest.mark.parametrize("word", sorted({*SUBCOMMANDS} - {"compare"}))  # it is a cell, too
def test_no_subcommand_can_name_a_session(nb: Notebook, word: str) -> None:
    assert "is a subcommand of %copilot and cannot name a session" in nb.run(f"%%copilot {word}\nx").complaint


def test_an_id_that_belongs_to_another_name(nb: Notebook) -> None:
    nb.run("%%copilot owner --id the-id\nx")
    assert nb.run("%%copilot thief --id the-id\nx").complaint == (
        "InputError: the id 'the-id' belongs to session 'owner' → %%copilot owner"
    )
    assert nb.run("%%copilot owner --id other\nx").complaint == (
        "InputError: session 'owner' already has the id 'the-id' → use another name for that id"
    )
    assert nb.names() == ["owner"]
    assert nb.on_disk() == ["the-id"]


def test_a_session_open_in_another_kernel(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    nb.run("%copilot restart")
    other = Manager(nb.settings)
    other.providers.add(InKernel("scripted", ScriptedModel))
    try:
        other.session("a").ask("x")
        assert re.fullmatch(
            r"SessionInUse: session 'a' is open in process \d+ \(copilot-runtime\) → close it there, or go on in a "
            "copy: --take-over in a cell, /fork in a panel",
            nb.run("%%copilot a\ny").complaint,
        )
        assert [nb.run("%copilot ls").result.table().rows[0][1]] == ["⇄ in use elsewhere"]
        assert nb.run("%copilot rm a -y").complaint.startswith("SessionInUse: ")
        assert len(other.session("a").history) == 2
    finally:
        other.close()


def test_a_lock_whose_process_is_another_program_by_now(nb: Notebook) -> None:
    nb.run("%%copilot a\nx")
    nb.run("%copilot restart")
    with subprocess.Popen(["sleep", "60"]) as other:
        lock = Path(nb.settings.home) / "session-state" / "a" / f"inuse.{other.pid}.lock"
        lock.write_text(str(other.pid))
        assert nb.run("%%copilot a\ny").complaint == (
            f"SessionInUse: session 'a' is open in process {other.pid} (sleep) → that program is not Copilot: delete "
            f"the lock that was left behind, {lock}"
        )
        other.kill()
    assert nb.run("%%copilot a\ny").ok


@pytest.mark.parametrize(
    ("error", "said"),
    [  # the runtime repeats what may pass, such as 429 and 500, for up to a minute
        (ChatError(400, "that was too long"), "that was too long"),
        (ChatError(401, "bad key"), "Authentication failed with provider"),
        (ChatError(403, "no right to this model"), "(HTTP 403)"),
        (ChatError(404, "no such model"), "(HTTP 404)"),
        (httpx.ConnectError("connection refused"), ""),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_a_provider_that_refuses(nb: Notebook, error: Exception, said: str) -> None:
    nb.answer(ScriptedModel(Reply(error=error)))
    complaint = nb.run("%%copilot a -q\nx").complaint
    assert complaint.startswith("TurnFailed: scripted (scripted) did not answer: ")
    assert said in complaint
    assert "→" in complaint
    assert nb.names() == nb.on_disk() == []
    nb.answer(ScriptedModel("fine"))
    assert nb.run("%%copilot a\nx").ok


def test_a_provider_that_refuses_later_leaves_what_was_said(nb: Notebook) -> None:
    nb.answer(ScriptedModel(["one", Reply(error=ChatError(403, "no")), "three"]))
    assert [nb.run("%%copilot a -q\nx").ok for _ in range(3)] == [True, False, True]
    assert [turn.state.value for turn in copilot_nb.session("a").history] == ["done", "failed", "done"]


def test_prompts_behind_a_first_one_that_failed_are_answered(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel([Reply(error=ChatError(403, "no"), stall_headers=True), "two"]))
    session = copilot_nb.session("a")
    first, second = session.send("1"), session.send("2")
    model.wait_for_stalled(1)
    model.release()
    with pytest.raises(copilot_nb.TurnFailed):
        first.wait()
    assert second.wait().text == "two"
    assert nb.names() == ["a"]


# Nothing to answer with


def test_no_runtime(broken: Notebook) -> None:
    broken.settings.runtime_path = "/no/where/copilot"
    complaint = broken.run("%%copilot a\nx").complaint
    assert complaint.startswith(
        "RuntimeUnavailable: there is no Copilot runtime at /no/where/copilot (the setting runtime_path) → correct"
    )
    assert broken.run("%copilot ls").complaint == complaint
    assert broken.run("%copilot new a").complaint == complaint


def test_a_runtime_that_is_no_program(broken: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "copilot"
    program.write_text("text")
    monkeypatch.setenv("COPILOT_CLI_PATH", str(program))
    assert broken.run("%%copilot a\nx").complaint == (
        f"RuntimeUnavailable: {program} (COPILOT_CLI_PATH) is not executable → run: chmod +x {program}"
    )


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho 'wrong glibc' >&2\nexit 1\n", "#!/no/interpreter\n", "\x7fELF"]
)
def test_a_runtime_that_cannot_start(broken: Notebook, tmp_path: Path, script: str) -> None:
    program = tmp_path / "copilot"
    program.write_text(script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    broken.settings.runtime_path = str(program)
    complaint = broken.run("%%copilot a\nx").complaint
    assert complaint.startswith(f"RuntimeUnavailable: starting {program} (the setting runtime_path): ")
    assert complaint.endswith(" → see %copilot doctor")
    assert broken.on_disk() == []


@pytest.mark.parametrize(
    ("home", "why"), [("{folder}/file", "File exists"), ("~nobody-at-all/x", "there is no such user")]
)
def test_a_home_that_cannot_be_written(broken: Notebook, tmp_path: Path, home: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    broken.settings.home = home.format(folder=tmp_path)
    broken.answer(ScriptedModel())
    complaint = broken.run("%%copilot a\nx").complaint
    assert complaint == (
        f"RuntimeUnavailable: the Copilot runtime cannot keep its sessions in {broken.settings.home}: {why}"
        " → %config CopilotNB.home = '…', or set COPILOT_HOME"
    )
    assert "CopilotNB.home" in broken.run("%copilot doctor").out


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot read the model file"), ("not a model", "is not a GGUF file")]
)
def test_no_embedded_model(broken: Notebook, tmp_path: Path, content: str | None, said: str) -> None:
    if content:
        (tmp_path / "model.gguf").write_text(content)
    broken.settings.provider = "local"
    broken.settings.local_model_path = str(tmp_path / "model.gguf")
    complaint = broken.run("%%copilot a\nx").complaint
    assert complaint.startswith("ProviderError: ")
    assert said in complaint
    assert "local_model_path" in complaint
    assert broken.on_disk() == []


def test_no_provider_is_available(broken: Notebook, tmp_path: Path) -> None:
    broken.settings.provider = ""
    broken.settings.local_model_path = str(tmp_path / "missing.gguf")
    complaint = broken.run("%%copilot a\nx").complaint
    assert complaint.startswith("ProviderError: no model can answer → ")
    for way_in in ("%copilot login", "%copilot provider add", "copilot-nb install-model"):
        assert way_in in complaint
    assert broken.on_disk() == []
    assert "no model can answer" in broken.run("%copilot").out


def test_every_error_has_one_line() -> None:
    error = CopilotNBError("two\nlines", "and\n a hint")
    assert error._render_traceback_() == ["CopilotNBError: two lines → and a hint"]
