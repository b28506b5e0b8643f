"""Waiting for background turns, with a line that says how they stand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.display import DisplayHandle

from copilot_nb.frontend import has_rich_output
from copilot_nb.named_sessions.waiting import wait
from copilot_nb.render.turn import figures_text
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.turn import Turn

UPDATE_EVERY_S = 0.5


class ProgressLine:
    """One line that is replaced while turns run; nothing in a terminal, where lines only add up."""

    def __init__(self, shell: InteractiveShell, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._handle = DisplayHandle() if has_rich_output(shell) else None
        self._is_shown = False
        self._shown_at_s = -UPDATE_EVERY_S

    def show(self, _turn: Turn | None = None) -> None:
        """Show how the turns stand, twice a second."""
        if time.monotonic() - self._shown_at_s >= UPDATE_EVERY_S:
            self._shown_at_s = time.monotonic()
            self._publish(progress(self._turns))

    def finish(self) -> None:
        """Show how each of the turns ended."""
        summary = "\n".join([progress(self._turns), *(_outcome(turn) for turn in self._turns)])
        if self._handle is None:
            print(summary)
        self._publish(summary)

    def _publish(self, line: str) -> None:
        if self._handle is None:
            return
        if self._is_shown:
            self._handle.update({"text/plain": line}, raw=True)
        else:
            self._handle.display({"text/plain": line}, raw=True)
        self._is_shown = True


def _outcome(turn: Turn) -> str:
    """Return a line: how a turn ended, or where it stands."""
    figures = figures_text(turn.record)
    said = f"{turn.session.name}: {turn.state.value}, {count(len(turn.text), 'character')}"
    return f"{said}, {figures}" if figures else said


def progress(turns: Sequence[Turn]) -> str:
    """Return one line: how many turns have ended, and where the others stand."""
    going = [
        f"{turn.session.name}: {turn.state.value}, {count(len(turn.text), 'character')}"
        for turn in turns
        if not turn.done
    ]
    done = f"{len(turns) - len(going)} of {count(len(turns), 'turn')} ended"
    return f"{done} · {' · '.join(going)}" if going else done


def wait_for(shell: InteractiveShell, turns: Sequence[Turn]) -> None:
    """Wait for `turns`, showing how they stand.

    Raises
    ------
    CopilotNBError
        If one failed or was interrupted, once all have ended.
    """
    line = ProgressLine(shell, turns)
    line.show()
    try:
        wait(turns, on_update=line.show)
    finally:
        line.finish()
