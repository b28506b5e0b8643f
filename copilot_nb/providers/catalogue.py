"""Lists the models of a provider that the user added.

All servers have OpenAI's ``/models``, and each adds its own fields: the known ones are read, missing ones are
``None``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx

from copilot_nb import foreign_json
from copilot_nb.characters import without_controls
from copilot_nb.providers.base import ModelInfo
from copilot_nb.providers.incoming import Body
from copilot_nb.providers.keys import obtained
from copilot_nb.providers.network import Network
from copilot_nb.providers.provider_error import Fault, read, to_error
from copilot_nb.providers.relay import fault_of, key_headers
from copilot_nb.providers.spec import Spec

LIST_TIMEOUT_S = 4.0
_WINDOWS = ("context_length", "max_model_len", "context_window", "max_context_length", "max_input_tokens", "n_ctx")
_NAMES = ("id", "name", "model")
_OUTPUTS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_TOKENS_PRICED = 1_000_000


async def ask(spec: Spec, network: Network) -> list[ModelInfo]:
    """Return the models of a provider, in its order; empty if it cannot list them.

    Raises
    ------
    ProviderError
        If it cannot be reached, or refuses.
    """
    if spec.api == "azure":  # lists what one could deploy, not what is deployed
        return []
    url = f"{spec.base_url}/v1/models?limit=1000" if spec.api == "anthropic" else f"{spec.base_url}/models"
    secret = await obtained(spec.key)
    try:
        request = httpx.Request("GET", url, headers={"anthropic-version": "2023-06-01"} | key_headers(spec, secret))
        async with asyncio.timeout(LIST_TIMEOUT_S):
            response = await network.handle_async_request(request)
            body = await Body(response).text()
    except (httpx.RequestError, httpx.InvalidURL, TimeoutError) as error:
        late = Fault("unreachable", text=f"no list of models came in {LIST_TIMEOUT_S:g} s")
        raise to_error(late if isinstance(error, TimeoutError) else fault_of(error), spec, "") from error
    if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
        return []
    if response.status_code != httpx.codes.OK:
        raise to_error(read(response.status_code, body, secret=secret), spec, "")
    return parsed(body)


def parsed(body: str) -> list[ModelInfo]:
    """Return the models in the body of an answer, each once; empty if it is not a list."""
    try:
        data = foreign_json.parsed(body.removeprefix("\ufeff"))
    except ValueError:
        return []
    entries = (data.get("data") or data.get("models")) if isinstance(data, dict) else data
    if not isinstance(entries, list):
        return []
    described = [{"id": entry} if isinstance(entry, str) else entry for entry in entries]
    found: dict[str, ModelInfo] = {}
    for model in (_model(entry) for entry in described if isinstance(entry, dict)):
        found.setdefault(model.model_id, model)
    return [model for model_id, model in found.items() if model_id]


def _model(entry: dict[str, Any]) -> ModelInfo:
    top, meta, shape = (_dict(entry, name) for name in ("top_provider", "meta", "architecture"))
    abilities, modes = entry.get("supported_parameters"), shape.get("input_modalities")
    named = next((entry[name] for name in _NAMES if isinstance(entry.get(name), str)), "")
    return ModelInfo(
        without_controls(named).strip(),
        window_tokens=_first_count(_WINDOWS, (entry, top, meta)),
        output_tokens=_first_count(_OUTPUTS, (top, entry)),
        tools="tools" in abilities if isinstance(abilities, list) else None,
        vision="image" in modes if isinstance(modes, list) else None,
        price=_price(entry.get("pricing")),
    )


def _dict(entry: dict[str, Any], name: str) -> dict[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _first_count(names: Iterable[str], entries: Iterable[dict[str, Any]]) -> int | None:
    found = (_count(entry.get(name)) for entry in entries for name in names)
    return next((count for count in found if count), None)


def _count(value: Any) -> int:
    """Return a number of tokens, which some servers write as text or with a point; 0 if it is not a number."""
    try:
        return 0 if isinstance(value, bool) else max(0, int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def _price(pricing: Any) -> tuple[float, float] | None:
    """Return US dollars per million tokens, in and out."""
    try:
        return float(pricing["prompt"]) * _TOKENS_PRICED, float(pricing["completion"]) * _TOKENS_PRICED
    except (KeyError, TypeError, ValueError):
        return None
