"""What ``%load_ext copilot_nb`` does: it only registers. Everything heavy is imported at its first use."""

from __future__ import annotations

import sys
import threading
import weakref
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from IPython.core.completer import CompletionContext, SimpleMatcherResult, context_matcher
from traitlets import TraitError

from copilot_nb.console import accept_any_text
from copilot_nb.errors import InputError
from copilot_nb.frontend import has_kernel, has_rich_output
from copilot_nb.notebook import failures, input_transform
from copilot_nb.notebook.magics import CopilotMagics
from copilot_nb.notebook.main_thread import Waker
from copilot_nb.settings import CopilotNB, adopt
from copilot_nb.system.main_thread import MAIN_THREAD

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.notebook.context import OpenPanel
    from copilot_nb.notebook.inline_requests import OpenAsker

COMMANDS = ("%copilot ", "%%copilot ")
_whole = input_transform.Whole()
_left: weakref.WeakKeyDictionary[InteractiveShell, CopilotNB] = weakref.WeakKeyDictionary()
"""The settings of shells that have unloaded the extension; sessions that are held still go by them."""


def load(shell: InteractiveShell, open_panel: OpenPanel, open_asker: OpenAsker) -> None:
    """Register settings, magics and completion with `shell`; loading twice is loading once."""
    if _settings_of(shell):
        return
    if not has_rich_output(shell):
        accept_any_text(sys.stdout)  # an answer, a table, an error: a model writes in every script
    settings = _left.pop(shell, None) or _new_settings(shell)
    adopt(settings)
    cast(list[Any], shell.configurables).append(settings)
    shell.register_magics(CopilotMagics(shell, settings, open_panel, open_asker))
    shell.input_transformers_cleanup.insert(0, _whole)
    shell.input_transformer_manager.token_transformers.extend(input_transform.TOKEN_TRANSFORMERS)
    _matchers(shell).append(_complete)
    failures.watch(shell)
    settings.equip = partial(_equip, shell, open_asker)
    MAIN_THREAD.wake = Waker(shell) if has_kernel(shell) else None
    if settings.warm_start:
        shell.events.register("post_run_cell", _WarmStart(shell, settings))


def _equip(shell: InteractiveShell, open_asker: OpenAsker, manager: Manager) -> None:
    """Give the sessions of `manager` the tools of this notebook, and ask in its cells what they may do."""
    from copilot_nb.named_sessions.waiting import attendants
    from copilot_nb.notebook import kernel_tools, looking
    from copilot_nb.notebook.asking import CellAsker

    looking.equip(shell, manager)
    kernel_tools.equip(shell, manager)
    attendants[:] = [CellAsker(shell, manager, open_asker)]


def unload(shell: InteractiveShell) -> None:
    """Undo `load`: remove the magics and stop the runtime."""
    from copilot_nb.named_sessions.api import rest

    rest()
    adopt(None)
    failures.unwatch(shell)
    MAIN_THREAD.wake = None
    for settings in _settings_of(shell):
        _left[shell] = settings
        cast(list[Any], shell.configurables).remove(settings)
    shell.magics_manager.magics["line"].pop("copilot", None)
    shell.magics_manager.magics["cell"].pop("copilot", None)
    if _complete in _matchers(shell):
        _matchers(shell).remove(_complete)
    if _whole in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_whole)
    transformers = shell.input_transformer_manager.token_transformers
    transformers[:] = [each for each in transformers if each not in input_transform.TOKEN_TRANSFORMERS]


def _new_settings(shell: InteractiveShell) -> CopilotNB:
    try:
        return CopilotNB(parent=shell)
    except TraitError as error:
        del shell.config["CopilotNB"]  # else nothing could be loaded any more, and nothing corrected
        hint = "correct it in ipython_config.py; %load_ext copilot_nb again takes the defaults"
        raise InputError(f"a setting of copilot_nb cannot be used: {error}", hint) from error


def _settings_of(shell: InteractiveShell) -> list[CopilotNB]:
    return [known for known in cast(list[Any], shell.configurables) if isinstance(known, CopilotNB)]


def _matchers(shell: InteractiveShell) -> list[Any]:
    return cast(list[Any], cast(Any, shell).Completer.custom_matchers)


def _offer(context: CompletionContext) -> SimpleMatcherResult:
    """Complete `%copilot` lines."""
    if not context.text_until_cursor.lstrip().startswith(COMMANDS):
        return {"completions": []}
    from copilot_nb.notebook.completion import complete

    return complete(context.text_until_cursor)


_complete = cast(Any, context_matcher)()(_offer)


class _WarmStart:
    """Starts the runtime in the background, once, after the cell that loaded the extension has ended.

    Importing the SDK takes the interpreter's lock for half a second, in slices; begun earlier it would delay that cell.
    """

    def __init__(self, shell: InteractiveShell, settings: CopilotNB) -> None:
        self._shell = shell
        self._settings = settings

    def __call__(self, _result: object = None) -> None:
        self._shell.events.unregister("post_run_cell", self)
        if self._settings not in _settings_of(self._shell):
            return  # unloaded meanwhile
        import_module("concurrent.futures.thread")  # Python refuses it in a shell that is just ending
        threading.Thread(target=self._begin, name="copilot-nb-warm-start", daemon=True).start()

    def _begin(self) -> None:
        from copilot_nb.named_sessions.api import shared_manager

        shared_manager(self._settings).warm_up()
