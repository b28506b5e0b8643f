"""What ``%load_ext copilot_nb`` does: register, and no more. Whatever is heavy is imported at first use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from copilot_nb.notebook import questions
from copilot_nb.notebook.magics import CopilotMagics
from copilot_nb.settings import CopilotNB

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

COMMANDS = ("%copilot", "%%copilot")


def load(shell: InteractiveShell) -> None:
    """Register settings, magics and completion with `shell`; loading twice is loading once."""
    if _settings_of(shell):
        return
    settings = CopilotNB(parent=shell)
    cast(list[Any], shell.configurables).append(settings)
    shell.register_magics(CopilotMagics(shell, settings))
    shell.input_transformers_cleanup.append(questions.keep)
    for command in COMMANDS:
        shell.set_hook("complete_command", _complete, str_key=command)
    if settings.warm_start:
        shell.events.register("post_run_cell", _WarmStart(shell, settings))


def unload(shell: InteractiveShell) -> None:
    """Undo `load`: the magics go, and the runtime is stopped."""
    from copilot_nb.sessions.api import drop_manager

    drop_manager()
    for settings in _settings_of(shell):
        cast(list[Any], shell.configurables).remove(settings)
    shell.magics_manager.magics["line"].pop("copilot", None)
    shell.magics_manager.magics["cell"].pop("copilot", None)
    if questions.keep in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(questions.keep)


def _settings_of(shell: InteractiveShell) -> list[CopilotNB]:
    return [known for known in cast(list[Any], shell.configurables) if isinstance(known, CopilotNB)]


def _complete(_shell: InteractiveShell, event: object) -> list[str]:
    from copilot_nb.notebook.completion import complete

    return complete(event)


class _WarmStart:
    """Starts the runtime in the background, once, after the cell that loaded the extension has ended.

    Importing the SDK takes the interpreter's lock for 1.5 s in slices; begun any earlier it would delay that cell.
    """

    def __init__(self, shell: InteractiveShell, settings: CopilotNB) -> None:
        self._shell = shell
        self._settings = settings

    def __call__(self, _result: object = None) -> None:
        self._shell.events.unregister("post_run_cell", self)
        threading.Thread(target=self._begin, name="copilot-nb-warm-start", daemon=True).start()

    def _begin(self) -> None:
        from copilot_nb.sessions.api import shared_manager

        shared_manager(self._settings).warm_up()
