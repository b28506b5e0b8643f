"""Replaces the turns of a cell when the cell is run again.

Running a notebook twice should give its sessions the same history as running it once. The setting `rerun` selects what
happens to a session when one of its cells is run again:

``replace-last`` (default)
    The turns of the cell are removed, and so are all later turns from cells of the same notebook, which are expected
    to be run again too. If other turns were added since (in a panel, a terminal or another notebook), nothing is
    removed: the prompt is appended, and so are the prompts of the later cells.
``rewind``
    The turns of the cell and all later turns are removed, wherever these came from.
``append``
    No turns are removed.

Why: docs/decisions/0007-rerun-replaces.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.cells import LEFT, NOTEBOOK_DIGITS, TURN_DIGITS, Mark
from copilot_nb.named_sessions.rewind import remove_after
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState


async def take_back_cell(state: SessionState, engine: Engine, cell: str) -> tuple[int, str]:
    """Remove the earlier turns of `cell` from a loaded session, as the setting `rerun` specifies.

    Returns
    -------
    tuple of (int, str)
        How many turns were removed, and a note for the reader.
    """
    policy = engine.settings.rerun
    marks = state.cells.since(cell) if cell else []
    if policy == "append" or not marks:
        return 0, ""
    archive = (await engine.client()).archive
    turns = (await archive.last_turns(state.session_id, len(marks) + 1)).turns
    kept = max(0, len(turns) - len(marks))  # one more turn is read: if it was interrupted, the model is reminded of it
    is_own = all(mark.cell[:NOTEBOOK_DIGITS] == cell[:NOTEBOOK_DIGITS] for mark in marks)
    if not is_own or [turn.turn_id[:TURN_DIGITS] for turn in turns[kept:]] != [mark.turn for mark in marks]:
        if policy == "replace-last":
            if marks[0].turn != LEFT:  # LEFT: an earlier cell of this run did this; its new mark stays valid
                state.cells.leave(marks)
            return 0, "appended: the session has newer turns since this cell was run"
        turns = (await archive.history(state.session_id)).turns
        kept = _place(marks[0], turns)
    if (taken := len(turns) - kept) == 0:
        return 0, "appended: the earlier turn of this cell no longer exists"
    await remove_after(state, engine, turns, kept)
    others = count(taken - 1, "turn")
    return taken, f"replaces the earlier turn of this cell and the {others} after it" if taken > 1 else ""


def _place(mark: Mark, turns: Sequence[TurnRecord]) -> int:
    """Return how many turns come before the turn of `mark`; all of them if that turn is gone."""
    return next((place for place, turn in enumerate(turns) if turn.turn_id.startswith(mark.turn)), len(turns))
