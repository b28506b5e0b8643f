"""A second way from the page to a panel: past the cell that runs.

A comm's messages go to the kernel's shell, as cells do. Without subshells (ipykernel 6, a front end that does not use
them, a user who turned them off) they wait until the cell has ended, also the one that is to stop its answer. What the
kernel does not take within a moment the page therefore sends again, as a message of our own, on the control channel:
that of interrupts, which is served by a thread of its own. The panel does what it is asked once, however often it hears
it.

No comm message goes this way: ipykernel fires a cell's events around it, so a figure that the cell is drawing would be
shown half done.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

MESSAGE_TYPE = "copilot_nb_aside"


class Hearer(Protocol):
    """What a page speaks to."""

    def hear(self, message: Mapping[str, Any], /) -> None:
        """Take what the page asks for (from any thread)."""


_listening: WeakValueDictionary[str, Hearer] = WeakValueDictionary()


def listen(comm: object, name: str, hearer: Hearer) -> None:
    """Hear also what the page sends on the control channel, where the kernel is one that has handlers for it.

    Parameters
    ----------
    comm : object
        The panel's comm, which knows the kernel.
    name : str
        What the page calls the panel.
    hearer : Hearer
        The panel.
    """
    handlers = getattr(getattr(comm, "kernel", None), "control_handlers", None)
    if isinstance(handlers, MutableMapping):
        _listening[name] = hearer
        handlers[MESSAGE_TYPE] = _received


def _received(_stream: object, _ident: object, message: Mapping[str, Any]) -> None:
    content = message["content"]
    if (hearer := _listening.get(content["panel"])) is not None:
        hearer.hear(content["message"])
