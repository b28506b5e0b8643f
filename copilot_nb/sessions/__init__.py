"""Named sessions: the state of this kernel's conversations.

The room has the name of the public function `copilot_nb.sessions`, which Python replaces by the room as soon as that is
imported. So the room can be called as well, and lists the sessions.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copilot_nb.sessions.listing import SessionList


class _Room(ModuleType):
    def __call__(self, limit: int | None = None, *, user: str | None = None) -> SessionList:
        from copilot_nb.sessions.api import sessions

        return sessions(limit, user=user)


sys.modules[__name__].__class__ = _Room
