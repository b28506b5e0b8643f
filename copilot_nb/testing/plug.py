"""Lets a test's model answer in place of a real one, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.providers.in_kernel import InKernel

if TYPE_CHECKING:
    from copilot_nb.providers.chat import ChatModel


def install(model: ChatModel, name: str = "scripted") -> None:
    """Let `model` answer new sessions of this process, as the provider `name`; everything else stays real.

    Parameters
    ----------
    model : ChatModel
        For example a `ScriptedModel`.
    name : str, default "scripted"
        The provider's name: letters, digits and ``-``.

    Examples
    --------
    >>> install(ScriptedModel("Hello."))  # doctest: +SKIP
    >>> copilot_nb.session("s1").ask("Hi").text  # doctest: +SKIP
    'Hello.'
    """
    manager = shared_manager()
    manager.providers.add(InKernel(name, lambda: model))
    manager.settings.provider = name
