"""Which provider and which model answer.

The flag; the session's own; the settings; a Copilot login; what the runtime's own ``COPILOT_PROVIDER_BASE_URL`` names;
the embedded model. A key that lies in the environment is never a reason to use a paid endpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import CopilotNBError, InputError, ProviderError
from copilot_nb.named_sessions.aliases import expanded
from copilot_nb.named_sessions.options import SessionOptions, model_label
from copilot_nb.providers.registry import WAYS_IN, Providers
from copilot_nb.providers.spec import CUSTOM, is_custom_named

if TYPE_CHECKING:
    from copilot_nb.providers.base import ModelInfo
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.settings import CopilotNB


class ModelSelector:
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

    def expanded(self, wanted: SessionOptions) -> SessionOptions:
        """Return `wanted` with the model's own name in place of an alias.

        Raises
        ------
        InputError
            If the alias is of another provider than the one that is wanted.
        """
        return expanded(wanted, self._settings.aliases, self._providers.names)

    async def resolve(self, provider: str, model: str) -> tuple[str, str]:
        """Return `provider` and the model of it that answers (`model`, else the provider's default).

        Raises
        ------
        ProviderError
            If there is no such provider, it has no such model, or it cannot answer.
        """
        chosen = self._providers[provider]
        if provider == "github":
            await self._check_account(model)
        elif not model and not chosen.models:
            await chosen.list_models()
        return provider, chosen.endpoint(model).model

    async def settled(
        self, current: SessionOptions, changes: SessionOptions, *, has_images: bool = False
    ) -> SessionOptions:
        """Return the options of a session with `changes`, once it is found that they can be used.

        Raises
        ------
        InputError
            If the model has no such reasoning effort, or sees no images where some go with the prompt.
        ProviderError
            If there is no such provider, it has no such model, or it cannot answer.
        """
        asked = current.merged_with(changes)
        provider, model = await self.resolve(asked.provider, asked.model)
        await self.check_effort(provider, model, changes.effort or "")
        if has_images:
            await self.check_images(provider, model)
        return dataclasses.replace(asked, provider=provider, model=model).settled()

    async def _check_account(self, model: str) -> None:
        """Check the login, and ask for the account's models if it is not known to have this one."""
        github = self._providers.github
        github.check()
        if not await self._is_logged_in():
            from copilot_nb.runtime.sdk_errors import not_logged_in

            raise not_logged_in()  # the runtime would accept the prompt and fall silent
        if model and model not in github.models:
            with suppress(CopilotNBError):  # whatever is wrong, the turn will say
                await github.list_models(refresh=True)

    async def check_effort(self, provider: str, model: str, effort: str) -> None:
        """Check that a model has a reasoning effort (``""``: its default one), as far as its provider's list says.

        Raises
        ------
        InputError
            If the list says that it has not.
        """
        if not effort:
            return
        listed = await self._listed(provider)
        known = next((info.efforts for info in listed if info.model_id == model), None)
        if known is not None and effort not in known:
            has = f"it has: {', '.join(known)}" if known else "it has none: leave --effort out"
            raise InputError(f"{model_label(provider, model)} has no reasoning effort {effort!r}", has)

    async def check_images(self, provider: str, model: str) -> None:
        """Check that a model sees images, as far as its provider's list says.

        Raises
        ------
        InputError
            If the list says that it does not.
        """
        if await self.is_blind(provider, model):
            seeing = [info.model_id for info in await self._listed(provider) if info.vision]
            others = f"ask one that does: -m {' or '.join(seeing[:3])}" if seeing else "ask another provider: -p NAME"
            raise InputError(f"{model_label(provider, model)} does not see images", others)

    async def is_blind(self, provider: str, model: str) -> bool:
        """Whether the provider's list says that a model does not see images."""
        return any(info.model_id == model and info.vision is False for info in await self._listed(provider))

    async def _listed(self, provider: str) -> list[ModelInfo]:
        with suppress(CopilotNBError):  # whatever is wrong, the turn will say
            return await self._providers[provider].list_models()
        return []

    async def for_new(self, options: SessionOptions) -> SessionOptions:
        """Return the options of a new session, with nothing left open.

        Raises
        ------
        InputError
            If the model has no such reasoning effort.
        ProviderError
            If none can answer, or what is asked for cannot.
        """
        by_file = "local" if options.model.lower().endswith(".gguf") else ""
        usual = self.expanded(SessionOptions(model=self._settings.model, provider=self._settings.provider))
        named = options.provider or by_file or ("" if options.model else usual.provider)
        provider = named or await self.default_provider()
        is_settings_choice = options.provider in ("", usual.provider)
        model = options.model or (usual.model if is_settings_choice else "")
        provider, model = await self.resolve(provider, model)
        await self.check_effort(provider, model, options.effort or "")
        system = sendable(self._settings.system, "the system message") if options.system is None else options.system
        return dataclasses.replace(options, provider=provider, model=model, system=system).settled()
