"""`copilot_nb.compare` with its progress in a cell: a line, or the answers of a small comparison as they stream."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Unpack

from copilot_nb.conversation.parts import TurnState
from copilot_nb.experiments import api
from copilot_nb.experiments.progress import Progress
from copilot_nb.frontend import has_rich_output, running_shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.experiments.comparison import Comparison
    from copilot_nb.experiments.options import CompareOptionValues
    from copilot_nb.experiments.prompts import Template
    from copilot_nb.notebook.display import ReplacedOutput
    from copilot_nb.render.columns import ShownTurn

_ENDED = (TurnState.DONE, TurnState.FAILED)


@functools.wraps(api.compare)
def compare(prompts: object, template: Template = "", **options: Unpack[CompareOptionValues]) -> Comparison:
    """Compare, and show the progress."""
    shell = running_shell()
    if shell is None or options.get("on_progress") is not None:
        return api.compare(prompts, template, **options)
    shown = _Shown(shell)
    options["on_progress"] = shown.show
    try:
        result = api.compare(prompts, template, **options)
    except BaseException:
        shown.stop()
        raise
    shown.finish()
    return result


class _Shown:
    """The progress of a comparison: a line that appears with the first progress, or the answers as they stream."""

    def __init__(self, shell: InteractiveShell) -> None:
        from copilot_nb.notebook.progress import ProgressLine

        self._line = ProgressLine(shell)
        self._has_columns = has_rich_output(shell)
        self._columns: ReplacedOutput | None = None
        self._last: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Show the progress."""
        self._last = progress
        if self._has_columns and any(not turn.state.is_final for turn, _ in progress.answers):
            self._columns = self._columns or _new_columns(len(progress.answers))
        if self._columns is None:
            self._line.show(lambda: str(progress))
            return
        self._columns.replace(
            progress,
            lambda: sum(len(turn.text) for turn, _ in progress.answers),
            lambda: _bundle(str(progress), progress.answers, live=True),
        )

    def finish(self) -> None:
        """Leave the last progress shown; the result, which is shown next, has the answers."""
        if self._last is None:
            return
        if self._columns is None:
            self._line.finish(self._last.outcome)
        else:
            self._columns.publish({"text/plain": self._last.outcome}, {})

    def stop(self) -> None:
        """Leave the last progress shown, with the answers that are complete."""
        ended = [each for each in self._last.answers if each[0].state in _ENDED] if self._last else []
        if self._columns is None or self._last is None or not ended:
            self.finish()
        else:
            self._columns.publish(_bundle(self._last.outcome, ended), {})


def _new_columns(answers: int) -> ReplacedOutput:
    from copilot_nb.notebook.display import ReplacedOutput

    return ReplacedOutput(answers)


def _bundle(progress: str, answers: Sequence[ShownTurn], *, live: bool = False) -> dict[str, str]:
    from copilot_nb.render.columns import columns_html
    from copilot_nb.render.turn import quiet

    return {"text/html": columns_html(answers, live=live) + quiet(progress), "text/plain": progress}
