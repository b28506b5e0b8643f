"""Renders a turn for its cell: HTML for the notebook, Markdown for everything else.

The HTML must read well in three places: live in a notebook, light or dark; in a saved notebook; and without any styles
(GitHub). So it consists of semantic elements with few inline styles, and says a state in words, not by a colour. Every
string that comes from a model, a tool or a user passes `escape`, `quote` or `markdown_to_html`.

`text/plain` of a finished turn is exactly the Markdown that the model wrote, except for control characters.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from copilot_nb.agent.redaction import hidden_count
from copilot_nb.characters import visible
from copilot_nb.conversation.parts import Image, LiveOutput, Part, Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.calls import answers_text, call_facts, call_target
from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.highlight import plain_code
from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.render.maths import Maths
from copilot_nb.render.words import count, duration, shortened

MAX_TOOL_CHARS = 10_000
LIVE_REASONING_CHARS = 300

FIGURES = ("image/png", "image/jpeg")
"""The types of images that are shown."""
_FIGURE = ' style="max-width:100%;margin:.4em 0"'
_QUIET = ' style="opacity:.7;font-size:.85em"'
_FOOTER = ' style="opacity:.7;font-size:.85em;margin-bottom:.8em"'
# what is huge, or leaves its place, as a rule of TeX may, covers nothing around it; a long word is broken, but no table
# becomes narrower by breaking its words (as it would with `anywhere`)
_SAID = ' style="overflow:auto hidden;overflow-wrap:break-word"'
_BAR = ' style="margin:.8em 0;border-left:4px solid;padding-left:.6em"'


@dataclass(frozen=True, slots=True)
class Label:
    """The context of a turn: its session, the provider, and a note for the reader."""

    session: str
    provider: str
    note: str = ""


def turn_html(turn: TurnRecord, label: Label, *, live: bool = False, said: str | None = None) -> str:
    """Render a turn for `text/html`.

    Parameters
    ----------
    turn : TurnRecord
        The turn, at any stage.
    label : Label
        Its session and provider.
    live : bool, default False
        The compact variant for a turn that is still coming: no coloured code, tool calls by name only.
    said : str, optional
        HTML that stands in place of notes, reasoning and answer, where only a part of them is wanted.
    """
    return f'<div class="copilot-nb">{body_html(turn, label, live=live, said=said)}{_footer(turn, label)}</div>'


def piece_html(said: str) -> str:
    """Return a piece of an answer's HTML as a complete output."""
    return f'<div class="copilot-nb"><div{_SAID}>{said}</div></div>'


def body_html(turn: TurnRecord, label: Label, *, live: bool = False, said: str | None = None) -> str:
    """Render the answer: notes, reasoning, text and how it ended, without the footer."""
    if said is None:
        said = head_html(turn, label, live=live) + answer_html(turn.parts, live=live)
    return (f"<div{_SAID}>{said}</div>" if said else "") + outcome_html(turn)


def head_html(turn: TurnRecord, label: Label, *, live: bool = False, maths: Maths = "tex") -> str:
    """Render the parts before an answer: notes and reasoning."""
    return "".join([*_notes(turn, label), _reasoning(turn, live, maths)])


def answer_html(parts: Iterable[Part], *, live: bool = False, maths: Maths = "tex") -> str:
    """Render texts and tool calls in their order; texts with only reasoning between them are joined."""
    return "".join(_answer(parts, live, maths))


def turn_text(turn: TurnRecord, label: Label) -> str:
    """Return a turn for `text/plain`: the answer's Markdown, and one line in brackets unless the turn is done."""
    text = visible(well_formed(turn.text))
    if turn.state is TurnState.DONE:
        return text
    line = visible(f"[{label.session}: {state_words(turn)}]")
    return f"{text}\n\n{line}" if text else line


def footer_text(turn: TurnRecord, label: Label) -> str:
    """Return the footer: session, model, times, tokens, cost, as far as known."""
    facts = [label.session, f"{turn.model} ({label.provider})" if turn.model else label.provider, figures_text(turn)]
    return visible(" · ".join(fact for fact in facts if fact))


def images_text(turn: TurnRecord) -> str:
    """Return the names of the attached images: ``"with red.png, plot.png"``; ``""`` for nothing."""
    return f"with {', '.join(image.name for image in turn.images)}" if turn.images else ""


def figures_text(turn: TurnRecord) -> str:
    """Return the figures of a turn: times, tokens, cost, hidden secrets, as far as known."""
    facts = [_times(turn)]
    if turn.usage and (turn.usage.input_tokens or turn.usage.output_tokens):
        facts.append(f"{count(turn.usage.input_tokens, 'token')} in, {turn.usage.output_tokens:,} out")
    if turn.usage and turn.usage.cost:
        facts.append(f"cost {turn.usage.cost:.3g}")
    results = (part.result for part in turn.parts if isinstance(part, ToolCall))
    if hidden := hidden_count(turn.prompt) + sum(map(hidden_count, results)):
        facts.append(f"{count(hidden, 'secret')} hidden from the model")
    return " · ".join(fact for fact in facts if fact)


def quiet(text: str) -> str:
    """Return a line of small print as HTML; ``""`` for an empty text."""
    return f"<div{_QUIET}>{escape(text)}</div>" if text else ""


def _times(turn: TurnRecord) -> str:
    first = "" if turn.time_to_first_token_s is None else f"first token {duration(turn.time_to_first_token_s)}"
    if turn.duration_s is None:
        return first
    return f"{duration(turn.duration_s)} ({first})" if first else duration(turn.duration_s)


def turn_metadata(turn: TurnRecord, label: Label, session_id: str) -> dict[str, Any]:
    """Return the metadata of a turn's output, ready for JSON, under one key."""
    facts = {
        "session": label.session,
        "session_id": session_id,
        "model": turn.model,
        "provider": label.provider,
        "turn_id": turn.turn_id,
        "state": turn.state.value,
        "usage": dataclasses.asdict(turn.usage) if turn.usage else {},
        "duration_s": turn.duration_s,
        "time_to_first_token_s": turn.time_to_first_token_s,
    }
    return {"copilot_nb": facts}


def _notes(turn: TurnRecord, label: Label) -> Iterator[str]:
    notes = [line for note in (label.note, *turn.notes) for line in note.splitlines() if line.strip()]
    if notes:
        yield f"<div{_QUIET}>" + "<br>".join(f"<em>{escape(note)}</em>" for note in notes) + "</div>"


def _reasoning(turn: TurnRecord, live: bool, maths: Maths) -> str:
    reasoning = turn.reasoning
    if not reasoning.strip():
        return ""
    if live:
        # its end, until there is an answer, to show that it grows
        end = "" if turn.text else f"<div{_QUIET}>… {escape(reasoning[-LIVE_REASONING_CHARS:])}</div>"
        return f"<div{_QUIET}>Reasoning: {len(reasoning):,} characters</div>{end}"
    html = markdown_to_html(reasoning, highlight=False, maths=maths)
    return f"<details><summary>Reasoning</summary>{html}</details>"


def _answer(parts: Iterable[Part], live: bool, maths: Maths) -> Iterator[str]:
    text = ""
    for part in parts:
        if isinstance(part, Text):
            text += part.text
        elif isinstance(part, ToolCall):
            yield markdown_to_html(text, highlight=not live, maths=maths)
            yield _tool_call(part, live)
            text = ""
    yield markdown_to_html(text, highlight=not live, maths=maths)


def _tool_call(call: ToolCall, live: bool) -> str:
    target = f" <code>{quote(target)}</code>" if (target := call_target(call)) else ""
    summary = f"Tool <code>{quote(call.name)}</code>{target} {escape(call_facts(call))}"
    if live:
        return f"<div{_QUIET}>{summary}</div>{_shown_so_far(call)}"
    blocks = "".join(
        f"<div>{title}</div>{plain_code(shortened(content, MAX_TOOL_CHARS), framed=True)}"
        for title, content in (("Arguments", call.arguments), ("Asked", answers_text(call)), ("Result", call.result))
        if content
    )
    return f"<details><summary>{summary}</summary>{blocks}</details>{''.join(map(_figure, call.images))}"


def _shown_so_far(call: ToolCall) -> str:
    """Render the figures of a call, and, while it runs, the end of what it has shown."""
    text = live_text([call])
    return (plain_code(text, framed=True) if text else "") + "".join(map(_figure, shown_figures(call)))


def shown_figures(call: ToolCall) -> tuple[Image, ...]:
    """Return the figures of a call, those of its result or, while it runs, those so far."""
    return call.output.images if call.is_open and call.output else call.images


def live_text(calls: Iterable[Part]) -> str:
    """Return the end of what running tools have shown."""
    texts = (output.text.rstrip("\n") for output in _live_outputs(calls))
    return visible(well_formed("\n".join(filter(None, texts))))


def figures_html(calls: Iterable[Part]) -> str:
    """Render the figures that running tools have shown."""
    return "".join(_figure(image) for output in _live_outputs(calls) for image in output.images)


def _live_outputs(calls: Iterable[Part]) -> Iterator[LiveOutput]:
    for call in calls:
        if isinstance(call, ToolCall) and call.is_open and call.output:
            yield call.output


def _figure(image: Image) -> str:
    """Render an image that a tool returned; one that a log has lost is only named."""
    if not image.data or image.mime_type not in FIGURES:
        return quiet(image.name)
    source = f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode()}"
    return f'<div><img{_FIGURE} src="{source}" alt="{quote(image.name)}"></div>'


def outcome_html(turn: TurnRecord) -> str:
    """Render how a turn ended that did not end well; ``""``: it did, or has not ended."""
    if turn.state is TurnState.INTERRUPTED:
        return f"<p{_BAR}>■ <strong>Interrupted</strong>{escape(state_words(turn).removeprefix('interrupted'))}</p>"
    if turn.state is TurnState.FAILED:
        return f"<p{_BAR}>✗ <strong>Failed</strong>{escape(state_words(turn).removeprefix('failed'))}</p>"
    return ""


def state_words(turn: TurnRecord) -> str:
    """Return the state of a turn, and why it ended that way."""
    if turn.state is TurnState.INTERRUPTED:
        why = f" ({' '.join(turn.error.split())})" if turn.error else ""
        return f"interrupted{why}: " + ("partial answer kept" if turn.text else "nothing had been answered yet")
    if turn.state is TurnState.FAILED:
        return f"failed: {' '.join(turn.error.split()) or 'no reason was given'}"
    return "queued" if turn.state is TurnState.QUEUED else "working"


def _footer(turn: TurnRecord, label: Label) -> str:
    text = escape(footer_text(turn, label))
    if not turn.state.is_final:
        text = f'<span aria-hidden="true">▌</span> {state_words(turn)}… {text}'
    return f"<div{_FOOTER}>{text}</div>"
