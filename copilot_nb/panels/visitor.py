"""Identifies the visitor of a page by a secret in the visitor's browser, and a name derived from it.

A URL that names its visitor could be sent to somebody else, who would then talk in the sender's conversations; and a
reload without it would lose the visitor. So the kernel makes a secret, and the browser stores it for the page's origin,
where no link can put one. The name is a hash of the secret, so it may appear in a list, a session's id or an error. A
browser that stores nothing (a private window) is a new visitor at each load.

The page asks when it has made all widgets of the notebook: it drops the updates of a widget that it has not made yet,
and a notebook answers a visitor by updating widgets.

When a page is reloaded, its old kernel must end: otherwise it keeps the visitor's session open, and the new kernel
cannot use it (see `static/visitor.js`).

Why: docs/decisions/0024-visitors-by-browser-secret.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import anywidget
from traitlets import Unicode

from copilot_nb.errors import InputError
from copilot_nb.panels.assets import script

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
TOKEN_BYTES = 32
NAME_DIGITS = 16


class Visitor(anywidget.AnyWidget):
    """A widget without a view that identifies the visitor of its page.

    On JupyterHub the visitor is the Hub's user. Elsewhere the browser identifies the visitor, also after a reload.

    Parameters
    ----------
    on_visitor : callable
        Called once with the visitor's name, which is not secret: the user for `copilot_nb.session(name, user=...)`.

    Attributes
    ----------
    user : str
        The visitor's name; ``""`` until the browser has answered.

    Raises
    ------
    InputError
        If `on_visitor` is no function.

    Examples
    --------
    >>> Visitor(lambda user: print("welcome", user))  # doctest: +SKIP
    """

    _esm = script("visitor.js")
    widget_id = Unicode(help="The id of the widget's comm.").tag(sync=True)

    def __init__(self, on_visitor: Callable[[str], object]) -> None:
        if not callable(on_visitor):
            raise InputError(f"a Visitor calls a function, not {type(on_visitor).__name__}", "Visitor(lambda user: …)")
        widget_id = uuid4().hex
        super().__init__(widget_id=widget_id, model_id=widget_id)
        self.user = ""
        self._on_visitor = on_visitor
        self._token = ""
        self.on_msg(self._received)
        if hub_user := os.environ.get("JUPYTERHUB_USER"):
            self._identified(hub_user)

    def _received(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Take the browser's secret, or send it a new one to store; the browser asks again until it has an answer."""
        if not self._token:
            token = str(message.get("token", ""))
            self._token = token if _TOKEN.fullmatch(token) else secrets.token_urlsafe(TOKEN_BYTES)
        self.send({"token": self._token})
        if not self.user:
            self._identified(f"visitor-{hashlib.sha256(self._token.encode()).hexdigest()[:NAME_DIGITS]}")

    def _identified(self, user: str) -> None:
        self.user = user
        self._on_visitor(user)
