"""The requests for permission and the questions that a panel shows, and its page's answers.

The page gets the list of all requests whenever it changes (``{"kind": "asks", "asks": [...]}``), and answers with
``{"do": "decide", "request": id, "outcome": ..., "reason": ..., "answers": {...}}``; where a field does not take an
answer, the reply is ``{"fault": ..., "field": ...}``. A page decides only about the requests it shows. The
page of a visitor answers questions and shows the rest, because it must not decide what runs in the owner's kernel.

Why: docs/decisions/0020-permission-requests-in-panels.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, get_args

from copilot_nb.agent.forms import DoesNotFit
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.approvals import Answer
from copilot_nb.render.asking import question_html, request_html
from copilot_nb.render.calls import decision_text
from copilot_nb.render.escape import well_formed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copilot_nb.agent.forms import FormField
    from copilot_nb.named_sessions.approvals import ApprovalRequest, Approvals

Fields = dict[str, Any]
HIDDEN = "a session"
_OUTCOMES: dict[str, Answer] = {outcome: outcome for outcome in get_args(Answer)}


class Asks:
    """The requests of some sessions, as a panel shows them.

    Parameters
    ----------
    approvals : Approvals
        The pending requests of all sessions.
    concerns : callable
        Whether the panel shows a request.
    user : str
        The visitor who uses the panel; ``""`` for the kernel's owner.
    hides_names : callable
        Whether the panel hides which session asks.
    """

    def __init__(
        self,
        approvals: Approvals,
        concerns: Callable[[ApprovalRequest], bool],
        user: str = "",
        hides_names: Callable[[], bool] = lambda: False,
    ) -> None:
        self._approvals = approvals
        self._concerns = concerns
        self._user = user
        self._hides_names = hides_names
        self._told: list[Fields] = []
        self._leave: Callable[[], None] | None = None

    def attend(self) -> None:
        """Say that a page can answer what it shows, also where the kernel takes no input."""
        if self._leave is None:
            self._leave = self._approvals.attend(lambda request: self._concerns(request) and self._may_decide(request))

    def leave(self) -> None:
        """Say that no page can answer any more."""
        if self._leave is not None:
            self._leave()
            self._leave = None

    def whole(self) -> list[Fields]:
        """Return all requests; `news` then returns the changes since."""
        self._told = [self._fields(each) for each in self._shown()]
        return self._told

    def news(self) -> Iterable[Fields]:
        """Yield the list of requests if it has changed."""
        told = self._told
        if [each.request_id for each in self._shown()] != [each["id"] for each in told]:
            yield {"kind": "asks", "asks": self.whole()}

    def decide(self, message: Mapping[str, Any]) -> Fields:
        """Decide a request as a page says; the answer says so if it was decided before.

        Raises
        ------
        InputError
            If the page does not show the request, or cannot decide it.
        """
        request_id = str(message.get("request", ""))
        request = next((each for each in self._shown() if each.request_id == request_id), None)
        if (outcome := _OUTCOMES.get(message.get("outcome", ""))) is None:
            raise InputError(f"a request cannot be decided as {message.get('outcome')!r}")
        if request is not None and not self._may_decide(request):
            raise InputError("the owner of this page decides about this")
        by = f"{self._user}, in a panel" if self._user else "you, in a panel"
        reason = well_formed(str(message.get("reason", "")).strip())
        try:
            if request is not None and request.is_question and outcome != "denied":
                is_first = self._approvals.answer(request_id, _answers(message.get("answers")), by)
            else:
                is_first = request is not None and self._approvals.decide(request_id, outcome, by, reason)
        except DoesNotFit as error:
            return {"fault": str(error), "field": error.field}
        if is_first:
            return {}
        return {"said": f"This was decided before: {decision_text(self._approvals.decision(request_id))}."}

    def _shown(self) -> list[ApprovalRequest]:
        return [each for each in self._approvals.pending if self._concerns(each)]

    def _may_decide(self, request: ApprovalRequest) -> bool:
        return request.is_question or not self._user

    def _fields(self, request: ApprovalRequest) -> Fields:
        title = dataclasses.replace(request, session=HIDDEN).title if self._hides_names() else request.title
        html = (
            question_html(title, request.text)
            if request.is_question
            else request_html(title, request.text, request.language)
        )
        return {
            "id": request.request_id,
            "title": well_formed(title),
            "html": html,
            "scope": request.session_scope,
            "isQuestion": request.is_question,
            "isPlain": request.form.is_plain,
            "fields": [_field(each) for each in request.form.fields] if request.is_question else [],
            "mayDecide": self._may_decide(request),
        }


def _field(field: FormField) -> Fields:
    return {
        "name": well_formed(field.name),
        "label": well_formed(field.label),
        "description": well_formed(field.description),
        "kind": field.kind,
        "format": field.text_format,
        "choices": [{"value": well_formed(each.value), "title": well_formed(each.title)} for each in field.choices],
        "isFree": field.is_free,
        "isRequired": field.is_required,
        "default": field.default,
    }


def _answers(given: object) -> dict[str, object]:
    """Return what a page filled in, as text, lists of text, and booleans."""
    if not isinstance(given, dict):
        return {}
    return {well_formed(str(name)): _sent(value) for name, value in given.items()}


def _sent(value: object) -> object:
    if isinstance(value, list):
        return [well_formed(str(each)) for each in value]
    return well_formed(value) if isinstance(value, str) else value
