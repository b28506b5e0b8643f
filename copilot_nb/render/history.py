"""Renders a conversation as an inline history, a list of folding turns, and as Markdown.

Each turn is a list item, folded under a line with its number, prompt, model, date and, unless it is done, its state
in a word and a shape. A saved notebook is read later and elsewhere: times are local dates, not
ages. The prompt is in a `pre`, which keeps its lines where styles are removed.

A long history shows its last page and says how to see the rest. After a search, the line of a turn shows the first
match, and the matches in the turn are marked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from copilot_nb.conversation.parts import Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.calls import call_facts, call_target
from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.inert import inert, literal, plain, quoted
from copilot_nb.render.search import Needle
from copilot_nb.render.turn import Label, body_html, figures_text, images_text, quiet, state_words
from copilot_nb.render.words import count, shortened

SUMMARY_CHARS = 100
MAX_OPEN_TURNS = 20
"""How many turns are open at once (count): of more, one wants the list first."""
SLICE = "history[:100]"

_LIST = ' style="list-style:none;margin:0;padding:0"'
_QUIET = ' style="opacity:.7;font-size:.85em"'
_FOUND = ' style="display:block;padding-left:1em"'
_TURN = ' style="margin:.4em 0 1em;padding-left:1em"'
_WHOLE = ' style="white-space:nowrap"'
_PROMPT = (
    ' style="white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;font-family:inherit;'
    'margin:0 0 .8em;padding:.4em .8em;background:rgba(128,128,128,.1)"'
)
_STATES = {
    TurnState.QUEUED: "… queued",
    TurnState.WORKING: "… working",
    TurnState.FAILED: "✗ failed",
    TurnState.INTERRUPTED: "■ interrupted",
}


@dataclass(frozen=True, slots=True)
class Extract:
    """The turns of a session that are shown.

    Attributes
    ----------
    label : Label
        The session and its provider.
    turns : tuple of (int, TurnRecord)
        The turns, each with its number in the session.
    total : int
        How many turns the session has.
    left_out : int
        How many turns before these are not shown, for lack of room.
    needle : Needle or None
        What was searched for.
    note : str
        What a reader should know before: that a part cannot be read.
    """

    label: Label
    turns: tuple[tuple[int, TurnRecord], ...]
    total: int
    left_out: int = 0
    needle: Needle | None = None
    note: str = ""

    @property
    def heading(self) -> str:
        """The heading that says which turns these are: ``"turns 981 to 1,000 of 1,000"``."""
        if self.needle:
            found = len(self.turns) + self.left_out
            some = f"the last {len(self.turns)} of " if self.left_out else ""
            turns = count(found, "turn") if found else "no turn"
            return f"{some}{turns} with “{shortened(self.needle.text, SUMMARY_CHARS)}”"
        if not self.turns:
            return f"none of {count(self.total, 'turn')}" if self.total else "no turns yet"
        if len(self.turns) == self.total:
            return count(self.total, "turn")
        first, last = self.turns[0][0], self.turns[-1][0]
        if len(self.turns) == 1:
            return f"turn {first:,} of {self.total:,}"
        if [number for number, _ in self.turns] == list(range(first, last + 1)):
            return f"turns {first:,} to {last:,} of {self.total:,}"
        return f"{len(self.turns):,} of {count(self.total, 'turn')}"

    @property
    def command(self) -> str:
        """The line to type to see all turns."""
        search = f" --search {shlex.quote(self.needle.text)}" if self.needle else ""
        return f"%copilot show {shlex.quote(self.label.session)}{search} --full"


def history_html(extract: Extract) -> str:
    """Render turns for `text/html`: each folds under its prompt.

    They are open, for what is folded is lost in print and on GitHub; of more than `MAX_OPEN_TURNS` only the last one
    is, and of several that were found none.
    """
    head = f"<p><strong>{escape(extract.label.session)}</strong>: {escape(extract.heading)}</p>"
    if extract.left_out:
        earlier = count(extract.left_out, "earlier turn")
        head += f"<p>{earlier}: <code>{quote(extract.command)}</code>, or in Python <code>{SLICE}</code></p>"
    head += f"<p>{escape(extract.note)}</p>" if extract.note else ""
    first_open = _first_open(extract)
    items = "".join(
        f"<li>{_turn_html(number, turn, extract, is_open=i >= first_open)}</li>"
        for i, (number, turn) in enumerate(extract.turns)
    )
    return f'<div class="copilot-nb">{head}{f"<ul{_LIST}>{items}</ul>" if items else ""}</div>'


def _first_open(extract: Extract) -> int:
    last = len(extract.turns) - 1
    if extract.needle and last > 0:
        return last + 1
    return 0 if last < MAX_OPEN_TURNS else last


def history_markdown(extract: Extract) -> str:
    """Return turns as Markdown that is safe to open: prompts as quotations, answers as the model wrote them."""
    head = [f"# {literal(extract.label.session)}: {literal(extract.heading)}"]
    if extract.left_out:
        head.append(f"{count(extract.left_out, 'earlier turn')}: {_code(extract.command)}, or in Python `{SLICE}`")
    head += [literal(extract.note)] if extract.note else []
    return "\n\n".join([*head, *(_turn_markdown(number, turn) for number, turn in extract.turns)])


def _turn_html(number: int, turn: TurnRecord, extract: Extract, *, is_open: bool) -> str:
    line = escape(_first_line(turn.prompt or images_text(turn)))
    asked = f"<pre{_PROMPT}>{quote(turn.prompt)}</pre>{quiet(images_text(turn))}"
    said = body_html(turn, extract.label)
    facts = (escape(turn.model), _time_html(turn.started_at), _STATES.get(turn.state, ""))
    small = f"<span{_QUIET}>{''.join(f' · {fact}' for fact in facts if fact)}</span>"
    if extract.needle:
        line, asked, said = map(extract.needle.marked, (line, asked, said))
        if "<mark>" not in line:
            small += f"<span{_FOUND}>{extract.needle.marked(escape(extract.needle.excerpt(turn)))}</span>"
    return (
        f"<details{' open' * is_open}><summary><strong>{number:,}</strong> · {line}{small}</summary>"
        f"<div{_TURN}><p><strong>You</strong></p>{asked}"
        f"<p><strong>{escape(_speaker(turn))}</strong></p>{said}{quiet(figures_text(turn))}</div></details>"
    )


def _turn_markdown(number: int, turn: TurnRecord) -> str:
    facts = [f"Turn {number:,}", _local(turn.started_at), _STATES.get(turn.state, "")]
    pieces = [
        "## " + " · ".join(fact for fact in facts if fact),
        "**You**",
        quoted(inert(turn.prompt)),
        literal(images_text(turn)),
        f"**{literal(_speaker(turn))}**",
        *_said(turn),
        literal(figures_text(turn)),
    ]
    return "\n\n".join(piece for piece in pieces if piece)


def _said(turn: TurnRecord) -> Iterator[str]:
    """Yield the pieces of an answer, a line for each tool call between them, and how it ended."""
    text = ""
    for part in turn.parts:
        if isinstance(part, Text):
            text += part.text
        elif isinstance(part, ToolCall):
            target = f" {_code(target)}" if (target := call_target(part)) else ""
            yield from (inert(text), f"Tool {_code(part.name)}{target} {literal(call_facts(part))}")
            text = ""
    yield inert(text)
    if turn.state is not TurnState.DONE:
        yield f"[{literal(state_words(turn))}]"


def _first_line(prompt: str) -> str:
    line, _, rest = well_formed(prompt).strip().partition("\n")
    line = " ".join(line.split())
    if len(line) > SUMMARY_CHARS:
        return f"{line[:SUMMARY_CHARS].rstrip()}…"
    return f"{line} …" if rest else line


def _speaker(turn: TurnRecord) -> str:
    return turn.model or "Model"


def _local(time: datetime | None) -> str:
    """Return a time where the reader is, to the minute."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time else ""


def _time_html(time: datetime | None) -> str:
    return f'<time datetime="{time.isoformat(timespec="seconds")}"{_WHOLE}>{_local(time)}</time>' if time else ""


def _code(text: str) -> str:
    """Return a line of code in Markdown; a backtick in it asks for more of them around it."""
    line = " ".join(plain(text).split())
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"`{line}`" if ticks == "`" else f"{ticks} {line} {ticks}"
