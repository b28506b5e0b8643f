"""Fits a conversation into a small model's window.

Why: docs/decisions/0004-embedded-window.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from copilot_nb.providers.chat import ChatError, Message

MESSAGE_TOKENS = 8
"""Tokens kept for what the chat template adds to each message (SmolLM2: 5)."""


def fit(messages: Sequence[Message], room_tokens: int, count: Callable[[str], int]) -> tuple[list[Message], int]:
    """Choose the messages for the model: all, or the system's and the latest exchanges.

    Old exchanges go in blocks of half the room, so that the beginning of what is kept, which the model has
    already read, stays the same for many turns.

    Parameters
    ----------
    messages : sequence of Message
        The conversation, oldest first.
    room_tokens : int
        Tokens that there is room for.
    count : callable
        Counts the tokens of a text.

    Returns
    -------
    tuple of list of Message, int
        The messages that stay, and their size in tokens.

    Raises
    ------
    ChatError
        With status 400, where the system message and the last exchange alone are too long.
    """
    seen = [m for m in messages if m.role in ("system", "user", "assistant") and m.text]
    system = [m for m in seen if m.role == "system"]
    exchanges = _exchanges(m for m in seen if m.role != "system")
    sizes = [_tokens(e, count) for e in exchanges]
    system_tokens = _tokens(system, count)
    room_tokens -= system_tokens
    if not exchanges or sizes[-1] > room_tokens:
        raise _too_long(sizes[-1] if sizes else 0, room_tokens)
    dropped = _dropped(sizes, room_tokens)
    return system + [m for e in exchanges[dropped:] for m in e], system_tokens + sum(sizes[dropped:])


def _dropped(sizes: Sequence[int], room_tokens: int) -> int:
    """Count the oldest exchanges that must go; never the last."""
    excess, block = sum(sizes) - room_tokens, max(1, room_tokens // 2)
    goal, gone, dropped = -(-excess // block) * block, 0, 0
    while gone < goal and dropped < len(sizes) - 1:
        gone += sizes[dropped]
        dropped += 1
    return dropped


def _exchanges(messages: Iterator[Message]) -> list[list[Message]]:
    exchanges: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not exchanges:
            exchanges.append([])
        exchanges[-1].append(message)
    return exchanges


def _tokens(messages: Sequence[Message], count: Callable[[str], int]) -> int:
    return sum(count(m.bare_text) + MESSAGE_TOKENS for m in messages)


def _too_long(tokens: int, room_tokens: int) -> ChatError:
    message = (
        f"The prompt is too long for the embedded model: {tokens} tokens, and there is room for "
        f"{max(0, room_tokens)}. Shorten it, or choose another model with --model."
    )
    return ChatError(400, message, "context_length_exceeded")
