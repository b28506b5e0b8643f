"""What a session may take: checked before a prompt is sent, and while its turn runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.changes import Change, RoundStarted, UsageReported
from copilot_nb.errors import BudgetReached

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.settings import CopilotNB


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


async def allowance(session: Session, settings: CopilotNB, *, is_again: bool) -> Allowance:
    """Return what the next turn of a loaded session may take; `is_again`: it takes the place of another one.

    Raises
    ------
    BudgetReached
        If the session has had `max_turns` turns or `max_tokens_per_session` tokens.
    """
    most_turns, most_tokens = settings.max_turns, settings.max_tokens_per_session
    if most_turns and session.turns_stored >= most_turns and not is_again:
        raise BudgetReached(
            f"session {session.name!r} has had {session.turns_stored:,} turns, {most_turns:,} are allowed",
            "begin another one, or raise it: %config CopilotNB.max_turns = …",
        )
    if not most_tokens:
        return Allowance(session.name, settings.max_rounds)
    tokens = await (await session.loaded()).tokens()
    if tokens >= most_tokens and not is_again:
        raise BudgetReached(
            f"session {session.name!r} has taken {tokens:,} tokens, {most_tokens:,} are allowed",
            "begin another one, or raise it: %config CopilotNB.max_tokens_per_session = …",
        )
    return Allowance(session.name, settings.max_rounds, most_tokens - tokens)
