"""Short names of models: `%config CopilotNB.aliases = {"fast": "openai/gpt-5-mini"}`.

The text before the first slash is a provider if one of that name exists, else a part of the model's name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import SessionOptions


def target(alias: str, aliases: Mapping[str, str], providers: Container[str]) -> tuple[str, str]:
    """Return the provider (``""`` for the default one) and the model that `alias` stands for."""
    return split(aliases[alias], providers)


def split(text: str, providers: Container[str]) -> tuple[str, str]:
    """Return the provider (``""`` if none is given) and the model of ``PROVIDER/MODEL`` or ``MODEL``."""
    provider, _, model = text.partition("/")
    return (provider, model) if model and provider in providers else ("", text)


def expanded(wanted: SessionOptions, aliases: Mapping[str, str], providers: Container[str]) -> SessionOptions:
    """Return `wanted` with an alias replaced by the name of its model.

    Raises
    ------
    InputError
        If the alias belongs to another provider than the requested one.
    """
    if wanted.model not in aliases:
        return wanted
    provider, model = target(wanted.model, aliases, providers)
    if provider and wanted.provider not in ("", provider):
        raise InputError(
            f"{wanted.model!r} is an alias of {aliases[wanted.model]}, which is not of {wanted.provider!r}",
            "leave --provider out, or name the model itself",
        )
    return dataclasses.replace(wanted, model=model, provider=provider or wanted.provider)
