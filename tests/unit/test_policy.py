"""The rules for calls of tools: what is allowed, denied and asked about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from traitlets import TraitError

from copilot_nb.agent.policy import Action, Call, Kind, Rule, for_session, judge, rules_from, session_scope
from copilot_nb.agent.tools import ToolSpec
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.toolbox import RUNTIMES_OWN, ToolBox, level_of
from copilot_nb.settings import CopilotNB


def call(kind: Kind = "shell", tool: str = "bash", *targets: str, text: str = "", needs_human: bool = False) -> Call:
    return Call(call_id="c", kind=kind, tool=tool, targets=targets, text=text, needs_human=needs_human)


def bash(command: str) -> Call:
    return call("shell", "bash", command)


def edit(*paths: str) -> Call:
    return call("write", "edit", *paths)


def judged(given: Call, *rules: dict[str, str]) -> Action:
    return judge(given, rules_from(rules, "/work")).action


def test_what_no_rule_names_is_asked_about_unless_it_is_harmless() -> None:
    kinds: list[Kind] = ["look", "propose", "code", "tool", "shell", "mcp", "other"]
    assert {judged(call(kind)) for kind in kinds} == {"ask"}
    made = {kind: ToolSpec("x", "", lambda *_: "", kind=kind).call("c", {}) for kind in kinds}
    assert [kind for kind in kinds if judged(made[kind]) == "allow"] == ["look", "propose"]
    assert judged(ToolSpec("x", "", lambda *_: "", asks=False).call("c", {})) == "allow"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("git status", "allow"),
        ("git status -s", "allow"),
        ("git statuses; rm -rf ~", "ask"),
        ("git status && rm x", "ask"),
        ("git status $(rm x)", "ask"),
        ("git status\nrm x", "ask"),
        ("git status > /etc/passwd", "ask"),
        ("git status `rm x`", "ask"),
        ("git status & rm x", "ask"),
        ("sudo git status", "ask"),
    ],
)
def test_a_rule_for_a_command_allows_no_other_command_with_it(command: str, expected: Action) -> None:
    assert judged(bash(command), {"action": "allow", "command": "git status*"}) == expected


def test_a_command_of_several_is_allowed_by_a_rule_that_spells_it_out() -> None:
    assert judged(bash("make && make test"), {"action": "allow", "command": "make && make test"}) == "allow"


@pytest.mark.parametrize("command", ["rm x", "cd /tmp && rm x", "echo a; rm x", "echo $(rm x)", "true | rm x"])
def test_a_rule_that_denies_finds_its_command_among_several(command: str) -> None:
    rules = ({"action": "allow", "tool": "bash"}, {"action": "deny", "command": "rm *"})
    assert judged(bash(command), *rules) == "deny"


def test_the_first_rule_counts_but_one_that_denies_comes_before_all() -> None:
    ask, allow, deny = ({"action": action, "tool": "ed*"} for action in ("ask", "allow", "deny"))
    assert judged(edit("/a"), ask, allow) == "ask"
    assert judged(edit("/a"), allow, ask) == "allow"
    assert judged(edit("/a"), allow, ask, deny) == "deny"
    assert judged(bash("ls"), allow, deny) == "ask"


def test_paths_belong_to_the_folder_and_all_of_them_must_be_allowed() -> None:
    inside, secret = {"action": "allow", "path": "notes/*"}, {"action": "deny", "path": "*.env"}
    assert judged(edit("/work/notes/a"), inside) == "allow"
    assert judged(edit("/work/notes"), inside) == judged(edit("/work/notes/a", "/etc/b"), inside) == "ask"
    assert judged(edit("/work/notes/a", "/work/notes/.env"), inside, secret) == "deny"
    assert judged(bash("/work/notes/a"), inside) == "ask"  # a path rule is about files
    assert judged(edit(), inside) == "ask"
    assert rules_from([{"action": "deny", "path": "a*"}], "/w[1]")[0].matches(edit("/w[1]/ab"))


@pytest.mark.parametrize(
    ("given", "same", "other", "scope"),
    [
        (call("code", "run_code", text="1"), call("code", "run_code", text="2"), bash("ls"), "any code"),
        (bash("ls *"), bash("ls *"), bash("ls a"), "this command"),
        (bash("a && b"), bash("a && b"), bash("a"), "this command"),
        (edit("/a[1]"), edit("/a[1]"), edit("/a1"), "writing this file"),
        (call("mcp", "s-get"), call("mcp", "s-get"), call("mcp", "s-put"), "any call of s-get"),
        (call("tool", "mine"), call("tool", "mine"), call("code", "mine"), "any call of mine"),
    ],
)
def test_what_is_allowed_for_a_session(given: Call, same: Call, other: Call, scope: str) -> None:
    rules = for_session(given)
    assert session_scope(given) == scope
    assert (judge(same, rules).action, judge(other, rules).action) == ("allow", "ask")


def test_what_can_only_be_allowed_once() -> None:
    for given in (call("question"), call("continue"), call("other", "x"), call("url", "x", "a"), edit("/a", "/b")):
        assert session_scope(given) == ""
    assert session_scope(call("code", needs_human=True)) == ""


def test_no_rule_answers_for_a_person() -> None:
    everything = {"action": "allow"}
    assert judged(call("question"), everything) == judged(call("continue"), everything) == "ask"
    assert judged(call("shell", needs_human=True), everything) == "ask"
    assert judged(call("shell", needs_human=True), {"action": "deny"}) == "deny"


def test_a_call_and_a_rule_in_words() -> None:
    assert call("code", "run_code", text="a\nb").what == "run 2 lines of Python"
    assert bash("git\nstatus\x1b[2J" + "x" * 100).what.startswith("bash: git status⟨U+001B⟩[2Jx")
    assert str(Rule(action="deny", tool="bash", command="rm *")) == "the rule for tool bash, command rm *"
    assert str(Rule(action="deny")) == "the rule for everything"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"tool": "bash"}, "rule 1 needs an 'action', one of: allow, deny, ask"),
        ({"action": "yes"}, "rule 1 needs an 'action'"),
        ({"action": "allow", "paht": "x"}, "rule 1 has the unknown field 'paht'; known are: action, kind"),
        ({"action": "allow", "tool": 3}, "rule 1 has a 'tool' that is no text"),
        ({"action": "allow", "path": "a", "command": "b"}, "rule 1 has a 'path' and a 'command'"),
    ],
)
def test_a_bad_rule_is_refused_in_one_line(rule: dict[str, object], said: str) -> None:
    with pytest.raises(TraitError, match=said) as raised:
        CopilotNB(permissions=[rule])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("servers", [{"a b": {"command": "x"}}, {"a": {}}, {"a": {"command": "x", "url": "y"}}])
def test_a_bad_server_is_refused_in_one_line(servers: dict[str, dict[str, str]]) -> None:
    with pytest.raises(TraitError, match=r"CopilotNB\.mcp_servers"):
        CopilotNB(mcp_servers=servers)


def spec(name: str) -> ToolSpec:
    return ToolSpec(name, "", lambda _arguments, _context: "")


def test_a_session_has_the_tools_of_its_level_and_its_own() -> None:
    box = ToolBox()
    box.offer("read", [spec("look")])
    box.offer("kernel", [spec("run_code")])
    box.add(spec("for_all"))
    box.add(one := spec("for_all"), "s1")
    assert [[each.name for each in box.of(level, "s2")] for level in ("none", "read", "kernel", "all")] == [
        [],
        ["look", "for_all"],
        *[["look", "run_code", "for_all"]] * 2,
    ]
    assert box.of("read", "s1")[-1] is one
    box.renamed("s1", "s2")
    assert (box.of("read", "s2")[-1] is one, box.of("read", "s1")[-1] is one) == (True, False)


def test_a_tool_is_taken_away_from_one_session_or_all() -> None:
    box = ToolBox()
    for session in ("", "s1", "s2"):
        box.add(spec("stock"), session)
    box.remove("stock", "s1")
    assert box.own == ["stock", "stock (s2)"]
    with pytest.raises(InputError, match="there is no tool 'stock' of s1 → yours are: stock, stock \\(s2\\)"):
        box.remove("stock", "s1")
    box.remove("stock")
    with pytest.raises(InputError, match="no tool 'stock' → yours are: none yet"):
        box.remove("stock")


@pytest.mark.parametrize(
    ("can", "asked", "setting", "is_visitors", "expected"),
    [
        (True, "", "", False, "read"),
        (None, "", "", False, "none"),  # many servers refuse tools
        (None, "read", "", False, "read"),
        (None, "", "kernel", False, "kernel"),
        (False, "all", "kernel", False, "none"),
        (True, "none", "kernel", False, "none"),
        (True, "", "", True, "none"),  # a visitor of a page must not see what is behind it
        (True, "", "read", True, "read"),
    ],
)
def test_the_level_of_a_session(can: bool | None, asked: str, setting: str, is_visitors: bool, expected: str) -> None:
    providers = {"p": SimpleNamespace(calls_tools=lambda _model: can)}
    options = SessionOptions(provider="p", tools=asked)
    assert level_of(options, CopilotNB(tools=setting), cast(Any, providers), is_visitors=is_visitors) == expected


@pytest.mark.parametrize("name", ["look", *sorted(RUNTIMES_OWN)[:3]])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    box = ToolBox()
    box.offer("read", [spec("look")])
    with pytest.raises(InputError, match=f"'{name}' is the name of another tool"):
        box.add(spec(name))
