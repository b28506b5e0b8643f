"""What a session may take: checked before a prompt is sent, and while its turn runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.changes import Change, RoundStarted, UsageReported
from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import BudgetReached, InputError

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState


@dataclass
class Allowance:
    """What one turn may take; a model that calls tools without end is stopped by it.

    Attributes
    ----------
    name : str
        The session's name.
    rounds : int
        How often the model may be called (count); 0: no limit.
    tokens : int or None
        Tokens, in and out, after which it is not called again; ``None``: no limit.
    """

    name: str
    rounds: int = 0
    tokens: int | None = None
    _rounds_had: int = 0
    _tokens_had: int = 0

    def after(self, change: Change) -> BudgetReached | None:
        """Return why the turn may not go on after `change`; ``None``: it may. The first call is always allowed."""
        if isinstance(change, UsageReported):
            self._tokens_had += change.usage.input_tokens + change.usage.output_tokens
        if not isinstance(change, RoundStarted):
            return None
        self._rounds_had += 1
        if self.rounds and self._rounds_had > self.rounds:
            return BudgetReached(
                f"the model of session {self.name!r} was called {self.rounds:,} times for one prompt and still wants "
                "tools called",
                "ask for less, or raise it: %config CopilotNB.max_rounds = …",
            )
        if self.tokens is not None and self._rounds_had > 1 and self._tokens_had >= self.tokens:
            return BudgetReached(
                f"session {self.name!r} has taken the tokens that are allowed, {self._tokens_had:,} of them for this "
                "prompt",
                "begin another one, or raise it: %config CopilotNB.max_tokens_per_session = …",
            )
        return None


def check_prompt(prompt: str, images: Sequence[Image], max_bytes: int) -> str:
    """Return a prompt as it is sent, once it is found that it can be.

    Raises
    ------
    InputError
        If it is empty, without an image that says it all, larger than `max_bytes`, or if it holds half a character.
    """
    prompt = sendable(prompt, "the prompt")
    if not prompt.strip() and not images:
        raise InputError("the prompt is empty", "write it below %%copilot NAME, or after %copilot ask NAME")
    if (size := len(prompt.encode())) > max_bytes:
        raise InputError(
            f"the prompt has {size:,} bytes, {max_bytes:,} are allowed",
            "send less, or raise it: %config CopilotNB.max_prompt_bytes = …",
        )
    return prompt


async def allowance(state: SessionState, engine: Engine, *, is_again: bool) -> Allowance:
    """Return what the next turn of a loaded session may take; `is_again`: it takes the place of another one.

    Raises
    ------
    BudgetReached
        If the session has had `max_turns` turns or `max_tokens_per_session` tokens.
    """
    settings = engine.settings
    most_turns, most_tokens = settings.max_turns, settings.max_tokens_per_session
    if most_turns and state.turn_count >= most_turns and not is_again:
        raise BudgetReached(
            f"session {state.name!r} has had {state.turn_count:,} turns, {most_turns:,} are allowed",
            "begin another one, or raise it: %config CopilotNB.max_turns = …",
        )
    if not most_tokens:
        return Allowance(state.name, settings.max_rounds)
    tokens = await (await engine.loaded(state)).tokens()
    if tokens >= most_tokens and not is_again:
        raise BudgetReached(
            f"session {state.name!r} has taken {tokens:,} tokens, {most_tokens:,} are allowed",
            "begin another one, or raise it: %config CopilotNB.max_tokens_per_session = …",
        )
    return Allowance(state.name, settings.max_rounds, most_tokens - tokens)
