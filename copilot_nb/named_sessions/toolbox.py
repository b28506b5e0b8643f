"""The tools of this kernel: those that the notebook offers at each level, and the user's own.

Why: docs/decisions/0046-tools-read-by-default.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from copilot_nb.agent.tools import LEVELS, Level, ToolSpec
from copilot_nb.conversation.prompt import require_kind
from copilot_nb.errors import InputError

if TYPE_CHECKING:
    from copilot_nb.named_sessions.options import SessionOptions
    from copilot_nb.providers.registry import Providers
    from copilot_nb.settings import CopilotNB

_BY_NAME = ("the session of a tool is named by text", 'session="session1"')
RUNTIMES_OWN = frozenset(
    (
        *("bash", "read_bash", "write_bash", "stop_bash", "list_bash", "powershell"),
        *("view", "grep", "glob", "create", "edit", "apply_patch", "web_fetch", "web_search"),
        *("task", "read_agent", "write_agent", "list_agents", "skill"),
        *("ask_user", "sql", "report_intent", "tool_search_tool"),
    )
)
"""The names of the runtime's own tools, which no other tool can have."""


class ToolBox:
    """The tools of this kernel. All methods are thread-safe."""

    def __init__(self) -> None:
        self._offered: dict[Level, tuple[ToolSpec, ...]] = {}
        self._own: dict[tuple[str, str], ToolSpec] = {}

    @property
    def is_equipped(self) -> bool:
        """Whether a notebook offers its tools."""
        return bool(self._offered)

    def offer(self, level: Level, specs: Sequence[ToolSpec]) -> None:
        """Offer tools to the sessions of `level` and above, instead of those offered before."""
        self._offered = {**self._offered, level: tuple(specs)}

    def add(self, spec: ToolSpec, session: str = "") -> None:
        """Add a tool of the user's, for one session or (``""``) for all; one of that name is replaced.

        Raises
        ------
        InputError
            If another tool has that name, or `session` is not a name.
        """
        require_kind(session, str, *_BY_NAME)
        offered = {each.name for specs in self._offered.values() for each in specs}
        if spec.name in offered | RUNTIMES_OWN:
            raise InputError(f"{spec.name!r} is the name of another tool", "rename the function, or give name=…")
        self._own = {**self._own, (session, spec.name): spec}

    def remove(self, name: str, session: str = "") -> None:
        """Remove a tool of the user's: that of one session, or (``""``) wherever it is.

        Raises
        ------
        InputError
            If there is none, or `session` is not a name.
        """
        require_kind(session, str, *_BY_NAME)
        kept = {key: spec for key, spec in self._own.items() if key[1] != name or session not in ("", key[0])}
        if len(kept) == len(self._own):
            whose = f" of {session}" if session else ""
            raise InputError(f"there is no tool {name!r}{whose}", f"yours are: {', '.join(self.own) or 'none yet'}")
        self._own = kept

    def renamed(self, before: str, after: str) -> None:
        """Let the tools of a session belong to it under its new name."""
        self._own = {(after if of == before else of, name): spec for (of, name), spec in self._own.items()}

    @property
    def own(self) -> list[str]:
        """The names of the user's tools, with the session that has one alone: ``"stock"``, ``"stock (py)"``."""
        return [f"{name} ({of})" if of else name for of, name in self._own]

    def of(self, level: Level, session: str) -> tuple[ToolSpec, ...]:
        """Return the tools of a session; its own come before those of all sessions of the same name."""
        if level == "none":
            return ()
        offered = [spec for each in LEVELS[: LEVELS.index(level) + 1] for spec in self._offered.get(each, ())]
        own = {name: spec for whose in ("", session) for (of, name), spec in self._own.items() if of == whose}
        return (*offered, *own.values())


def level_of(options: SessionOptions, settings: CopilotNB, providers: Providers, *, is_visitors: bool = False) -> Level:
    """Return the level of tools of a session: its own, else that of the settings, else ``read``.

    A model that is known to call no tools gets none. One of which that is not known gets none unless they are asked
    for: many servers refuse a request that offers tools. So does the session of a visitor, who must not see what is
    in the notebook behind a page.
    """
    can = providers[options.provider].calls_tools(options.model)
    wanted = options.tools or settings.tools
    if can is False or (not wanted and (can is None or is_visitors)):
        return "none"
    return cast(Level, wanted or "read")
