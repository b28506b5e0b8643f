"""The providers of this kernel, by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.providers.base import Provider
from copilot_nb.runtime.providers.embedded import embedded
from copilot_nb.runtime.providers.github import GitHub

if TYPE_CHECKING:
    import httpx

    from copilot_nb.settings import CopilotNB

WAYS_IN = (
    "log in to Copilot (in a terminal: copilot login), "
    "or name a provider of your own (%config CopilotNB.provider), "
    "or install the embedded model (copilot-nb install-model)"
)


class Providers:
    """The providers of this kernel.

    Parameters
    ----------
    settings : CopilotNB
        Name the file of the embedded model, and say whether a request may leave this machine.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self._providers: dict[str, Provider] = {"github": GitHub(settings), "local": embedded(settings)}

    def add(self, provider: Provider) -> None:
        """Add a provider, or replace the one of that name."""
        self._providers[provider.name] = provider

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `--provider` takes."""
        return tuple(self._providers)

    def __getitem__(self, name: str) -> Provider:
        if name not in self._providers:
            raise ProviderError(f"there is no provider {name!r}", f"there are: {', '.join(self._providers)}")
        return self._providers[name]

    @property
    def models(self) -> list[str]:
        """The models that the providers are known to have."""
        models: list[str] = []
        for provider in self._providers.values():
            with suppress(ProviderError):  # not installed: it has none
                models += provider.models
        return models

    def has_local(self) -> bool:
        """Whether the embedded model is installed."""
        try:
            return bool(self["local"].models)
        except ProviderError:
            return False

    def transports(self) -> Mapping[str, httpx.AsyncBaseTransport]:
        """Return the in-kernel models that can answer, by the host name that stands for each."""
        served: dict[str, httpx.AsyncBaseTransport] = {}
        for provider in self._providers.values():
            try:
                served |= dict([route] if (route := provider.transport()) else [])
            except ProviderError:
                continue  # not installed: whoever asks for it is told so
        return served

    def close(self) -> None:
        """Free what the providers hold."""
        for provider in self._providers.values():
            provider.close()
