"""Decides by rules whether a call of a tool is allowed, denied, or somebody must be asked.

A `Call` says what is to be done: its kind, its tool, and its targets (paths, a command, an address). The rules come
from the user's settings. A rule that denies comes before all others; of those that allow or ask, the first that matches
counts; what no rule matches is asked, unless it is harmless (`Call.is_harmless`).

A pattern is that of a shell: ``*``, ``?``, ``[…]``. A command that consists of several (``a && b``, ``$(c)``) is
allowed only by a rule that names it as it is: ``git log*`` must not allow ``git log; rm -rf ~``. It is denied by a rule
that matches any of them.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from copilot_nb.characters import revealed_line

Action = Literal["allow", "deny", "ask"]
Kind = Literal[
    "look", "propose", "code", "tool", "shell", "read", "write", "mcp", "url", "question", "continue", "other"
]
"""What a call does.

``look``: reads the notebook's variables and cells; ``propose``: writes a cell that does not run; ``code``: runs Python
in the kernel; ``tool``: calls a function of the user's; ``shell``, ``read``, ``write``: runs a command, reads or writes
a file; ``mcp``: calls a tool of an MCP server; ``url``: opens an address; ``question``: asks the user something;
``continue``: goes on after many calls; ``other``: a kind that is not known here.
"""
ASK_USER = "ask_user"
"""The runtime's tool that asks the user; a question of any other name comes from an MCP server of that name."""
HARMLESS: frozenset[Kind] = frozenset({"look", "propose"})
"""The kinds that change nothing and send nothing but to the model."""
ALWAYS_ASKED: frozenset[Kind] = frozenset({"question", "continue"})
"""The kinds that are addressed to the user, which no rule answers."""
MAX_TARGET_CHARS = 80
_WHOLE_TOOL: frozenset[Kind] = frozenset({"look", "propose", "code", "tool", "mcp"})
_SCOPES: Mapping[Kind, str] = {"shell": "this command", "read": "reading this path", "write": "writing this file"}
_SPLIT = re.compile(r"\|\||&&|[;&|\n]|\$\(|`|[<>]\(|[()]")
_SUBSTITUTES = re.compile(r"[;&|`\n<>()]|\$[({]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool that may need permission.

    Attributes
    ----------
    call_id : str
        The runtime's id of the call.
    kind : Kind
        What it does.
    tool : str
        The name of the tool.
    targets : tuple of str
        What it acts on: the command, the absolute paths, the address; empty: nothing in particular.
    text : str
        All that will run or be written, to be read before it is allowed.
    language : str
        The language of `text` for highlighting: ``"python"``, ``"bash"``, ``"diff"``, ``"json"``; ``""``: none.
    why : str
        What it is for, in the model's words; ``""``: it does not say.
    is_harmless : bool
        Whether it is allowed where no rule says otherwise.
    needs_human : bool
        Whether the organisation's settings want a person to decide, so that no rule may allow it.
    """

    call_id: str
    kind: Kind
    tool: str
    targets: tuple[str, ...] = ()
    text: str = ""
    language: str = ""
    why: str = ""
    is_harmless: bool = False
    needs_human: bool = False

    @property
    def what(self) -> str:
        """The call in one line: ``"run 3 lines of Python"``, ``"edit: /home/ada/notes.md"``."""
        if self.kind == "code":
            lines = self.text.count("\n") + 1
            return f"run {lines} lines of Python" if lines > 1 else "run Python"
        line, tool = revealed_line(", ".join(self.targets)), revealed_line(self.tool)
        shown = f"{line[:MAX_TARGET_CHARS]}…" if len(line) > MAX_TARGET_CHARS else line
        return f"{tool}: {shown}" if shown else tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule for calls of tools; an empty pattern matches everything.

    Attributes
    ----------
    action : Action
        What to do with a call that matches.
    kind, tool : str
        Patterns of the kind and of the tool's name.
    path, command : str
        Patterns of the target of a file tool, and of a shell command.
    """

    action: Action
    kind: str = ""
    tool: str = ""
    path: str = ""
    command: str = ""

    def matches(self, call: Call) -> bool:
        """Whether the rule applies to a call."""
        if not (_fits(self.kind, call.kind) and _fits(self.tool, call.tool)):
            return False
        if self.path and (call.kind not in ("read", "write") or not self._matches_all(call.targets, self._is_path)):
            return False
        return not self.command or (call.kind == "shell" and self._matches_all(call.targets, self._is_command))

    def _matches_all(self, targets: Iterable[str], matches: Callable[[str], bool]) -> bool:
        """Whether all targets match; for a rule that denies, whether any does."""
        found = [matches(target) for target in targets]
        return any(found) if self.action == "deny" else bool(found) and all(found)

    def _is_path(self, path: str) -> bool:
        return _fits(self.path, path)

    def _is_command(self, command: str) -> bool:
        if self.action == "allow" and _SUBSTITUTES.search(command):
            return self.command in (command, _literal(command))
        each = [command, *_SPLIT.split(command)] if self.action == "deny" else [command]
        return any(_fits(self.command, part.strip()) for part in each)

    def __str__(self) -> str:
        patterns = ("tool", "kind", "path", "command")
        said = [f"{name} {value}" for name in patterns if (value := getattr(self, name))]
        return f"the rule for {', '.join(said) or 'everything'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about a call; `rule` is ``None`` if none matched."""

    action: Action
    rule: Rule | None = None


def judge(call: Call, rules: Iterable[Rule]) -> Verdict:
    """Return what `rules` say about a call."""
    if call.kind in ALWAYS_ASKED:
        return Verdict("ask")
    matching = [rule for rule in rules if rule.matches(call)]
    if (denying := next((rule for rule in matching if rule.action == "deny"), None)) is not None:
        return Verdict("deny", denying)
    first = matching[0] if matching else None
    action: Action = first.action if first else "allow" if call.is_harmless else "ask"
    return Verdict("ask" if call.needs_human else action, first)


def for_session(call: Call) -> tuple[Rule, ...]:
    """Return the rules that somebody sets who allows a call for the whole session (see `session_scope`)."""
    kind, tool = call.kind, _literal(call.tool)
    if kind in _WHOLE_TOOL:
        return (Rule(action="allow", kind=kind, tool=tool),)
    if kind == "shell":
        return tuple(Rule(action="allow", kind=kind, tool=tool, command=_literal(each)) for each in call.targets)
    return tuple(Rule(action="allow", kind=kind, tool=tool, path=_literal(each)) for each in call.targets)


def session_scope(call: Call) -> str:
    """Return in words what allowing a call for the session allows; ``""`` if it cannot be allowed for the session."""
    if call.needs_human:
        return ""
    if call.kind in _WHOLE_TOOL:
        return "any code" if call.kind == "code" else f"any call of {revealed_line(call.tool)}"
    return _SCOPES.get(call.kind, "") if len(call.targets) == 1 else ""


def rules_from(entries: Iterable[Mapping[str, str]], folder: str) -> tuple[Rule, ...]:
    """Return the rules of a setting whose entries were checked; a relative path belongs to `folder`."""
    rules = []
    for entry in entries:
        path = entry.get("path", "")
        if path and not path.startswith(("/", "*", "~")) and not re.match(r"[A-Za-z]:", path):
            path = f"{_literal(folder.rstrip('/'))}/{path}"
        rules.append(Rule(**{**entry, "path": path}))  # type: ignore[arg-type]
    return tuple(rules)


def _fits(pattern: str, text: str) -> bool:
    return not pattern or fnmatch.fnmatchcase(text, pattern)


def _literal(text: str) -> str:
    """Return the pattern that matches only `text`."""
    return re.sub(r"([*?[])", r"[\1]", text)
