"""What a provider is: a name, its models, and how a session of the runtime is told to use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx


LIST_AGE_S = 300.0
"""How long a list of models is believed."""

CONTEXTS = {"default": "default", "long": "long_context"}
"""The sizes of a model's window, where it has two, and what the SDK calls them."""
NEVER_FULL_TOKENS = 1_000_000_000_000
"""What the runtime is told of the window of a model in the kernel: no real window is as large. Such a model drops the
oldest exchanges itself: the runtime would have it summarise them instead, which a small model does slowly and badly."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a session reaches its model.

    Attributes
    ----------
    model : str
        The model's id, as the runtime is told it; ``""`` leaves the choice to the runtime.
    options : mapping
        Further keyword arguments of the SDK's `create_session` and `resume_session`.
    note : callable
        Says what keeps the model from answering at once, such as being loaded; ``""`` where nothing does.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    note: Callable[[], str] = str

    def with_effort(self, effort: str) -> Endpoint:
        """Return how to reach the model so that it reasons with `effort`; ``""``: with its default one."""
        options = {**self.options, "reasoning_effort": effort} if effort else self.options
        return Endpoint(self.model, options, self.note)

    def with_context(self, context: str) -> Endpoint:
        """Return how to reach the model with a window of the size `context` (see `CONTEXTS`); ``""``: nothing said."""
        options = {**self.options, "context_tier": CONTEXTS[context]} if context else self.options
        return Endpoint(self.model, options, self.note)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model, as far as its provider tells; what it does not tell is ``None``.

    Attributes
    ----------
    model_id : str
        What `--model` names.
    window_tokens, output_tokens : int or None
        The longest conversation and the longest answer, in tokens.
    tools, vision : bool or None
        Whether it calls tools, and sees images.
    efforts : tuple of str or None
        The reasoning efforts it knows.
    price : tuple of float, float or None
        US dollars per million tokens, in and out.
    multiplier : float or None
        How many of the account's requests a prompt to it counts for.
    """

    model_id: str
    window_tokens: int | None = None
    output_tokens: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    efforts: tuple[str, ...] | None = None
    price: tuple[float, float] | None = None
    multiplier: float | None = None


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

    async def list_models(self, *, refresh: bool = False) -> list[ModelInfo]:
        """Return what is known of its models, asking it if need be; none where it cannot list them.

        Parameters
        ----------
        refresh : bool
            Whether it is asked even if it told a short while ago.

        Raises
        ------
        ProviderError
            If it cannot be asked.
        """
        ...

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return the host name that the runtime is told and the transport that serves it."""
        ...

    def preload(self) -> None:
        """Begin, in the background, whatever makes the first answer slow."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
