"""The level ``all``: the runtime's own tools and an MCP server, with a real shell and real files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from copilot.client import ManagedSettings, ManagedSettingsPermissions

from copilot_nb.agent.policy import Call
from copilot_nb.agent.tools import ToolSpec
from copilot_nb.conversation.parts import Outcome, ToolCall
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Event
from copilot_nb.runtime import client
from copilot_nb.runtime.gate import PermissionGate
from copilot_nb.runtime.tools import Toolkit
from copilot_nb.testing import FunctionCall, Reply, ScriptedModel

from .conftest import script

SERVER = """
import json, os, sys
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("greet", "form", "page")]
FIELDS = {"name": {"type": "string", "default": "Bo"}, "age": {"type": "integer"},
          "likes": {"type": "array", "items": {"type": "string", "enum": ["tea", "jam"]}}}
FORM = {"mode": "form", "message": "Who are you?",
        "requestedSchema": {"type": "object", "required": ["age"], "properties": FIELDS}}
PAGE = {"mode": "url", "message": "Log in:", "url": "https://example.org/login", "elicitationId": "e"}
called = 0

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    name = message.get("params", {}).get("name")
    if method is None:  # what came of a form
        text = json.dumps(message["result"], sort_keys=True)
        send(id=called, result={"content": [{"type": "text", "text": text}]})
        continue
    if method == "tools/call" and name != "greet":
        called = message["id"]
        send(id="form", method="elicitation/create", params=PAGE if name == "page" else FORM)
        continue
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "hello", "version": "1"}}
    elif method == "tools/call":
        text = f'hello; {os.environ.get("PLANTED_TOKEN", "no token")}; {os.environ["HELLO_KEY"]}'
        result = {"content": [{"type": "text", "text": text}]}
    else:
        result = {"tools": TOOLS}
    if "id" in message:
        send(id=message["id"], result=result)
"""


class Agent:
    """A session with all tools in a folder, whose calls are answered as a test says."""

    def __init__(self, manager: Manager, folder: Path) -> None:
        self.manager, self.folder = manager, folder
        self.asked: list[Call] = []
        self.told = ""
        self.notes: list[str] = []
        self.answers: dict[str, object] | None = None
        self._outcome: Outcome = "denied"
        self.attended = manager.approvals.attend(lambda _request: True)
        manager.events.add(self._answer)

    def _answer(self, event: Event) -> None:
        if event.kind == "ask":
            for request in self.manager.approvals.pending:
                self.asked.append(request.call)
                if request.is_question and self.answers is not None:
                    self.manager.approvals.answer(request.request_id, self.answers, "you")
                elif request.is_question:
                    self.manager.approvals.decide(request.request_id, "denied", "you")
                else:
                    self.manager.approvals.decide(request.request_id, self._outcome, "you", "blue")

    def call(self, name: str, outcome: Outcome = "denied", **arguments: object) -> ToolCall:
        """Have the model call a tool, answer the request, and return the call."""
        self.asked.clear()
        self._outcome = outcome
        calls = (FunctionCall(name, json.dumps(arguments)),)
        model = script(self.manager, ScriptedModel([Reply(calls=calls), "Done."]))
        turn = self.manager.session("s1", tools="all").ask("Go")
        (call,) = (part for part in turn.record.parts if isinstance(part, ToolCall))
        self.told = model.requests[-1].messages[-1].text
        self.notes = turn.notes
        assert call in self.manager.session("s1").last_turns(1)[0].parts
        return call


@pytest.fixture
def agent(own_manager: Callable[..., Manager], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent in a folder where the terminal's `copilot` may do everything unasked."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("PLANTED_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "planted-4711")
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:planted-4711@host/db")
    manager = own_manager()
    home = Path(manager.settings.home)
    home.mkdir(parents=True)
    kinds = [{"kind": "write"}, {"kind": "read"}, {"kind": "mcp", "serverName": "hello", "toolName": None}]
    (home / "permissions-config.json").write_text(json.dumps({"locations": {str(folder): {"tool_approvals": kinds}}}))
    (home / "server.py").write_text(SERVER)
    hello = {"command": sys.executable, "args": [str(home / "server.py")], "env": {"HELLO_KEY": "given-4711"}}
    manager.settings.mcp_servers = {"hello": hello, "gone": {"command": "/nowhere"}}
    return Agent(manager, folder)


def test_a_shell_files_and_a_server_do_what_is_allowed_and_nothing_else(agent: Agent, tmp_path: Path) -> None:
    printed = agent.call("bash", "once", command="echo one two; env | grep -c planted", description="Look")
    assert printed.result.startswith("one two\n0\n")
    (note,) = agent.notes
    assert note.startswith("MCP server gone is missing: ")
    assert note.endswith("; check it: %config CopilotNB.mcp_servers")
    agent.call("bash", "once", command="echo planted-4711", description="Print a secret")
    assert "‹secret: PLANTED_TOKEN›" in agent.told
    assert "planted-4711" not in agent.told
    assert [(call.kind, call.targets) for call in agent.asked] == [("shell", (agent.asked[0].text,))]
    new, outside = agent.folder / "new.txt", tmp_path / "outside.txt"
    for path in (new, outside):
        denied = agent.call("create", path=str(path), file_text="no")
        assert denied.decision is not None
        assert (denied.succeeded, denied.decision.outcome, denied.decision.reason) == (False, "denied", "blue")
        assert "did not allow this, so it was not run: blue" in denied.result
        assert [(call.kind, call.text) for call in agent.asked] == [("write", "no")]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", "work"]
    agent.call("create", "once", path=str(new), file_text="one\ntwo\n")
    agent.call("edit", "once", path=str(new), old_str="one", new_str="three")
    assert agent.asked[0].language == "diff"
    assert "-one\n+three" in agent.asked[0].text
    assert new.read_text() == "three\ntwo\n"
    assert agent.call("view", "once", path="new.txt").succeeded
    assert [(call.kind, call.targets) for call in agent.asked] == [("read", (str(new),))]
    greeted = agent.call("hello-greet", "once")
    assert "hello; no token" in greeted.result
    assert "given-4711" not in agent.told
    assert agent.told.endswith("no token; ‹secret: HELLO_KEY›")
    assert [(call.kind, call.tool) for call in agent.asked] == [("mcp", "hello-greet")]
    assert not agent.call("hello-greet").succeeded
    assert not agent.call("sql", "once", query="select 1").succeeded
    assert agent.asked == []


def test_forms_are_answered_or_not_and_kept(agent: Agent) -> None:
    colour = {"properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}}
    agent.answers = {"colour": "blue"}
    answer = agent.call("ask_user", message="Which one?", requestedSchema=colour)
    assert answer.result == "User responded: blue"
    assert [(each.question, each.decision.reason) for each in answer.answers] == [("Which one?", "blue")]
    assert [(call.kind, call.tool, call.text) for call in agent.asked] == [("question", "ask_user", "Which one?")]
    agent.answers = {"age": " 7 ", "likes": ["tea", "jam"]}
    filled = agent.call("hello-form", "once")
    content = {"name": "Bo", "age": 7, "likes": ["tea", "jam"]}
    assert json.loads(filled.result) == {"action": "accept", "content": content}
    assert [(call.kind, call.tool) for call in agent.asked] == [("mcp", "hello-form"), ("question", "hello")]
    assert filled.decision is not None
    assert filled.decision.outcome == "once"
    (kept,) = filled.answers
    assert (kept.question, kept.decision.reason) == ("Who are you?", "name: Bo, age: 7, likes: tea, jam")
    agent.answers = {}
    page = agent.call("hello-page", "once")
    assert json.loads(page.result)["action"] == "accept"
    assert page.answers[0].question == "Log in:\n\nhttps://example.org/login"
    agent.answers = None
    assert json.loads(agent.call("hello-form", "once").result) == {"action": "decline"}
    assert agent.call("ask_user", message="And?", requestedSchema=colour).result == "User cancelled the request."
    agent.attended()
    agent.manager.settings.permissions = [{"action": "allow", "kind": "mcp"}]
    nobody = agent.call("hello-form")
    assert json.loads(nobody.result) == {"action": "cancel"}
    assert nobody.answers[0].decision.outcome == "unattended"
    assert "user is not available" in agent.call("ask_user", message="Who?", requestedSchema=colour).result
    assert agent.asked == []


def test_managed_settings_have_a_person_decide_whatever_a_rule_allows(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    managed = ManagedSettingsPermissions(ask=["Shell(echo *)", "CustomTool(act)"], deny=["Write(**)"])
    monkeypatch.setitem(client._LEAN, "managed_settings", ManagedSettings(permissions=managed))
    agent.manager.settings.permissions = [{"action": "allow"}]
    agent.manager.toolbox.add(ToolSpec("act", "Act.", lambda *_: "acted", asks=False))
    for name, arguments in (("bash", {"command": "echo hi", "description": "Greet"}), ("act", {})):
        denied = agent.call(name, "denied", **arguments)
        assert [call.needs_human for call in agent.asked] == [True]
        assert (denied.succeeded, denied.decision and denied.decision.outcome) == (False, "denied")
        allowed = agent.call(name, "session", **arguments)
        assert (allowed.succeeded, allowed.decision and allowed.decision.outcome) == (True, "once")
    assert agent.call("bash", "denied", command="pwd", description="Look").succeeded
    assert agent.asked == []
    refused = agent.call("create", path=str(agent.folder / "new.txt"), file_text="no")
    assert "denied due to the following rules: `Write(**)`" in refused.result
    assert agent.asked == []


class Host:
    """A session that fails at everything."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_hook_that_fails_denies() -> None:
    def failing() -> Toolkit:
        raise RuntimeError("no tools")

    gate = PermissionGate(cast(Any, Host()), failing, "/work")
    for given in ({"toolName": "bash"}, {}):
        answer = gate.on_pre_tool_use(cast(Any, given), {})
        assert answer is not None
        assert answer["permissionDecision"] == "deny"


@pytest.mark.parametrize(
    ("request_", "kind", "targets", "text"),
    [
        ({"kind": "shell", "fullCommandText": "ls; rm x"}, "shell", ("ls; rm x",), "ls; rm x"),
        ({"kind": "write", "fileName": "a/b", "diff": "+x"}, "write", ("/work/a/b",), "+x"),
        ({"kind": "read", "path": "/etc/../x"}, "read", ("/x",), None),
        ({"kind": "url", "url": "https://a.b"}, "url", ("https://a.b",), "https://a.b"),
        ({"kind": "memory", "fact": "likes red"}, "other", (), None),
    ],
)
def test_what_is_asked_for_by_its_effect(
    request_: dict[str, str], kind: str, targets: tuple[str, ...], text: str | None
) -> None:
    """No tool of ours needs these today; a later runtime may ask in these words for one."""
    given = SimpleNamespace(**{"tool_call_id": "c1", "managed_approval_required": True} | request_)
    given.to_dict = lambda: request_
    call = PermissionGate(cast(Any, Host()), Toolkit, "/work").call_of(cast(Any, given))
    assert (call.kind, call.targets, call.needs_human, call.call_id) == (kind, targets, True, "c1")
    assert text is None or call.text == text


def test_a_search_in_several_folders_names_each() -> None:
    gate = PermissionGate(cast(Any, Host()), Toolkit, "/work")
    request = SimpleNamespace(kind="hook", tool_name="grep", tool_args={"pattern": "x", "paths": ["a", "/b"]})
    assert gate.call_of(cast(Any, request)).targets == ("/work/a", "/b")
    shell = SimpleNamespace(kind="hook", tool_name="bash", tool_args={"command": "ls", "mode": "async"})
    assert gate.call_of(cast(Any, shell)).text == 'ls\n\n# {\n  "mode": "async"\n}'
