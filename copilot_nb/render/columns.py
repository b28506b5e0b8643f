"""Renders several turns in columns if there is room, else one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.escape import escape, well_formed
from copilot_nb.render.turn import Label, turn_html, turn_text

ShownTurn = tuple[TurnRecord, Label]
"""A turn, and the facts that a rendering needs in addition."""
_ROW = ' style="display:flex;flex-wrap:wrap;gap:1.5em"'
_COLUMN = ' style="flex:1 1 15em;min-width:0"'


def columns_html(turns: Sequence[ShownTurn], *, live: bool = False) -> str:
    """Render turns side by side for `text/html`, each under the name of its session."""
    columns = (
        f"<section{_COLUMN}><h4>{escape(label.session)}</h4>{turn_html(turn, label, live=live)}</section>"
        for turn, label in turns
    )
    return f'<div class="copilot-nb"{_ROW}>{"".join(columns)}</div>'


def columns_text(turns: Sequence[ShownTurn]) -> str:
    """Return turns one under the other for `text/plain`, each under the name of its session as a heading."""
    return "\n\n".join(f"## {well_formed(label.session)}\n\n{turn_text(turn, label)}" for turn, label in turns)
