"""Several sessions of one name, one for each of some models or providers: how they are called and what they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from copilot_nb.errors import InputError


@dataclass(frozen=True, slots=True)
class Target:
    """A session to speak to, and what is wanted of it (``""``: nothing in particular)."""

    name: str
    model: str
    provider: str


def one_each(
    name: str, *, models: Sequence[str] = (), providers: Sequence[str] = (), model: str = "", provider: str = ""
) -> list[Target]:
    """Return a session for each of `models`, called ``NAME@MODEL``, or for each of `providers`, ``NAME@PROVIDER``.

    Parameters
    ----------
    name : str
        The first part of their names.
    models, providers : sequence of str
        One of the two.
    model, provider : str
        The model of all those providers; the provider of all those models.

    Raises
    ------
    InputError
        If both are listed, or what is listed is also given for all.
    """
    if (models and providers) or (models and model) or (providers and provider):
        raise InputError(
            "there is one session for each model, or one for each provider: not both",
            "list models and name their provider, or list providers and name their model",
        )
    by_model = [Target(f"{name}@{each}", each, provider) for each in dict.fromkeys(models)]
    return by_model or [Target(f"{name}@{each}", model, each) for each in dict.fromkeys(providers)]
