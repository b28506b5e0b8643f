"""Asks in the cell that waits for a turn whether a call may run, and what the model wants to know.

A page with widgets gets a panel with buttons (`page_asking`). Everywhere else, all that will run is shown as an output,
and below it a prompt takes one line. The main thread shows one prompt at a time. It ends when somebody answers in a
panel or by ``%copilot approve``, since the first answer counts.

A front end keeps the box of a prompt that ended without an answer, and what is typed there answers the next prompt,
whatever that is. So from then on an answer must name its request: ``y 7``.

Why: docs/decisions/0048-a-prompt-is-answered-by-number.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from IPython.core.error import StdinNotImplementedError
from IPython.display import DisplayHandle

from copilot_nb.agent.forms import DoesNotFit, FormField, shown
from copilot_nb.characters import revealed_line
from copilot_nb.frontend import has_kernel, has_rich_output, is_headless, is_input_refused
from copilot_nb.notebook.inline_requests import line_bundle, outcome_line, request_bundle
from copilot_nb.notebook.page_asking import PageAsker
from copilot_nb.system.main_thread import MAIN_THREAD, Job

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.conversation.parts import Outcome
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.notebook.inline_requests import OpenAsker

BY = "you, in the cell"
DECLINE = "/decline"
"""What declines a question at its prompt."""
CONFIRM = FormField(name="confirm", title="Done?", kind="boolean", is_required=True)
"""What is asked where a question has no fields."""
_YES, _SESSION, _NO = ("y", "yes"), ("s", "session"), ("n", "no")


class NotUnderstood(ValueError):
    """An answer that cannot be used; the message says what to type."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody typed: how the request is decided, and the reason of a denial; the answers to a question."""

    outcome: Outcome
    reason: str = ""
    answers: Mapping[str, object] = field(default_factory=dict)


def understood(line: str, request: ApprovalRequest, *, names_request: bool) -> Reply:
    """Return what a line that answers a request for permission means.

    Raises
    ------
    NotUnderstood
        If it answers nothing, or does not name the request although it must.
    """
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


def answered(read: Callable[[str], str], request: ApprovalRequest, *, names_request: bool) -> Reply:
    """Return what somebody types into the fields of a question, one after the other.

    Parameters
    ----------
    read : callable
        Shows a prompt and returns what was typed.
    request : ApprovalRequest
        The question.
    names_request : bool
        Whether each line must begin with the number of the question.
    """
    number = f"({request.request_id} …) " if names_request else ""
    answers: dict[str, object] = {}
    for each in request.form.fields or (CONFIRM,):
        way_out = "" if answers else f"({DECLINE}: no answer) "
        prompt = number + way_out + _field_prompt(each, request)
        fault = ""
        while True:
            line = read(f"{fault} {prompt}".lstrip())
            try:
                typed = _after_number(line, request) if names_request else line.strip()
                if typed == DECLINE or (each is CONFIRM and each.read(typed) is False):
                    return Reply("denied")
                answers[each.name] = each.read(each.typed(typed))
                break
            except (NotUnderstood, DoesNotFit) as error:
                fault = str(error)
    return Reply("once", answers=answers if request.form.fields else {})


def _field_prompt(each: FormField, request: ApprovalRequest) -> str:
    if request.form.is_plain:
        return f"{each.label}: "
    default = "" if each.default is None else f" [{revealed_line(shown(each.default))}]"
    return f"{each.label}{f' ({each.takes})' if each.takes else ''}{default}: "


def _after_number(line: str, request: ApprovalRequest) -> str:
    number, _, answer = line.strip().partition(" ")
    if number != request.request_id:
        raise NotUnderstood(f"Begin with the number of the question: {request.request_id} and your answer.")
    return answer.strip()


class CellAsker:
    """Asks in the cell that waits (an attendant of `waiting`).

    Parameters
    ----------
    shell : InteractiveShell
        Where the cell runs.
    manager : Manager
        Has the requests.
    open_asker : callable
        Opens the panel that asks where a page shows it.
    """

    def __init__(self, shell: InteractiveShell, manager: Manager, open_asker: OpenAsker) -> None:
        self._shell = shell
        self._manager = manager
        self._page = PageAsker(shell, manager, open_asker)
        self._noticed: set[str] = set()
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
        while pending := self._pending(turns):
            if is_input_refused():
                self._manager.approvals.decide(pending[0].request_id, "unattended", "")
            elif self._is_new(pending) or self._page.asks(pending, turns):
                return
            else:
                self._ask(pending[0])

    def _pending(self, turns: Sequence[Any]) -> list[ApprovalRequest]:
        pending = self._manager.approvals.pending
        if not pending or is_headless(self._shell):
            return []
        waited = {id(turn) for turn in turns}
        return [each for each in pending if id(each.turn) in waited and each.request_id not in self._unaskable]

    def _is_new(self, pending: Sequence[ApprovalRequest]) -> bool:
        """Whether requests came just now: the cell first shows the calls that ask, and may clear its outputs for it."""
        noticed = {each.request_id for each in pending}
        self._noticed, before = noticed, self._noticed
        return not noticed <= before

    def _ask(self, request: ApprovalRequest) -> None:
        approvals = self._manager.approvals
        output = _Shown(self._shell, request, self._page.give_up())
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
            output.settle(outcome_line(approvals, request))

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
            if request.is_question and reply.outcome == "once":
                approvals.answer(request.request_id, reply.answers, BY)
            else:
                approvals.decide(request.request_id, reply.outcome, BY, reply.reason)

    def _reply(self, request: ApprovalRequest) -> Reply:
        if request.is_question:
            return answered(input, request, names_request=self._may_be_stale)
        prompt = self._prompt(request)
        while True:
            line = input(prompt)
            try:
                return understood(line, request, names_request=self._may_be_stale)
            except NotUnderstood as fault:
                prompt = f"{fault} {self._prompt(request)}"

    def _prompt(self, request: ApprovalRequest) -> str:
        number = f" {request.request_id}" if self._may_be_stale else ""
        session = f", s{number}: for this session ({request.session_scope})" if request.session_scope else ""
        return f"Allow it? y{number}: once{session}, n{number}: no, and why: "


class _Shown:
    """A request as an output of the cell; once decided, one line."""

    def __init__(self, shell: InteractiveShell, request: ApprovalRequest, handle: DisplayHandle | None) -> None:
        self._handle = handle
        bundle = request_bundle(request)
        if handle is not None:
            handle.update(bundle, raw=True)
        elif has_rich_output(shell):
            self._handle = DisplayHandle()
            self._handle.display(bundle, raw=True)
        else:
            print(f"\n{bundle['text/plain']}")

    def settle(self, line: str) -> None:
        """Replace the request by one line."""
        if self._handle is None:
            print(f"[{line}]")
        else:
            self._handle.update(line_bundle(line), raw=True)
