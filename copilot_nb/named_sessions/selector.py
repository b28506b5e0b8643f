"""Selects the provider and the model of a session.

The first that applies: the flag; the session's own provider; the settings; a Copilot login; the provider that the
runtime's variable ``COPILOT_PROVIDER_BASE_URL`` names; the embedded model. An API key in the environment is never used
unless its provider is selected.
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
from copilot_nb.providers.registry import NO_MODEL, WAYS_IN, Providers
from copilot_nb.providers.spec import CUSTOM, is_custom_named

if TYPE_CHECKING:
    from copilot_nb.providers.base import ModelInfo
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.settings import CopilotNB


class ModelSelector:
    """Selects provider and model for the sessions of one manager.

    Parameters
    ----------
    settings : CopilotNB
        May name a provider and a model.
    providers : Providers
        The available providers.
    client : callable
        Returns the runtime's client, connected; called only to look up the Copilot login.
    """

    def __init__(
        self, settings: CopilotNB, providers: Providers, client: Callable[[], Awaitable[RuntimeClient]]
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._client = client
        self._logged_in = False

    def forget_login(self) -> None:
        """Discard the cached login; it is looked up again at the next use."""
        self._logged_in = False

    async def default_provider(self) -> str:
        """Return the provider for a session that names none.

        Raises
        ------
        ProviderError
            If no provider is available.
        """
        if self._settings.provider:
            return self._providers[self._settings.provider].name
        if not self._settings.offline and await self._is_logged_in():
            return "github"
        if is_custom_named():
            return CUSTOM
        if self._providers.has_local():
            return "local"
        if not self._settings.offline and (problem := await self._login_problem()):
            raise problem
        raise ProviderError(NO_MODEL, ", or ".join(f"{what} ({line})" for what, line in WAYS_IN))

    async def _login_problem(self) -> ProviderError | None:
        client = await self._client()
        return await client.account.login_problem()

    async def _is_logged_in(self) -> bool:
        if not self._logged_in:  # "not logged in" is not cached: the user may log in and try again
            client = await self._client()
            self._logged_in = await client.is_logged_in()
        return self._logged_in

    def expanded(self, wanted: SessionOptions) -> SessionOptions:
        """Return `wanted` with an alias replaced by the name of its model.

        Raises
        ------
        InputError
            If the alias belongs to another provider than the requested one.
        """
        return expanded(wanted, self._settings.aliases, self._providers)

    async def resolve(self, provider: str, model: str) -> tuple[str, str]:
        """Return `provider` and the model to use: `model`, else the provider's default.

        Raises
        ------
        ProviderError
            If the provider does not exist, does not have the model, or cannot answer.
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
        """Return the options of a session with `changes` applied, after checking that they are usable.

        Raises
        ------
        InputError
            If the model does not support the reasoning effort, or images are attached and it cannot see images.
        ProviderError
            If the provider does not exist, does not have the model, or cannot answer.
        """
        asked = current.merged_with(changes)
        provider, model = await self.resolve(asked.provider, asked.model)
        await self.check_effort(provider, model, changes.effort or "")
        if has_images:
            await self.check_images(provider, model)
        if (provider, model) != (asked.provider, asked.model):
            asked = dataclasses.replace(asked, provider=provider, model=model)
        return asked.settled()

    async def _check_account(self, model: str) -> None:
        """Check the login, and refresh the account's list of models if `model` is not in it."""
        github = self._providers.github
        github.check()
        if not await self._is_logged_in():
            from copilot_nb.runtime.sdk_errors import not_logged_in

            # the runtime would accept the prompt and never answer
            raise await self._login_problem() or not_logged_in()
        if model and model not in github.models:
            with suppress(CopilotNBError):  # the turn reports the error
                await github.list_models(refresh=True)

    async def check_effort(self, provider: str, model: str, effort: str) -> None:
        """Check against the provider's list that a model supports a reasoning effort; ``""``, the default, passes.

        Raises
        ------
        InputError
            If the list says that the model does not support it.
        """
        if not effort:
            return
        listed = await self._listed(provider)
        known = next((info.efforts for info in listed if info.model_id == model), None)
        if known is not None and effort not in known:
            has = f"it has: {', '.join(known)}" if known else "it has none: leave --effort out"
            raise InputError(f"{model_label(provider, model)} has no reasoning effort {effort!r}", has)

    async def check_images(self, provider: str, model: str) -> None:
        """Check against the provider's list that a model can see images.

        Raises
        ------
        InputError
            If the list says that it cannot.
        """
        if await self.is_blind(provider, model):
            seeing = [info.model_id for info in await self._listed(provider) if info.vision]
            others = f"ask one that does: -m {' or '.join(seeing[:3])}" if seeing else "ask another provider: -p NAME"
            raise InputError(f"{model_label(provider, model)} does not see images", others)

    async def is_blind(self, provider: str, model: str) -> bool:
        """Whether the provider's list says that a model cannot see images."""
        return any(info.model_id == model and info.vision is False for info in await self._listed(provider))

    async def _listed(self, provider: str) -> list[ModelInfo]:
        with suppress(CopilotNBError):  # the turn reports the error
            return await self._providers[provider].list_models()
        return []

    async def for_new(self, options: SessionOptions) -> SessionOptions:
        """Return the options of a new session; none of them is unset.

        Raises
        ------
        InputError
            If the model does not support the reasoning effort.
        ProviderError
            If no provider is available, or the requested provider or model cannot answer.
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
