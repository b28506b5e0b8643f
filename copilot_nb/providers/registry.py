"""The providers of this kernel, by name.

Two always exist, `github` and `local`. The user's own are described again at each use, so a changed variable or setting
applies at once; what is known of a provider is kept as long as its description stays the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, ProviderError
from copilot_nb.providers.base import Provider
from copilot_nb.providers.byok import Byok
from copilot_nb.providers.github import GitHub
from copilot_nb.providers.in_kernel import embedded
from copilot_nb.providers.keys import at_hand
from copilot_nb.providers.spec import CUSTOM, Spec, add_line, from_environment, is_custom_named, spec_of
from copilot_nb.render.words import did_you_mean

if TYPE_CHECKING:
    import httpx

    from copilot_nb.providers.network import Network
    from copilot_nb.providers.way_out import WayOut
    from copilot_nb.settings import CopilotNB

NO_MODEL = "no model can answer"
WAYS_IN = (
    ("log in to Copilot", "%copilot login"),
    ("bring a key", "%copilot provider add openai --ask-key, then -p openai"),
    ("install the embedded model", "copilot-nb install-model"),
)
"""What a user can do where no model can answer, and the line to type for each."""


class Providers:
    """The providers of this kernel.

    Parameters
    ----------
    settings : CopilotNB
        Name the file of the embedded model, and say whether a request may leave this machine.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self._settings = settings
        self.github = GitHub(settings)
        self._providers: dict[str, Provider] = {"github": self.github, "local": embedded(settings)}
        self._added: dict[str, Spec] = {}
        self._own: dict[str, Byok] = {}
        self._lines: dict[str, str] = {}
        self._network: Network | None = None
        self._way_out: WayOut | None = None

    def add(self, provider: Provider) -> None:
        """Add a provider, or replace the one of that name."""
        self._providers[provider.name] = provider

    def remove(self, provider: Provider) -> None:
        """Remove an added provider and free its resources."""
        self._providers.pop(provider.name, None)
        provider.close()

    def add_own(self, spec: Spec) -> Byok:
        """Add a user's provider for this kernel, or replace the one of that name."""
        self._added[spec.name] = spec
        return self.own(spec.name)

    def line_of(self, name: str) -> str:
        """Return the line that adds the provider of that name again; ``""`` if it was not added to this kernel."""
        return add_line(self._added[name]) if name in self._added else ""

    def recall(self, name: str, line: str) -> None:
        """Remember the line that added a provider to an earlier kernel, for the error if the provider is missing."""
        if line:
            self._lines[name] = line

    def remove_own(self, name: str) -> None:
        """Remove a provider that `add_own` added.

        Raises
        ------
        ProviderError
            If it was not added that way.
        """
        if name not in self._added and name in self.names:
            hint = "unset its variables, or take it out of c.CopilotNB.providers"
            raise ProviderError(f"provider {name!r} comes from elsewhere", hint)
        if name not in self._added:
            raise ProviderError(f"there is no provider {name!r}", "see %copilot provider")
        del self._added[name]

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the user's providers, whether or not they can answer."""
        names = [*from_environment(), *self._settings.providers, *self._added]
        return tuple(name for name in dict.fromkeys(names) if name not in self._providers)

    def keys_at_hand(self) -> dict[str, str]:
        """Return the keys that this kernel holds, by the name of their provider; the system is not asked for any."""
        keys: dict[str, str] = {}
        for name in self.own_names:
            with suppress(ProviderError):  # not described well
                if (key := at_hand(self._spec(name).key)) is not None:
                    keys[name] = key.reveal()
        return keys

    @property
    def chosen_names(self) -> tuple[str, ...]:
        """The providers that always exist and those a user has selected, not those of every key in the environment."""
        named = [*self._settings.providers, *self._added, *([CUSTOM] if is_custom_named() else [])]
        return (*self._providers, *(name for name in dict.fromkeys(named) if name not in self._providers))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `--provider` takes."""
        return (*self._providers, *self.own_names)

    def __contains__(self, name: object) -> bool:
        return name in self._providers or name in self.own_names

    def __getitem__(self, name: str) -> Provider:
        if name in self._providers:
            return self._providers[name]
        if name not in self.own_names:
            if name == CUSTOM:
                raise ProviderError(f"provider {name!r} has no address", "set COPILOT_PROVIDER_BASE_URL to it")
            if name in self._lines:
                raise ProviderError(
                    f"there is no provider {name!r} in this kernel", f"add it again: {self._lines[name]}"
                )
            add = f"add it: %copilot provider add {name if name.isidentifier() else 'NAME'} --type …"
            hint = f"{did_you_mean(name, self.names)}there are: {', '.join(self.names)}; or {add}"
            raise ProviderError(f"there is no provider {name!r}", hint)
        return self.own(name)

    def own(self, name: str) -> Byok:
        """Return a user's provider.

        Raises
        ------
        ProviderError
            If it is described in a way that makes no sense.
        """
        spec = self._spec(name)
        if name not in self._own or self._own[name].spec != spec:
            self._own[name] = Byok(spec, self._settings, self.network)
        return self._own[name]

    def _spec(self, name: str) -> Spec:
        if name in self._added:
            return self._added[name]
        if name in self._settings.providers:
            return spec_of(name, self._settings.providers[name], origin="the setting CopilotNB.providers")
        return spec_of(name, from_environment()[name])

    def network(self) -> Network:
        """Return the transport of requests that leave this machine."""
        if self._network is None:
            from copilot_nb.providers.network import Network

            self._network = Network()
        return self._network

    async def aclose(self) -> None:
        """Close the connections to the outside; the next use opens new ones."""
        if self._network is not None:
            await self._network.aclose()

    @property
    def models(self) -> list[str]:
        """The known models of the providers; none of them is asked."""
        models: list[str] = []
        for name in self.names:
            with suppress(ProviderError):  # not installed, or not described well: it has none
                models += self[name].models
        return list(dict.fromkeys(models))

    def has_local(self) -> bool:
        """Whether the embedded model is installed."""
        try:
            return bool(self["local"].models)
        except ProviderError:
            return False

    def has_model_without_login(self) -> bool:
        """Whether a new session has a model without a Copilot login."""
        return bool(self._settings.provider) or is_custom_named() or self.has_local()

    def route(self, host: str) -> httpx.AsyncBaseTransport:
        """Return the transport of requests to `host`: a model in the kernel, a relay, or the way out."""
        name = host.removesuffix(".copilot-nb.invalid")
        transport = self[name].transport() if name != host else None
        if transport:
            return transport[1]
        if self._way_out is None:
            from copilot_nb.providers.way_out import WayOut

            self._way_out = WayOut(self.network())
        return self._way_out

    def warnings(self, name: str) -> tuple[str, ...]:
        """Return a provider's warnings before this kernel's first request to it."""
        provider = self[name]
        return provider.warnings() if isinstance(provider, Byok) else ()

    def error(self, name: str, session_id: str, message: str, model: str) -> CopilotNBError | None:
        """Return the error of a turn that failed with `message`, if its provider knows more than the runtime."""
        provider = self[name]
        if isinstance(provider, Byok):
            return provider.explain(session_id, message, model)
        return self._way_out.error(session_id) if self._way_out and provider is self.github else None

    def close(self) -> None:
        """Free the resources of all providers."""
        for provider in self._providers.values():
            provider.close()
