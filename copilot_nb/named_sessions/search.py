"""Searches all sessions for a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import require_text
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.dataframes import frame
from copilot_nb.render.table import Table
from copilot_nb.render.words import count
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.engine import Engine

SHOWN_MATCHES = 50


@dataclass(frozen=True, slots=True)
class Match:
    """A match of a search: the session, the number of the turn, the role that wrote the text, and its context."""

    session: str
    turn: int
    role: str
    snippet: str


class SearchResults(list[Match]):
    """The matches of a search, most recently used session first; renders as a table."""

    def __init__(self, text: str, matches: Sequence[Match]) -> None:
        super().__init__(matches)
        self._text = text

    def to_frame(self) -> DataFrame:
        """Return the matches as a pandas table with one row per match.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        columns = {"session": "string", "turn": "Int64", "role": "string", "snippet": "string"}
        return frame([{name: getattr(match, name) for name in columns} for match in self], columns)

    def table(self) -> Table:
        """Return the matches as a table; its caption names the command that shows a turn."""
        rows = tuple((m.session, str(m.turn), m.role, m.snippet) for m in self[:SHOWN_MATCHES])
        sessions = count(len({match.session for match in self}), "session")
        shown = f", the first {SHOWN_MATCHES} shown" if len(self) > SHOWN_MATCHES else ""
        matches = "1 match" if len(self) == 1 else f"{len(self):,} matches"
        caption = f"{matches} in {sessions}{shown} · %copilot show NAME --turn N"
        return Table(("session", "turn", "who", "words"), rows, caption, empty=f"No session contains {self._text!r}.")

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


async def search(engine: Engine, text: str) -> SearchResults:
    """Search the prompts and answers of the sessions that copilot_nb created for `text`, ignoring case.

    Raises
    ------
    InputError
        If `text` is blank.
    """
    if not require_text(text, "the search text").strip():
        raise InputError("no search text given", "%copilot search TEXT")
    from copilot_nb.runtime.log_search import LogSearch

    archive = (await engine.client()).archive
    names = await engine.stored_sessions.names()
    found = await in_thread(LogSearch(text.strip()).found_in, archive.logs_of(names))
    matches = [
        Match(names[session_id], hit.turn, hit.role, hit.snippet) for session_id, hits in found.items() for hit in hits
    ]
    return SearchResults(text.strip(), matches)
