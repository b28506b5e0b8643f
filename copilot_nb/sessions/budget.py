"""What a session may take: checked before a prompt is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.errors import BudgetReached

if TYPE_CHECKING:
    from copilot_nb.sessions.session import Session
    from copilot_nb.settings import CopilotNB


async def check_budget(session: Session, settings: CopilotNB) -> None:
    """Check that a loaded session may take another turn.

    Raises
    ------
    BudgetReached
        If it has had `max_turns` turns or `max_tokens_per_session` tokens.
    """
    most_turns, most_tokens = settings.max_turns, settings.max_tokens_per_session
    if most_turns and session.turns_stored >= most_turns:
        raise BudgetReached(
            f"session {session.name!r} has had {session.turns_stored:,} turns, {most_turns:,} are allowed",
            "begin another one, or raise it: %config CopilotNB.max_turns = …",
        )
    if most_tokens:
        tokens = await (await session.loaded()).tokens()
        if tokens >= most_tokens:
            raise BudgetReached(
                f"session {session.name!r} has taken {tokens:,} tokens, {most_tokens:,} are allowed",
                "begin another one, or raise it: %config CopilotNB.max_tokens_per_session = …",
            )
