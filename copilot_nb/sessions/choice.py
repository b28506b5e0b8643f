"""Which provider and which model answer.

The flag; the session's own; the settings; a Copilot login; what the runtime's own ``COPILOT_PROVIDER_BASE_URL`` names;
the embedded model. A key that lies in the environment is never a reason to use a paid endpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.providers.registry import WAYS_IN, Providers
from copilot_nb.runtime.providers.spec import CUSTOM, is_custom_named
from copilot_nb.sessions.wanted import Wanted

if TYPE_CHECKING:
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.settings import CopilotNB


class Choice:
    """Chooses for the sessions of one manager.

    Parameters
    ----------
    settings : CopilotNB
        Name a provider and a model, or leave them to be chosen.
    providers : Providers
        What there is to choose from.
    client : callable
        Returns the runtime's client, connected; asked only where nothing names a provider.
    """

    def __init__(
        self, settings: CopilotNB, providers: Providers, client: Callable[[], Awaitable[RuntimeClient]]
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._client = client
        self._logged_in = False

    def forget_login(self) -> None:
        """Ask for the login again when it next matters."""
        self._logged_in = False

    async def default_provider(self) -> str:
        """Return the provider of a session that names none.

        Raises
        ------
        ProviderError
            If there is none.
        """
        if self._settings.provider:
            return self._providers[self._settings.provider].name
        if not self._settings.offline and await self._is_logged_in():
            return "github"
        if is_custom_named():
            return CUSTOM
        if self._providers.has_local():
            return "local"
        raise ProviderError("no model can answer", WAYS_IN)

    async def _is_logged_in(self) -> bool:
        if not self._logged_in:  # a user who is told to log in does, and asks again
            client = await self._client()
            self._logged_in = await client.is_logged_in()
        return self._logged_in

    async def resolve(self, provider: str, model: str) -> tuple[str, str]:
        """Return `provider` and the model of it that answers (`model`, else the provider's default).

        Raises
        ------
        ProviderError
            If there is no such provider, it has no such model, or it cannot answer.
        """
        chosen = self._providers[provider]
        if not model and not chosen.models:
            await chosen.list_models()
        answering = chosen.endpoint(model).model
        if provider == "github" and not await self._is_logged_in():
            from copilot_nb.runtime.faults import not_logged_in

            raise not_logged_in()  # the runtime would accept the prompt and fall silent
        return provider, answering

    async def for_new(self, wanted: Wanted) -> tuple[str, str]:
        """Return the provider and the model of a new session.

        Raises
        ------
        ProviderError
            If none can answer, or what is wanted cannot.
        """
        by_file = "local" if wanted.model.lower().endswith(".gguf") else ""
        provider = wanted.provider or by_file or await self.default_provider()
        is_settings_choice = wanted.provider in ("", self._settings.provider)
        return await self.resolve(provider, wanted.model or (self._settings.model if is_settings_choice else ""))
