"""A conversation as an inline history: HTML that folds, and plain text."""

from __future__ import annotations

from collections.abc import Sequence

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.escape import escape, well_formed
from copilot_nb.render.turn import Label, turn_html, turn_text
from copilot_nb.render.words import count

SUMMARY_CHARS = 100
_PROMPT = ' style="white-space:pre-wrap"'


def history_html(turns: Sequence[TurnRecord], label: Label) -> str:
    """Render turns for `text/html`: each folds under its prompt; the last one is open."""
    blocks = [_turn(turn, label, is_open=turn is turns[-1]) for turn in turns]
    head = f"<p><strong>{escape(label.session)}</strong>: {count(len(turns), 'turn')}</p>"
    return f'<div class="copilot-nb">{head}{"".join(blocks)}</div>'


def history_text(turns: Sequence[TurnRecord], label: Label) -> str:
    """Return turns for `text/plain`: prompt and answer of each, under a rule with its number."""
    rules = [f"── {label.session} · {number} of {len(turns)} " for number in range(1, len(turns) + 1)]
    blocks = [
        f"{rule:─<60}\n> {well_formed(turn.prompt).replace(chr(10), chr(10) + '> ')}\n\n{turn_text(turn, label)}"
        for rule, turn in zip(rules, turns, strict=True)
    ]
    return "\n\n".join(blocks) or f"{label.session}: no turns yet"


def _turn(turn: TurnRecord, label: Label, *, is_open: bool) -> str:
    line = " ".join(turn.prompt.split())
    summary = line if len(line) <= SUMMARY_CHARS else f"{line[:SUMMARY_CHARS].rstrip()}…"
    # the prompt itself only where the summary does not say all of it
    prompt = "" if summary == turn.prompt.strip() else f"<blockquote{_PROMPT}>{escape(turn.prompt)}</blockquote>"
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{escape(summary)}</summary>{prompt}{turn_html(turn, label)}</details>"
