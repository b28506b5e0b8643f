"""Several sessions with a common name, one per model or provider: their names and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from copilot_nb.conversation.prompt import require_texts
from copilot_nb.errors import InputError


@dataclass(frozen=True, slots=True)
class Target:
    """A session to send prompts to, with its model and provider (``""``: the default)."""

    name: str
    model: str
    provider: str


def one_each(
    name: str, *, models: Sequence[str] = (), providers: Sequence[str] = (), model: str = "", provider: str = ""
) -> list[Target]:
    """Return a target for each of `models`, called ``NAME@MODEL``, or for each of `providers`, ``NAME@PROVIDER``.

    Parameters
    ----------
    name : str
        The first part of their names.
    models, providers : sequence of str
        Models or providers, not both.
    model, provider : str
        The model for all `providers`; the provider of all `models`.

    Raises
    ------
    InputError
        If both are listed, or an option is both listed and given for all, or one is not a list of texts.
    """
    models, providers = require_texts(models or (), "models"), require_texts(providers or (), "providers")
    if (models and providers) or (models and model) or (providers and provider):
        raise InputError(
            "models and providers cannot be combined like this",
            "list models and name their provider, or list providers and name their model",
        )
    by_model = [Target(f"{name}@{each}", each, provider) for each in dict.fromkeys(models)]
    return by_model or [Target(f"{name}@{each}", model, each) for each in dict.fromkeys(providers)]
