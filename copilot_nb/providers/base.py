"""The interface of a provider: its name, its models, and the SDK's options for a session that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx


LIST_AGE_S = 300.0
"""How long a list of models is used, in seconds."""

CONTEXTS = {"default": "default", "long": "long_context"}
"""The sizes of a model's window, where it has two, and what the SDK calls them."""
NEVER_FULL_TOKENS = 1_000_000_000_000
"""What the runtime is told of the window of a model in the kernel: no real window is as large. Such a model drops the
oldest exchanges itself: the runtime would have it summarise them instead, which a small model does slowly and badly."""


def _says_nothing(_session_id: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a session reaches its model.

    Attributes
    ----------
    model : str
        The model's id for the runtime; ``""`` leaves the choice to the runtime.
    options : mapping
        Further keyword arguments of the SDK's `create_session` and `resume_session`.
    note : callable
        Says why the model cannot answer the session with this id at once, for example while it is loaded; ``""`` if it
        can.
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    note: Callable[[str], str] = _says_nothing

    def with_effort(self, effort: str) -> Endpoint:
        """Return this endpoint with a reasoning effort; ``""``: the model's default."""
        options = {**self.options, "reasoning_effort": effort} if effort else self.options
        return Endpoint(self.model, options, self.note)

    def with_context(self, context: str) -> Endpoint:
        """Return this endpoint with a window of the size `context` (see `CONTEXTS`); ``""``: unchanged."""
        options = {**self.options, "context_tier": CONTEXTS[context]} if context else self.options
        return Endpoint(self.model, options, self.note)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as its provider describes it; unknown values are ``None``.

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
        How many of the account's requests a prompt counts as.
    """

    model_id: str
    window_tokens: int | None = None
    output_tokens: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    efforts: tuple[str, ...] | None = None
    price: tuple[float, float] | None = None
    multiplier: float | None = None


def calls_tools(models: Iterable[ModelInfo], model: str) -> bool | None:
    """Return what a list says about the tools of a model; ``None``: nothing."""
    return next((info.tools for info in models if info.model_id == model), None)


class Provider(Protocol):
    """Where answers come from."""

    @property
    def name(self) -> str:
        """The word users type after ``--provider``."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of its known models, the default first; empty if only the provider knows them."""
        ...

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model` (``""``: the default one).

        Raises
        ------
        ProviderError
            If it cannot answer: not installed, or no such model.
        """
        ...

    def calls_tools(self, model: str) -> bool | None:
        """Return whether `model` can call tools; ``None`` if that is not known. The provider is not asked."""
        ...

    async def list_models(self, *, refresh: bool = False) -> list[ModelInfo]:
        """Return its models, asking it if necessary; empty if it cannot list them.

        Parameters
        ----------
        refresh : bool
            Whether to ask it again even if its list is recent.

        Raises
        ------
        ProviderError
            If it cannot be asked.
        """
        ...

    def transport(self) -> tuple[str, httpx.AsyncBaseTransport] | None:
        """Return the host name for the runtime, and the transport that serves it."""
        ...

    def preload(self) -> None:
        """Start the slow part of the first answer in the background."""
        ...

    def close(self) -> None:
        """Free its resources."""
        ...
