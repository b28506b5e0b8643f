"""The description of a user's provider: its API, its address, the source of its key.

Such a description comes from the usual environment variables, from the setting `providers`, or from
``%copilot provider add``; a later one of these replaces an earlier one of the same name. It never contains
a key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import SplitResult, urlsplit

from copilot_nb.errors import ProviderError
from copilot_nb.providers.keys import EnvironmentKey, Key, KeyringKey, NoKey, Secret, TypedKey

Api = Literal["openai", "azure", "anthropic", "ollama", "openai-compatible"]
APIS: tuple[Api, ...] = ("openai", "azure", "anthropic", "ollama", "openai-compatible")
WIRES = ("completions", "responses")
RESERVED = ("github", "local")
CUSTOM = "custom"
"""The name of the provider that the runtime's own ``COPILOT_PROVIDER_BASE_URL`` names."""

_ADDRESSES: Mapping[Api, str] = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_KEYS: Mapping[Api, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?")
_OLLAMA_PORT = 11434
_ENDPOINTS = ("/chat/completions", "/responses", "/messages")
"""What the runtime adds to a base URL by itself."""
KNOCK_TIMEOUT_S = 0.3


@dataclass(frozen=True)
class Spec:
    """The description of a user's provider.

    Attributes
    ----------
    name : str
        The word users type after ``--provider``; part of a host name, so lower case.
    api : str
        Which API it speaks, one of `APIS`.
    base_url : str
        Its address, without a slash at the end; ``""`` where none is known yet.
    key : Key
        Where its key comes from.
    model : str
        Its default model; ``""`` where none is named.
    wire_api : str
        Which of OpenAI's two APIs, one of `WIRES`.
    api_version : str
        Azure's; ``""`` is the one without versions.
    max_prompt_tokens : int
        The window that the runtime keeps to, in tokens; 0 leaves it to the runtime.
    origin : str
        Where the description comes from, in words.
    is_bearer : bool
        Whether the key is a token that goes into the header ``Authorization``, whatever the API.
    """

    name: str
    api: Api
    base_url: str
    key: Key
    model: str = ""
    wire_api: str = "completions"
    api_version: str = ""
    max_prompt_tokens: int = 0
    origin: str = "the environment"
    is_bearer: bool = False

    @property
    def address(self) -> SplitResult:
        """The parts of its base URL."""
        return urlsplit(self.base_url)

    @property
    def is_on_this_machine(self) -> bool:
        """Whether its host is this one."""
        return is_this_machine(self.address.hostname or "")

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings for a user before a request is sent."""
        said = []
        usual = urlsplit(_ADDRESSES.get(cast("Api", self.name), "")).hostname
        if usual and self.address.hostname != usual:
            said.append(f"{self.name} is not at {usual} but at {self.address.netloc}")
        if self.address.scheme == "http" and not self.is_on_this_machine and not isinstance(self.key, NoKey):
            said.append(f"its key goes to {self.address.netloc} unencrypted (http)")
        return tuple(said)

    @property
    def is_silent(self) -> bool:
        """Whether it is on this machine and nothing listens at its address; other machines are not contacted."""
        if not self.is_on_this_machine:
            return False
        port = self.address.port or (443 if self.address.scheme == "https" else 80)
        try:
            socket.create_connection((self.address.hostname, port), KNOCK_TIMEOUT_S).close()
        except OSError:
            return True
        return False


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, judged by its name or number only."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, which says nothing: 127.0.0.1.example.org is anywhere
        return False


def from_environment() -> dict[str, dict[str, str]]:
    """Return the fields of the providers that the usual environment variables describe, keys or no keys."""
    get = os.environ.get
    azure = {
        "type": "azure",
        "base_url": get("AZURE_OPENAI_ENDPOINT", ""),
        "api_key_env": "AZURE_OPENAI_API_KEY",
        "model": get("AZURE_OPENAI_DEPLOYMENT") or get("AZURE_OPENAI_DEPLOYMENT_NAME", ""),
        "api_version": get("AZURE_OPENAI_API_VERSION") or get("OPENAI_API_VERSION", ""),
    }
    found = {
        "openai": {"type": "openai", "base_url": get("OPENAI_BASE_URL", ""), "api_key_env": "OPENAI_API_KEY"},
        "anthropic": {
            "type": "anthropic",
            "base_url": get("ANTHROPIC_BASE_URL", ""),
            "api_key_env": "ANTHROPIC_API_KEY",
        },
        "azure": azure,
        "ollama": {"type": "ollama"},
    }
    return found | ({CUSTOM: _custom()} if is_custom_named() else {})


def is_custom_named() -> bool:
    """Whether the runtime's own variables name a provider."""
    return bool(os.environ.get("COPILOT_PROVIDER_BASE_URL"))


def _custom() -> dict[str, str]:
    """Return the provider that the runtime's own variables name (`copilot help providers` describes them)."""
    get = os.environ.get
    named = get("COPILOT_PROVIDER_TYPE") or "openai"
    return {
        "type": "openai-compatible" if named == "openai" else named,
        "base_url": get("COPILOT_PROVIDER_BASE_URL", ""),
        "api_key_env": "COPILOT_PROVIDER_API_KEY" if get("COPILOT_PROVIDER_API_KEY") else "",
        "bearer_token_env": "COPILOT_PROVIDER_BEARER_TOKEN" if get("COPILOT_PROVIDER_BEARER_TOKEN") else "",
        "model": get("COPILOT_PROVIDER_WIRE_MODEL") or get("COPILOT_PROVIDER_MODEL_ID") or get("COPILOT_MODEL", ""),
        "wire_api": get("COPILOT_PROVIDER_WIRE_API", ""),
        "api_version": get("COPILOT_PROVIDER_AZURE_API_VERSION", ""),
        "max_prompt_tokens": get("COPILOT_PROVIDER_MAX_PROMPT_TOKENS", ""),
    }


def spec_of(
    name: str,
    fields: Mapping[str, Any],
    *,
    origin: str = "the environment",
    typed: Secret | None = None,
) -> Spec:
    """Return the description of a provider that `fields` (of `PROVIDER_FIELDS`) give.

    Raises
    ------
    ProviderError
        If they describe none; no value of a field is told that could be a key.
    """
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise ProviderError("that cannot be a provider's name", "use small letters, digits and -, such as my-llm")
    api = _one_of(name, "type", fields.get("type"), APIS)
    base_url = _base_url(name, api, str(fields.get("base_url") or ""))
    return Spec(
        name,
        cast("Api", api),
        base_url,
        TypedKey(typed) if typed else _key(name, cast("Api", api), base_url, fields),
        model=str(fields.get("model") or ""),
        wire_api=_one_of(name, "wire_api", fields.get("wire_api") or WIRES[0], WIRES),
        api_version=str(fields.get("api_version") or ""),
        max_prompt_tokens=_count(name, fields.get("max_prompt_tokens") or 0),
        origin=origin,
        is_bearer=bool(fields.get("bearer_token_env")),
    )


def _one_of(name: str, field: str, value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ProviderError(f"provider {name!r} has no {field} that is known", f"{field}: {', '.join(known)}")
    return str(value)


def _count(name: str, value: object) -> int:
    if not str(value).isdecimal():
        raise ProviderError(f"provider {name!r}: max_prompt_tokens is not a number of tokens")
    return int(str(value))


def _key(name: str, api: Api, base_url: str, fields: Mapping[str, Any]) -> Key:
    """Return the source of the key; an API's usual variable counts only at its usual address."""
    if fields.get("keyring"):
        address = urlsplit(base_url)
        return KeyringKey(name, f"{address.scheme}://{address.netloc}")
    usual = _KEYS.get(api, "") if base_url == _ADDRESSES.get(api, "-") else ""
    variable = str(fields.get("bearer_token_env") or fields.get("api_key_env") or usual)
    if not variable:
        return NoKey()
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,100}", variable):
        raise ProviderError(
            f"provider {name!r}: the name of the key's variable is not valid",
            "name it in capitals, as in MY_LLM_KEY; never give the key itself",
        )
    return EnvironmentKey(variable)


def _base_url(name: str, api: str, given: str) -> str:
    url = given.strip().rstrip("/") or _ADDRESSES.get(cast("Api", api), "")
    if not url and api == "azure":
        return ""  # told where it is used
    try:
        url = ollama_url(url or os.environ.get("OLLAMA_HOST", "")) if api == "ollama" else url
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ProviderError(
            f"provider {name!r} has an address that is not valid", "base_url: https://HOST/v1"
        ) from error
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ProviderError(
            f"the address of provider {name!r} has a name, a key or a query in it", "give the address alone"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ProviderError(f"provider {name!r} has no address", "base_url: https://HOST/v1")
    for end in _ENDPOINTS:  # pasted from a documentation that names the whole
        url = url.removesuffix(end)
    return url.removesuffix("/v1") if api == "anthropic" else url


def ollama_url(host: str) -> str:
    """Return the OpenAI-compatible address of what ``OLLAMA_HOST`` holds, read as Ollama itself reads it."""
    scheme, _, rest = host.strip().rpartition("://")
    host, slash, path = rest.partition("/")
    default_port = {"http": 80, "https": 443}.get(scheme, _OLLAMA_PORT)
    parts = urlsplit(f"//{host}")
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 (what a server listens on)
    port = parts.port or default_port
    path = path.strip("/").removesuffix("v1").strip("/")
    name = f"[{name}]" if ":" in name else name
    return f"{scheme or 'http'}://{name}:{port}{slash and path and f'/{path}'}/v1"


def fields_of(spec: Spec) -> dict[str, Any]:
    """Return the fields (of `PROVIDER_FIELDS`) that describe a provider whose key is in a variable, or not needed."""
    variable = spec.key.variable if isinstance(spec.key, EnvironmentKey) else ""
    fields = {
        "type": spec.api,
        "base_url": spec.base_url,
        "bearer_token_env" if spec.is_bearer else "api_key_env": variable,
        "model": spec.model,
        "wire_api": spec.wire_api,
        "api_version": spec.api_version,
        "max_prompt_tokens": spec.max_prompt_tokens,
    }
    return {name: value for name, value in fields.items() if value}


def add_line(spec: Spec) -> str:
    """Return the line of ``%copilot`` that adds a provider again, without its key."""
    words = ["%copilot provider add", spec.name, "--type", spec.api, "--base-url", spec.base_url]
    words += ["--model", spec.model] if spec.model else []
    words += ["--wire-api", spec.wire_api] if spec.wire_api != WIRES[0] else []
    words += ["--api-version", spec.api_version] if spec.api_version else []
    match spec.key:
        case EnvironmentKey(variable):
            words += ["--api-key-env", variable]
        case KeyringKey():
            words += ["--keyring"]
        case TypedKey():
            words += ["--ask-key"]
    return " ".join(words)
