"""Shows turns in a terminal: text is printed as it comes, because nothing that was printed can be replaced."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.characters import visible
from copilot_nb.conversation.parts import ToolCall
from copilot_nb.render.calls import call_text
from copilot_nb.render.turn import footer_text

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn


class _Lines:
    """Prints what running code shows, in a terminal; an unfinished line, such as a progress bar, is printed over."""

    def __init__(self) -> None:
        self._printed: dict[str, int] = {}  # lines, by call
        self._unfinished: str | None = None

    def show(self, call: ToolCall) -> None:
        """Print what is new."""
        if call.output is None:
            return
        if call.call_id not in self._printed:
            self.end()
            sys.stdout.write("\n")
        before, printed = call.output.lines_before, self._printed.get(call.call_id, 0)
        if before > printed:
            self.end()
        *lines, unfinished = visible(call.output.text).split("\n")
        if unfinished and not call.is_open:  # nothing more is added to it
            lines.append(unfinished)
            unfinished = ""
        for line in lines[max(0, printed - before) :]:
            self._over(line)
            self.end()
        self._printed[call.call_id] = max(printed, before + len(lines))
        if unfinished and unfinished != self._unfinished and sys.stdout.isatty():
            self._over(unfinished)

    def end(self) -> None:
        """End the line that is printed, if there is one."""
        if self._unfinished is not None:
            sys.stdout.write("\n")
            self._unfinished = None

    def _over(self, line: str) -> None:
        begin, width = ("", 0) if self._unfinished is None else ("\r", len(self._unfinished))
        sys.stdout.write(f"{begin}{line.ljust(width)}")
        self._unfinished = line


class TerminalOutput:
    """A terminal: one turn is printed as it streams, several are printed when they have ended."""

    def __init__(self, turns: Sequence[Turn], *, is_streaming: bool) -> None:
        self.turns = turns
        self._is_streaming = is_streaming
        self._printed = ""
        self._noted: list[str] = []
        self._lines = _Lines()

    def show(self) -> None:
        """Print what is new."""
        if self._is_streaming:
            self._print_new(self.turns[0])
            sys.stdout.flush()

    def finish(self) -> None:
        """Print the rest and the footers."""
        for turn in self.turns:
            if len(self.turns) > 1:
                sys.stdout.write(f"\n## {turn.session.name}\n\n")
                self._printed, self._noted = "", []
            self._print_new(turn)
            if len(self.turns) == 1 and turn.error is not None and not turn.text:
                continue  # the error says it all
            sys.stdout.write(f"\n\n[{footer_text(turn.shown(is_html=False), turn.label)}]\n")
        sys.stdout.flush()

    def _print_new(self, turn: Turn) -> None:
        record = turn.shown(is_html=False)
        calls = [part for part in record.parts if isinstance(part, ToolCall)]
        for call in calls:
            self._lines.show(call)
        ended = (call_text(call) for call in calls if not call.is_open)
        if new := [note for note in (*turn.notes, *record.notes, *ended) if note not in self._noted]:
            self._noted += new
            self._lines.end()
            sys.stdout.write("\n" if self._printed else "")
            sys.stdout.write(visible(f"({' · '.join(new)})\n"))
        self._print_text(record.text)

    def _print_text(self, text: str) -> None:
        if not text.startswith(self._printed):  # a call was repeated: what had come of it is void
            sys.stdout.write("\n")
            self._printed = ""
        if new := text[len(self._printed) :]:
            self._lines.end()
            sys.stdout.write(visible(new))
        self._printed = text
