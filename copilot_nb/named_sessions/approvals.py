"""The requests for permission of all sessions of this kernel: who waits for an answer, and who gave it.

A call of a tool that somebody must allow, and a question that a model asks, is an `ApprovalRequest`. It waits in
`Approvals.pending` until the first decision:

* a front end (a cell, a panel, a command) shows `pending`, and answers with `decide` or `answer`, from any thread. The
  first decision counts: `decide` returns False to all later ones, and `decision` says who was first;
* each time a request comes or is decided, the observers of the manager's event bus get an event of kind ``"ask"`` with
  the session and the turn. A cell that waits for the turn (`waiting.wait`) is woken, because the turn changes;
* without an answer it is denied after the setting `answer_timeout_s` (10 minutes);
* if nobody can answer it (`can_be_answered`), it is denied at once. A front end that can answer although the kernel
  takes no input, such as a panel in Voilà, says with `attend` which requests it shows;
* when its turn ends or is stopped, it is withdrawn at once.

A front end must show all of `ApprovalRequest.text` before it offers to allow: nobody allows what they cannot read.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from copilot_nb.agent.forms import Form, question_form
from copilot_nb.agent.policy import ASK_USER, Call, session_scope
from copilot_nb.characters import revealed_line
from copilot_nb.conversation.parts import Decision, Outcome
from copilot_nb.named_sessions.names import quoted

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn

Answer = Literal["once", "session", "denied"]
"""How somebody answers a request."""
MAX_WHY_CHARS = 200
MAX_QUESTION_CHARS = 80
QUESTION = question_form()
NUMBER_SIGN = "#"
"""Before a request's number it says that no session of that name is meant."""
KEPT_DECISIONS = 200
"""Decisions that are remembered for those who answer too late (count)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A request that waits for an answer.

    Attributes
    ----------
    request_id : str
        Its id in this kernel, short enough to type: ``"3"``. No two requests have the same.
    session, session_id : str
        The session's name and its id in the runtime.
    turn : Turn or None
        The turn that waits.
    call : Call
        What is to be done: its kind, tool, target, and all of its text.
    what : str
        The same in one line: ``"run 3 lines of Python"``. It holds no control characters.
    session_scope : str
        What "for this session" allows, in words: ``"any code"``; ``""``: it can only be allowed once.
    form : Form
        What a question takes as an answer.
    since : datetime
        When it was made (with zone).
    """

    request_id: str
    session: str
    session_id: str
    turn: Turn | None
    call: Call
    what: str
    session_scope: str = ""
    form: Form = QUESTION
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def title(self) -> str:
        """What is asked, and by which session, in one line."""
        if self.is_question:
            server = "" if self.call.tool in ("", ASK_USER) else f" for the server {revealed_line(self.call.tool)}"
            return f"{self.session} asks{server}:"
        why = revealed_line(self.call.why)[:MAX_WHY_CHARS]
        return f"{self.session} asks: {self.what}" + (f" ({why})" if why else "")

    @property
    def is_question(self) -> bool:
        """Whether the model asks the user something, so that `Approvals.answer` answers it."""
        return self.call.kind == "question"

    @property
    def text(self) -> str:
        """All that will run, be written or was asked."""
        return self.call.text

    @property
    def language(self) -> str:
        """The language of `text`, for highlighting; ``""``: none."""
        return self.call.language


class Approvals:
    """The pending requests of all sessions of one manager. All methods but `ask` are thread-safe.

    Parameters
    ----------
    has_person : callable
        Whether somebody at the kernel's front end can be asked.
    timeout_s : callable
        Returns the seconds after which a request without an answer is denied.
    """

    def __init__(self, has_person: Callable[[], bool], timeout_s: Callable[[], float]) -> None:
        self._has_person = has_person
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._pending: dict[str, tuple[ApprovalRequest, concurrent.futures.Future[Decision]]] = {}
        self._decided: OrderedDict[str, Decision] = OrderedDict()
        self._attending: list[Callable[[ApprovalRequest], bool]] = []

    @property
    def pending(self) -> tuple[ApprovalRequest, ...]:
        """The requests that wait for an answer, oldest first."""
        with self._lock:
            return tuple(request for request, _ in self._pending.values())

    def of(self, session_id: str = "", turn: Turn | None = None) -> tuple[ApprovalRequest, ...]:
        """Return the pending requests of a session, or of one turn."""
        return tuple(each for each in self.pending if each.session_id == session_id or (turn and each.turn is turn))

    def decide(self, request_id: str, outcome: Outcome, by: str, reason: str = "") -> bool:
        """Decide a request, and return whether this decision counts.

        Parameters
        ----------
        request_id : str
            The request.
        outcome : Outcome
            ``"once"``, ``"session"`` (only where `ApprovalRequest.session_scope` says what that means) or ``"denied"``.
            A question is answered by `answer`, and can only be denied here.
        by : str
            Who decided, in words, for the transcript: ``"you, in the cell"``, ``"you, in a panel"``.
        reason : str
            Why it is denied, for the model.

        Returns
        -------
        bool
            False if it was decided before (`decision` says how), or there is no such request.
        """
        return self._settle(request_id, Decision(outcome, by, reason, datetime.now(UTC)))

    def answer(self, request_id: str, answers: Mapping[str, object], by: str) -> bool:
        """Answer a question, and return whether this answer counts (see `decide`).

        Parameters
        ----------
        request_id : str
            The request.
        answers : mapping
            What was typed or chosen, by the names of the fields of its form.
        by : str
            Who answered.

        Raises
        ------
        DoesNotFit
            If its form does not take the answers; the question then still waits.
        """
        with self._lock:
            waiting = self._pending.get(request_id)
        if waiting is None:
            return False
        form = waiting[0].form
        read = form.read(answers)
        return self._settle(request_id, Decision("once", by, form.words(read), datetime.now(UTC), answers=read))

    def _settle(self, request_id: str, decision: Decision) -> bool:
        with self._lock:
            if (waiting := self._pending.get(request_id)) is None:
                return False
            request, future = waiting
            if decision.outcome == "session" and not request.session_scope:
                decision = replace(decision, outcome="once")
            del self._pending[request_id]
            self._decided[request_id] = decision
            if len(self._decided) > KEPT_DECISIONS:
                self._decided.popitem(last=False)
        future.set_result(decision)
        return True

    def decision(self, request_id: str) -> Decision | None:
        """Return how a request was decided; ``None``: it is pending, unknown, or was decided long ago."""
        with self._lock:
            return self._decided.get(request_id)

    def withdraw(self, turn: Turn) -> None:
        """Withdraw the requests of a turn, which ends or is stopped, at once."""
        for request in self.of(turn=turn):
            self.decide(request.request_id, "withdrawn", "")

    def can_be_answered(self, request: ApprovalRequest) -> bool:
        """Whether somebody can answer a request: at the kernel's front end, or in a panel that shows it."""
        with self._lock:
            attending = list(self._attending)
        return any(shows(request) for shows in attending) or self._has_person()

    def attend(self, shows: Callable[[ApprovalRequest], bool]) -> Callable[[], None]:
        """Say that somebody can answer the requests that `shows` returns true for; return what ends that."""

        def showing(request: ApprovalRequest) -> bool:  # the same function may attend twice
            return shows(request)

        def end() -> None:
            with self._lock, suppress(ValueError):
                self._attending.remove(showing)

        with self._lock:
            self._attending.append(showing)
        return end

    async def ask(
        self,
        session: tuple[str, str],
        turn: Turn | None,
        call: Call,
        what: str,
        *,
        form: Form = QUESTION,
        tell: Callable[[], object] = lambda: None,
    ) -> Decision:
        """Ask, and return the decision; call on the loop thread.

        Parameters
        ----------
        session : tuple of (str, str)
            The session's name and its id in the runtime.
        turn : Turn or None
            The turn that waits.
        call : Call
            What is to be done.
        what : str
            The same in one line.
        form : Form
            What a question takes as an answer.
        tell : callable
            Called when the request has been made, and again when it is decided.
        """
        request = ApprovalRequest(
            request_id=str(next(self._numbers)),
            session=session[0],
            session_id=session[1],
            turn=turn,
            call=call,
            what=what,
            session_scope=session_scope(call),
            form=form,
        )
        if not self.can_be_answered(request):
            return Decision("unattended", at=datetime.now(UTC))
        future: concurrent.futures.Future[Decision] = concurrent.futures.Future()
        with self._lock:
            self._pending[request.request_id] = (request, future)
        try:
            tell()
            return await self._decision(request, future)
        finally:
            self.decide(request.request_id, "withdrawn", "")  # unless it was decided: the caller was cancelled
            tell()

    async def _decision(self, request: ApprovalRequest, future: concurrent.futures.Future[Decision]) -> Decision:
        waiting = asyncio.wrap_future(future)
        done, _ = await asyncio.wait([waiting], timeout=self._timeout_s())
        if not done:
            self.decide(request.request_id, "expired", "")
        return await waiting


def to_answer(request: ApprovalRequest, *, by_number: bool = False) -> str:
    """Return what to type to answer a request.

    Its number names it where its session has several, or is called like a number.
    """
    name = quoted(request.session)
    if by_number or request.session.removeprefix(NUMBER_SIGN).isdecimal():
        name = f"{NUMBER_SIGN}{request.request_id}"
    if not request.is_question:
        return f"%copilot approve {name}, or %copilot deny {name} REASON"
    fields = request.form
    text = "TEXT" if fields.only is not None else " ".join(f"{revealed_line(each)}=…" for each in fields.names)
    return f"%copilot answer {name} {text}".rstrip()


def asking_lines(requests: Sequence[ApprovalRequest]) -> list[tuple[str, str]]:
    """Return the session id of each request, and a line that says what is asked and how to answer."""
    counts = Counter(each.session_id for each in requests)
    return [(each.session_id, _asking_line(each, by_number=counts[each.session_id] > 1)) for each in requests]


def _asking_line(request: ApprovalRequest, *, by_number: bool) -> str:
    first = revealed_line(request.text)
    question = f" {first[:MAX_QUESTION_CHARS]}{'…' if len(first) > MAX_QUESTION_CHARS else ''}"
    asked = f"{request.title}{question if request.is_question else ''}"
    return f"{asked}; to answer: {to_answer(request, by_number=by_number)}"
