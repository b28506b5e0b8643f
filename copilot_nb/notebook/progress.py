"""A progress line, and waiting for background turns with one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
    """One line that is replaced while something runs; in a terminal only its last state is printed.

    Parameters
    ----------
    shell : InteractiveShell
        Whose front end shows it.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._handle = DisplayHandle() if has_rich_output(shell) else None
        self._is_shown = False
        self._shown_at_s = -UPDATE_EVERY_S

    def show(self, text: Callable[[], str]) -> None:
        """Show the progress, twice a second; `text` is called only then."""
        if time.monotonic() - self._shown_at_s >= UPDATE_EVERY_S:
            self._shown_at_s = time.monotonic()
            self._publish(text())

    def finish(self, text: str) -> None:
        """Show the result; in a terminal, too."""
        if self._handle is None:
            print(text)
        self._publish(text)

    def _publish(self, line: str) -> None:
        if self._handle is None:
            return
        if self._is_shown:
            self._handle.update({"text/plain": line}, raw=True)
        else:
            self._handle.display({"text/plain": line}, raw=True)
        self._is_shown = True


def _outcome(turn: Turn) -> str:
    """Return a line that says how a turn ended, or its state."""
    figures = figures_text(turn.record)
    said = f"{turn.session.name}: {turn.state.value}, {count(len(turn.text), 'character')}"
    return f"{said}, {figures}" if figures else said


def progress(turns: Sequence[Turn]) -> str:
    """Return a line that says how many turns have ended, and the state of the others."""
    going = [
        f"{turn.session.name}: {turn.state.value}, {count(len(turn.text), 'character')}"
        for turn in turns
        if not turn.done
    ]
    done = f"{len(turns) - len(going)} of {count(len(turns), 'turn')} ended"
    return f"{done} · {' · '.join(going)}" if going else done


def wait_for(shell: InteractiveShell, turns: Sequence[Turn]) -> None:
    """Wait for `turns` and show their progress.

    Raises
    ------
    CopilotNBError
        If one failed or was interrupted, once all have ended.
    """
    line = ProgressLine(shell)
    line.show(lambda: progress(turns))
    try:
        wait(turns, on_update=lambda _turn: line.show(lambda: progress(turns)))
    finally:
        line.finish("\n".join([progress(turns), *(_outcome(turn) for turn in turns)]))
