"""What one call asks of a session."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import InputError
from copilot_nb.runtime.providers.base import CONTEXTS

if TYPE_CHECKING:
    from copilot_nb.sessions.session import Session
    from copilot_nb.sessions.stored import StoredSession

MAX_SYSTEM_BYTES = 16_000
"""The runtime stores at most 16 KiB in one entry of a session's metadata."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a call wants; a field left empty is the session's own, else the settings'.

    Attributes
    ----------
    model, provider : str
        Which model answers, and where it comes from.
    system : str or None
        The system message; ``""`` is a system message too, therefore ``None``.
    session_id : str
        What the runtime stores a new session under.
    new : bool
        Begin anew, whatever there is of that name.
    take_over : bool
        Go on in a copy where another process has the session open.
    effort : str or None
        The reasoning effort; ``""`` is the model's default.
    context : str or None
        The size of the model's window, where it has several.
    user : str
        Whose session it must be, or become; ``""``: anybody's.

    Raises
    ------
    InputError
        If a model's window has no such size, or a text is too long or cannot be encoded.
    """

    model: str = ""
    provider: str = ""
    system: str | None = None
    session_id: str = ""
    new: bool = False
    take_over: bool = False
    effort: str | None = None
    user: str = ""
    context: str | None = None

    def __post_init__(self) -> None:
        if self.context and self.context not in CONTEXTS:
            raise InputError(f"a model's window has no size {self.context!r}", f"one of: {', '.join(CONTEXTS)}")
        for field in ("model", "provider", "effort"):
            sendable(getattr(self, field) or "", f"the {field}")
        if len(sendable(self.system or "", "the system message").encode()) > MAX_SYSTEM_BYTES:
            raise InputError(f"the system message is longer than {MAX_SYSTEM_BYTES:,} bytes")

    @classmethod
    def of(cls, session: Session | StoredSession) -> SessionOptions:
        """Return what a session has now."""
        return cls(
            session.model, session.provider, session.system or None, effort=session.effort, context=session.context
        )

    def over(self, other: SessionOptions) -> SessionOptions:
        """Return what `self` wants and, where it says nothing, what `other` wants."""
        if (self.model or other.model, self.provider or other.provider) != (other.model, other.provider):
            other = dataclasses.replace(other, effort=None, context=None)  # another model has others
        if self.provider and not self.model:
            other = SessionOptions(system=other.system)  # another provider has other models
        return SessionOptions(
            self.model or other.model,
            self.provider or other.provider,
            other.system if self.system is None else self.system,
            effort=other.effort if self.effort is None else self.effort,
            context=other.context if self.context is None else self.context,
        )
