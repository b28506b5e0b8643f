"""Who visits a page: a secret that the visitor's browser keeps, and a name that is made of it.

An address that names its visitor can be sent to somebody else, who then talks in the sender's conversations; and it
loses the visitor when the page is reloaded without it. So the kernel makes the secret and the browser keeps it for the
page's origin, where no link can put one. The name is a hash of the secret: it may stand in a list, in a session's id
and in an error. A browser that keeps nothing (a private window) is a new visitor at each load.

The kernel of a page that is reloaded must end, or it keeps the visitor's session from the next one (see
`static/visitor.js`).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import anywidget

from copilot_nb.panels.assets import script

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
TOKEN_BYTES = 32
NAME_DIGITS = 16


class Visitor(anywidget.AnyWidget):
    """Finds out who visits the page that shows it; it shows nothing itself.

    JupyterHub says who its user is. Elsewhere the visitor is known by their browser, also after the page is reloaded.

    Parameters
    ----------
    came : callable
        Called once with the visitor's name, which is no secret: the user of `copilot_nb.session(name, user=...)`.

    Attributes
    ----------
    user : str
        The visitor's name; ``""`` until the browser has told.

    Examples
    --------
    >>> Visitor(lambda user: print("welcome", user))  # doctest: +SKIP
    """

    _esm = script("visitor.js")

    def __init__(self, came: Callable[[str], object]) -> None:
        super().__init__()
        self.user = ""
        self._came = came
        self._token = ""
        self.on_msg(self._told)
        if hub_user := os.environ.get("JUPYTERHUB_USER"):
            self._welcome(hub_user)

    def _told(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Take what the browser keeps, or have it keep a new secret; it asks again until it is answered."""
        if not self._token:
            told = str(message.get("token", ""))
            self._token = told if _TOKEN.fullmatch(told) else secrets.token_urlsafe(TOKEN_BYTES)
        self.send({"token": self._token})
        if not self.user:
            self._welcome(f"visitor-{hashlib.sha256(self._token.encode()).hexdigest()[:NAME_DIGITS]}")

    def _welcome(self, user: str) -> None:
        self.user = user
        self._came(user)
