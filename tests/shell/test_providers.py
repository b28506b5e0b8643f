"""A user's own providers: `%copilot provider`, `-p`, and the lines that say what is wrong."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_nb.named_sessions.api import drop_manager, shared_manager
from tests.loopback import Loopback, cut, status
from tests.shell.conftest import Notebook

KEY = "sk-planted-77aa01"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback("From the server.", models=("m-1", "m-2")) as running:
        yield running


@pytest.fixture
def here(nb: Notebook) -> Iterator[Notebook]:
    """A notebook whose kernel forgets the providers that a test adds."""
    yield nb
    providers = shared_manager(nb.settings).providers
    for name in ("mine", "openai", "keyed"):
        if name in providers._added:
            providers.remove_own(name)
    nb.settings.providers = {}


def add(nb: Notebook, server: Loopback, more: str = "") -> str:
    return nb.run(f"%copilot provider add mine --base-url {server.url}/v1 {more}").out


def test_a_provider_is_added_used_listed_and_removed(here: Notebook, server: Loopback) -> None:
    assert add(here, server).splitlines() == [
        f"Added mine (openai-compatible, {server.url}/v1; key: none needed). It has m-1, m-2.",
        "For this kernel; for good: c.CopilotNB.providers['mine'] = "
        f"{{'type': 'openai-compatible', 'base_url': '{server.url}/v1'}}",
    ]
    said = here.run("%%copilot with-mine -p mine -m m-2\nhi").out
    assert said.startswith("From the server.\n\n[with-mine · m-2 (mine)")
    rows = {row[0]: row[1:] for row in here.run("%copilot provider").result.rows}
    assert rows["mine"] == ("openai-compatible", f"{server.url}/v1", "–", "none needed", "ready")
    assert {"openai", "anthropic", "azure", "ollama", "github", "local", "custom"} < set(rows)
    assert rows["custom"][-1] == "COPILOT_PROVIDER_BASE_URL is not set"
    assert here.run("%copilot provider rm mine").out == "Removed mine from this kernel.\n"
    assert here.run("%%copilot with-mine\nhi").complaint.startswith("ProviderError: there is no provider 'mine' → ")


def test_adding_a_provider_sends_no_key(here: Notebook, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    assert "key: the environment variable MY_KEY). Its models: %copilot models -p mine\n" in add(
        here, server, "--api-key-env MY_KEY"
    )
    assert (server.listed, server.asked) == (0, [])
    assert "m-2" in str(here.run("%copilot models -p mine").result)
    far = here.run("%copilot provider add openai --base-url http://far.example/v1 --api-key-env MY_KEY").out
    assert "Note: openai is not at api.openai.com but at far.example.\n" in far
    assert "Note: its key goes to far.example unencrypted (http).\n" in far


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_what_is_added_and_what_it_has_completes(here: Notebook, server: Loopback) -> None:
    add(here, server)
    assert "%%copilot a -p mine" in here.complete("%%copilot a -p mi")
    assert here.complete("%%copilot a -m m-") == ["%%copilot a -m m-1", "%%copilot a -m m-2"]
    assert "%copilot provider rm mine" in here.complete("%copilot provider rm mi")
    assert server.listed == 1


def test_a_session_whose_provider_the_kernel_forgot_says_how_to_add_it_again(
    here: Notebook, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "k")
    add(here, server, "--model m-1 --api-key-env MY_KEY")
    assert here.run("%%copilot a -p mine\nhi").ok
    drop_manager()
    line = f"%copilot provider add mine --type openai-compatible --base-url {server.url}/v1 --model m-1"
    line += " --api-key-env MY_KEY"
    complaint = here.run("%%copilot a\nhi").out.splitlines()[-1]
    assert complaint == f"ProviderError: there is no provider 'mine' in this kernel → add it again: {line}"
    assert here.run(line).ok
    assert here.run("%%copilot a\nhi").ok


@pytest.mark.parametrize("is_there", [True, False])
def test_a_local_server_is_shown_with_whether_it_answers(here: Notebook, server: Loopback, is_there: bool) -> None:
    here.settings.providers = {"mine": {"type": "ollama", "base_url": server.url if is_there else "http://127.0.0.1:1"}}
    rows = {row[0]: row[-1] for row in here.run("%copilot provider").result.rows}
    assert rows["mine"] == ("ready" if is_there else "nothing listens at 127.0.0.1:1")


def test_a_setting_names_a_provider(here: Notebook, server: Loopback) -> None:
    address = f"{{'mine': {{'type': 'anthropic', 'base_url': '{server.url}', 'model': 'm-1'}}}}"
    here.run(f"%config CopilotNB.providers = {address}")
    assert here.run("%%copilot set -p mine\nhi").out.startswith("From the server.\n\n[set · m-1 (mine)")


@pytest.mark.parametrize(
    "line",
    [
        f"%copilot provider add mine --api-key {KEY}",
        f"%copilot provider add mine --key={KEY}",
        f"%copilot provider add mine --base-url http://127.0.0.1:1/v1 --token {KEY}",
        f"%copilot provider add mine {KEY}",
        f"%copilot provider add mine --base-url http://127.0.0.1:1/v1 {KEY}0123456789",
        f"%copilot provider add mine --secret {KEY}0123456789",
        f"%copilot provider add {KEY}_ --type openai",
        f"%copilot provider add mine --api-key-env {KEY} --base-url http://127.0.0.1:1/v1",
        f"%copilot provider add mine --base-url http://me:{KEY}@127.0.0.1:1/v1",
        f"%copilot provider {KEY}",
    ],
)
def test_a_key_in_a_line_is_refused_and_not_shown(line: str, here: Notebook) -> None:
    ran = here.run(line)
    assert KEY not in ran.complaint


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("%copilot provider add", "InputError: name one provider → %copilot provider add NAME [options]"),
        ("%copilot provider rm nope", "ProviderError: there is no provider 'nope' → see %copilot provider"),
        ("%copilot provider rm ollama", "ProviderError: provider 'ollama' comes from elsewhere → "),
        ("%copilot provider add local --type ollama", "ProviderError: that cannot be a provider's name → "),
        ("%copilot provider add mine", "ProviderError: provider 'mine' has no address → base_url: https://HOST/v1"),
        ("%copilot provider add mine --ask-key --keyring", "InputError: one key is enough → use "),
        (
            "%copilot provider add mine --base-url http://127.0.0.1:1/v1 --ask-key",
            "InputError: nobody can be asked for the key → name its variable: --api-key-env VAR",
        ),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: str, complaint: str, here: Notebook) -> None:
    assert here.run(line).complaint.startswith(complaint)


def test_a_key_that_is_typed_in_is_used_and_not_shown(
    here: Notebook, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: f"{KEY}\n")
    monkeypatch.setattr("copilot_nb.notebook.subcommands.providers.is_headless", lambda _shell: False)
    said = add(here, server, "--ask-key")
    answered = here.run("%%copilot typed -p mine -m m-1\nhi").out
    table = here.run("%copilot provider").result
    assert "key: typed in, kept by this kernel only" in said
    assert answered.startswith("From the server.")
    assert (
        KEY not in f"{said}{answered}{table._repr_html_()}{here.run('%copilot').out}{here.run('%config CopilotNB').out}"
    )


def test_a_wrong_key_is_one_line_that_says_where_it_comes_from(
    here: Notebook, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "another"
    monkeypatch.setenv("MY_KEY", KEY)
    add(here, server, "--api-key-env MY_KEY")
    here.run("%xmode Verbose")
    try:
        complaint = here.run("%%copilot wrong -p mine -m m-1\nhi").complaint
        again = here.run("%tb")
    finally:
        here.run("%xmode Context")
    assert complaint == (
        "ProviderError: mine refused the key (401): Incorrect API key provided: [key]. → check the key of provider "
        "'mine': the environment variable MY_KEY"
    )
    assert KEY not in again.out + again.err
    assert len(server.asked) == 1


def test_no_key_says_how_to_bring_one(here: Notebook) -> None:
    here.settings.offline = False
    try:
        complaint = here.run("%%copilot keyless -p openai -m gpt-5\nhi").complaint
    finally:
        here.settings.offline = True
    assert complaint == (
        "ProviderError: openai: there is no key: the environment variable OPENAI_API_KEY is not set → set "
        "OPENAI_API_KEY, or: %copilot provider add openai --type openai --ask-key"
    )


def test_nothing_configured_says_the_three_ways_in(here: Notebook, tmp_path: Path) -> None:
    before, here.settings.provider = here.settings.provider, ""
    here.settings.local_model_path = str(tmp_path / "none.gguf")
    try:
        complaint = here.run("%%copilot nobody\nhi").complaint
    finally:
        here.settings.local_model_path, here.settings.provider = "", before
    assert complaint == (
        "ProviderError: no model can answer → log in to Copilot (%copilot login), or bring a key "
        "(%copilot provider add openai --ask-key, then -p openai), or install the embedded model "
        "(copilot-nb install-model)"
    )


def test_ollama_that_does_not_run_is_one_line(here: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback() as server:
        host = server.url.removeprefix("http://")
    monkeypatch.setenv("OLLAMA_HOST", host)
    complaint = here.run("%%copilot llama -p ollama\nhi").complaint
    assert complaint == f"ProviderError: ollama is not running at http://{host}/v1 → start it: ollama serve"


def test_retries_are_shown_as_they_happen(here: Notebook, server: Loopback) -> None:
    add(here, server)
    server.fail(status(429, "slow down", retry_after_s=0), cut)
    lines = here.run("%%copilot again -p mine -m m-1\nhi").out.splitlines()
    assert lines[0] == "(retry 1: too many requests (429): slow down)"
    assert lines[-3] == "From the server."
    assert any(line.startswith("(retry 2: peer closed connection") for line in lines)
