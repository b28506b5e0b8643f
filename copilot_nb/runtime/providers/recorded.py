"""A model that repeats what was answered once: with it a conversation is played into the runtime anew.

The runtime's files are its own affair, so an imported conversation is not written into them: its prompts are sent, and
this model answers each with what is on record. It follows the record in order and refuses a request that asks anything
else; a turn without an answer is refused with the error it had, which the runtime then stores with it.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.escape import well_formed
from copilot_nb.runtime.providers.base import NEVER_FULL_TOKENS
from copilot_nb.runtime.providers.chat import ChatError, ChatModel, ChatRequest
from copilot_nb.runtime.providers.embedded import InKernel
from copilot_nb.runtime.providers.pieces import Finish, Piece

NAMELESS = "recorded"
"""The model of a conversation in which none is named."""

MAX_TOLD_TOKENS = NEVER_FULL_TOKENS // 10
"""Usage beyond it is told as this, or the runtime would ask for a summary."""


class RecordedModel(ChatModel):
    """A model that answers by a record.

    Parameters
    ----------
    turns : sequence of TurnRecord
        The turns whose prompts will be asked, in order.
    """

    def __init__(self, turns: Sequence[TurnRecord]) -> None:
        self._left = list(reversed(turns))
        self._models = tuple(dict.fromkeys(turn.model for turn in turns if turn.model)) or (NAMELESS,)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models on record, the first one first."""
        return self._models

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """Answer by the record; see `ChatModel.answer`."""
        asked = request.messages[-1].text if request.messages else ""
        if not self._left or self._left[-1].prompt.strip() not in asked:
            raise ChatError(400, "this was not asked in the recorded conversation")
        turn = self._left.pop()
        if not is_answered(turn):
            raise ChatError(400, well_formed(turn.error).removeprefix("400 ") or "no answer was recorded")
        return _pieces(turn)


def is_answered(turn: TurnRecord) -> bool:
    """Whether there is an answer that the runtime would take for one."""
    return bool(turn.text.strip())


def recorded(turns: Sequence[TurnRecord]) -> InKernel:
    """Return a provider, under a name that no other has, whose model answers by a record."""
    model = RecordedModel(turns)
    return InKernel(f"recorded-{uuid.uuid4().hex[:8]}", lambda: model)


async def _pieces(turn: TurnRecord) -> AsyncGenerator[Piece, None]:
    yield well_formed(turn.text)  # the runtime refuses half a character
    tokens = (turn.usage.input_tokens, turn.usage.output_tokens) if turn.usage else (0, 0)
    yield Finish("stop", *(min(max(number, 0), MAX_TOLD_TOKENS) for number in tokens))
