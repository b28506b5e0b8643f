"""The error tree: everything `copilot_nb` raises on purpose.

::

    CopilotNBError
    ├── InputError              what was typed cannot be used
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

An error is one line for a reader of a notebook: what happened, and what to type next. IPython asks a
raised object for `_render_traceback_` before it formats a traceback, so that one line is all that a cell
shows. (A *subclass* of `IPython.core.error.UsageError` would not do: IPython compares that one by
identity and prints the whole traceback of a subclass.)
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
        The parameters; `hint` is ``""`` where there is none.
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
    """What was typed cannot be used: an empty prompt, an unknown option, an illegal name."""


class RuntimeUnavailable(CopilotNBError):
    """The Copilot runtime is missing, cannot be started, or went away."""


class ProviderError(CopilotNBError):
    """No model can answer: it is not installed, nobody is logged in, or the provider refused."""


class SessionError(CopilotNBError):
    """A session cannot be opened, changed or deleted."""


class SessionNotFound(SessionError):
    """There is no session of that name."""


class SessionInUse(SessionError):
    """The session is open in another process."""


class BudgetReached(SessionError):
    """The session has had as many turns or tokens as the settings allow; nothing was sent."""


class TurnError(CopilotNBError):
    """A turn was sent and did not finish; what had been answered is kept."""


class TurnFailed(TurnError):
    """The provider or the runtime reported an error."""


class TurnInterrupted(TurnError):
    """The turn was stopped: by the kernel's interrupt, by `stop`, or by the runtime's death."""


class TurnTimeout(TurnError):
    """Nothing came from the model for longer than `timeout_s`."""
