"""What a provider is: a name, its models, and how a session of the runtime is told to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a session reaches its model.

    Attributes
    ----------
    model : str
        The model's id, as the runtime is told it; ``""`` leaves the choice to the runtime.
    options : mapping
        Further keyword arguments of the SDK's `create_session` and `resume_session`.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    """Where answers come from."""

    @property
    def name(self) -> str:
        """The word users type after ``--provider``."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models it is known to have, the default first; empty where only the provider knows."""
        ...

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model` (``""``: the default one).

        Raises
        ------
        ProviderError
            If it cannot answer: not installed, or no such model.
        """
        ...

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return the host name that stands for an in-kernel model and the transport that serves it."""
        ...

    def preload(self) -> None:
        """Begin, in the background, whatever makes the first answer slow."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
