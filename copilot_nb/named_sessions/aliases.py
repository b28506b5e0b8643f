"""Short names of models: `%config CopilotNB.aliases = {"fast": "openai/gpt-5-mini"}`.

What stands before the first slash is a provider where there is one of that name, else a part of the model's own name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import SessionOptions


def target(alias: str, aliases: Mapping[str, str], providers: Collection[str]) -> tuple[str, str]:
    """Return the provider (``""``: whichever answers) and the model that `alias` stands for."""
    return split(aliases[alias], providers)


def split(text: str, providers: Collection[str]) -> tuple[str, str]:
    """Return the provider (``""``: none is named) and the model of ``PROVIDER/MODEL`` or ``MODEL``."""
    provider, _, model = text.partition("/")
    return (provider, model) if model and provider in providers else ("", text)


def expanded(wanted: SessionOptions, aliases: Mapping[str, str], providers: Collection[str]) -> SessionOptions:
    """Return `wanted` with the model's own name in place of an alias.

    Raises
    ------
    InputError
        If the alias is of another provider than the one that is wanted.
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
