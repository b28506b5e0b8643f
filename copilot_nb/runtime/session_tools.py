"""The tools of one loaded session: what it is opened with, and who answers for it."""

from __future__ import annotations

from typing import Any

from copilot.tools import Tool

from copilot_nb.runtime.gate import PermissionGate
from copilot_nb.runtime.questions import Questions
from copilot_nb.runtime.tools import ToolHost, Toolkit, sdk_tools


class SessionTools:
    """The tools of one session.

    Parameters
    ----------
    host : ToolHost
        The session, which decides about each call.
    toolkit : Toolkit
        Its tools; another one is assigned when they change.
    folder : str
        The runtime's working folder.
    """

    def __init__(self, host: ToolHost, toolkit: Toolkit, folder: str) -> None:
        self.toolkit = toolkit
        self.folder = folder
        self._host = host
        self._gate = PermissionGate(host, lambda: self.toolkit, folder)

    def definitions(self) -> list[Tool]:
        """Return our tools for the SDK."""
        return sdk_tools(self.toolkit.specs, self._host)

    def options(self) -> dict[str, Any]:
        """Return the options with which the SDK opens the session."""
        options: dict[str, Any] = {
            "tools": self.definitions(),
            "available_tools": self.toolkit.available,
            "on_permission_request": self._gate.on_permission_request,
        }
        if self.toolkit.is_watched:
            hooks = {"on_pre_tool_use": self._gate.on_pre_tool_use, "on_post_tool_use": self._gate.on_post_tool_use}
            options["hooks"] = hooks
            options |= Questions(self._host).options()
            options["mcp_servers"] = {name: dict(server) for name, server in self.toolkit.mcp_servers.items()}
        return options
