"""Decides for one session whether a call of a tool may run: by the rules, else by asking.

The runtime asks about a call through `runtime.gate`, and each of our own tools asks again before it runs; the second
question gets the first answer. So nothing runs that was not decided here, whatever the terminal's `copilot` has stored
as "always allow".

Why: docs/decisions/0045-each-call-is-decided-here.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from copilot_nb.agent.policy import ASK_USER, Call, Rule, for_session, judge, rules_from
from copilot_nb.agent.tools import CallContext
from copilot_nb.conversation.changes import Asked
from copilot_nb.conversation.parts import Decision, ToolCall
from copilot_nb.errors import BudgetReached, CopilotNBError
from copilot_nb.named_sessions.approvals import QUESTION
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.agent.forms import Form
    from copilot_nb.agent.tools import ToolSpec
    from copilot_nb.named_sessions.approvals import Approvals
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.named_sessions.turn_runner import TurnRunner
    from copilot_nb.settings import CopilotNB

EARLIER = "you, for this session"


class Gate:
    """The permissions of one session; all methods run on the loop thread.

    Parameters
    ----------
    names : callable
        Returns the session's name and its id in the runtime.
    runner : TurnRunner
        The connection of the session and its running turn.
    approvals : Approvals
        Asks.
    settings : CopilotNB
        Has the rules and limits.
    hide : callable
        Returns a text with its secrets hidden.
    tell : callable
        Called with the turn when a request for permission comes or is decided.
    looked : callable
        Called with the turn and the tool's name when the model has looked at the notebook.
    """

    def __init__(
        self,
        *,
        names: Callable[[], tuple[str, str]],
        runner: TurnRunner,
        approvals: Approvals,
        settings: CopilotNB,
        hide: Callable[[str], str],
        tell: Callable[[Turn | None], object],
        looked: Callable[[Turn | None, str], object],
    ) -> None:
        self._names = names
        self._runner = runner
        self._approvals = approvals
        self._settings = settings
        self._tell = tell
        self._looked = looked
        self.hide = hide
        self._granted: list[Rule] = []
        self._decisions: dict[tuple[object, ...], asyncio.Task[Decision]] = {}
        self._more: asyncio.Task[Decision] | None = None
        self._allow_more: Callable[[], object] = lambda: None
        self._calls_allowed = settings.max_tool_calls

    @property
    def is_asking(self) -> bool:
        """Whether somebody is asked something (from any thread)."""
        return bool(self._approvals.of(self._names()[1]))

    def begin(self, allow_more: Callable[[], object]) -> None:
        """Begin to count for a new turn; `allow_more` is called each time that somebody lets it go on."""
        self._decisions.clear()
        self._more = None
        self._allow_more = allow_more
        self._calls_allowed = self._settings.max_tool_calls

    def context(self, call_id: str) -> CallContext:
        """Return where a call comes from, for its tool."""
        return CallContext(*self._names(), call_id)

    def ran(self, spec: ToolSpec) -> None:
        """Take note that a tool has run."""
        if spec.kind == "look":
            self._looked(self._runner.current, spec.name)

    async def permit(self, call: Call) -> Decision:
        """Return the decision about a call; a call that was decided before is not asked about again.

        A model chooses the ids of its calls, and may use one twice: a decision counts for what was shown. The runtime
        may say only in its second request about a call that its managed settings want a person to decide.
        """
        if not call.call_id:
            return await self._decided(call)
        key = (call.call_id, self._calls(call.call_id).count(call.call_id), call.tool, call.targets, call.text)
        decision = await self._decided_once(key, call)
        if call.needs_human and decision.is_allowed and not _person_allowed(decision):
            decision = await self._decided_once((*key, "by a person"), call)  # a rule allowed it before
        return decision

    async def _decided_once(self, key: tuple[object, ...], call: Call) -> Decision:
        task = self._decisions.get(key)
        if task is None:
            task = self._decisions[key] = asyncio.ensure_future(self._decided(call))
        return await asyncio.shield(task)  # the runtime may cancel one of two that wait

    def _calls(self, call_id: str) -> list[str]:
        """Return the ids of the calls of the running turn, this one's among them."""
        turn = self._runner.current
        parts = turn.record.parts if turn is not None else ()
        calls = [part.call_id for part in parts if isinstance(part, ToolCall)]
        return calls if call_id in calls else [*calls, call_id]

    async def _decided(self, call: Call) -> Decision:
        began_s = asyncio.get_running_loop().time()
        if (refusal := await self._refused_after_many(call)) is not None:
            return refusal
        verdict = judge(call, [*self._granted, *self._rules()])
        if verdict.action == "allow" and verdict.rule is None:
            return Decision("rule")
        if verdict.action == "ask":
            decision = await self._asked(call)
        elif verdict.rule in self._granted:
            decision = Decision("session", EARLIER)
        else:
            decision = Decision("rule" if verdict.action == "allow" else "denied", str(verdict.rule))
        if decision.outcome == "session" and verdict.rule not in self._granted:
            self._granted += for_session(call)
        return await self._kept(call, decision, began_s)

    def _rules(self) -> tuple[Rule, ...]:
        connection = self._runner.connection
        return rules_from(self._settings.permissions, connection.folder if connection is not None else "")

    async def _asked(self, call: Call, what: str = "", form: Form = QUESTION) -> Decision:
        """Ask somebody; a turn that has been stopped asks nobody any more."""
        turn = self._runner.current
        if turn is None or turn.stop_requested:
            return Decision("withdrawn")
        turn.apply(Asked(call.call_id))

        def tell() -> None:
            self._tell(turn)

        return await self._approvals.ask(self._names(), turn, call, what or call.what, form=form, tell=tell)

    async def question(self, call: Call, form: Form) -> Decision:
        """Ask the question of the model, or of an MCP server, and return what came of it."""
        began_s = asyncio.get_running_loop().time()
        turn = self._runner.current
        if turn is not None:
            call = dataclasses.replace(call, call_id=_open_call(turn, call))
        decision = await self._asked(call, f"{self._names()[0]} asks", form)
        return await self._kept(call, decision, began_s, question=call.text)

    async def _kept(self, call: Call, decision: Decision, began_s: float, question: str = "") -> Decision:
        """Write a decision to the session's log, where the transcript finds it; a lost runtime keeps nothing."""
        waited_s = asyncio.get_running_loop().time() - began_s
        decision = dataclasses.replace(decision, waited_s=waited_s)
        kept = dataclasses.replace(decision, reason=self.hide(decision.reason)) if question else decision
        connection = self._runner.connection
        if connection is not None:
            with suppress(CopilotNBError):
                await connection.keep_decision(call.call_id, kept, self.hide(question))
        return decision

    async def _refused_after_many(self, call: Call) -> Decision | None:
        """Return a denial if a turn has made its calls and may not go on; its limit is raised if it may."""
        if self._runner.current is None:
            return None
        number = self._calls(call.call_id).index(call.call_id) + 1
        while self._settings.max_tool_calls and number > self._calls_allowed:
            if self._more is None:
                self._more = asyncio.ensure_future(self._asked_to_go_on(call.call_id))
            decision = await asyncio.shield(self._more)
            if not decision.is_allowed:
                return Decision("denied", decision.by, "the turn has reached its number of calls")
        return None

    async def _asked_to_go_on(self, call_id: str) -> Decision:
        name, calls = self._names()[0], count(self._calls_allowed, "call")
        text = f"{name} has made {calls} of tools for this prompt. May it go on?"
        call = Call(call_id=call_id, kind="continue", tool="", text=text)
        decision = await self._asked(call, f"go on after {calls}")
        if decision.is_allowed:
            self._calls_allowed += self._settings.max_tool_calls
            self._allow_more()
            self._more = None
        elif decision.outcome != "withdrawn":
            limit = "ask for less, or raise the limit: %config CopilotNB.max_tool_calls = …"
            self._runner.stop_at_limit(
                BudgetReached(f"session {name!r} has made {calls} of tools for one prompt", limit)
            )
        return decision


def _person_allowed(decision: Decision) -> bool:
    """Whether a person allowed just this call."""
    return decision.outcome in ("once", "session") and decision.by != EARLIER


def _open_call(turn: Turn, question: Call) -> str:
    """Return the id of the call that asks a question: the runtime does not say which it is; ``""``: there is none.

    The model's own question stands in the arguments of its call. Of an MCP server's question only the server is known.
    """
    open_calls = [part for part in turn.record.parts if isinstance(part, ToolCall) and part.is_open]
    waiting = [call for call in open_calls if not call.is_asking]
    text = json.dumps(question.text, ensure_ascii=False)
    if question.tool == ASK_USER:
        return next((call.call_id for call in waiting if call.name == ASK_USER and text in call.arguments), "")
    return next((call.call_id for call in waiting if call.name.startswith(f"{question.tool}-")), "")
