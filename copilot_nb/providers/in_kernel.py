"""The provider `local`: the embedded model, or any other model in this kernel.

The runtime gets an OpenAI-compatible endpoint whose host name does not exist; requests to it come back into
the kernel (`runtime.client`) and are answered here. No port is opened and nothing leaves the machine.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.providers.base import NEVER_FULL_TOKENS, Endpoint, ModelInfo
from copilot_nb.render.words import did_you_mean

if TYPE_CHECKING:
    from copilot_nb.providers.chat import ChatModel
    from copilot_nb.settings import CopilotNB


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
        """The model, created at its first use."""
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
        found = self.model.find(model)
        if not found:
            hint = f"{did_you_mean(model, self.models)}it has: {', '.join(self.models)}"
            raise ProviderError(f"provider {self.name!r} has no model {model!r}", hint)
        options = {
            "provider": {
                "type": "openai",
                "wire_api": "completions",
                "base_url": f"http://{self.host}/v1",
                "api_key": "none",
                "max_prompt_tokens": NEVER_FULL_TOKENS,
            }
        }
        return Endpoint(found, options, lambda session_id: self.model.note(found, session_id))

    async def list_models(self, *, refresh: bool = False) -> list[ModelInfo]:  # noqa: ARG002 - nobody is asked
        """Return its models."""
        tools, vision = self.model.calls_tools, self.model.sees_images
        return [ModelInfo(model_id, tools=tools, vision=vision, efforts=()) for model_id in self.models]

    def calls_tools(self, model: str) -> bool:  # noqa: ARG002 - all of them or none
        """Return whether its models call tools."""
        return self.model.calls_tools

    def transport(self) -> tuple[str, ChatModel]:
        """Return the host name and the model that serves it."""
        return self.host, self.model

    def preload(self) -> None:
        """Start loading the model in the background."""
        self.model.preload()

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()
            self._model = None


def embedded(settings: CopilotNB) -> InKernel:
    """Return the provider `local`, with the models that `settings` names."""

    def make() -> ChatModel:
        if not has_engine():
            raise ProviderError("the embedded model's engine is not installed", "run: copilot-nb install-model")
        from copilot_nb.providers.local.model import LocalModel

        return LocalModel(settings)

    return InKernel("local", make)


def has_engine() -> bool:
    """Whether xllamacpp is installed."""
    return importlib.util.find_spec("xllamacpp") is not None
