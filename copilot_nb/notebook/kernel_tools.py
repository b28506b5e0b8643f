"""The tools of the level ``kernel``: run code in the user's namespace, and propose a cell.

Code waits for the main thread: until a call waits there for an answer, or the kernel is idle. A turn that is stopped
withdraws its code or interrupts it, and an interrupt of the kernel stops the turn, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from copilot_nb.agent.tools import Arguments, CallContext, ToolFailure, ToolOutput, ToolSpec, argument, schema_of
from copilot_nb.conversation.changes import ToolShowed
from copilot_nb.conversation.parts import LiveOutput
from copilot_nb.named_sessions.session import state_of
from copilot_nb.notebook.code import PROPOSE
from copilot_nb.notebook.run_code import CodeOutput, Shown, run_code
from copilot_nb.system.main_thread import MAIN_THREAD, Job, JobInterrupted

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.turn import Turn

NOTICED_S = 0.5
"""Code that has not begun after this time is said to wait (seconds)."""
SHOWN_EVERY_S = 0.1
"""How often a turn gets what its running code has shown (seconds)."""
STOPS_WITHIN_S = 2.0
"""A turn that is stopped ends within this time (seconds; 0.02 s is usual)."""
WAITS = "the code waits until the running cell has ended"
GOES_ON = (
    "the code went on after the interrupt, and keeps the kernel until it ends: interrupt again, or restart the kernel"
)
ENDS_LATER = "its code is interrupted when the code of {name}, which it waits for, has ended"
NO_MAIN_THREAD = (
    "Code can only run here while the user waits for the answer in a cell, and this prompt runs in the background. "
    "Tell the user to ask again without -b."
)

Find = Callable[[str], "Turn | None"]
Hide = Callable[[str], str]


def equip(shell: InteractiveShell, manager: Manager) -> None:
    """Offer these tools to the sessions of a manager."""
    manager.toolbox.offer("kernel", kernel_tools(shell, partial(_running_turn, manager), manager.hide_secrets))


def kernel_tools(shell: InteractiveShell, find_turn: Find, hide: Hide) -> tuple[ToolSpec, ...]:
    """Return the tools.

    Parameters
    ----------
    shell : InteractiveShell
        Runs the code.
    find_turn : callable
        Returns the running turn of the session with an id.
    hide : callable
        Returns a text with its secrets hidden.
    """

    async def run(arguments: Arguments, context: CallContext) -> ToolOutput:
        code = argument(arguments, "code", str)
        shown, turn = Shown(), find_turn(context.session_id)
        job = MAIN_THREAD.submit(partial(run_code, shell, code, shown), owner=context.session_id)
        show = _Live(turn, context.call_id, lambda: shown.live(hide)) if turn is not None else lambda: None
        try:
            return _output(await _done(job, turn, show))
        finally:
            _note_inner(job, turn, find_turn)

    return (
        ToolSpec(
            name="run_code",
            description="Run Python code in the user's kernel, as a cell that sees and changes their variables; "
            "magics and top-level await work. Returns what it prints, its last expression and any traceback. The user "
            "is shown the code and asked each time. input() is refused.",
            run=run,
            parameters=schema_of(
                code={"type": "string", "description": "the code"},
                why={"type": "string", "description": "what it is for, in a few words, for the user", "default": ""},
            ),
            kind="code",
            text=_code,
            language="python",
            why=lambda arguments: str(arguments.get("why") or ""),
        ),
        ToolSpec(
            name=PROPOSE,
            description="Propose code as a new cell below the user's cell. It does not run: the user decides about it.",
            run=_proposed,
            parameters=schema_of(code={"type": "string", "description": "the whole cell"}),
            kind="propose",
            text=_code,
            language="python",
            is_data=False,
        ),
    )


def _proposed(arguments: Arguments, _context: CallContext) -> str:
    if not argument(arguments, "code", str).strip():
        raise ToolFailure("the cell is empty")
    return "The user gets this cell below the answer. It has not run."


def _code(arguments: Arguments) -> str:
    return str(arguments.get("code", ""))


def _note_inner(job: Job[Any], turn: Turn | None, find_turn: Find) -> None:
    """Say in a stopped turn that its code goes on as long as the code of another session that it waits for."""
    if turn is not None and (inner := job.inner) is not None:
        other = find_turn(inner.owner)
        turn.notes.append(ENDS_LATER.format(name=other.session.name if other is not None else "another session"))


class _Live:
    """Adds to a turn what its running code has shown."""

    def __init__(self, turn: Turn, call_id: str, shown: Callable[[], LiveOutput]) -> None:
        self._turn = turn
        self._call_id = call_id
        self._shown = shown
        self._last = LiveOutput()

    def __call__(self) -> None:
        """Add what is new (on the loop's thread)."""
        if (shown := self._shown()) != self._last:
            self._last = shown
            self._turn.apply(ToolShowed(self._call_id, shown))


async def _done(job: Job[CodeOutput], turn: Turn | None, show: Callable[[], None]) -> CodeOutput:
    """Return what the code showed; a cancelled turn withdraws or interrupts it."""
    result = asyncio.wrap_future(job.result)
    try:
        await asyncio.wait([result], timeout=NOTICED_S)
        while not job.has_begun:
            _check_attended(job)
            if turn is not None:
                turn.say(WAITS)
            await asyncio.wait([result], timeout=NOTICED_S)
        if turn is not None:
            turn.say("")
        show()
        while not result.done():
            await asyncio.wait([result], timeout=SHOWN_EVERY_S)
            show()
            if job.is_interrupted and not result.done():
                if turn is not None:
                    turn.notes.append(GOES_ON)
                raise ToolFailure("the user interrupted the code, which goes on")
        return await result
    except JobInterrupted as error:
        raise ToolFailure("the user interrupted the code") from error
    finally:
        job.cancel()
        if turn is not None:
            turn.say("")
            if job.is_interrupted:
                turn.stop()  # awaited: with the result of the call, the runtime would ask the model once more
                await asyncio.wait([asyncio.wrap_future(turn.ended)], timeout=STOPS_WITHIN_S)


def _check_attended(job: Job[Any]) -> None:
    if MAIN_THREAD.wake is None and not MAIN_THREAD.is_attended:
        job.cancel()
        raise ToolFailure(NO_MAIN_THREAD)


def _output(shown: CodeOutput) -> ToolOutput:
    """Return what the model is told."""
    if isinstance(shown.error, KeyboardInterrupt):
        return ToolOutput(f"The user interrupted the code. Its output until then:\n{shown.text}", succeeded=False)
    text = shown.text or "(The code ran and showed nothing.)"
    return ToolOutput(text, shown.figures, succeeded=shown.error is None)


def _running_turn(manager: Manager, session_id: str) -> Turn | None:
    return next((state_of(each).runner.current for each in manager if each.session_id == session_id), None)
