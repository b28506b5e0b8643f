"""What tools cost: a turn with one look at a variable over the bare SDK with the same tool, and offering tools at all.

The sessions take turns as in `bench.turn`. The bare tool does the same work: it describes the variable and returns the
text. Ours also hides secrets, bounds and marks the result, and asks the rules.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
from typing import TYPE_CHECKING, Any

from copilot.tools import Tool, ToolInvocation, ToolResult
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from bench.bare import as_shipped, bare_turn_s, session_options
from bench.report import Result, ratios
from bench.turn import Timer, by_turns, timed
from copilot_nb.agent.describe import Describer
from copilot_nb.agent.summary import summary
from copilot_nb.named_sessions.api import drop_manager, shared_manager
from copilot_nb.testing import ChatRequest, FunctionCall, Reply, ScriptedModel, install

if TYPE_CHECKING:
    from copilot import CopilotSession

    from copilot_nb.named_sessions.manager import Manager

REPETITIONS = 7
TURNS = 24
WARM_UP_TURNS = 3
NAME = "numbers"
LOOK, PLAIN = "look", "hello"


def run() -> list[Result]:
    """Measure."""
    install(ScriptedModel(_reply))
    manager = shared_manager()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("%load_ext copilot_nb")
    shell.user_ns[NAME] = list(range(1_000))
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_cell("%copilot")  # gives the manager its tools
    try:
        rounds = [_round(manager, shell.user_ns[NAME], str(number)) for number in range(REPETITIONS)]
    finally:
        drop_manager()
    bare, look, plain, none = zip(*rounds, strict=True)
    return [
        ratios("tools: a turn with one describe / bare SDK with the same tool", look, bare, at_most=1.10),
        ratios("tools: a plain turn with tools=read / tools=none", plain, none, at_most=1.05),
        Result("tools: (bare SDK with one call)", [1000 * took_s for took_s in bare], "ms"),
    ]


def _reply(request: ChatRequest) -> Reply:
    is_called = request.messages[-1].role == "tool" or request.prompt != LOOK
    return Reply("ok") if is_called else Reply(calls=(FunctionCall("describe", json.dumps({"name": NAME})),))


def _round(manager: Manager, value: object, name: str) -> tuple[float, ...]:
    """Return the median seconds of a turn: bare and ours with a call, plain with tools and without."""
    bare = manager.loop.blocking(_bare_session(manager, f"bare-tool-{name}", value))
    look, plain = (manager.session(f"{kind}-{name}", tools="read") for kind in (LOOK, "plain"))
    none = manager.session(f"none-{name}", tools="none")
    timers: list[Timer] = [
        as_shipped()(lambda: bare_turn_s(manager, bare, LOOK)),
        lambda: timed(lambda: look.ask(LOOK)),
        lambda: timed(lambda: plain.ask(PLAIN)),
        lambda: timed(lambda: none.ask(PLAIN)),
    ]
    samples = by_turns(timers, WARM_UP_TURNS + TURNS)
    manager.loop.blocking(bare.disconnect())
    for session in (look, plain, none):
        session.delete()
    return tuple(statistics.median(taken[WARM_UP_TURNS:]) for taken in samples)


async def _bare_session(manager: Manager, session_id: str, value: object) -> CopilotSession:
    def handle(_invocation: ToolInvocation) -> ToolResult:
        return ToolResult(summary(NAME, value, Describer()))

    schema: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    tool = Tool("describe", "Describe one variable.", handle, schema, skip_permission=True)
    options = {**session_options(), "tools": [tool], "available_tools": ["custom:describe"]}
    return await (await (await manager.client()).ready()).create_session(session_id=session_id, **options)
