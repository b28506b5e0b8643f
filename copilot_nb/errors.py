"""The error tree: everything `copilot_nb` raises on purpose.

::

    CopilotNBError
    ├── InputError              an input is not valid
    ├── RuntimeUnavailable      the Copilot runtime is missing, unusable or gone
    ├── ProviderError           no model can answer: not installed, not logged in, refused
    ├── SessionError            a session cannot be opened or changed
    │   ├── SessionNotFound
    │   ├── SessionInUse
    │   └── BudgetReached
    └── TurnError               a turn was sent and did not finish
        ├── TurnFailed
        ├── TurnInterrupted
        └── TurnTimeout

In a notebook an error is one line: what happened, and what to type next. IPython calls the error's
`_render_traceback_` before it formats a traceback, so a cell shows only that line.
(A subclass of `IPython.core.error.UsageError` would not do: IPython compares that class by identity, and prints the
whole traceback of a subclass.)
"""

from __future__ import annotations

from copilot_nb.characters import visible


class CopilotNBError(Exception):
    """Base of the errors `copilot_nb` raises.

    Parameters
    ----------
    message : str
        What happened, in one line.
    hint : str, optional
        What to type or do next.

    Attributes
    ----------
    message, hint : str
        The parameters; `hint` is ``""`` if there is none.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = visible(" ".join(message.split()))
        self.hint = visible(" ".join(hint.split()))
        super().__init__(message, hint)

    def __str__(self) -> str:
        return f"{self.message} → {self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InputError(CopilotNBError):
    """An input is not valid: an empty prompt, an unknown option, an illegal name."""


class RuntimeUnavailable(CopilotNBError):
    """The Copilot runtime is missing, cannot be started, or went away."""


class ProviderError(CopilotNBError):
    """No model can answer: not installed, not logged in, or refused by the provider."""


class SessionError(CopilotNBError):
    """A session cannot be opened, changed or deleted."""


class SessionNotFound(SessionError):
    """No session has that name."""


class SessionInUse(SessionError):
    """The session is open in another process."""


class BudgetReached(SessionError):
    """The session has reached its limit of turns or tokens; nothing was sent."""


class TurnError(CopilotNBError):
    """A turn was sent and did not finish; the partial answer is kept."""


class TurnFailed(TurnError):
    """The provider or the runtime reported an error."""


class TurnInterrupted(TurnError):
    """The turn was stopped: by an interrupt, by `stop`, or because the runtime ended."""


class TurnTimeout(TurnError):
    """The model sent nothing for longer than `timeout_s`."""
