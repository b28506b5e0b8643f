"""The plan to send one prompt to one or more sessions, which are opened or created when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.session import Session, engine_of, send_planned, state_of

if TYPE_CHECKING:
    from copilot_nb.named_sessions.options import SessionOptions
    from copilot_nb.named_sessions.prompt_plan import PromptPlan
    from copilot_nb.named_sessions.turn import Turn


@dataclass(frozen=True, slots=True)
class Sent:
    """A turn that was sent, and whether the running cell had asked its session before."""

    turn: Turn
    is_rerun: bool


@dataclass(frozen=True, slots=True)
class SendPlan:
    """A prompt that can be sent; made by `Manager.plan`, which refuses what cannot.

    Attributes
    ----------
    prompt : PromptPlan
        The prompt.
    targets : mapping of str to SessionOptions
        The names of the sessions, and the options that the prompt sets for each.
    open : callable
        Opens or creates a session by its name and options.
    """

    prompt: PromptPlan
    targets: Mapping[str, SessionOptions]
    open: Callable[[str, SessionOptions], Session]

    def send(self, *, timeout_s: float = 0.0, now: bool = False) -> list[Sent]:
        """Open all sessions, then send the prompt to each of them (see `Session.send`)."""
        sessions = [self.open(name, options) for name, options in self.targets.items()]
        return [self._send(session, timeout_s, now=now) for session in sessions]

    def _send(self, session: Session, timeout_s: float, *, now: bool) -> Sent:
        cells = state_of(session).cells
        cell = cells.key_of(self.prompt.prompt, engine_of(session).notebook)
        is_rerun = cells.has(cell)
        return Sent(send_planned(session, self.prompt, timeout_s=timeout_s, cell=cell, now=now), is_rerun)


def refused_names(names: Sequence[str], new: Sequence[str]) -> InputError:
    """Return the error for a line with several names, of which `new` are not the name of a session.

    Words of a prompt look like names: a prompt written on the first line would go to a session for each of its words.
    """
    are_new = f"{', '.join(map(repr, new))} {'is' if len(new) == 1 else 'are'} new"
    line = f"%%copilot {' '.join(map(quoted, names))} --create"
    return InputError(
        f"a cell with several names creates no session, and {are_new}",
        f"a prompt goes below this line; to create: {line}",
    )
