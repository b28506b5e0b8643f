"""A provider that the user adds ("bring your own key"): OpenAI, Azure, Anthropic, Ollama, or a compatible server.

The runtime speaks their APIs itself. It gets the name of a host that stands for the provider, so its requests come
back into the kernel, where `relay` adds the address and the key.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, ProviderError
from copilot_nb.providers.base import LIST_AGE_S, Endpoint, ModelInfo, calls_tools
from copilot_nb.providers.keys import EnvironmentKey
from copilot_nb.providers.provider_error import from_runtime, to_error
from copilot_nb.providers.spec import CUSTOM, Spec

if TYPE_CHECKING:
    from copilot_nb.providers.network import Network
    from copilot_nb.providers.relay import Relay
    from copilot_nb.settings import CopilotNB

SHOWN_MODELS = 6


class Byok:
    """A provider that the user added.

    Parameters
    ----------
    spec : Spec
        Its description.
    settings : CopilotNB
        Say whether a request may leave this machine.
    network : callable
        Returns the way out; called at the first request.
    """

    def __init__(self, spec: Spec, settings: CopilotNB, network: Callable[[], Network]) -> None:
        self.name = spec.name
        self.spec = spec
        self._settings = settings
        self._network = network
        self._relay: Relay | None = None
        self._listed: list[ModelInfo] | None = None
        self._listed_s = 0.0
        self._has_warned = False

    @property
    def host(self) -> str:
        """The host name that stands for it (`.invalid` is reserved for names that never resolve)."""
        return f"{self.name}.copilot-nb.invalid"

    @property
    def models(self) -> tuple[str, ...]:
        """Its default model and those of its last list; the provider is not asked."""
        listed = [model.model_id for model in self._listed or ()]
        return tuple(dict.fromkeys([*([self._default] if self._default else []), *listed]))

    @property
    def _default(self) -> str:
        """The model when none is named: never one of many, except Ollama's, which cost nothing."""
        listed = self._listed or []
        is_plain = len(listed) == 1 or (self.spec.api == "ollama" and listed)
        return self.spec.model or (listed[0].model_id if is_plain else "")

    def check(self) -> None:
        """Check everything that needs no request.

        Raises
        ------
        ProviderError
            If it has no address, its key is not where it should be, or it may not be asked.
        """
        spec = self.spec
        if not spec.base_url:
            add = f"%copilot provider add {spec.name} --type {spec.api} --base-url https://…"
            raise ProviderError(f"{spec.name} has no address", f"set AZURE_OPENAI_ENDPOINT, or: {add}")
        if self._settings.offline and not spec.is_on_this_machine and spec.name != CUSTOM:
            raise ProviderError(
                f"{spec.name} is not on this machine, and the runtime is offline",
                "%config CopilotNB.offline = False (or unset COPILOT_OFFLINE), then %copilot restart",
            )
        if isinstance(spec.key, EnvironmentKey):
            self._check_key(spec.key)

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings before the first request; later none."""
        said, self._has_warned = () if self._has_warned else self.spec.warnings, True
        return said

    def _check_key(self, key: EnvironmentKey) -> None:
        try:
            key.read()
        except ProviderError as error:
            ask = f"%copilot provider add {self.name} --type {self.spec.api} --ask-key"
            raise ProviderError(f"{self.name}: {error.message}", f"{error.hint}, or: {ask}") from error

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model`.

        Any name will do, since no list is complete; the provider itself knows, and is asked for the like of it then.

        Raises
        ------
        ProviderError
            If it cannot be asked, or no model is named and it has no default one.
        """
        self.check()
        chosen = model or self._default
        if not chosen:
            listed = [info.model_id for info in self._listed or ()]
            more = ", …" if len(listed) > SHOWN_MODELS else ""
            has = f" It has: {', '.join(listed[:SHOWN_MODELS])}{more}." if listed else ""
            raise ProviderError(f"no model of {self.name} was named.{has}", "name it: --model MODEL")
        return Endpoint(chosen, {"provider": self._told_runtime()})

    def _told_runtime(self) -> dict[str, object]:
        spec = self.spec
        options: dict[str, object] = {
            "type": spec.api if spec.api in ("azure", "anthropic") else "openai",
            "base_url": f"http://{self.host}{spec.address.path}",
            "api_key": "none",
        }
        if spec.api != "anthropic":
            options["wire_api"] = spec.wire_api
        if spec.api == "azure" and spec.api_version:
            options["azure"] = {"api_version": spec.api_version}
        if spec.max_prompt_tokens:
            options["max_prompt_tokens"] = spec.max_prompt_tokens
        return options

    def calls_tools(self, model: str) -> bool | None:
        """Return whether `model` can call tools, by its list, else by its API: any server can speak OpenAI's."""
        known = calls_tools(self._listed or (), model)
        is_makers_own = self.spec.api in ("openai", "azure", "anthropic")
        return known if known is not None else (True if is_makers_own else None)

    async def list_models(self, *, refresh: bool = False) -> list[ModelInfo]:
        """Return its models; it is asked at most once in `LIST_AGE_S` seconds, except for a `refresh`.

        Raises
        ------
        ProviderError
            If it cannot be asked.
        """
        if refresh or self._listed is None or time.monotonic() > self._listed_s + LIST_AGE_S:
            self.check()
            from copilot_nb.providers.catalogue import ask

            self._listed = await ask(self.spec, self._network())
            self._listed_s = time.monotonic()
        return list(self._listed)

    async def _look_again(self) -> None:
        self._listed = None
        with suppress(CopilotNBError):  # what is to be told is that it does not know the model
            await self.list_models()

    def transport(self) -> tuple[str, Relay]:
        """Return the host name and the relay that serves it."""
        if self._relay is None:
            from copilot_nb.providers.relay import Relay

            self._relay = Relay(self.spec, self._network(), self._look_again)
        return self.host, self._relay

    def explain(self, session_id: str, message: str, model: str) -> CopilotNBError:
        """Return the error of a turn that the runtime reported as failed with `message`."""
        said, retried = from_runtime(message)
        fault = self._relay.faults.pop(session_id, None) if self._relay else None
        listed = [info.model_id for info in self._listed or ()]
        return to_error(fault or said, self.spec, model, listed, retried)

    def preload(self) -> None:
        """Do nothing: the first request asks it."""

    def close(self) -> None:
        """Do nothing: the connections are closed with the runtime."""
