"""User's providers behind the real runtime, each a server on this machine with the real wire formats."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from copilot_nb.errors import ProviderError
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.spec import spec_of
from copilot_nb.settings import CopilotNB
from tests.loopback import Loopback, page, status

KEY = "sk-planted-8d21b7"
WIRES = {
    "completions": {"type": "openai-compatible"},
    "responses": {"type": "openai-compatible", "wire_api": "responses"},
    "messages": {"type": "anthropic"},
    "azure": {"type": "azure"},
    "azure-versioned": {"type": "azure", "api_version": "2024-10-21"},
    "ollama": {"type": "ollama"},
}
PATHS = {
    "completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "azure": "/openai/v1/chat/completions",
    "azure-versioned": "/openai/deployments/m-1/chat/completions?api-version=2024-10-21",
    "ollama": "/v1/chat/completions",
}
KEY_HEADERS = {"messages": "x-api-key", "azure": "api-key", "azure-versioned": "api-key"}


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback("From the server.") as running:
        yield running


def add(manager: Manager, name: str, server: Loopback, **fields: object) -> str:
    """Add a provider that is `server`; return its name."""
    described = {"type": "openai-compatible"} | fields
    suffix = "/v1" if described["type"] == "openai-compatible" else ""
    manager.providers.add_own(spec_of(name, {"base_url": server.url + suffix, **described}))
    return name


@pytest.mark.parametrize("wire", WIRES)
def test_each_api_answers_with_its_key_where_it_belongs(
    wire: str, manager: Manager, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    name = add(manager, f"own-{wire}", server, api_key_env="MY_KEY", **WIRES[wire])
    turn = manager.session(f"api-{wire}", provider=name, model="m-1").ask("hi")
    (asked,) = server.asked
    assert turn.text == "From the server."
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (11, 3)
    assert (asked.path, asked.model, asked.user_texts) == (PATHS[wire], "m-1", ["hi"])
    header = KEY_HEADERS.get(wire, "authorization")
    assert {name: value for name, value in asked.headers.items() if KEY in value or "none" in value} == {
        header: KEY if header.endswith("key") else f"Bearer {KEY}"
    }


def test_several_providers_answer_side_by_side_and_come_back_after_a_restart(
    own_manager: Callable[[], Manager],
) -> None:
    with Loopback("From A.") as a, Loopback("From B.") as b:
        providers = {
            "aa": {"type": "openai-compatible", "base_url": f"{a.url}/v1", "model": "a-1"},
            "bb": {"type": "anthropic", "base_url": b.url, "model": "b-1"},
        }
        first = own_manager()
        first.settings.providers = providers
        turns = [first.session(f"with-{name}", provider=name).send("hi") for name in ("aa", "bb", "scripted")]
        texts = [turn.wait().text for turn in turns]
        first.close()
        again = own_manager()
        again.settings.providers = providers
        later = [again.session(f"with-{name}").ask("and now?") for name in ("bb", "scripted", "aa")]
    assert texts == ["From A.", "From B.", "You said: hi (message 1)"]
    assert [turn.text for turn in later] == ["From B.", "You said: and now? (message 2)", "From A."]
    assert [(turn.session.provider, turn.session.model) for turn in later][::2] == [("bb", "b-1"), ("aa", "a-1")]
    assert a.asked[-1].user_texts == b.asked[-1].user_texts == ["hi", "and now?"]


def test_a_session_of_a_provider_that_is_no_longer_there_says_which(
    own_manager: Callable[[], Manager], server: Loopback
) -> None:
    first = own_manager()
    first.session("a", provider=add(first, "mine", server), model="m").ask("hi")
    first.close()
    with pytest.raises(
        ProviderError, match=r"no provider 'mine' .* → add it again: %copilot provider add mine --type "
    ):
        own_manager().session("a").ask("again")


def test_the_runtimes_variable_selects_the_default_provider_and_a_mere_key_does_not(
    tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    manager = Manager(CopilotNB(home=str(tmp_path), offline=True, local_model_path=str(tmp_path / "none.gguf")))
    try:
        with pytest.raises(ProviderError, match="no model can answer → log in to Copilot"):
            manager.session("a")
        monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("COPILOT_PROVIDER_API_KEY", KEY)
        monkeypatch.setenv("COPILOT_MODEL", "m-1")
        session = manager.session("a")
        assert session.ask("hi").text == "From the server."
    finally:
        manager.close()
    assert (session.provider, session.model, server.asked[0].key) == ("custom", "m-1", KEY)


def test_a_usual_name_that_leads_elsewhere_is_said_once(
    manager: Manager, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    turns = [manager.session(name, provider="openai", model="m").ask("hi") for name in ("led", "led-again")]
    where = server.url.removeprefix("http://")
    assert [turn.notes for turn in turns] == [[f"openai is not at api.openai.com but at {where}"], []]


def test_a_model_that_is_not_named_is_asked_for_unless_there_is_but_one(manager: Manager) -> None:
    with Loopback(models=("only",)) as one, Loopback(models=("m-1", "m-2")) as two:
        assert manager.session("unnamed", provider=add(manager, "one", one)).model == "only"
        with pytest.raises(
            ProviderError, match=r"no model of two was named\. It has: m-1, m-2\. → name it: --model MODEL"
        ):
            manager.session("unnamed2", provider=add(manager, "two", two))
        assert manager.session("unnamed3", provider=add(manager, "ol", two, type="ollama")).model == "m-1"
        assert two.listed == 2, "a list is kept"


def test_an_unknown_model_gives_the_nearest_names(manager: Manager) -> None:
    with Loopback(models=("llama3.2:3b", "qwen3", "llama3.1")) as server:
        name = add(manager, "lists", server)
        with pytest.raises(ProviderError) as caught:
            manager.session("nearest", provider=name, model="llama3.3").ask("hi")
        assert len(server.asked) == 1
    assert str(caught.value) == (
        "lists has no model 'llama3.3' (404): The model `llama3.3` does not exist. "
        "→ use --model; it has: llama3.1, llama3.2:3b"
    )
    assert "nearest" not in [stored.name for stored in manager.stored()]


def test_a_parameter_that_the_model_refuses_is_left_out_from_then_on(manager: Manager, server: Loopback) -> None:
    session = manager.session("params", provider=add(manager, "picky", server), model="gpt-4o")
    server.fail(
        status(400, "Unrecognized request argument supplied: reasoning_effort"),
        lambda reply: reply.whole(422, {"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs"}]}),
    )
    assert session.ask("hi").text == "From the server."
    assert session.ask("more").text == "From the server."
    fields = [{"reasoning_effort", "temperature"} & set(asked.body) for asked in server.asked]
    assert fields == [{"reasoning_effort", "temperature"}, {"temperature"}, set(), set()]


def test_a_key_is_found_nowhere_in_what_is_written(
    tmp_path: Path,
    own_manager: Callable[[], Manager],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    manager = own_manager()
    with Loopback("An answer.") as server:
        session = manager.session("a", provider=add(manager, "mine", server, api_key_env="MY_KEY"), model="m")
        turn = session.ask("hi")
        server.key = "another"  # the server repeats the key that it refuses
        with pytest.raises(ProviderError, match=r"mine refused the key \(401\).*: \[key\]\.") as caught:
            session.ask("again")
        history = repr(session.history) + "".join(each.text + each.error for each in session.history)
        shown = "".join(map(str, turn._repr_mimebundle_()))
    manager.close()
    assert {asked.key for asked in server.asked} == {KEY}
    assert KEY not in f"{caught.value!r}{history}{shown}{session!r}{manager.settings.traits()}"
    assert KEY not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "events.jsonl" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_proxy_is_used_but_not_for_this_machine(
    manager: Manager, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Loopback("From behind the proxy.") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", "http://models.invalid/v1")
        assert manager.session("px", provider="custom", model="m").ask("hi").text == "From behind the proxy."
        assert proxy.asked[0].path == "http://models.invalid/v1/chat/completions"
        direct = manager.session("px2", provider=add(manager, "near", server), model="m")
        assert direct.ask("hi").text == "From the server."
        monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", "https://models.invalid/v1")
        with pytest.raises(ProviderError, match=r"custom cannot be reached through the proxy: 407 .* HTTPS_PROXY"):
            manager.session("px3", provider="custom", model="m").ask("hi")
        assert proxy.connects == ["models.invalid:443"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(["openssl", *made], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_authority_of_ones_own_is_trusted_once_it_is_named(
    variable: str, manager: Manager, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
    name = f"tls-{variable.lower().replace('_', '-')}"
    with Loopback("From behind TLS.", tls=context) as server:
        add(manager, name, server)
        with pytest.raises(ProviderError) as caught:
            manager.session(name, provider=name, model="m").ask("hi")
        assert str(caught.value) == (
            f"{name} cannot be trusted at {server.url}/v1: self-signed certificate → name the file of its "
            "certificate authority: %env SSL_CERT_FILE=/path/ca.pem"
        )
        monkeypatch.setenv(variable, str(authority / "nothing.pem"))
        with pytest.raises(
            ProviderError, match=rf"{name} cannot be trusted .*: \[SSL\] {variable}=.*nothing\.pem: No such file"
        ):
            manager.session(name, provider=name, model="m").ask("hi")
        monkeypatch.setenv(variable, str(authority / "ca.pem"))
        assert manager.session(name, provider=name, model="m").ask("hi").text == "From behind TLS."


def test_a_web_page_in_place_of_an_answer_points_to_the_address(manager: Manager, server: Loopback) -> None:
    server.fail(page(200))
    with pytest.raises(ProviderError, match=r"paged answered with a web page at .* → check the address of provider"):
        manager.session("paged", provider=add(manager, "paged", server), model="m").ask("hi")
