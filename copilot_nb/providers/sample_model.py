"""The model that answers the sample turns of an import. Its words are known, so they can be replaced.

`runtime.composing` replaces them with those of the imported conversation.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator

from copilot_nb.providers.chat import ChatError, ChatModel, ChatRequest
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.providers.pieces import Finish, Piece

MODEL = "copilot-nb-pattern-model"
ASKED, ASKED_IN_VAIN = "copilot-nb-pattern-prompt", "copilot-nb-pattern-question"
"""A prompt that is answered, and one that is refused."""
ANSWER, ERROR = "copilot-nb-pattern-answer", "copilot-nb-pattern-error"
TOKENS_IN, TOKENS_OUT = 98_765_431, 98_765_433
"""Numbers that nothing else has."""


class SampleModel(ChatModel):
    """A model with one answer and one error."""

    @property
    def model_ids(self) -> tuple[str, ...]:
        """Its one name."""
        return (MODEL,)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Answer the prompt `ASKED` and refuse any other; see `ChatModel.answer`."""
        if not request.messages or ASKED not in request.messages[-1].text:
            raise ChatError(400, ERROR)
        return _pieces()


async def _pieces() -> AsyncGenerator[Piece, None]:
    yield ANSWER
    yield Finish("stop", TOKENS_IN, TOKENS_OUT)


def sample_provider() -> InKernel:
    """Return a provider, under a name that no other has, with that model."""
    return InKernel(f"pattern-{uuid.uuid4().hex[:8]}", SampleModel)
