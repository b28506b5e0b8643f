"""`copilot_nb.compare` with a progress line in a notebook."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Unpack

from copilot_nb.experiments import api
from copilot_nb.experiments.progress import Progress
from copilot_nb.frontend import running_shell

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.experiments.comparison import Comparison
    from copilot_nb.experiments.options import CompareOptionValues
    from copilot_nb.experiments.prompts import Template


@functools.wraps(api.compare)
def compare(prompts: object, template: Template = "", **options: Unpack[CompareOptionValues]) -> Comparison:
    """Compare, and show the progress."""
    shell = running_shell()
    if shell is None or options.get("on_progress") is not None:
        return api.compare(prompts, template, **options)
    line = _Line(shell)
    options["on_progress"] = line.show
    try:
        return api.compare(prompts, template, **options)
    finally:
        line.finish()


class _Line:
    """A progress line that appears with the first progress."""

    def __init__(self, shell: InteractiveShell) -> None:
        from copilot_nb.notebook.progress import ProgressLine

        self._line = ProgressLine(shell)
        self._last: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Show the progress."""
        self._last = progress
        self._line.show(lambda: str(progress))

    def finish(self) -> None:
        """Leave the last progress shown."""
        if self._last is not None:
            self._line.finish(str(self._last))
