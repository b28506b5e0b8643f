"""The limits of a session, checked before a prompt is sent and while its turn runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.changes import Change, RoundStarted, UsageReported
from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import BudgetReached, InputError
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState


@dataclass
class Allowance:
    """The limits of one turn; they stop a model that keeps calling tools.

    Attributes
    ----------
    name : str
        The session's name.
    rounds : int
        The maximum number of model calls; 0 for no limit.
    tokens : int or None
        The number of input and output tokens after which the model is not called again; ``None`` for no limit.
    """

    name: str
    rounds: int = 0
    tokens: int | None = None
    _rounds_had: int = 0
    _tokens_had: int = 0

    def more(self) -> None:
        """Allow as many model calls again: somebody has let the turn go on."""
        self._rounds_had = 0

    def after(self, change: Change) -> BudgetReached | None:
        """Return the error if `change` exceeds a limit, else ``None``. The first model call is always allowed."""
        if isinstance(change, UsageReported):
            self._tokens_had += change.usage.input_tokens + change.usage.output_tokens
        if not isinstance(change, RoundStarted):
            return None
        self._rounds_had += 1
        if self.rounds and self._rounds_had > self.rounds:
            return BudgetReached(
                f"session {self.name!r} has reached the limit of {count(self.rounds, 'model call')} for one prompt",
                "ask for less, or raise the limit: %config CopilotNB.max_rounds = …",
            )
        if self.tokens is not None and self._rounds_had > 1 and self._tokens_had >= self.tokens:
            return BudgetReached(
                f"session {self.name!r} has used up its tokens, {self._tokens_had:,} of them for this prompt",
                "start another session, or raise the limit: %config CopilotNB.max_tokens_per_session = …",
            )
        return None


def check_timeout(timeout_s: float) -> float:
    """Return the time that a turn may be silent, in seconds; 0: as the settings say.

    Raises
    ------
    InputError
        If it is not a number from 0.
    """
    if not isinstance(timeout_s, int | float) or not timeout_s >= 0:  # which is false of nan, too
        raise InputError(f"timeout_s is a number of seconds from 0, not {timeout_s!r}", "0 is the setting timeout_s")
    return timeout_s


def check_prompt(prompt: str, images: Sequence[Image], max_bytes: int) -> str:
    """Check a prompt and return it in the form in which it is sent.

    Raises
    ------
    InputError
        If the prompt is empty and there is no image, is larger than `max_bytes`, or contains a lone surrogate.
    """
    prompt = sendable(prompt, "the prompt")
    if not prompt.strip() and not images:
        raise InputError("the prompt is empty", "write it below %%copilot NAME, or after %copilot ask NAME")
    if (size := len(prompt.encode())) > max_bytes:
        raise InputError(
            f"the prompt has {size:,} bytes, {max_bytes:,} are allowed",
            "send less, or raise the limit: %config CopilotNB.max_prompt_bytes = …",
        )
    return prompt


async def allowance(state: SessionState, engine: Engine, *, is_again: bool) -> Allowance:
    """Return the limits of the next turn of a loaded session; `is_again` if it replaces an earlier turn.

    Raises
    ------
    BudgetReached
        If the session has reached `max_turns` or `max_tokens_per_session`.
    """
    settings = engine.settings
    most_turns, most_tokens = settings.max_turns, settings.max_tokens_per_session
    if most_turns and state.turn_count >= most_turns and not is_again:
        raise BudgetReached(
            f"session {state.name!r} has had {state.turn_count:,} turns, {most_turns:,} are allowed",
            "start another session, or raise the limit: %config CopilotNB.max_turns = …",
        )
    if not most_tokens:
        return Allowance(state.name, settings.max_rounds)
    tokens = await (await engine.loaded(state)).tokens()
    if tokens >= most_tokens and not is_again:
        raise BudgetReached(
            f"session {state.name!r} has used {tokens:,} tokens, {most_tokens:,} are allowed",
            "start another session, or raise the limit: %config CopilotNB.max_tokens_per_session = …",
        )
    return Allowance(state.name, settings.max_rounds, most_tokens - tokens)
