"""What a session says to its model, and how it names it to its user."""

from __future__ import annotations


def label(provider: str, model: str) -> str:
    """Return a model and where it comes from: ``"gpt-5 (github)"``."""
    return f"{model or 'the default model'} ({provider})"


def reminded(prompt: str, said: str) -> str:
    """Return `prompt`, after what the model had said when it was interrupted (the runtime drops that)."""
    return (
        "[The answer before this was interrupted by the user and is not in the conversation above. "
        f"What had been said:\n\n{said}\n\nEnd of the interrupted answer.]\n\n{prompt}"
    )
