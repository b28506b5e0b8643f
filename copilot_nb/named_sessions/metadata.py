"""The metadata that is stored with a session, in addition to its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import age, count

if TYPE_CHECKING:
    from datetime import datetime

    from copilot_nb.named_sessions.state import SessionState

PREFIX = "copilot_nb/"
"""Prefix of the keys that copilot_nb adds to the runtime's metadata of a session."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A stored session.

    Attributes
    ----------
    session_id, name : str
        Its id in the runtime, and its name for the user.
    user : str
        The user it belongs to; ``""`` if none.
    options : SessionOptions
        The options it was last used with; an unknown one is ``""``.
    notebook : str
        The path of the notebook where it was last used; ``""`` if unknown.
    provider_line : str
        The line that adds its provider to a kernel; ``""`` if the provider needs none.
    turns : int
        Number of turns in the log; 0 if the log has not been read.
    last : str
        How the last turn ended, if it was ``"failed"`` or ``"interrupted"``.
    cells : str
        Which cell sent which turn, as text (see `cells`).
    used_at : datetime or None
        When its last turn ended, or it was created; ``None`` if unknown.
    is_own : bool
        Whether copilot_nb created it; otherwise it is another Copilot session of the user.
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
    def from_metadata(
        cls, session_id: str, entries: Mapping[str, str], used_at: datetime | None = None
    ) -> StoredSession:
        """Return the session that the runtime stored with `entries`."""
        return cls(
            session_id,
            entries.get(f"{PREFIX}name", session_id),
            options=SessionOptions.stored(entries, PREFIX),
            notebook=entries.get(f"{PREFIX}notebook", ""),
            user=entries.get(f"{PREFIX}user", ""),
            provider_line=entries.get(f"{PREFIX}provider_line", ""),
            last=entries.get(f"{PREFIX}last", ""),
            cells=entries.get(f"{PREFIX}cells", ""),
            used_at=used_at,
            is_own=f"{PREFIX}name" in entries,
        )

    @classmethod
    def of(cls, state: SessionState, notebook: str = "") -> StoredSession:
        """Return the listing entry of a session of this kernel, which may not be stored yet."""
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
        """The provider of its model."""
        return self.options.provider

    @property
    def model(self) -> str:
        """Its model; ``""`` for the provider's default."""
        return self.options.model

    @property
    def system(self) -> str:
        """Its system message."""
        return self.options.system or ""

    @property
    def effort(self) -> str:
        """The reasoning effort of its model; ``""`` for the model's default."""
        return self.options.effort or ""

    @property
    def context(self) -> str:
        """The size of its model's context window; ``""`` for the model's default."""
        return self.options.context or ""

    @property
    def notebook_name(self) -> str:
        """The file name of the notebook, without its folders: they are long and private."""
        return self.notebook.replace("\\", "/").rpartition("/")[2]

    def used(self, now: datetime) -> str:
        """Return how long ago it was last used, in words; ``""`` if unknown."""
        return f"{age(now - self.used_at)} ago" if self.used_at else ""

    def resumed_note(self, now: datetime) -> str:
        """Return the note that describes the resumed session: its turns, last use and notebook."""
        said = [count(self.turns, "turn")]
        said += [f"last used {self.used(now)}"] if self.used_at else []
        said += [f"in {self.notebook_name}"] if self.notebook else []
        return f"resumed {self.name}: {', '.join(said)}"


def annotation(state: SessionState, notebook: str, provider_line: str) -> dict[str, str]:
    """Return the metadata entries to store with a session."""
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
    """Return the metadata entry that changes with each turn: which cell sent which turn."""
    return {f"{PREFIX}cells": state.cells.written()}
