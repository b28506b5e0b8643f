"""The provider `local`: the embedded model, or whichever model runs inside the kernel.

The runtime is told of an OpenAI-compatible endpoint whose host name does not exist; requests to it come back into
the kernel (`runtime.client`) and are answered here. No port is opened and nothing leaves the process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.providers.base import Endpoint
from copilot_nb.runtime.provision import find_local_model

if TYPE_CHECKING:
    from copilot_nb.runtime.providers.chat import ChatModel
    from copilot_nb.settings import CopilotNB

NEVER_FULL_TOKENS = 1_000_000
"""What the runtime is told of the window. The model drops the oldest exchanges itself: the runtime would have it
summarise them instead, which a small model does slowly and badly."""


class InKernel:
    """A provider whose models run in this kernel.

    Parameters
    ----------
    name : str
        The word users type after ``--provider``.
    make : callable
        Makes the model; called once, at first use.

    Raises
    ------
    ProviderError
        From any method that needs the model, if `make` raises it.
    """

    def __init__(self, name: str, make: Callable[[], ChatModel]) -> None:
        self.name = name
        self._make = make
        self._model: ChatModel | None = None

    @property
    def model(self) -> ChatModel:
        """The model, made if need be."""
        if self._model is None:
            self._model = self._make()
        return self._model

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models, the default first."""
        return self.model.model_ids

    @property
    def host(self) -> str:
        """The host name that stands for the model (`.invalid` is reserved for names that never resolve)."""
        return f"{self.name}.copilot-nb.invalid"

    def endpoint(self, model: str) -> Endpoint:
        """Return how to reach `model`, or the default one."""
        models = self.models
        if model and model not in models:
            raise ProviderError(f"provider {self.name!r} has no model {model!r}", f"it has: {', '.join(models)}")
        options = {
            "provider": {
                "type": "openai",
                "wire_api": "completions",
                "base_url": f"http://{self.host}/v1",
                "api_key": "none",
                "max_prompt_tokens": NEVER_FULL_TOKENS,
            }
        }
        return Endpoint(model or models[0], options)

    def transport(self) -> tuple[str, ChatModel]:
        """Return the host name and the model that serves it."""
        return self.host, self.model

    def preload(self) -> None:
        """Begin to load the model, in the background."""
        self.model.preload()

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()
            self._model = None


def embedded(settings: CopilotNB) -> InKernel:
    """Return the provider `local`, with the model file that `settings` names."""

    def make() -> ChatModel:
        path = find_local_model(settings.local_model_path)
        if not has_engine():
            raise ProviderError("the embedded model's engine is not installed", "run: copilot-nb install-model")
        from copilot_nb.runtime.providers.local import LocalModel

        return LocalModel(path, context_tokens=settings.local_context_tokens)

    return InKernel("local", make)


def has_engine() -> bool:
    """Whether xllamacpp is installed."""
    return importlib.util.find_spec("xllamacpp") is not None
