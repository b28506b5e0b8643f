"""The questions of the model and the forms of MCP servers, answered by the session (`ToolHost`).

The runtime's tool `ask_user` asks with fields too (`ask_user_variant`), and takes any text in each. Measured on 1.0.25:

* the runtime offers forms to an MCP server that starts later only if the session has a handler for them;
* it passes a server's form on with its limits, and the answer back without checking it: `agent.forms` checks it;
* it tells the model that declines: "The user is not available", and that cancels: "User cancelled the request". A
  server gets the word as it is, and there ``decline`` is what a user says, and ``cancel`` what happens without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from copilot_nb.agent.forms import form_of, question_form
from copilot_nb.agent.policy import ASK_USER, Call
from copilot_nb.runtime.tools import ToolHost

if TYPE_CHECKING:
    from copilot.session import ElicitationContext, ElicitationResult, UserInputRequest, UserInputResponse

    from copilot_nb.conversation.parts import Outcome

NOT_ANSWERED = "The user has not answered."


class Questions:
    """Answers the questions of one session.

    Parameters
    ----------
    host : ToolHost
        The session.
    """

    def __init__(self, host: ToolHost) -> None:
        self._host = host

    def options(self) -> dict[str, Any]:
        """Return the options with which the SDK opens the session."""
        return {
            "on_user_input_request": self.on_user_input_request,
            "on_elicitation_request": self.on_elicitation_request,
            "ask_user_variant": "elicitation",
        }

    async def on_user_input_request(self, request: UserInputRequest, _context: dict[str, str]) -> UserInputResponse:
        """Ask the user what the model wants to know, in one text."""
        choices, is_free = tuple(request.get("choices") or ()), request.get("allowFreeform", True)
        call = Call(call_id="", kind="question", tool=ASK_USER, text=request.get("question", ""))
        decision = await self._host.question(call, question_form(choices, is_free=is_free))
        answer = decision.reason if decision.is_allowed else NOT_ANSWERED
        return {"answer": answer, "wasFreeform": answer not in choices}

    async def on_elicitation_request(self, context: ElicitationContext) -> ElicitationResult:
        """Ask the user what the model, or an MCP server, wants to know, in fields; or to open a page.

        Nothing opens the page but the user: its address is part of the question.
        """
        server = context.get("elicitationSource", "")
        schema = context.get("requestedSchema") or {} if context.get("mode") != "url" else {}
        text = "\n\n".join(filter(None, (context.get("message", ""), context.get("url", ""))))
        call = Call(call_id="", kind="question", tool=server or ASK_USER, text=text)
        decision = await self._host.question(call, form_of(schema, is_free=not server))
        if not decision.is_allowed:
            return {"action": _refusal(decision.outcome, is_server=bool(server))}
        return {"action": "accept", "content": cast(Any, dict(decision.answers))}


def _refusal(outcome: Outcome, *, is_server: bool) -> Literal["decline", "cancel"]:
    """Return the word for a question without an answer, which servers and the runtime understand differently."""
    said_no = outcome == "denied"
    return "decline" if said_no == is_server else "cancel"
