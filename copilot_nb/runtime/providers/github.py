"""The provider `github`: models of a Copilot account, with the login the runtime itself finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.providers.base import Endpoint, ModelInfo

if TYPE_CHECKING:
    import httpx

    from copilot_nb.settings import CopilotNB


class GitHub:
    """Models of a Copilot account; which ones there are, the account decides.

    Parameters
    ----------
    settings : CopilotNB
        Say whether any request may leave this machine.
    """

    name = "github"
    models: tuple[str, ...] = ()

    def __init__(self, settings: CopilotNB) -> None:
        self._settings = settings

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model`; ``""`` leaves the choice to the account's default.

        Raises
        ------
        ProviderError
            In the runtime's offline mode, in which a prompt to GitHub would wait for its timeout.
        """
        if self._settings.offline:
            raise ProviderError(
                "'github' cannot answer: the runtime is set to be offline, no request leaves this machine",
                "%config CopilotNB.offline = False (or unset COPILOT_OFFLINE), then %copilot restart",
            )
        return Endpoint(model)

    async def list_models(self) -> list[ModelInfo]:
        """Return nothing: only the runtime, which has the login, can ask the account (`RuntimeClient`)."""
        return []

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return nothing: its requests leave this machine."""
        return None

    def preload(self) -> None:
        """Do nothing: there is nothing to load."""

    def close(self) -> None:
        """Do nothing: it holds nothing."""
