"""The description of a user's provider, its key, and the lines that explain its errors."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import keyring
import pytest
from keyring.backend import KeyringBackend
from traitlets import TraitError

from copilot_nb.errors import ProviderError
from copilot_nb.providers import catalogue, incoming
from copilot_nb.providers.base import ModelInfo
from copilot_nb.providers.byok import Byok
from copilot_nb.providers.catalogue import parsed
from copilot_nb.providers.keys import EnvironmentKey, KeyringKey, NoKey, Secret, secret
from copilot_nb.providers.network import Network
from copilot_nb.providers.provider_error import Fault, from_runtime, in_stream, read, seconds_of, to_error
from copilot_nb.providers.registry import Providers
from copilot_nb.providers.spec import Spec, from_environment, ollama_url, spec_of
from copilot_nb.render.words import nearest
from copilot_nb.settings import CopilotNB

KEY = "sk-planted-4c1f"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
        (":8080", "http://127.0.0.1:8080/v1"),
        ("box", "http://box:11434/v1"),
        ("http://box", "http://box:80/v1"),
        ("https://box/ollama/", "https://box:443/ollama/v1"),
        ("http://box:11434/v1", "http://box:11434/v1"),
        ("[::1]:99", "http://[::1]:99/v1"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_url(host) == url


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"type": "gpt"}, "no type that is known"),
        ({"type": "openai-compatible"}, "no address"),
        ({"type": "openai-compatible", "base_url": "ftp://box/v1"}, "no address"),
        ({"type": "openai-compatible", "base_url": f"https://me:{KEY}@box/v1"}, "a name, a key or a query"),
        ({"type": "openai-compatible", "base_url": f"https://box/v1?key={KEY}"}, "a name, a key or a query"),
        ({"type": "openai-compatible", "base_url": "http://box:none/v1"}, "an address that is not valid"),
        ({"type": "openai", "api_key_env": KEY}, "the name of the key's variable is not valid"),
        ({"type": "openai", "wire_api": KEY}, "no wire_api that is known"),
        ({"type": "openai", "max_prompt_tokens": KEY}, "not a number of tokens"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused_without_showing_a_key(
    fields: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ProviderError, match=complaint) as caught:
        spec_of("mine", fields)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["", "My-LLM", "a b", "github", "local", "-a", "a.b", KEY + "_"])
def test_a_name_that_cannot_be_a_host_is_refused(name: str) -> None:
    with pytest.raises(ProviderError, match="cannot be a provider's name"):
        spec_of(name, {"type": "openai"})


def test_the_usual_variable_goes_to_the_usual_address_and_nowhere_else() -> None:
    assert spec_of("a", {"type": "openai"}).key == EnvironmentKey("OPENAI_API_KEY")
    assert spec_of("b", {"type": "openai", "base_url": "https://elsewhere/v1"}).key == NoKey()
    assert spec_of("c", {"type": "anthropic", "base_url": "https://elsewhere"}).key == NoKey()


@pytest.mark.parametrize(
    ("api", "pasted", "url"),
    [
        ("openai-compatible", "https://box/v1/chat/completions", "https://box/v1"),
        ("openai-compatible", "https://box/v1/responses/", "https://box/v1"),
        ("openai-compatible", "https://box/models", "https://box/models"),
        ("anthropic", "https://box/v1/messages", "https://box"),
    ],
)
def test_a_whole_endpoint_that_is_pasted_is_taken_for_its_base(api: str, pasted: str, url: str) -> None:
    assert spec_of("mine", {"type": api, "base_url": pasted}).base_url == url


def test_the_environment_describes_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://me.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "mine")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gate/v1/")
    monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", "http://box/v1")
    monkeypatch.setenv("COPILOT_PROVIDER_BEARER_TOKEN", KEY)
    specs = {name: spec_of(name, fields) for name, fields in from_environment().items()}
    assert (specs["azure"].base_url, specs["azure"].model) == ("https://me.openai.azure.com", "mine")
    assert specs["anthropic"].base_url == "https://gate"
    assert specs["custom"].key == EnvironmentKey("COPILOT_PROVIDER_BEARER_TOKEN")
    assert specs["custom"].is_bearer
    assert list(specs) == ["openai", "anthropic", "azure", "ollama", "custom"]


def test_one_bad_variable_does_not_take_the_other_providers_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "box:none")
    providers = Providers(CopilotNB(offline=True))
    assert providers.own("openai").spec.base_url == "https://api.openai.com/v1"
    assert isinstance(providers.models, list)
    with pytest.raises(ProviderError, match="an address that is not valid"):
        providers["ollama"]


def test_a_setting_that_changes_counts_at_once() -> None:
    settings = CopilotNB(offline=True)
    providers = Providers(settings)
    settings.providers = {"mine": {"type": "ollama"}}
    first = providers.own("mine")
    assert providers.own("mine") is first
    settings.providers = {"mine": {"type": "ollama", "model": "m"}}
    assert providers["mine"].models == ("m",)
    settings.providers = {}
    with pytest.raises(ProviderError, match="there is no provider 'mine'"):
        providers["mine"]


@pytest.mark.parametrize("value", [{"x": {"type": "openai", "api_key": KEY}}, {"x": KEY}])
def test_a_key_has_no_place_in_the_settings(value: dict[str, object]) -> None:
    with pytest.raises(TraitError, match=r"CopilotNB\.providers: 'x'") as caught:
        CopilotNB(providers=value)
    assert KEY not in str(caught.value)


def test_a_secret_is_not_shown() -> None:
    held = secret(f" {KEY}\n", "typed in")
    assert KEY not in f"{held!r} {held} {vars(spec_of('a', {'type': 'ollama'}, typed=held))!r}"
    assert held.reveal() == KEY


@pytest.mark.parametrize("text", ["", "  ", f"{KEY} {KEY}", f"{KEY}\n{KEY}", f"{KEY}ä", f"{KEY}\x00"])
def test_a_text_that_cannot_be_a_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        secret(text, "typed in")
    assert KEY not in str(caught.value)


def test_a_secret_cannot_leave_the_kernel_by_pickling() -> None:
    spec = spec_of("a", {"type": "ollama"}, typed=Secret(KEY))
    for leave in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="a key cannot be pickled or copied"):
            leave(spec)


@pytest.mark.parametrize(
    "written", [KEY, r"pl\/anted&4c1f", r"pl\\/anted\u00264c1f", r"pl\u002Fanted\\u00264c1f", "pl%2fanted%264c1f"]
)
def test_a_key_is_hidden_in_an_error_however_it_is_escaped(written: str) -> None:
    key = Secret(KEY if written == KEY else "pl/anted&4c1f")
    assert key.hidden_in(f"bad key {written}, twice: {written}.") == "bad key [key], twice: [key]."


@pytest.mark.parametrize(
    "body",
    [
        r'{"error": {"message": "bad pl\/anted&4c1f", "code": "pl\u002fanted&4c1f"}}',
        r'{"error": {"message": "{\"error\": \"bad pl\\/anted\\u00264c1f\"}"}}',
        r'[{"error": {"message": "gateway", "metadata": {"raw": "pl\\u002fanted&4c1f"}}}]',
        "bad pl/anted&4c1f " * 30,
        "x" * 285 + "pl/anted&4c1f",
    ],
)
def test_no_error_repeats_the_key(body: str) -> None:
    fault = read(401, body, secret=Secret("pl/anted&4c1f"))
    assert "anted" not in f"{fault.text}{fault.code}"


@pytest.mark.parametrize("placeholder", ["x", "null", "ollama", "EMPTY"])
def test_a_placeholder_is_no_secret(placeholder: str) -> None:
    assert Secret(placeholder).hidden_in(f"{placeholder} serve") == f"{placeholder} serve"


class MemoryKeyring(KeyringBackend):
    """A keyring that forgets."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def memory_keyring() -> Iterator[MemoryKeyring]:
    before, mine = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


def test_the_system_keyring_keeps_a_key_for_one_address(memory_keyring: MemoryKeyring) -> None:
    key = KeyringKey("mine", "https://box")
    with pytest.raises(ProviderError, match=r"the system keyring .* holds none"):
        key.read()
    assert not key.is_kept()
    key.keep(Secret(KEY))
    assert memory_keyring.entries == {("copilot_nb", "mine@https://box"): KEY}
    found = KeyringKey("mine", "https://box").read()
    assert found is not None
    assert found.reveal() == KEY
    for elsewhere in ("https://other/v1", "http://box/v1", "https://box:444/v1"):
        other = spec_of("mine", {"type": "openai-compatible", "base_url": elsewhere, "keyring": True}).key
        assert isinstance(other, KeyringKey)
        assert not other.is_kept()


@pytest.mark.parametrize(
    ("name", "base_url", "warning"),
    [
        ("openai", "https://elsewhere/v1", "openai is not at api.openai.com but at elsewhere"),
        ("anthropic", "https://elsewhere/v1", "anthropic is not at api.anthropic.com but at elsewhere"),
        ("mine", "http://box:8000/v1", "its key goes to box:8000 unencrypted (http)"),
        ("mine", "http://127.0.0.1:8000/v1", ""),
        ("mine", "https://box/v1", ""),
        ("openai", "https://api.openai.com/v1", ""),
    ],
)
def test_a_key_at_risk_gives_a_warning(name: str, base_url: str, warning: str) -> None:
    api = name if name != "mine" else "openai-compatible"
    spec = spec_of(name, {"type": api, "base_url": base_url, "api_key_env": "MY_KEY"})
    assert "; ".join(spec.warnings) == warning


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        ('{"error": {"message": "No such\\n model", "code": "model_not_found"}}', "No such model", "model_not_found"),
        ('{"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}', "Busy", "overloaded_error"),
        ('{"error": "model \'x\' not found"}', "model 'x' not found", ""),
        ('{"detail": "Not Found"}', "Not Found", ""),
        ('{"object": "error", "message": "too long", "code": 40303}', "too long", "40303"),
        ("plain words", "plain words", ""),
        ("<!DOCTYPE html><html>no</html>", "it sent a web page", ""),
        ("", "", ""),
        ("[1]", "[1]", ""),
        ('[{"error": {"code": 400, "message": "API key not valid."}}]', "API key not valid.", "400"),
        ('{"error": {"message": "{\\"error\\": {\\"message\\": \\"inside\\"}}"}}', "inside", ""),
        (
            '{"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}',
            "stream_options: Extra inputs",
            "",
        ),
        (
            '{"error": {"message": "Provider returned error", "code": 400, "metadata": {"provider_name": "P", '
            '"raw": "{\\"error\\": {\\"message\\": \\"at most 1 image\\"}}"}}}',
            "Provider returned error (P): at most 1 image",
            "400",
        ),
        ("null", "null", ""),
        ('{"error": {"message": "' + "x" * 999 + '"}}', "x" * 300 + "…", ""),
    ],
)
def test_each_shape_of_an_error_is_read(body: str, text: str, code: str) -> None:
    fault = read(400, body)
    assert (fault.text, fault.code) == (text, code)


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"error": {"message": "too long", "code": 400}}, Fault("status", 400, "too long", "400")),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            Fault("status", 529, "busy", "overloaded_error"),
        ),
        (
            {"type": "error", "code": "context_length_exceeded", "message": "too long"},
            Fault("status", 400, "too long", "context_length_exceeded"),
        ),
        ({"error": {"message": "oops", "type": "server_error"}}, Fault("broken", text="oops", code="server_error")),
        ({"error": "oops"}, Fault("broken", text="oops")),
    ],
)
def test_an_error_in_a_stream_is_read_with_the_status_that_it_names(event: dict[str, object], fault: Fault) -> None:
    assert in_stream(event) == fault


def test_a_pause_is_read_as_seconds_or_as_a_date() -> None:
    assert (seconds_of("7"), seconds_of("1.5"), seconds_of(""), seconds_of("soon")) == (7.0, 1.5, None, None)
    wait_s = seconds_of(format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    assert wait_s is not None
    assert 90 < wait_s <= 100
    assert seconds_of(format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True)) == 0
    assert read(429, "slow down", "9").retry_after_s == 9


SPEC = spec_of("mine", {"type": "openai-compatible", "base_url": "http://box/v1", "api_key_env": "MY_KEY"})
OLLAMA = spec_of("ollama", {"type": "ollama", "base_url": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            Fault("status", 401, "bad key"),
            "mine refused the key (401): bad key → check the key of provider 'mine': the environment variable MY_KEY",
        ),
        (
            Fault("status", 400, "API key not valid."),
            "mine refused the key (400): API key not valid. → check the key of provider 'mine': the environment "
            "variable MY_KEY",
        ),
        (
            Fault("empty", text="only its reasoning came"),
            "mine gave no answer: only its reasoning came → run the cell again, or choose another with --model or "
            "--provider",
        ),
        (
            Fault("status", 403, "no"),
            "mine does not allow this (403): no → check what the key of provider 'mine' may do (the environment "
            "variable MY_KEY), or choose another with --model or --provider",
        ),
        (
            Fault("status", 404, "no model"),
            "mine has no model 'm-1' (404): no model → use --model; it has: m-10, m-11",
        ),
        (
            Fault("status", 429, "slow", retry_after_s=7.0),
            "mine received too many requests (429, tried 6 times): slow → wait 7 s and run the cell again, "
            "or choose another with --model or --provider",
        ),
        (
            Fault("status", 429, "over", code="insufficient_quota"),
            "mine has no quota left for this key (429): over → check your plan there, or choose another with --model "
            "or --provider",
        ),
        (
            Fault("status", 500),
            "mine has an internal error (500, tried 6 times) → run the cell again later, or choose another with "
            "--model or --provider",
        ),
        (
            Fault("status", 529, "busy"),
            "mine is overloaded (529, tried 6 times): busy → run the cell again later, or choose another with --model "
            "or --provider",
        ),
        (
            Fault("unknown host"),
            "mine cannot be reached: no host has the name in http://box/v1 → check the network, and HTTPS_PROXY where "
            "a proxy leads out of it; or check the address of provider 'mine' (it comes from the environment)",
        ),
        (
            Fault("tls", text="self-signed certificate"),
            "mine cannot be trusted at http://box/v1: self-signed certificate → name the file of its certificate "
            "authority: %env SSL_CERT_FILE=/path/ca.pem",
        ),
        (
            Fault("broken", text="it closed"),
            "mine broke off its answer (tried 6 times): it closed → run the cell again",
        ),
    ],
)
def test_each_fault_is_one_line_with_a_remedy(fault: Fault, line: str) -> None:
    known = ["m-10", "m-11", "other"]
    assert str(to_error(fault, SPEC, "m-1", known, 0 if fault.is_final else 5)) == line


def test_the_error_of_an_ollama_that_does_not_run_says_how_to_start_it() -> None:
    line = "ollama is not running at http://127.0.0.1:1/v1 → start it: ollama serve"
    assert str(to_error(Fault("refused"), OLLAMA, "m")) == line


def test_the_runtimes_message_about_retries_is_parsed() -> None:
    said = (
        "Failed to get response from the AI model; retried 5 times (total retry wait time: 5.00 seconds) Last error: "
    )
    assert from_runtime(f"{said}500 boom") == (Fault("status", 500, "boom"), 5)
    assert from_runtime(f"{said}Failed native model HTTP request: it broke") == (Fault("broken", text="it broke"), 5)
    assert from_runtime("No response was returned. Send your message again.") == (
        Fault("empty", text="nothing came"),
        0,
    )
    assert from_runtime("something else") == (Fault("broken", text="something else"), 0)


def test_the_nearest_models_are_named() -> None:
    known = ["gpt-5", "gpt-5-mini", "gpt-4.1", "text-embedding-3-small"]
    assert nearest("gpt5", known) == ["gpt-5", "gpt-5-mini", "gpt-4.1"]
    assert nearest("GPT-5", known)[:2] == ["gpt-5", "gpt-5-mini"]
    assert nearest("embedding", known) == ["text-embedding-3-small"]


def test_a_list_of_models_is_read_as_far_as_it_says_anything() -> None:
    rich = {
        "id": "a/b",
        "context_length": 128_000,
        "top_provider": {"max_completion_tokens": 4096},
        "supported_parameters": ["tools", "seed"],
        "architecture": {"input_modalities": ["text", "image"]},
        "pricing": {"prompt": "0.0000025", "completion": "0.00001"},
    }
    odd = [{"id": "plain"}, {"id": 3}, 3, {"id": "v", "max_model_len": 8192, "pricing": {"prompt": "free"}}]
    assert parsed(json.dumps({"data": [rich, *odd]})) == [
        ModelInfo("a/b", 128_000, 4096, True, True, None, (2.5, 10.0)),
        ModelInfo("plain"),
        ModelInfo("v", 8192),
    ]


@pytest.mark.parametrize(
    "body",
    [
        '{"models": [{"name": "m1"}]}',
        '{"data": null, "models": [{"id": "m1"}]}',
        '{"data": ["m1"]}',
        '\ufeff{"data": [{"id": "m1"}]}',
        '{"data": [{"id": "m1"}, {"id": "m1", "n_ctx": 7}, {"id": ""}]}',
        '[{"model": "m1"}]',
    ],
)
def test_lists_of_models_are_read_in_every_servers_shape(body: str) -> None:
    assert parsed(body) == [ModelInfo("m1")]


@pytest.mark.parametrize(
    "fields",
    [{"context_length": "8192"}, {"max_model_len": 8192.0}, {"context_window": True, "meta": {"n_ctx": 8192}}],
)
def test_a_window_is_read_however_it_is_written(fields: dict[str, object]) -> None:
    (model,) = parsed(json.dumps({"data": [{"id": "m", **fields}]}))
    assert model.window_tokens == 8192


@pytest.mark.parametrize("body", ["", "no", "3", "null", '{"data": 3}', '{"error": "x"}', "[]"])
def test_a_body_without_a_list_of_models_is_refused(body: str) -> None:
    assert parsed(body) == []


def byok(spec: Spec, *, offline: bool = True) -> Byok:
    def network() -> None:
        raise AssertionError("nobody is to be asked")

    return Byok(spec, CopilotNB(offline=offline), network)  # type: ignore[arg-type]


def test_the_runtime_gets_neither_key_nor_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    endpoint = byok(SPEC, offline=False).endpoint("m")
    assert KEY not in str(endpoint)
    assert endpoint.options["provider"]["base_url"] == "http://mine.copilot-nb.invalid/v1"


def test_offline_only_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with pytest.raises(ProviderError, match="mine is not on this machine"):
        byok(SPEC).endpoint("m")
    assert byok(OLLAMA).endpoint("m").model == "m"


def test_a_missing_key_is_reported_before_anything_is_sent() -> None:
    with pytest.raises(ProviderError, match="mine: there is no key: the environment variable MY_KEY is not set → set"):
        byok(SPEC, offline=False).endpoint("m")


class Endless(httpx.AsyncByteStream):
    """A body without an end; counts what was read of it."""

    bytes_read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.bytes_read += 1000
            yield b" " * 1000


def test_a_list_of_models_without_an_end_is_read_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    body = Endless()

    async def answer(_network: Network, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body, request=request)

    monkeypatch.setattr(Network, "handle_async_request", answer)
    monkeypatch.setattr(incoming, "MAX_BODY_BYTES", 5_000)
    spec = spec_of("mine", {"type": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"})
    assert asyncio.run(catalogue.ask(spec, Network())) == []
    assert body.bytes_read == 6_000
