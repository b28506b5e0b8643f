"""Turns as the live output of a cell.

In a kernel one output is made and then replaced while the answer comes; the last replacement is the finished, static
one. What is sent is bounded by what has come: `_Budget` lets an update go when its bytes are paid for by the
answer's length, so that the whole costs a small multiple of the answer (a fixed rate would cost its square). In a
terminal an update cannot replace anything, so text is printed as it comes.

A cell that sends one prompt to several sessions has one output too, with a column for each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from IPython.display import DisplayHandle

from copilot_nb.conversation.parts import TurnState
from copilot_nb.notebook.kernel import has_rich_output
from copilot_nb.render.columns import columns_html, columns_text
from copilot_nb.render.turn import footer_text, quiet, turn_html, turn_metadata, turn_text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.sessions.turn import Turn

UPDATE_EVERY_S = 0.1
"""Ten updates a second look continuous; each costs a page some 10 ms (a browser on two cores)."""
ENVELOPE_BYTES = 600
"""What the kernel's protocol adds to an update, about."""
FREE_BYTES = 48_000
BYTES_PER_BYTE = 6.0
"""Budget: so much from the start, and so much for each byte of the answer. A 20 kB answer then costs 8.4 times
its size; answers up to 2 kB are updated at the full rate."""


class Output(Protocol):
    """Where turns are shown."""

    turns: Sequence[Turn]

    def show(self) -> None:
        """Show the turns as they stand, if it is time to."""

    def finish(self) -> None:
        """Show the ended turns."""


class _Budget:
    """Decides which updates go: not too often, and never more bytes than the answer pays for."""

    def __init__(self) -> None:
        self._sent_bytes = 0
        self._sent_at_s = -UPDATE_EVERY_S

    def is_due(self) -> bool:
        return time.monotonic() - self._sent_at_s >= UPDATE_EVERY_S

    def take(self, update_bytes: int, answer_bytes: int) -> bool:
        cost = update_bytes + ENVELOPE_BYTES
        if self._sent_bytes + cost > FREE_BYTES + BYTES_PER_BYTE * answer_bytes:
            return False
        self._sent_bytes += cost
        self._sent_at_s = time.monotonic()
        return True


class CellOutput:
    """One output of a notebook's cell, replaced until the turns have ended.

    Parameters
    ----------
    turns : sequence of Turn
        One turn, or several beside each other.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns
        self._handle = DisplayHandle()
        self._budget = _Budget()
        self._seen: object = None
        self._is_shown = False

    def show(self) -> None:
        """Replace the output by the turns as they stand, if they changed and the update is paid for."""
        records = [turn.record for turn in self.turns]
        if records == self._seen or not self._budget.is_due():
            return
        bundle = self._live()
        size = sum(len(content.encode()) for content in bundle.values())
        if self._budget.take(size, sum(len(record.text.encode()) for record in records)):
            self._seen = records
            self._publish(bundle, {})

    def finish(self) -> None:
        """Replace the output by the ended turns, static.

        A single turn of which nothing came has only its error, which is the cell's.
        """
        (first, *others) = self.turns
        if others or first.state is TurnState.DONE or first.record.parts:
            self._publish(self._final(), self._metadata())
        elif self._is_shown:
            self._publish({"text/plain": footer_text(first.record, first.label)}, {})

    def _live(self) -> dict[str, str]:
        shown = [(turn.record, turn.label) for turn in self.turns]
        html = turn_html(*shown[0], live=True) if len(shown) == 1 else columns_html(shown, live=True)
        return {"text/html": html}

    def _final(self) -> dict[str, str]:
        shown = [(turn.record, turn.label) for turn in self.turns]
        if len(shown) == 1:
            return {"text/html": turn_html(*shown[0]), "text/plain": turn_text(*shown[0])}
        return {"text/html": columns_html(shown), "text/plain": columns_text(shown)}

    def _metadata(self) -> dict[str, Any]:
        facts = [turn_metadata(turn.record, turn.label, turn.session.session_id) for turn in self.turns]
        return facts[0] if len(facts) == 1 else {"copilot_nb": {"turns": [fact["copilot_nb"] for fact in facts]}}

    def _publish(self, bundle: dict[str, str], metadata: dict[str, Any]) -> None:
        if self._is_shown:
            self._handle.update(bundle, metadata=metadata, raw=True)
        else:
            self._handle.display(bundle, metadata=metadata, raw=True)
        self._is_shown = True


class BackgroundOutput(CellOutput):
    """The output of a cell that has ended: it is made at once, and a failure is shown in it.

    A page that is reloaded no longer knows where updates belong, so the live output says how to see the answer then.
    """

    def _live(self) -> dict[str, str]:
        names = ", ".join(f"%copilot show {turn.session.name}" for turn in self.turns)
        (html,) = super()._live().values()
        return {"text/html": f"{html}{quiet(f'in the background; after a reload of the page: {names}')}"}

    def finish(self) -> None:
        """Replace the output by the ended turns, failed ones too."""
        self._publish(self._final(), self._metadata())


class PlainCellOutput(CellOutput):
    """The same, as the text it is (``--format text`` and ``json``)."""

    def _live(self) -> dict[str, str]:
        return self._final()

    def _final(self) -> dict[str, str]:
        return {"text/plain": super()._final()["text/plain"]}


class TerminalOutput:
    """A terminal: the text of one turn is printed as it comes, that of several when they have ended."""

    def __init__(self, turns: Sequence[Turn], *, is_streaming: bool) -> None:
        self.turns = turns
        self._is_streaming = is_streaming
        self._printed = ""
        self._is_noted = False

    def show(self) -> None:
        """Print what is new."""
        if self._is_streaming:
            self._print_new(self.turns[0])

    def finish(self) -> None:
        """Print the rest and the footers."""
        for turn in self.turns:
            if len(self.turns) > 1:
                sys.stdout.write(f"\n## {turn.session.name}\n\n")
                self._printed, self._is_noted = "", False
            self._print_new(turn)
            sys.stdout.write(f"\n\n[{footer_text(turn.record, turn.label)}]\n")
        sys.stdout.flush()

    def _print_new(self, turn: Turn) -> None:
        if not self._is_noted and turn.notes:
            self._is_noted = True
            sys.stdout.write(f"({' · '.join(turn.notes)})\n")
        text = turn.text
        if not text.startswith(self._printed):  # a call was repeated: what had come of it is void
            sys.stdout.write("\n")
            self._printed = ""
        sys.stdout.write(text[len(self._printed) :])
        sys.stdout.flush()
        self._printed = text


class NoOutput:
    """Nowhere (``--quiet``)."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = turns

    def show(self) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


def output_for(
    shell: InteractiveShell, turns: Sequence[Turn], *, quiet: bool, plain: bool, background: bool = False
) -> Output:
    """Return where the turns of this cell are shown."""
    if quiet:
        return NoOutput(turns)
    if not has_rich_output(shell):
        return TerminalOutput(turns, is_streaming=len(turns) == 1 and not background)
    if plain:
        return PlainCellOutput(turns)
    return BackgroundOutput(turns) if background else CellOutput(turns)
