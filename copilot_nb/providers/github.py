"""The provider `github`: models of a Copilot account, with the login the runtime itself finds.

Only the runtime has the login, so only it can list the account's models. The list is read before a model is used by
name: the runtime silently takes its default model in place of one that the account does not have.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.providers.base import LIST_AGE_S, Endpoint, ModelInfo, calls_tools
from copilot_nb.render.words import nearest

if TYPE_CHECKING:
    import httpx

    from copilot_nb.settings import CopilotNB

OFFLINE = "the runtime is offline: no request leaves this machine"
ONLINE_HINT = "%config CopilotNB.offline = False (or unset COPILOT_OFFLINE), then %copilot restart"
SHOWN_MODELS = 6


class GitHub:
    """The models of a Copilot account.

    Parameters
    ----------
    settings : CopilotNB
        Say whether any request may leave this machine.

    Attributes
    ----------
    ask : callable or None
        Returns the account's models, as the runtime lists them.
    """

    name = "github"

    def __init__(self, settings: CopilotNB) -> None:
        self._settings = settings
        self._listed: list[ModelInfo] = []
        self._listed_s = 0.0
        self.ask: Callable[[], Awaitable[list[ModelInfo]]] | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models of its last list; the account is not asked."""
        return tuple(info.model_id for info in self._listed)

    def check(self) -> None:
        """Check that a request may be sent.

        Raises
        ------
        ProviderError
            In the runtime's offline mode, in which a prompt to GitHub would wait for its timeout.
        """
        if self._settings.offline:
            raise ProviderError(f"'github' cannot answer: {OFFLINE}", ONLINE_HINT)

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model`; ``""`` leaves the choice to the account's default.

        Raises
        ------
        ProviderError
            If it may not be asked, or the account is known not to have that model.
        """
        self.check()
        if model and self._listed and model not in self.models:
            like = ", ".join(nearest(model, self.models) or self.models[:SHOWN_MODELS])
            raise ProviderError(f"your Copilot account has no model {model!r}", f"use --model; it has: {like}")
        return Endpoint(model)

    def calls_tools(self, model: str) -> bool | None:
        """Return whether `model` can call tools: those that answer for GitHub can, unless the list says otherwise."""
        return calls_tools(self._listed, model) is not False

    async def list_models(self, *, refresh: bool = False) -> list[ModelInfo]:
        """Return the account's models; they are requested at most once in `LIST_AGE_S` seconds, except for a `refresh`.

        Raises
        ------
        ProviderError
            If nobody is logged in, or GitHub cannot be asked.
        """
        self.check()
        if self.ask is not None and (refresh or not self._listed or time.monotonic() > self._listed_s + LIST_AGE_S):
            self._listed = await self.ask()
            self._listed_s = time.monotonic()
        return list(self._listed)

    def forget(self) -> None:
        """Forget the models: another account has others."""
        self._listed = []

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return nothing: its requests leave this machine."""
        return None

    def preload(self) -> None:
        """Do nothing: there is nothing to load."""

    def close(self) -> None:
        """Do nothing: it has no resources."""
