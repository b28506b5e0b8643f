"""`%copilot login`, `whoami` and `logout` as a user meets them, with a stand-in for GitHub on this machine."""

from __future__ import annotations

import _thread
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from IPython.utils.capture import capture_output

from copilot_nb.named_sessions.api import shared_manager
from tests.github import CODE, TOKEN, USER, GitHubStandIn, github_here
from tests.shell.conftest import Notebook

SIGN_IN = "copilot_nb.notebook.signin.has_rich_output"


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with github_here() as github:
        yield github


@pytest.fixture
def here(broken: Notebook, github: GitHubStandIn) -> Notebook:
    """The shell online, in a home of its own in which nobody is logged in."""
    broken.settings.offline = False
    return broken


def kept_in(nb: Notebook) -> str:
    return f"{nb.settings.home}/config.json"


def answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let the user answer; return what is asked."""
    asked: list[str] = []
    left = iter(answers)

    def ask(question: str) -> str:
        asked.append(question)
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", ask)
    return asked


def command_lines() -> list[str]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


def test_logging_in_using_the_account_and_logging_out(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = answering(monkeypatch, "y")
    seen: list[str] = []
    github.on_poll = lambda: seen.extend(command_lines())
    host = github.url.removeprefix("http://")
    said = here.run(f"%copilot login --host {github.url}").out
    assert said.splitlines() == [
        "Asking GitHub for a code…",
        f"Open {github.url}/login/device and enter the code {CODE}",
        "Waiting for you to enter it, on any device; interrupt the kernel to cancel.",
        f"Logged in to Copilot as {USER} ({host}).",
    ]
    assert asked == [f"This system has no keychain. Keep the login in {kept_in(here)}, readable by you only? [y/N] "]
    assert any("login --device-code" in line for line in seen)
    card = here.run("%copilot whoami").result
    assert (card.title, dict(card.rows)) == (
        "Logged in to Copilot",
        {
            "account": f"{USER} ({host})",
            "kept in": f"the file {kept_in(here)}",
            "quota: chat": "unlimited",
            "quota: premium interactions": "38 of 300 used, 87.5 % left",
        },
    )
    answers = here.run("%copilot").out
    out = here.run("%copilot logout").out
    assert out == f"Logged out {USER} ({host}).\n"
    assert here.run("%copilot whoami").result.title == "Nobody is logged in to Copilot"
    assert here.run("%copilot logout").out == "Nobody is logged in to Copilot.\n"
    everything = f"{said}{card._repr_html_()}{answers}{out}{caplog.text}{seen}{here.run('%config CopilotNB').out}"
    assert TOKEN not in everything
    assert not [f for f in Path(here.settings.home).rglob("*") if f.is_file() and TOKEN.encode() in f.read_bytes()]


def test_logging_in_again_takes_the_place_of_the_login(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "y", "y")
    here.run(f"%copilot login --host {github.url}")
    client = shared_manager().running_client
    assert here.run(f"%copilot login --host {github.url}").out.endswith(f"as {USER} ({github.url[7:]}).\n")
    assert shared_manager().running_client is not client
    assert here.run("%copilot whoami").result.title == "Logged in to Copilot"


def test_a_prompt_after_the_login_goes_to_the_account(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint = here.run("%%copilot a -p github\nhi").complaint
    assert complaint.startswith("ProviderError: nobody is logged in to Copilot → log in with %copilot login, or ")
    answering(monkeypatch, "yes")
    here.run(f"%copilot login --host {github.url}")
    assert "the default model (github)" in here.run("%copilot").out
    here.run("%%copilot a -p github -m gpt-5\nhi")
    assert github.asked[-1] == "/responses"
    assert not [path for path in github.asked if "mcp" in path], "a session has no tools"


def test_a_no_keeps_nothing(here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch)
    ran = here.run(f"%copilot login --host {github.url}")
    assert ran.out.splitlines()[-2:] == [
        "Not logged in.",
        "ProviderError: the login was not kept: this system has no keychain, and no file was allowed → %copilot login "
        "again and answer y, or set GH_TOKEN",
    ]
    assert not Path(kept_in(here)).exists()


def test_a_headless_run_needs_a_flag_to_log_in(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copilot_nb.notebook.subcommands.account.is_headless", lambda _shell: True)
    asked = answering(monkeypatch)
    assert here.run(f"%copilot login --host {github.url}").complaint == (
        "InputError: nobody can be asked where to keep the login → add --plaintext to keep it in the "
        "runtime's file, or set GH_TOKEN"
    )
    assert not github.asked
    assert here.run(f"%copilot login --plaintext --host {github.url}").ok
    assert not asked


def test_the_output_of_a_notebook_is_replaced_and_keeps_no_code(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SIGN_IN, lambda _shell: True)
    with capture_output() as captured:
        here.shell.run_cell(f"%copilot login --plaintext --host {github.url}")
    first, *others = captured.outputs
    shown = [output.data for output in (first, *others)]
    assert [output._repr_html_() is not None for output in captured.outputs] == [True, True, True]
    assert f'href="{github.url}/login/device"' in shown[1]["text/html"]
    assert CODE in shown[1]["text/html"]
    assert CODE not in str(shown[2])
    assert shown[2]["text/plain"] == f"Logged in to Copilot as {USER} ({github.url[7:]})."
    assert TOKEN not in str(shown)


def test_an_interrupt_cancels_in_one_line_and_leaves_no_process(here: Notebook, github: GitHubStandIn) -> None:
    github.pending = -1
    here.run("%copilot whoami")  # starts the runtime, which stays
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    github.on_poll = _thread.interrupt_main
    ran = here.run(f"%copilot login --plaintext --host {github.url}")
    assert ran.out.splitlines()[-2:] == ["Not logged in.", "ProviderError: the login was cancelled → %copilot login"]
    assert not ran.err
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    assert not psutil.wait_procs(left, timeout=5)[1]


def test_a_token_in_the_environment_is_the_login(
    here: Notebook, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    said = here.run(f"%copilot login --host {github.url}").out
    assert said == ("GITHUB_TOKEN is set, and Copilot uses the login in it; to log in differently, unset it first.\n")
    card = here.run("%copilot whoami").result
    assert card.title == "Nobody is logged in to Copilot"
    assert "Failed to fetch PAT user login" in str(card)
    assert TOKEN not in f"{said}{card}{card._repr_html_()}"
    assert "/login/device/code" not in github.asked


def test_offline_there_is_no_login(here: Notebook) -> None:
    here.settings.offline = True
    for word in ("login", "logout"):
        assert here.run(f"%copilot {word}").complaint.startswith(
            "ProviderError: cannot log in: the runtime is offline: no request leaves this machine → "
        )
    (line,) = here.run("%copilot whoami").out.splitlines()
    assert line.startswith("Nobody needs to be logged in: the runtime is offline")


def test_without_a_login_the_error_names_the_ways_to_log_in(here: Notebook) -> None:
    card = here.run("%copilot whoami").result
    assert "%copilot login" in str(card)
    assert "GH_TOKEN" in str(card)
