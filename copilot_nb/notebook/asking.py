"""Asks in the cell that waits for a turn whether a call may run, and what the model wants to know.

All that will run is shown as an output, and below it a prompt takes one line. The main thread shows one prompt at a
time. It ends when somebody answers in a panel or by ``%copilot approve``, since the first answer counts.

A front end keeps the box of a prompt that ended without an answer, and what is typed there answers the next prompt,
whatever that is. So from then on an answer must name its request: ``y 7``.

Why: docs/decisions/0048-a-prompt-is-answered-by-number.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import StdinNotImplementedError
from IPython.display import DisplayHandle

from copilot_nb.frontend import has_kernel, has_rich_output, is_headless, is_input_refused
from copilot_nb.render.asking import question_html, request_html, request_text
from copilot_nb.render.calls import decision_text
from copilot_nb.render.turn import quiet
from copilot_nb.system.main_thread import MAIN_THREAD, Job

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.conversation.parts import Outcome
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager

BY = "you, in the cell"
_YES, _SESSION, _NO = ("y", "yes"), ("s", "session"), ("n", "no")


class NotUnderstood(ValueError):
    """An answer that cannot be used; the message says what to type."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody typed: how the request is decided, and the reason; of a question the answer."""

    outcome: Outcome
    reason: str = ""


def understood(line: str, request: ApprovalRequest, *, names_request: bool) -> Reply:
    """Return what a line that answers a request means.

    Raises
    ------
    NotUnderstood
        If it answers nothing, or does not name the request although it must.
    """
    if request.is_question:
        return _answer(line, request, names_request=names_request)
    word, *rest = line.split(maxsplit=1)[:2] or [""]
    reason = rest[0] if rest else ""
    word = word.lower()
    if names_request:
        number, _, reason = reason.partition(" ")
        if number != request.request_id:
            raise NotUnderstood(f"Name the request, because an earlier box may be open: y {request.request_id}")
    if word in _NO:
        return Reply("denied", reason.strip())
    if reason.strip() or word not in (*_YES, *_SESSION):
        raise NotUnderstood("Type y, s or n." if request.session_scope else "Type y or n.")
    if word in _SESSION and not request.session_scope:
        raise NotUnderstood("This can only be allowed once: type y or n.")
    return Reply("session" if word in _SESSION else "once")


def _answer(line: str, request: ApprovalRequest, *, names_request: bool) -> Reply:
    answer = line.strip()
    if names_request:
        number, _, answer = answer.partition(" ")
        if number != request.request_id:
            raise NotUnderstood(f"Begin with the number of the question: {request.request_id} and your answer")
    answer = answer.strip()
    if answer.isdecimal() and 0 < int(answer) <= len(request.choices):
        answer = request.choices[int(answer) - 1]
    if not answer or (request.choices and not request.is_free and answer not in request.choices):
        raise NotUnderstood("Type the number of a choice." if request.choices else "Type an answer.")
    return Reply("once", answer)


class CellAsker:
    """Asks in the cell that waits (an attendant of `waiting`).

    Parameters
    ----------
    shell : InteractiveShell
        Where the cell runs.
    manager : Manager
        Has the requests.
    """

    def __init__(self, shell: InteractiveShell, manager: Manager) -> None:
        self._shell = shell
        self._manager = manager
        self._may_be_stale = False
        self._unaskable: set[str] = set()

    def __call__(self, turns: Sequence[Any]) -> None:
        """Ask what `turns` wait for, on the main thread.

        Code that a model runs may wait for `turns`: then nobody can be asked before that code has ended.

        Raises
        ------
        KeyboardInterrupt
            If the user interrupts the prompt.
        """
        while (request := self._next(turns)) is not None:
            if is_input_refused():
                self._manager.approvals.decide(request.request_id, "unattended", "")
            else:
                self._ask(request)

    def _next(self, turns: Sequence[Any]) -> ApprovalRequest | None:
        pending = self._manager.approvals.pending
        if not pending or is_headless(self._shell):
            return None
        waited = {id(turn) for turn in turns}
        ours = (each for each in pending if id(each.turn) in waited and each.request_id not in self._unaskable)
        return next(ours, None)

    def _ask(self, request: ApprovalRequest) -> None:
        approvals = self._manager.approvals
        shown = _Shown(self._shell, request)
        job = Job(lambda: self._reply(request))

        def end_if_decided(_event: object = None) -> None:
            if approvals.decision(request.request_id) is not None:
                job.cancel()

        end_watching = self._manager.events.add(end_if_decided)
        try:
            end_if_decided()
            MAIN_THREAD.run(job)
            self._take(request, job)
        finally:
            end_watching()
            self._may_be_stale |= has_kernel(self._shell) and (job.is_cancelled or job.is_interrupted)
            shown.settle(self._outcome(request))

    def _outcome(self, request: ApprovalRequest) -> str:
        decision = self._manager.approvals.decision(request.request_id)
        if request.is_question and decision is not None and decision.is_allowed:
            return decision.reason
        return decision_text(decision)

    def _take(self, request: ApprovalRequest, job: Job[Reply]) -> None:
        approvals = self._manager.approvals
        if job.is_cancelled:
            return
        error = job.result.exception()
        if isinstance(error, EOFError):
            approvals.decide(request.request_id, "denied", BY)
        elif error is not None:
            self._unaskable.add(request.request_id)
            if not isinstance(error, StdinNotImplementedError):
                raise error
        else:
            reply = job.result.result()
            approvals.decide(request.request_id, reply.outcome, BY, reply.reason)

    def _reply(self, request: ApprovalRequest) -> Reply:
        prompt = self._prompt(request)
        while True:
            line = input(prompt)
            try:
                return understood(line, request, names_request=self._may_be_stale)
            except NotUnderstood as fault:
                prompt = f"{fault} {self._prompt(request)}"

    def _prompt(self, request: ApprovalRequest) -> str:
        number = f" {request.request_id}" if self._may_be_stale else ""
        if request.is_question:
            return f"Your answer ({request.request_id} …): " if number else "Your answer: "
        session = f", s{number}: for this session ({request.session_scope})" if request.session_scope else ""
        return f"Allow it? y{number}: once{session}, n{number}: no, and why: "


def request_bundle(request: ApprovalRequest) -> dict[str, str]:
    """Return a request as an output."""
    text = "\n".join([request.text, *(f"{number}. {choice}" for number, choice in enumerate(request.choices, 1))])
    html = (
        question_html(request.title, text)
        if request.is_question
        else request_html(request.title, text, request.language)
    )
    return {"text/html": html, "text/plain": request_text(request.title, text)}


class _Shown:
    """A request as an output of the cell; once decided, one line."""

    def __init__(self, shell: InteractiveShell, request: ApprovalRequest) -> None:
        self._what = request.title
        self._handle = DisplayHandle() if has_rich_output(shell) else None
        bundle = request_bundle(request)
        if self._handle is None:
            print(f"\n{bundle['text/plain']}")
        else:
            self._handle.display(bundle, raw=True)

    def settle(self, decision: str) -> None:
        """Replace the request by one line."""
        line = f"{self._what}: {decision}"
        if self._handle is None:
            print(f"[{line}]")
        else:
            self._handle.update({"text/html": quiet(line), "text/plain": line}, raw=True)
