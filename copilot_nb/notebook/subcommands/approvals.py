"""Subcommands that answer what a model asks: approve, deny, answer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.agent.forms import DoesNotFit
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.approvals import NUMBER_SIGN, to_answer
from copilot_nb.notebook.arguments import Option
from copilot_nb.notebook.subcommands.base import Argument, Subcommand
from copilot_nb.render.calls import decision_text

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Outcome
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.notebook.context import MagicContext

BY = "you, by a command"


def approve(context: MagicContext, args: argparse.Namespace) -> None:
    """Allow what a session asks for."""
    request = request_of(context, args.name, is_question=False)
    if args.session and not request.session_scope:
        raise InputError("this can only be allowed once", f"%copilot approve {NUMBER_SIGN}{request.request_id}")
    _decide(context, request, "session" if args.session else "once", "")


def deny(context: MagicContext, args: argparse.Namespace) -> None:
    """Deny what a session asks for."""
    _decide(context, request_of(context, args.name), "denied", args.prompt)


def answer(context: MagicContext, args: argparse.Namespace) -> None:
    """Answer the question of a session."""
    request = request_of(context, args.name, is_question=True)
    try:
        is_first = context.manager.approvals.answer(request.request_id, request.form.typed(args.prompt.strip()), BY)
    except DoesNotFit as error:
        raise InputError(str(error).rstrip("."), f"{to_answer(request)}, or %copilot deny") from error
    if not is_first:
        raise _decided(context, request.request_id)
    print(f"Answered: {request.title}")


def _decide(context: MagicContext, request: ApprovalRequest, outcome: Outcome, reason: str) -> None:
    approvals = context.manager.approvals
    if not approvals.decide(request.request_id, outcome, BY, reason):
        raise _decided(context, request.request_id)
    words = {"once": "Allowed once", "session": f"Allowed for this session ({request.session_scope})"}
    print(f"{words.get(outcome, 'Declined' if request.is_question else 'Denied')}: {request.title}")


def request_of(context: MagicContext, name: str, *, is_question: bool | None = None) -> ApprovalRequest:
    """Return the request that a name or a number means; without either the only one."""
    pending = [
        each for each in context.manager.approvals.pending if is_question is None or each.is_question is is_question
    ]
    number = name.removeprefix(NUMBER_SIGN)
    found = [each for each in pending if name in ("", each.session) or number == each.request_id]
    if name.startswith(NUMBER_SIGN):
        found = [each for each in found if number == each.request_id] or found
    if len(found) == 1:
        return found[0]
    if not found and name and context.manager.approvals.decision(number) is not None:
        raise _decided(context, number)
    if not found:
        which = f" {name}" if name.startswith(NUMBER_SIGN) else f" of {name}" if name else ""
        raise InputError(f"no request{which} waits for an answer", _listed(pending) or "see %copilot")
    raise InputError(f"{len(found)} requests wait for an answer", f"give the number of one: {_listed(found)}")


def _decided(context: MagicContext, request_id: str) -> InputError:
    decision = decision_text(context.manager.approvals.decision(request_id))
    return InputError(f"request {request_id} was decided before: {decision}", "nothing is left to do")


def _listed(requests: Sequence[ApprovalRequest]) -> str:
    return "; ".join(f"{NUMBER_SIGN}{each.request_id} ({each.title})" for each in requests)


_WHICH = Argument(
    "name",
    "the session, or the number of the request: 3, or #3 if a session that asks is called 3",
    "?",
    kind="session",
)

COMMANDS = (
    Subcommand(
        "approve",
        "Allow what a session asks to do.",
        approve,
        (_WHICH,),
        (Option(("--session",), "also all later calls of this kind in this session"),),
    ),
    Subcommand(
        "deny",
        "Deny what a session asks to do; the model is told the reason.",
        deny,
        (_WHICH,),
        prompt="[REASON]",
    ),
    Subcommand(
        "answer",
        "Answer the question of a session, or fill in its form.",
        answer,
        (_WHICH,),
        prompt="TEXT|FIELD=VALUE ...",
    ),
)
