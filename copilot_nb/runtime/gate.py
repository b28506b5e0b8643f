"""The runtime's requests for permission, answered by the session (`ToolHost`).

Only the hook before a tool sees every call: a call that somebody once allowed in the terminal's `copilot` "always, in
this folder" runs without a request, and the folder `COPILOT_HOME` is shared on purpose. So for the runtime's own tools
and those of MCP servers the hook answers ``ask``, which makes exactly one request whatever is stored. It answers at
once: while a hook waits, a turn cannot be stopped. The waiting happens in the request.

Nothing is ever allowed "for this location": the runtime would write that into the file it shares with the terminal.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot.generated import rpc

from copilot_nb.agent.policy import ASK_USER, Call, Kind
from copilot_nb.agent.tools import Arguments, as_json
from copilot_nb.runtime.tools import RUNTIMES_OWN, ToolHost, Toolkit, refusal

if TYPE_CHECKING:
    from copilot.session import (
        PermissionInvocation,
        PermissionRequestResult,
        PostToolUseHookInput,
        PostToolUseHookOutput,
        PreToolUseHookInput,
        PreToolUseHookOutput,
    )
    from copilot.session_events import PermissionRequest

log = logging.getLogger(__name__)

FOLLOWS = frozenset({"read_bash", "stop_bash", "list_bash", ASK_USER})
"""The runtime's tools that need no permission: they follow a command that was allowed, or ask the user themselves."""
_KINDS: Mapping[str, Kind] = {
    "bash": "shell",
    "view": "read",
    "grep": "read",
    "glob": "read",
    "create": "write",
    "edit": "write",
}
_SHOWN_BASH = frozenset({"command", "description"})


class PermissionGate:
    """Answers the runtime's requests of one session.

    Parameters
    ----------
    host : ToolHost
        The session.
    toolkit : callable
        Returns the session's tools.
    folder : str
        The runtime's working folder, which relative paths belong to.
    """

    def __init__(self, host: ToolHost, toolkit: Callable[[], Toolkit], folder: str) -> None:
        self._host = host
        self._toolkit = toolkit
        self._folder = folder

    async def on_permission_request(
        self, request: PermissionRequest, _invocation: PermissionInvocation
    ) -> PermissionRequestResult:
        """Return the answer to a request; the SDK denies if this raises."""
        decision = await self._host.permit(self.call_of(request))
        if decision.outcome in ("once", "session"):
            return rpc.PermissionDecisionApproveOnce(approved_interactively=True)
        if decision.is_allowed:
            return rpc.PermissionDecisionApproveOnce()
        if decision.outcome == "unattended":
            return rpc.PermissionDecisionUserNotAvailable()
        return rpc.PermissionDecisionReject(feedback=refusal(decision))

    def on_pre_tool_use(self, given: PreToolUseHookInput, _context: dict[str, str]) -> PreToolUseHookOutput | None:
        """Have the runtime ask about each call that is not one of our own tools, which ask themselves."""
        try:
            return self._before(given["toolName"])
        except Exception:  # the runtime takes a hook that raises for one that does not object
            log.exception("a call of a tool was denied, because the hook before it failed")
            return {"permissionDecision": "deny", "permissionDecisionReason": "copilot_nb could not check this call"}

    def _before(self, name: str) -> PreToolUseHookOutput | None:
        toolkit = self._toolkit()
        if name in FOLLOWS or any(spec.name == name for spec in toolkit.specs):
            return None
        if name not in RUNTIMES_OWN and not self._is_of_server(name):
            return {"permissionDecision": "deny", "permissionDecisionReason": "this session has no such tool"}
        return {"permissionDecision": "ask", "permissionDecisionReason": "copilot_nb decides about each call"}

    def on_post_tool_use(self, given: PostToolUseHookInput, _context: dict[str, str]) -> PostToolUseHookOutput | None:
        """Hide secrets in what the model gets from the runtime's tools; the session's log keeps the original."""
        result = given.get("toolResult")
        text = result.get("textResultForLlm") if isinstance(result, dict) else None
        if not isinstance(text, str) or (hidden := self._host.hide(text)) == text:
            return None
        return {"modifiedResult": {**result, "textResultForLlm": hidden}}

    def _is_of_server(self, name: str) -> bool:
        """Whether a tool is one of an MCP server: the runtime puts the server's name before its own."""
        return any(name.startswith(f"{server}-") for server in self._toolkit().mcp_servers)

    def call_of(self, request: PermissionRequest) -> Call:
        """Return what a request asks for."""
        kind = request.kind
        call_id = getattr(request, "tool_call_id", None) or ""
        needs_human = bool(getattr(request, "managed_approval_required", None))
        name = str(getattr(request, "tool_name", kind))
        arguments = getattr(request, "args", None) if kind != "hook" else getattr(request, "tool_args", None)
        arguments = arguments if isinstance(arguments, dict) else {}
        if kind == "mcp":
            name = f"{getattr(request, 'server_name', '')}-{name}"
        spec = next((spec for spec in self._toolkit().specs if spec.name == name), None)
        if spec is not None and kind in ("custom-tool", "hook"):
            facts = _facts(spec.call(call_id, arguments))
        elif kind in ("hook", "custom-tool", "mcp"):
            facts = self._of_tool(name, arguments)
        else:
            facts = self._of_effect(request)
        return Call(**{"tool": name, **facts, "call_id": call_id, "needs_human": needs_human})

    def _of_tool(self, name: str, arguments: Arguments) -> dict[str, Any]:
        """Return what a call of one of the runtime's tools, or of an MCP server, does."""
        kind = _KINDS.get(name, "mcp" if self._is_of_server(name) else "other")
        if kind == "shell":
            command = str(arguments.get("command", ""))
            rest = {key: value for key, value in arguments.items() if key not in _SHOWN_BASH}
            text = f"{command}\n\n# {as_json(rest)}" if rest else command
            return {"kind": kind, "targets": (command,), "text": text, "language": "bash"}
        if kind in ("read", "write"):
            text = (
                _edit(arguments) if name == "edit" else str(arguments.get("file_text", "")) if name == "create" else ""
            )
            language = "diff" if name == "edit" else "" if text else "json"
            targets = self._paths(arguments)
            return {"kind": kind, "targets": targets, "text": text or as_json(arguments), "language": language}
        return {"kind": kind, "text": as_json(arguments), "language": "json"}

    def _of_effect(self, request: PermissionRequest) -> dict[str, Any]:
        """Return what is asked for: the runtime describes some calls by what they do, not by their tool."""
        data = request.to_dict()
        if request.kind == "shell":
            command = str(data.get("fullCommandText", ""))
            return {"kind": "shell", "tool": "bash", "targets": (command,), "text": command, "language": "bash"}
        if request.kind in ("read", "write"):
            targets = self._paths({"path": data.get("path") or data.get("fileName") or ""})
            text = data.get("diff") or as_json(data)
            return {"kind": request.kind, "targets": targets, "text": text, "language": "diff"}
        if request.kind == "url":
            return {"kind": "url", "targets": (str(data.get("url", "")),), "text": str(data.get("url", ""))}
        return {"kind": "other", "text": as_json(data), "language": "json"}

    def _paths(self, arguments: Arguments) -> tuple[str, ...]:
        """Return the real paths that a call names; the working folder if it names none.

        ``~`` is the name of a folder for the runtime's tools.
        """
        named = arguments.get("path") or arguments.get("paths") or self._folder
        paths = named if isinstance(named, list) else [named]
        return tuple(os.path.realpath(Path(self._folder, str(path))) for path in paths)


def _facts(call: Call) -> dict[str, Any]:
    names = ("kind", "tool", "targets", "text", "language", "why", "is_harmless")
    return {name: getattr(call, name) for name in names}


def _edit(arguments: Arguments) -> str:
    """Return the change of a file as a diff."""
    old, new = (str(arguments.get(name, "")).splitlines() for name in ("old_str", "new_str"))
    path = str(arguments.get("path", ""))
    return "\n".join(difflib.unified_diff(old, new, path, path, lineterm="", n=len(old)))
