"""The Copilot login on the real runtime and its real program, with a stand-in for GitHub on this machine."""

from __future__ import annotations

import _thread
import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from copilot_nb.errors import ProviderError
from copilot_nb.experiments import api
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.network import Network
from copilot_nb.runtime.account import Login, Quota, may_find_login
from copilot_nb.runtime.client import RuntimeClient
from copilot_nb.runtime.login import DeviceCode, log_in, login_program
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel
from tests.github import CODE, TOKEN, USER, GitHubStandIn, github_here
from tests.runtime.conftest import script

END_S = 10.0
NO_LOGIN = "--no-auto-login"
WAITING = """
import sys
from pathlib import Path
from copilot_nb.runtime.login import log_in, login_program
log_in(login_program(""), Path(sys.argv[1]), sys.argv[2], lambda code: print(code.code, flush=True), lambda: True)
"""


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with github_here() as github:
        yield github
        assert not [host for host in github.elsewhere if "127.0.0.1" in host]


def sign_in(github: GitHubStandIn, home: Path, *, keep: bool = True) -> list[DeviceCode]:
    """Log in, and return the codes that were shown."""
    shown: list[DeviceCode] = []
    assert log_in(login_program(""), home, github.url, shown.append, lambda: keep) == USER
    return shown


def test_the_flow_shows_a_code_and_keeps_the_login_for_its_owner_only(github: GitHubStandIn, tmp_path: Path) -> None:
    shown = sign_in(github, tmp_path)
    assert shown == [DeviceCode(f"{github.url}/login/device", CODE)]
    config = tmp_path / "config.json"
    assert TOKEN in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert github.polled == 2


def test_a_login_that_may_not_be_kept_in_a_file_is_not(github: GitHubStandIn, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="the login was not kept: this system has no keychain"):
        sign_in(github, tmp_path, keep=False)
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and TOKEN in file.read_text()]


def test_a_code_that_is_not_entered_expires(github: GitHubStandIn, tmp_path: Path) -> None:
    github.pending, github.expires_in_s = -1, 1
    with pytest.raises(ProviderError, match=r"failed: Device code expired .* → %copilot login again"):
        sign_in(github, tmp_path)


def test_a_host_that_cannot_be_reached_is_one_line(github: GitHubStandIn, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"^http://127.0.0.1:1 cannot be reached: .* → check the network, "):
        log_in(login_program(""), tmp_path, "http://127.0.0.1:1", [].append, lambda: True)


def test_an_interrupt_ends_the_flow_and_its_processes(github: GitHubStandIn, tmp_path: Path) -> None:
    github.pending = -1
    started: list[psutil.Process] = []

    def interrupt(_code: DeviceCode) -> None:
        started.extend(psutil.Process().children(recursive=True))
        _thread.interrupt_main()

    before = psutil.Process().children(recursive=True)
    with pytest.raises(KeyboardInterrupt):
        log_in(login_program(""), tmp_path, github.url, interrupt, lambda: True)
    started = [process for process in started if process not in before]
    assert started
    assert not psutil.wait_procs(started, timeout=END_S)[1]


def test_the_flow_ends_with_the_process_that_waits_for_it(github: GitHubStandIn, tmp_path: Path) -> None:
    github.pending = -1
    command = [sys.executable, "-c", WAITING, str(tmp_path), github.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline().strip() == CODE
        started = psutil.Process(host.pid).children(recursive=True)
        host.kill()
    assert started
    assert not psutil.wait_procs(started, timeout=END_S)[1]


def test_the_running_runtime_finds_the_login_and_forgets_it(github: GitHubStandIn, tmp_path: Path) -> None:
    asyncio.run(_come_and_go(github, tmp_path))
    config = json.loads((tmp_path / "config.json").read_text().partition("\n{")[2].join(("{", "")))
    assert TOKEN not in json.dumps(config)
    assert config["loggedInUsers"] == []


async def _come_and_go(github: GitHubStandIn, home: Path) -> None:
    network = Network()

    def new_client() -> RuntimeClient:
        return RuntimeClient(CopilotNB(home=str(home), offline=False), lambda _host: network, lambda: False, print)

    client = new_client()
    account = client.account
    try:
        assert await account.login() is None
        with pytest.raises(ProviderError, match="nobody is logged in to Copilot → log in with %copilot login"):
            await account.models()
        await asyncio.to_thread(sign_in, github, home)
        login = await account.login()
        assert login == Login(USER, github.url, "user", f"the file {home / 'config.json'}")
        gpt_5 = next(info for info in await account.models() if info.model_id == "gpt-5")
        assert (gpt_5.window_tokens, gpt_5.output_tokens, gpt_5.multiplier) == (264_000, 64_000, 1)
        assert (gpt_5.tools, gpt_5.vision, gpt_5.efforts) == (True, True, ("low", "medium", "high"))
        assert Quota("premium interactions", 38, 300, 87.5, "") in await account.quota()
        assert await account.log_out(login), "the runtime has to be started again"
        await client.stop()
        client = new_client()
        assert await client.account.login() is None
    finally:
        await client.stop()
        await network.aclose()


def test_a_runtime_that_looks_for_no_login_is_replaced_when_there_is_one(github: GitHubStandIn, tmp_path: Path) -> None:
    asyncio.run(_come_later(github, tmp_path))


async def _come_later(github: GitHubStandIn, home: Path) -> None:
    network, is_busy = Network(), True
    client = RuntimeClient(CopilotNB(home=str(home), offline=False), lambda _host: network, lambda: is_busy, print)

    async def started() -> psutil.Process:
        await client.ready()
        return psutil.Process(client.process_id)

    try:
        first = await started()
        assert NO_LOGIN in first.cmdline(), "the runtime forks for each session, to ask the GitHub CLI"
        await asyncio.to_thread(sign_in, github, home)
        assert await started() == first, "a turn is under way"
        assert await client.account.login() is None
        assert str(await client.account.login_problem()).startswith("the new Copilot login is used when no turn is")
        is_busy = False
        assert NO_LOGIN not in (await started()).cmdline()
        login = await client.account.login()
        assert login is not None
        assert login.user == USER
        assert await client.account.login_problem() is None
    finally:
        await client.stop()
        await network.aclose()


def test_sessions_go_on_where_a_login_has_the_runtime_replaced(github: GitHubStandIn, tmp_path: Path) -> None:
    with closing(Manager(CopilotNB(home=str(tmp_path), offline=False, provider="scripted"))) as manager:
        model = script(manager, ScriptedModel())
        session = manager.session("mine")
        session.ask("before")
        sign_in(github, tmp_path)
        assert manager.session("theirs", provider="github", model="gpt-5").model == "gpt-5"
        session.ask("after")
        assert model.requests[-1].user_texts == ("before", "after")
        assert [turn.prompt for turn in session.history] == ["before", "after"]


def test_a_comparison_asks_github_for_no_more_than_a_session(
    github: GitHubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.keep_login(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    for file in ("AGENTS.md", ".github/copilot-instructions.md", ".github/agents/x.agent.md"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("---\nname: x\ndescription: MARK\n---\nMARK")
    settings = CopilotNB(home=str(tmp_path / "home"), offline=False, provider="scripted")
    with closing(Manager(settings)) as manager:
        model = script(manager, ScriptedModel())
        monkeypatch.setattr(api, "shared_manager", lambda: manager)
        manager.session("s1", tools="none").ask("one")
        asked = [*github.asked, *github.elsewhere]
        api.compare(["two", "three"], models=["scripted"])
        assert [*github.asked, *github.elsewhere] == asked
    assert {request.prompt for request in model.requests} == {"one", "two", "three"}  # cells are asked in any order
    assert len(model.requests) == 3
    assert "MARK" not in str([request.messages for request in model.requests])


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("GH_TOKEN", ""),
        ("COPILOT_HOME", "config.json"),  # one that cannot be read
        ("GH_CONFIG_DIR", "hosts.yml"),
        ("XDG_CONFIG_HOME", "gh/hosts.yml"),
        ("HOME", ".config/gh/hosts.yml"),
    ],
)
def test_the_runtime_looks_for_a_login_where_there_is_a_trace_of_one(
    variable: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GH_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    folder = tmp_path / "folder"
    assert not may_find_login(folder)
    monkeypatch.setenv(variable, str(folder))
    if file:
        (folder / file).parent.mkdir(parents=True)
        (folder / file).touch()
    assert may_find_login(folder)


def test_the_file_of_a_runtime_in_which_nobody_is_logged_in_is_no_trace(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('// its own\n{"firstLaunchAt": "2026-11-29T00:00:00Z", "loggedInUsers": []}')
    assert not may_find_login(tmp_path)
    config.write_text('// its own\n{"loggedInUsers": [{"host": "https://github.com", "login": "octocat"}]}')
    assert may_find_login(tmp_path)


def test_a_token_that_github_refuses_is_reported(
    github: GitHubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    client = RuntimeClient(CopilotNB(home=str(tmp_path), offline=False), _nowhere, lambda: False, print)

    async def problems() -> list[str]:
        try:
            assert await client.account.login() is None
            return await client.account.problems()
        finally:
            await client.stop()

    (first, *_) = told = asyncio.run(problems())
    assert first.startswith("Failed to fetch PAT user login: ")
    assert TOKEN not in json.dumps(told)
    assert "api.github.com:443" in github.elsewhere


def _nowhere(host: str) -> httpx.AsyncBaseTransport:
    raise AssertionError(f"{host} was asked")


class FakeStatus:
    """The SDK's client where a login was found in the environment."""

    async def get_auth_status(self) -> Any:
        return type(
            "Status", (), {"isAuthenticated": True, "authType": "env", "host": "https://github.com", "login": USER}
        )


def test_a_login_from_the_environment_is_not_ours_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from copilot_nb.runtime.account import Account

    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GH_TOKEN", TOKEN)

    async def ready() -> Any:
        return FakeStatus()

    account = Account(ready, lambda: tmp_path, lambda: False)
    login = asyncio.run(account.login())
    assert login is not None
    assert (login.account, login.where) == ("octocat (github.com)", "the environment variable GH_TOKEN")
    with pytest.raises(ProviderError, match=r"environment variable GH_TOKEN → unset it, then %copilot restart"):
        asyncio.run(account.log_out(login))
