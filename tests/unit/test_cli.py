"""The command line and the doctor: what is printed, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from copilot_nb import cli, demo
from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.runtime import doctor
from copilot_nb.runtime.doctor import Finding, diagnose
from copilot_nb.runtime.install import install_model
from copilot_nb.runtime.install import install_runtime as installer
from copilot_nb.runtime.install.sdk_pin import pinned_version, sdk_install_command
from copilot_nb.settings import CopilotNB

DEADLINE_S = 60.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the runtime and one for the model's file: nothing here asks them anything but the version."""
    path = tmp_path / "copilot"
    path.write_text(f'#!/bin/sh\necho "GitHub Copilot CLI {pinned_version()}."\n')
    path.chmod(0o755)
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    monkeypatch.setenv("COPILOT_CLI_PATH", str(path))
    monkeypatch.setenv("COPILOT_NB_LOCAL_MODEL", str(model))
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COPILOT_OFFLINE", "false")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither runtime nor model nor npm."""
    for name in ("COPILOT_CLI_PATH", "COPILOT_CLI_EXTRACT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("COPILOT_NB_CACHE", "XDG_CACHE_HOME", "HOME", "PATH"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)


def by_name(settings: CopilotNB) -> dict[str, Finding]:
    return {finding.what: finding for finding in diagnose(settings)}


# The doctor


def test_everything_in_order(runtime: Path) -> None:
    findings = by_name(CopilotNB(provider="local"))
    assert all(finding.ok for finding in findings.values())
    assert list(findings) == [
        *("Python", "copilot-nb", "Copilot SDK", "Copilot runtime"),
        *("Runtime home", "Model engine", "Embedded model", "Provider"),
    ]
    assert findings["Copilot runtime"].detail == f"{pinned_version()}, {runtime} (COPILOT_CLI_PATH)"
    assert findings["Copilot SDK"].detail.endswith(f"asks for runtime {pinned_version()}")


def test_another_version_is_a_note(runtime: Path) -> None:
    runtime.write_text("#!/bin/sh\necho 9.9.9\n")
    finding = by_name(CopilotNB())["Copilot runtime"]
    assert finding.ok
    assert finding.detail.endswith(f"the SDK asks for {pinned_version()}")
    assert finding.fix == "copilot-nb install-runtime"


def test_a_runtime_that_does_not_run(runtime: Path) -> None:
    runtime.write_text("#!/bin/sh\nexit 127\n")
    finding = by_name(CopilotNB())["Copilot runtime"]
    assert not finding.ok
    assert "cannot be run here" in finding.detail
    assert "COPILOT_CLI_PATH" in finding.fix


@pytest.mark.usefixtures("nothing")
def test_nothing_installed() -> None:
    findings = by_name(CopilotNB(local_model_path=""))
    assert findings["Copilot runtime"] == Finding(
        "Copilot runtime", False, "the Copilot runtime is not installed", "copilot-nb install-runtime"
    )
    assert findings["npm"].ok
    assert findings["npm"].fix
    for what in ("Model engine", "Embedded model"):  # a login would do as well
        assert findings[what].ok
        assert findings[what].fix == "copilot-nb install-model"
        assert findings[what].detail.endswith("(optional)")
    needed = by_name(CopilotNB(provider="local", local_model_path=""))
    assert not needed["Model engine"].ok
    assert not needed["Embedded model"].ok


def test_a_home_that_cannot_be_written(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = by_name(CopilotNB(home=str(tmp_path / "file" / "home")))["Runtime home"]
    assert not finding.ok
    assert "cannot be written to" in finding.detail


@pytest.mark.parametrize(
    ("settings", "ok"),
    [
        (CopilotNB(provider=""), True),
        (CopilotNB(provider="github", offline=False), True),
        (CopilotNB(provider="github", offline=True), False),
        (CopilotNB(provider="gitlab"), False),
    ],
)
def test_the_provider(runtime: Path, settings: CopilotNB, ok: bool) -> None:
    assert by_name(settings)["Provider"].ok is ok


@pytest.mark.parametrize("custom", ["", "http://127.0.0.1:1/v1"])
def test_that_only_a_login_can_answer_is_a_note(runtime: Path, monkeypatch: pytest.MonkeyPatch, custom: str) -> None:
    monkeypatch.setattr(doctor, "_has_engine", lambda: False)
    monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", custom)
    assert by_name(CopilotNB())["Provider"].mark == ("OK" if custom else "note")


def test_a_missing_distribution(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version_of", lambda _: None)
    findings = by_name(CopilotNB())
    assert not findings["copilot-nb"].ok
    assert (findings["Copilot SDK"].detail, findings["Copilot SDK"].fix) == ("not installed", sdk_install_command())


def test_a_finding_is_plain_data() -> None:
    with pytest.raises(FrozenInstanceError):
        Finding("a", True, "b").ok = False  # type: ignore[misc]


# The commands


def test_doctor_prints_an_aligned_table(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("OK    ") for line in lines)
    assert any(line.startswith("OK    Copilot runtime  ") for line in lines)
    runtime.unlink()
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    fault = next(i for i, line in enumerate(lines) if line.startswith("FIX   Copilot runtime"))
    assert lines[fault + 1].lstrip().startswith("→ correct COPILOT_CLI_PATH")


def test_the_doctor_can_be_read_in_a_c_locale(runtime: Path) -> None:
    runtime.unlink()
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env.pop("PYTHONIOENCODING", None)
    argv = [sys.executable, "-m", "copilot_nb.cli", "doctor"]
    done = subprocess.run(argv, capture_output=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"-> correct COPILOT_CLI_PATH" in done.stdout


def test_a_note_is_marked() -> None:
    assert cli._table([Finding("npm", True, "not installed", "x")]) == ["note  npm  not installed", "           → x"]


def test_install_runtime_passes_the_method(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*, progress: object, method: str) -> None:
        raise RuntimeUnavailable(f"no {method}", "do this")

    monkeypatch.setattr(installer, "install_runtime", fail)
    assert cli.main(["install-runtime", "--method", "npm"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "copilot-nb: no npm → do this\n")


def test_install_model_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(install_model, "install_local_model", lambda progress: progress("line"))
    assert cli.main(["install-model"]) == 0
    assert capsys.readouterr().out == "line\n"


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install_model, "install_local_model", interrupt)
    assert cli.main(["install-model"]) == 130
    assert capsys.readouterr().err == "copilot-nb: interrupted\n"


@pytest.mark.parametrize("argv", [["nonsense"], ["install-runtime", "--method", "brew"]])
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(argv)
    assert "usage: copilot-nb" in capsys.readouterr().err


def test_without_a_command_all_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert all(f"\n    {command}" in err for command in ("install-runtime", "install-model", "doctor", "demo"))
    assert err.endswith("\ncopilot-nb: no command given → choose one of those above\n")


def test_help_knows_the_methods_and_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["install-runtime", "--help"])
    assert "{" + ",".join(installer.METHODS) + "}" in capsys.readouterr().out
    code = "import sys; from copilot_nb import cli\ntry: cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.splitlines()[-1].split())
    assert not {"copilot", "IPython", "traitlets", "nbclient", "platformdirs", "httpx"} & modules


# The demo


def notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, sources)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def headless(path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "copilot_nb.cli", "demo", "--headless", "--notebook", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


ENVIRONMENT = "import os; print([os.environ[n] for n in ('COPILOT_HOME', 'COPILOT_OFFLINE', 'COPILOT_NB_PROVIDER')])"
LONG = "\n".join(f"x{i} = {i}" for i in range(9))


@pytest.mark.slow
def test_the_demo_without_a_browser(runtime: Path, tmp_path: Path) -> None:
    path = notebook(tmp_path / "notebooks" / "a.ipynb", ENVIRONMENT, LONG, "1 + 1")
    before = path.read_bytes()
    done = headless(path)
    assert done.returncode == 0, done.stderr
    assert str([str(tmp_path / ".demo" / "headless" / "home"), "true", "local"]) in done.stdout
    assert "[2] x5 = 5\n[2] … (3 more lines)\n" in done.stdout
    assert "[3] 1 + 1\n2\n" in done.stdout
    assert path.read_bytes() == before
    ran = json.loads((tmp_path / ".demo" / "headless" / "notebooks" / "a.ipynb").read_text(encoding="utf-8"))
    assert ran["cells"][3]["execution_count"] == 3


@pytest.mark.slow
def test_a_failing_cell_of_the_demo_is_one_line(runtime: Path, tmp_path: Path) -> None:
    done = headless(notebook(tmp_path / "notebooks" / "a.ipynb", "print('so far')", "1 / 0", "print('not reached')"))
    assert done.returncode == 1
    assert "so far" in done.stdout
    assert "not reached" not in done.stdout
    assert done.stderr.splitlines() == ["copilot-nb: a.ipynb: ZeroDivisionError: division by zero"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_its_kernel(runtime: Path, tmp_path: Path, number: int) -> None:
    sources = ("import os, time; print(os.getpid())", "print('now'); time.sleep(600)")
    path = notebook(tmp_path / "notebooks" / "a.ipynb", *sources)
    argv = [sys.executable, "-m", "copilot_nb.cli", "demo", "--headless", "--notebook", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kernel = next(int(line) for line in process.stdout if line.strip().isdigit())
        next(line for line in process.stdout if line.startswith("[2]"))
        process.send_signal(number)
        _, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == (130, "copilot-nb: interrupted\n")
    assert not psutil.pid_exists(kernel)


def test_what_comes_later_is_printed_again(capsys: pytest.CaptureFixture[str]) -> None:
    printer = demo._Printer()
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("ask()")])
    output = nbformat.v4.new_output("display_data", {"text/plain": "…"})
    book.cells[0].outputs = [output]
    printer.answers(book.cells[0], 0)
    output.data["text/plain"] = "the answer"
    printer.later(book)
    assert capsys.readouterr().out == "…\n\n[0] and then:\nthe answer\n"


@pytest.mark.parametrize(("user_id", "options"), [(1000, []), (0, ["--allow-root"])])
def test_the_demo_becomes_jupyterlab(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user_id: int, options: list[str]
) -> None:
    path = notebook(tmp_path / "notebooks" / demo.FIRST_NOTEBOOK)
    other = notebook(path.with_name("02_another.ipynb"))
    seen: list[Any] = []

    def become(program: str, argv: list[str], env: dict[str, str]) -> None:
        seen.extend([program, argv, env["COPILOT_NB_PROVIDER"]])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(os, "geteuid", lambda: user_id)
    with pytest.raises(SystemExit):
        cli.main(["demo"])  # the notebook of the current folder
    program, argv, provider = seen
    copy = tmp_path / ".demo" / "notebooks" / path.name
    assert (program, provider) == (sys.executable, "local")
    assert copy.with_name(other.name).is_file()
    assert argv[:4] == [sys.executable, "-m", "jupyterlab", str(copy)]
    assert f"--LabApp.default_url=/lab/tree/{path.name}" in argv
    assert [option for option in argv if option == "--allow-root"] == options
    assert "checkForUpdates" in next((tmp_path / ".demo" / "settings").rglob("*-settings")).read_text()


def test_the_copy_of_the_demo_is_kept_and_set_aside_when_the_notebook_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = notebook(tmp_path / "notebooks" / "a.ipynb", "1"), tmp_path / ".demo"
    book = nbformat.read(path, as_version=4)
    book.cells[1].outputs = [nbformat.v4.new_output("stream", text="said")]
    nbformat.write(book, path)
    copy = demo.working_copy(path, folder)
    assert [cell.get("outputs", []) for cell in nbformat.read(copy, as_version=4).cells] == [[], []]
    copy.write_text("what the user made of it")
    assert demo.working_copy(path, folder) == copy
    assert (copy.read_text(), capsys.readouterr().out) == ("what the user made of it", "")
    for number, source in enumerate(["2", "3"], start=1):
        notebook(path, source)
        assert nbformat.read(demo.working_copy(path, folder), as_version=4).cells[1].source == source
        kept = copy.with_name(f"a~{number}.ipynb")
        assert f"Your copy is kept as {kept}" in capsys.readouterr().out
    assert copy.with_name("a~1.ipynb").read_text() == "what the user made of it"


def test_a_notebook_that_is_not_there(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--notebook", "gone.ipynb"]) == 1
    assert "there is no notebook" in capsys.readouterr().err


def test_the_demo_needs_the_runtime(runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runtime.unlink()
    assert cli.main(["demo", "--notebook", str(notebook(tmp_path / "a.ipynb"))]) == 1
    assert "no Copilot runtime at" in capsys.readouterr().err
