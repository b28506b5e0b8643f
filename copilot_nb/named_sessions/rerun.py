"""Which cell made which turn, so that running a cell again can replace what it had asked.

A notebook reads from top to bottom, and so should its sessions: run twice, it ends with the same turns. The setting
`rerun` says what running a cell again does to its session:

``replace-last`` (default)
    What the cell had asked is taken back, and what cells of the same notebook asked after it: they are to be run again
    too. If anything else was said since (in a panel, in a terminal, in another notebook), the prompt is appended, and
    so are those of the cells after it.
``rewind``
    The same, whatever was said since.
``append``
    Nothing is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.named_sessions.cells import LEFT, NOTEBOOK_DIGITS, TURN_DIGITS, Mark
from copilot_nb.named_sessions.rewind import cut
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.state import SessionState


async def take_back_cell(state: SessionState, engine: Engine, cell: str) -> tuple[int, str]:
    """Take back what `cell` had asked of a loaded session, as the setting `rerun` says.

    Returns
    -------
    tuple of (int, str)
        How many turns were taken back, and what a reader should know of it.
    """
    policy = engine.settings.rerun
    marks = state.cells.since(cell) if cell else []
    if policy == "append" or not marks:
        return 0, ""
    archive = (await engine.client()).archive
    turns = (await archive.last_turns(state.session_id, len(marks) + 1)).turns
    kept = max(0, len(turns) - len(marks))  # the one before: if it was interrupted, the model is reminded of it
    is_own = all(mark.cell[:NOTEBOOK_DIGITS] == cell[:NOTEBOOK_DIGITS] for mark in marks)
    if not is_own or [turn.turn_id[:TURN_DIGITS] for turn in turns[kept:]] != [mark.turn for mark in marks]:
        if policy == "replace-last":
            if marks[0].turn != LEFT:  # else the cells before it have been appended in this run, and count
                state.cells.leave(marks)
            return 0, "appended: more was said since this cell was run"
        turns = (await archive.history(state.session_id)).turns
        kept = _place(marks[0], turns)
    if (taken := len(turns) - kept) == 0:
        return 0, "appended: what this cell had asked is no longer there"
    await cut(state, engine, turns, kept)
    others = count(taken - 1, "turn")
    return taken, f"takes the place of what this cell had asked and of the {others} after it" if taken > 1 else ""


def _place(mark: Mark, turns: Sequence[TurnRecord]) -> int:
    """Return how many turns come before the one that `mark` stands for."""
    return next((place for place, turn in enumerate(turns) if turn.turn_id.startswith(mark.turn)), len(turns))
