"""Shows turns as the live output of a cell.

In a kernel one output is made and then replaced while the answer comes; the last replacement is the finished, static
one. An update repeats the whole answer, so at a fixed rate they would cost the square of its length: `_Pace` makes the
pause before an update as long as the update is, so that so many bytes a second go out and no more, however long the
answer is. Where a cell has no other outputs, the finished blocks of a long answer become outputs of their own, which
are sent once, and only its end is replaced (`GrowingOutput`); when it has ended, one output takes the place of all.
In a terminal an update cannot replace anything, so text is printed as it comes (`terminal`).

A cell that sends one prompt to several sessions has one output too, with a column for each.

Why: docs/decisions/0005-live-output-budget.md, docs/decisions/0036-finished-blocks-once.md and
docs/decisions/0056-the-prompt-leaves-the-cell.md.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from IPython.display import DisplayHandle, clear_output

from copilot_nb.conversation.parts import Image, Part, ToolCall, TurnState
from copilot_nb.errors import InputError
from copilot_nb.frontend import has_rich_output, is_magic_cell
from copilot_nb.named_sessions.attach import small_figure
from copilot_nb.named_sessions.names import quoted
from copilot_nb.notebook.terminal import TerminalOutput
from copilot_nb.render.blocks import BlockStream
from copilot_nb.render.columns import columns_html, columns_text
from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.render.turn import (
    footer_text,
    head_html,
    piece_html,
    quiet,
    shown_figures,
    turn_html,
    turn_metadata,
    turn_text,
)

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.render.turn import Label

UPDATE_EVERY_S = 0.1
"""Ten updates a second look continuous; each costs a page some 10 ms (a browser on two cores)."""
ENVELOPE_BYTES = 1_000
"""What the kernel's protocol and the lines below an answer add to an update, about."""
BYTES_PER_CHAR, MEASURED_CHARS = 2.0, 500
"""HTML for a character of Markdown (1.1 bytes in prose, 2 where there is much code), until so many have come."""
BYTES_PER_S = 7_800
"""What the updates of one answer may take. One of 20 kB that comes in 15 s then costs less than ten times its size
(four times is its final state), where ten updates a second cost 150 times (`python -m bench stream`)."""
PIECE_CHARS, PIECE_PART = 800, 16
"""A finished piece of a long answer has so many characters, or this part of what was finished before: a page shows no
more than 50 outputs of a cell."""
LONG_CHARS = 1_500
"""An answer of fewer characters is one output: its updates are cheap."""
_UNASKED = frozenset({"rule", "unattended"})
"""How a call is decided without anybody being asked."""


class Output(Protocol):
    """A place where turns are shown."""

    turns: Sequence[Turn]

    def show(self) -> None:
        """Show the current state of the turns, if an update is due."""

    def finish(self) -> None:
        """Show the ended turns."""


class _Pace:
    """Decides when to send an update: after a pause as long as the last update took."""

    def __init__(self, answers: int) -> None:
        self._bytes_per_s = BYTES_PER_S * answers
        self._sent_at_s = -math.inf
        self._bytes_per_char = BYTES_PER_CHAR
        self._owed_bytes = 0

    def is_due(self, chars: int) -> bool:
        update_bytes = ENVELOPE_BYTES + self._bytes_per_char * chars + self._owed_bytes
        return time.monotonic() - self._sent_at_s >= max(UPDATE_EVERY_S, update_bytes / self._bytes_per_s)

    def owe(self, update: str) -> None:
        """Delay the next update by the cost of this one, which was sent at once."""
        self._owed_bytes += ENVELOPE_BYTES + _size(update)

    def sent(self, update_bytes: int, chars: int) -> None:
        self._sent_at_s, self._owed_bytes = time.monotonic(), 0
        if chars >= MEASURED_CHARS:
            self._bytes_per_char = update_bytes / chars


def _size(update: str) -> int:
    return len(update.encode("utf-8", "replace"))


class ReplacedOutput:
    """One output of a notebook's cell, which is replaced by its next state.

    Parameters
    ----------
    answers : int
        The answers that it shows (count).
    """

    def __init__(self, answers: int) -> None:
        self._handle = DisplayHandle()
        self._pace = _Pace(answers)
        self._seen: object = None
        self._is_shown = False

    def replace(
        self, state: object, chars: Callable[[], int], live: Callable[[], dict[str, str]], **facts: object
    ) -> None:
        """Replace the output by `live()` if the state has changed and an update is due.

        Parameters
        ----------
        state : object
            What is shown, to be compared with what was shown.
        chars : callable
            Returns the length of the answers in it (characters).
        live : callable
            Returns the output, a text for each media type.
        **facts : object
            The output's metadata.
        """
        if state != self._seen and self._is_due(chars()):
            self._seen, bundle = state, live()
            self.publish(bundle, facts)
            self._pace.sent(_size("".join(bundle.values())) - self._figure_chars(), chars())

    def _is_due(self, chars: int) -> bool:
        return self._pace.is_due(chars)

    def _figure_chars(self) -> int:
        """Return what figures take of an update (characters), which the budget does not count."""
        return 0

    def publish(self, bundle: dict[str, str], metadata: Mapping[str, Any]) -> None:
        """Replace the output now."""
        if self._is_shown:
            self._handle.update(bundle, metadata=metadata, raw=True)
        else:
            self._handle.display(bundle, metadata=metadata, raw=True)
        self._is_shown = True


class CellOutput(ReplacedOutput):
    """The output of turns, replaced until they have ended.

    Parameters
    ----------
    turns : sequence of Turn
        One turn, or several beside each other.
    owns_cell : bool
        Whether the cell has no other outputs, so that all of them can be replaced: by the answer alone, once somebody
        was asked at a prompt. What is asked and what is typed are outputs too, and who decided is part of the answer.
    """

    def __init__(self, turns: Sequence[Turn], *, owns_cell: bool = False) -> None:
        super().__init__(len(turns))
        self.turns = turns
        self._owns_cell = owns_cell

    def show(self) -> None:
        """Replace the output by the current state of the turns, if they changed and an update is due."""
        self.replace(self._shown(is_html=True), self._chars, self._live, **self._live_metadata())

    def _chars(self) -> int:
        return sum(len(turn.text) + _shown_chars(turn.record) for turn in self.turns)

    def finish(self) -> None:
        """Replace the output by the ended turns, static.

        A single turn of which nothing came has only its error, which is the cell's.
        """
        if self._owns_cell and any(_has_asked(turn.record) for turn in self.turns):
            self._clear()
        (first, *others) = self.turns
        if others or first.state is TurnState.DONE or first.record.parts:
            self.publish(self._final(), self._metadata())
        elif self._is_shown:
            footer = footer_text(first.record, first.label)
            self.publish({"text/html": quiet(footer), "text/plain": footer}, {})

    def _clear(self) -> None:
        """Let the next published output replace all of the cell's."""
        clear_output(wait=True)
        self._begin()

    def _begin(self) -> None:
        """Let the next published output be a new one."""
        self._handle = DisplayHandle()
        self._is_shown = False

    def _shown(self, *, is_html: bool) -> list[tuple[TurnRecord, Label]]:
        return [(turn.shown(is_html=is_html), turn.label) for turn in self.turns]

    def _figure_chars(self) -> int:
        """Return what an update's figures take (characters): the budget is for text, which should not wait for them."""
        calls = (part for record, _ in self._running() for part in record.parts if isinstance(part, ToolCall))
        return sum(len(figure.data) * 4 // 3 for call in calls for figure in shown_figures(call))

    def _running(self) -> list[tuple[TurnRecord, Label]]:
        """Return what is shown until the turns have ended: without large figures, because each update repeats them."""
        return [(_with_small_figures(record), label) for record, label in self._shown(is_html=True)]

    def _live(self) -> dict[str, str]:
        shown = self._running()
        html = turn_html(*shown[0], live=True) if len(shown) == 1 else columns_html(shown, live=True)
        return self._with_note(html)

    def _with_note(self, html: str) -> dict[str, str]:
        return {"text/html": html + quiet(self._elsewhere()), "text/plain": f"[{self._elsewhere()}]"}

    def _elsewhere(self) -> str:
        """Say where to find the answer, in case a closed or reloaded page misses the rest."""
        names = ", ".join(f"%copilot show {quoted(turn.session.name)}" for turn in self.turns)
        return f"answering; if the page is closed or reloaded before the end: {names}"

    def _final(self) -> dict[str, str]:
        html, text = (self._shown(is_html=is_html) for is_html in (True, False))
        if len(self.turns) == 1:
            return {"text/html": turn_html(*html[0]), "text/plain": turn_text(*text[0])}
        return {"text/html": columns_html(html), "text/plain": columns_text(text)}

    def _metadata(self) -> dict[str, Any]:
        shown = zip(self.turns, self._shown(is_html=False), strict=True)
        facts = [turn_metadata(*facts, turn.session.session_id) for turn, facts in shown]
        return facts[0] if len(facts) == 1 else {"copilot_nb": {"turns": [fact["copilot_nb"] for fact in facts]}}

    def _live_metadata(self) -> dict[str, Any]:
        """Return which sessions are asked and what they do: JupyterLab marks the cell with it (labextension/)."""
        facts = [{"session": turn.session.name, "state": turn.state.value} for turn in self.turns]
        return {"copilot_nb": facts[0] if len(facts) == 1 else {"turns": facts}}


def _has_asked(record: TurnRecord) -> bool:
    """Whether somebody was asked something during a turn."""
    calls = [part for part in record.parts if isinstance(part, ToolCall)]
    decisions = [call.decision for call in calls if call.decision]
    return any(call.answers for call in calls) or any(each.outcome not in _UNASKED for each in decisions)


def _shown_chars(record: TurnRecord) -> int:
    """Return how much a turn's running tools show (characters)."""
    return sum(len(part.output.text) for part in record.parts if isinstance(part, ToolCall) and part.output)


def _with_small_figures(record: TurnRecord) -> TurnRecord:
    return dataclasses.replace(record, parts=tuple(map(_smaller, record.parts)))


def _smaller(part: Part) -> Part:
    if not isinstance(part, ToolCall) or not (part.images or part.output):
        return part
    output = dataclasses.replace(part.output, images=tuple(map(_small, part.output.images))) if part.output else None
    return dataclasses.replace(part, images=tuple(map(_small, part.images)), output=output)


@functools.lru_cache(16)
def _small(figure: Image) -> Image:
    try:
        return small_figure(figure)
    except InputError:
        return dataclasses.replace(figure, data=b"")  # only its name is shown


class GrowingOutput(CellOutput):
    """The output of a cell without other outputs: the finished blocks of a long answer begin as separate outputs.

    What is cleared when they become one is all that the cell shows, so this is for a cell that only asks.
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__([turn], owns_cell=True)
        self._stream = BlockStream("tex", highlight=False)
        self._run = 0
        self._sent_blocks = self._sent_chars = 0

    def finish(self) -> None:
        """Replace the outputs by the ended turn, static."""
        self._join()
        super().finish()

    def _is_due(self, chars: int) -> bool:
        """Whether an update is due: at once where a call ends the pieces, because what it asks must not be cleared."""
        return (self._sent_chars > 0 and self._has_calls()) or super()._is_due(chars)

    def _chars(self) -> int:
        return super()._chars() - self._sent_chars

    def _has_calls(self) -> bool:
        return any(isinstance(part, ToolCall) for part in self.turns[0].record.parts)

    def _live(self) -> dict[str, str]:
        (turn,) = self.turns
        if len(turn.text) < LONG_CHARS or self._has_calls():
            self._join()
            return super()._live()
        blocks = self._stream.feed(turn.text)
        if blocks.run != self._run:
            self._run = blocks.run
            self._join()
        finished = blocks.finished[self._sent_blocks :]
        chars = len(turn.text) - len(blocks.tail) - self._sent_chars
        if chars >= max(PIECE_CHARS, self._sent_chars // PIECE_PART):
            self._send_piece("".join([self._head(), *finished]))
            self._sent_blocks, self._sent_chars, finished = len(blocks.finished), self._sent_chars + chars, ()
        said = "".join([self._head(), *finished, markdown_to_html(blocks.tail, highlight=False)])
        return self._with_note(turn_html(turn.record, turn.label, live=True, said=said))

    def _head(self) -> str:
        (turn,) = self.turns
        return "" if self._sent_chars else head_html(turn.record, turn.label, live=True)

    def _send_piece(self, html: str) -> None:
        """Make the output one piece of the answer, and begin the next output below it."""
        piece = piece_html(html)
        self.publish({"text/html": piece}, {})
        self._pace.owe(piece)
        self._begin()

    def _join(self) -> None:
        """Let the next published output replace all pieces."""
        if self._sent_chars:
            self._clear()
        self._sent_blocks = self._sent_chars = 0


class BackgroundOutput(CellOutput):
    """The output of a cell that has ended: it is created at once, and also shows a failure."""

    def _elsewhere(self) -> str:
        return f"in the background, {super()._elsewhere()}"

    def finish(self) -> None:
        """Replace the output by the ended turns, failed ones too."""
        self.publish(self._final(), self._metadata())


class PlainCellOutput(CellOutput):
    """The same as plain text (``--format text`` and ``json``)."""

    def _live(self) -> dict[str, str]:
        return {"text/plain": f"{self._final()['text/plain']}\n[{self._elsewhere()}]"}

    def _final(self) -> dict[str, str]:
        return {"text/plain": super()._final()["text/plain"]}


class NoOutput:
    """Shows nothing (``--quiet``)."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns

    def show(self) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


def output_for(
    shell: InteractiveShell, turns: Sequence[Turn], *, quiet: bool, plain: bool, background: bool = False
) -> Output:
    """Return the output for the turns of this cell."""
    has_schema = turns[0].schema is not None
    if quiet:
        return NoOutput(turns)
    if not has_rich_output(shell):
        return TerminalOutput(turns, is_streaming=len(turns) == 1 and not background and not has_schema)
    owns_cell = is_magic_cell(shell, "copilot") and not background
    if plain:
        return PlainCellOutput(turns, owns_cell=owns_cell)
    if background:
        return BackgroundOutput(turns)
    is_alone = len(turns) == 1 and not has_schema and owns_cell
    return GrowingOutput(turns[0]) if is_alone else CellOutput(turns, owns_cell=owns_cell)
