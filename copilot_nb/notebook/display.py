"""A turn as the live output of a cell.

In a kernel one output is made and then replaced while the answer comes; the last replacement is the finished, static
one. What is sent is bounded by what has come: `_Budget` lets an update go when its bytes are paid for by the
answer's length, so that the whole costs a small multiple of the answer (a fixed rate would cost its square). In a
terminal an update cannot replace anything, so text is printed as it comes.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from IPython.display import DisplayHandle

from copilot_nb.conversation.parts import TurnState
from copilot_nb.notebook.kernel import has_rich_output
from copilot_nb.render.turn import footer_text, turn_html, turn_metadata, turn_text

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
    """Where a turn is shown."""

    def show(self, turn: Turn) -> None:
        """Show the turn as it stands, if it is time to."""

    def finish(self, turn: Turn) -> None:
        """Show the finished turn."""


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
    """One output of a notebook's cell, replaced until the turn has ended."""

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._budget = _Budget()
        self._seen: object = None
        self._is_shown = False

    def show(self, turn: Turn) -> None:
        """Replace the output by the turn as it stands, if it changed and the update is paid for."""
        record = turn.record
        if record is self._seen or not self._budget.is_due():
            return
        bundle = self._live(turn)
        size = sum(len(content.encode()) for content in bundle.values())
        if self._budget.take(size, len(record.text.encode())):
            self._seen = record
            self._publish(bundle, {})

    def finish(self, turn: Turn) -> None:
        """Replace the output by the finished turn, static; a turn of which nothing came has only its error."""
        if turn.state is TurnState.DONE or turn.record.parts:
            metadata = turn_metadata(turn.record, turn.label, turn.session.session_id)
            self._publish(self._final(turn), metadata)
        elif self._is_shown:
            self._publish({"text/plain": footer_text(turn.record, turn.label)}, {})

    def _live(self, turn: Turn) -> dict[str, str]:
        return {"text/html": turn_html(turn.record, turn.label, live=True)}

    def _final(self, turn: Turn) -> dict[str, str]:
        record, label = turn.record, turn.label
        return {"text/html": turn_html(record, label), "text/plain": turn_text(record, label)}

    def _publish(self, bundle: dict[str, str], metadata: dict[str, object]) -> None:
        if self._is_shown:
            self._handle.update(bundle, metadata=metadata, raw=True)
        else:
            self._handle.display(bundle, metadata=metadata, raw=True)
        self._is_shown = True


class PlainCellOutput(CellOutput):
    """The same, as the text it is (``--format text``)."""

    def _live(self, turn: Turn) -> dict[str, str]:
        return {"text/plain": turn_text(turn.record, turn.label)}

    def _final(self, turn: Turn) -> dict[str, str]:
        return self._live(turn)


class TerminalOutput:
    """A terminal: text is printed as it comes, a footer after it."""

    def __init__(self) -> None:
        self._printed = ""
        self._noted = False

    def show(self, turn: Turn) -> None:
        """Print what is new."""
        if not self._noted and turn.notes:
            self._noted = True
            print(f"({' · '.join(turn.notes)})")
        text = turn.text
        if not text.startswith(self._printed):  # a call was repeated: what had come of it is void
            sys.stdout.write("\n")
            self._printed = ""
        sys.stdout.write(text[len(self._printed) :])
        sys.stdout.flush()
        self._printed = text

    def finish(self, turn: Turn) -> None:
        """Print the rest and the footer."""
        self.show(turn)
        sys.stdout.write(f"\n\n[{footer_text(turn.record, turn.label)}]\n")


class NoOutput:
    """Nowhere (``--quiet``)."""

    def show(self, turn: Turn) -> None:
        """Show nothing."""

    def finish(self, turn: Turn) -> None:
        """Show nothing, unless the turn failed: the cell's error says it."""


def output_for(shell: InteractiveShell, *, quiet: bool = False, plain: bool = False) -> Output:
    """Return where a turn of this cell is shown."""
    if quiet:
        return NoOutput()
    if not has_rich_output(shell):
        return TerminalOutput()
    return PlainCellOutput() if plain else CellOutput()
