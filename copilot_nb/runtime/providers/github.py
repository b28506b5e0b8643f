"""The provider `github`: models of a Copilot account, with the login the runtime itself finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.runtime.providers.base import Endpoint

if TYPE_CHECKING:
    import httpx


class GitHub:
    """Models of a Copilot account; which ones there are, the account decides."""

    name = "github"
    models: tuple[str, ...] = ()

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model`; ``""`` leaves the choice to the account's default."""
        return Endpoint(model)

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return nothing: its requests leave this machine."""
        return None

    def preload(self) -> None:
        """Do nothing: there is nothing to load."""

    def close(self) -> None:
        """Do nothing: it holds nothing."""
