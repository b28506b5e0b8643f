"""What is stored of a session beside its history, and how it is listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import age, count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.state import SessionState

PREFIX = "copilot_nb/"
"""Our part of the runtime's own metadata of a session."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session on disk.

    Attributes
    ----------
    session_id, name : str
        What the runtime and what the user calls it.
    user : str
        Whose it is; ``""``: nobody's in particular.
    options : SessionOptions
        What it was last used with; empty where unknown.
    notebook : str
        Where it was last used; ``""`` where unknown.
    provider_line : str
        The line that adds its provider to a kernel, if it was one that a kernel forgets.
    turns : int
        Turns (count), as the log has them; 0 where it has not been looked at.
    last : str
        How the last turn ended, if it was ``"failed"`` or ``"interrupted"``.
    cells : str
        Which cell made which turn (see `rerun`).
    used_at : datetime or None
        When it was last changed.
    is_own : bool
        Whether copilot_nb made it; else it is another of the user's Copilot sessions.
    is_elsewhere : bool
        Whether another process has it open.
    """

    session_id: str
    name: str
    options: SessionOptions = field(default_factory=SessionOptions)
    notebook: str = ""
    user: str = ""
    provider_line: str = ""
    turns: int = 0
    last: str = ""
    cells: str = ""
    used_at: datetime | None = None
    is_own: bool = True
    is_elsewhere: bool = False

    @classmethod
    def from_metadata(cls, session_id: str, entries: Mapping[str, str], changed: str) -> StoredSession:
        """Make one of what the runtime stored (`changed`: ISO 8601, ``""`` where unknown)."""
        return cls(
            session_id,
            entries.get(f"{PREFIX}name", session_id),
            options=SessionOptions.stored(entries, PREFIX),
            notebook=entries.get(f"{PREFIX}notebook", ""),
            user=entries.get(f"{PREFIX}user", ""),
            provider_line=entries.get(f"{PREFIX}provider_line", ""),
            last=entries.get(f"{PREFIX}last", ""),
            cells=entries.get(f"{PREFIX}cells", ""),
            used_at=datetime.fromisoformat(changed) if changed else None,
            is_own=f"{PREFIX}name" in entries,
        )

    @classmethod
    def of(cls, state: SessionState, notebook: str = "") -> StoredSession:
        """Make one of a session of this kernel, which need not be stored yet."""
        return cls(
            state.session_id,
            state.name,
            options=state.options,
            notebook=notebook,
            user=state.user,
            turns=state.turn_count,
        )

    @property
    def provider(self) -> str:
        """Where its answers come from."""
        return self.options.provider

    @property
    def model(self) -> str:
        """The model that answers; ``""``: the provider's default."""
        return self.options.model

    @property
    def system(self) -> str:
        """Its system message."""
        return self.options.system or ""

    @property
    def effort(self) -> str:
        """How hard its model reasons; ``""``: the model's default."""
        return self.options.effort or ""

    @property
    def context(self) -> str:
        """The size of its model's window; ``""``: the model's default."""
        return self.options.context or ""

    @property
    def notebook_name(self) -> str:
        """The notebook without its folders, which are long and nobody else's business."""
        return self.notebook.replace("\\", "/").rpartition("/")[2]

    def used(self, now: datetime) -> str:
        """Return how long ago it was last used, in words."""
        return f"{age(now - self.used_at)} ago" if self.used_at else ""

    def resumed_note(self, now: datetime) -> str:
        """Return the line that says what is being resumed."""
        said = [count(self.turns, "turn")]
        said += [f"last used {self.used(now)}"] if self.used_at else []
        said += [f"in {self.notebook_name}"] if self.notebook else []
        return f"resumed {self.name}: {', '.join(said)}"


def annotation(state: SessionState, notebook: str, provider_line: str) -> dict[str, str]:
    """Return what the runtime is to keep of a session beside its history."""
    values = {
        "name": state.name,
        "provider_line": provider_line,
        "user": state.user,
        "notebook": well_formed(notebook),  # a path need not be UTF-8
        "last": state.last_outcome,
    }
    facts = {f"{PREFIX}{key}": value for key, value in values.items()}
    return facts | state.options.to_store(PREFIX) | cells_entry(state)


def cells_entry(state: SessionState) -> dict[str, str]:
    """Return the part of it that each turn changes: which cell made which turn."""
    return {f"{PREFIX}cells": state.cells.written()}
