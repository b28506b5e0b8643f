"""Delivers panel messages on the control channel while a cell is running.

A comm's messages go to the kernel's shell channel, as cells do. Without subshells (ipykernel 6, a front end that does
not use them, a user who turned them off) they wait until the cell ends, even the request to stop the cell's answer.
So if the kernel does not handle a message within a moment, the page sends it again, under our own message type, on the
control channel, which carries interrupts and has its own thread. The panel executes a request once, however often it
arrives.

These are not comm messages: ipykernel fires a cell's events around a comm message, so a figure that the running cell
draws would be shown half finished.

Why: docs/decisions/0017-control-channel.md.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

MESSAGE_TYPE = "copilot_nb_aside"


class Receiver(Protocol):
    """A receiver of the page's messages."""

    def receive(self, message: Mapping[str, Any], /) -> None:
        """Handle a request of the page (from any thread)."""


_receivers: WeakValueDictionary[str, Receiver] = WeakValueDictionary()


def listen(comm: object, name: str, receiver: Receiver) -> None:
    """Receive the page's messages on the control channel, too, if the kernel supports handlers for it.

    Parameters
    ----------
    comm : object
        The panel's comm, which refers to the kernel.
    name : str
        The panel's id on the page.
    receiver : Receiver
        The panel.
    """
    handlers = getattr(getattr(comm, "kernel", None), "control_handlers", None)
    if isinstance(handlers, MutableMapping):
        _receivers[name] = receiver
        handlers[MESSAGE_TYPE] = _received


def _received(_stream: object, _ident: object, message: Mapping[str, Any]) -> None:
    content = message["content"]
    if (receiver := _receivers.get(content["panel"])) is not None:
        receiver.receive(content["message"])
