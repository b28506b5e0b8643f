"""What turns ask, as one output of a cell: a panel with buttons where the page has one, else text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from copilot_nb.characters import revealed_line
from copilot_nb.render.asking import question_html, request_html, request_text
from copilot_nb.render.calls import answer_text, decision_text
from copilot_nb.render.turn import quiet

if TYPE_CHECKING:
    from copilot_nb.named_sessions.approvals import ApprovalRequest, Approvals
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.turn import Turn

EMPTY = {"text/html": "", "text/plain": ""}


class Asker(Protocol):
    """A panel that shows what turns ask.

    Attributes
    ----------
    views : int
        How many pages have shown it so far, or one page again; a page says so from its own thread.
    """

    views: int

    @property
    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The panel as the data and metadata of an output."""

    def rest(self) -> None:
        """Send nothing until a page shows it again."""

    def close(self) -> None:
        """Remove the panel."""


OpenAsker = Callable[["Manager", "Sequence[Turn]"], Asker]
"""Opens a panel of the requests of some turns; it looks at the sequence again at each change."""


def request_bundle(request: ApprovalRequest) -> dict[str, str]:
    """Return a request as an output."""
    text = "\n".join([request.text, *request.form.lines()]) if request.is_question else request.text
    html = (
        question_html(request.title, text)
        if request.is_question
        else request_html(request.title, text, request.language)
    )
    return {"text/html": html, "text/plain": request_text(request.title, text)}


def requests_bundle(
    pending: Sequence[ApprovalRequest], asker: Asker | None, hint: Callable[[ApprovalRequest], str] = lambda _: ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return requests as the data and metadata of an output.

    Parameters
    ----------
    pending : sequence of ApprovalRequest
        The requests.
    asker : Asker or None
        The panel that shows them; ``None``: only their text.
    hint : callable
        Returns what to type to answer a request.
    """
    shown = [request_bundle(each) for each in pending]
    html = "".join(each["text/html"] + quiet(hint(request)) for each, request in zip(shown, pending, strict=True))
    text = {"text/html": html, "text/plain": "\n".join(each["text/plain"] for each in shown)}
    data, metadata = asker.bundle if asker is not None else ({}, {})
    return {**data, **text}, metadata


def outcome_line(approvals: Approvals, request: ApprovalRequest) -> str:
    """Return what was asked, and how it was decided, in one line."""
    decision = approvals.decision(request.request_id)
    if not request.is_question or decision is None:
        return f"{request.title}: {decision_text(decision)}"
    return revealed_line(f"{request.title}: {decision.reason if decision.is_allowed else answer_text(decision)}")


def line_bundle(*lines: str) -> dict[str, str]:
    """Return lines of small print as an output."""
    return {"text/html": "".join(map(quiet, lines)), "text/plain": "\n".join(lines)}
