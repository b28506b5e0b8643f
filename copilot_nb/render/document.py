"""Renders a conversation as a document: a Markdown file, or an HTML page that needs no other files.

The page has one small style (light and dark, by the reader's system), no script and nothing to load; a policy in
its head forbids both, should anything have slipped through. It is made of the same pieces as a
cell's output. In the Markdown a model's text goes through `inert`, so that no viewer runs it, and that an answer,
broken as it may be, ends before the next prompt.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from copilot_nb.conversation.parts import Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.calls import answers_text, call_facts, call_target
from copilot_nb.render.escape import escape, quote
from copilot_nb.render.inert import fenced, inert, literal, plain, quoted
from copilot_nb.render.turn import MAX_TOOL_CHARS, Label, footer_text, images_text, quiet, state_words, turn_html
from copilot_nb.render.words import count, shortened

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 48em; margin: 2em auto; padding: 0 1em }
main { overflow-wrap: anywhere }
h1, h2 { line-height: 1.25 }
h2 { font-size: 1em; margin: 2.5em 0 .5em; opacity: .7 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1em; margin: 0 }
dd { margin: 0; white-space: pre-wrap }
dt { opacity: .7 }
blockquote { margin: .5em 0; padding: .5em 1em; border-left: 4px solid rgba(128,128,128,.5) }
.prompt { white-space: pre-wrap; border-color: #0969da; background: rgba(128,128,128,.1) }
pre { overflow-x: auto }
.highlight { background: rgba(128,128,128,.1) }
code { font-family: monospace }
table { border-collapse: collapse }
th, td { border: 1px solid rgba(128,128,128,.5); padding: .2em .6em }
@media (prefers-color-scheme: light) {
%s
}
@media (prefers-color-scheme: dark) {
%s
}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>%s</style>
</head>
<body>
<main>
%s
</main>
</body>
</html>
"""


def document_html(turns: Sequence[TurnRecord], label: Label, facts: Mapping[str, str]) -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    turns : sequence of TurnRecord
        The conversation, oldest first.
    label : Label
        Its session and provider.
    facts : mapping of str to str
        What is said of it at the top, such as ``{"Model": "gpt-5 (github)"}``; what is ``""`` is left out.
    """
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    head = f"<h1>{escape(label.session)}</h1>\n<dl>{rows}</dl>\n<p>{count(len(turns), 'turn')}</p>"
    articles = (_article(number, turn, label) for number, turn in enumerate(turns, 1))
    return plain(_PAGE % (quote(label.session), _style(), "\n".join([head, *articles])))


def document_markdown(turns: Sequence[TurnRecord], label: Label, facts: Mapping[str, str]) -> str:
    """Return a whole Markdown document; the parameters are those of `document_html`."""
    blocks = [f"# {literal(label.session)}", *_facts(facts), count(len(turns), "turn")]
    for number, turn in enumerate(turns, 1):
        blocks += [
            f"## {_heading(number, turn)}",
            quoted(inert(turn.prompt)),
            literal(images_text(turn)),
            *_blocks(turn, label),
        ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _heading(number: int, turn: TurnRecord) -> str:
    return f"Turn {number}" + (f" · {moment(turn.started_at)}" if turn.started_at else "")


def moment(at: datetime) -> str:
    """Return a time for a reader, in its own zone."""
    return f"{at:%Y-%m-%d %H:%M} {at.tzname() or ''}".rstrip()


def _article(number: int, turn: TurnRecord, label: Label) -> str:
    prompt = f'<blockquote class="prompt">{escape(turn.prompt)}</blockquote>{quiet(images_text(turn))}'
    pieces = (f'<article id="turn-{number}">', f"<h2>{_heading(number, turn)}</h2>", prompt, turn_html(turn, label))
    return "\n".join((*pieces, "</article>"))


@functools.cache
def _style() -> str:
    from pygments.formatters.html import HtmlFormatter

    formatters: list[Any] = [HtmlFormatter(style=style) for style in ("default", "monokai")]
    return _STYLE % tuple("\n".join(formatter.get_token_style_defs(".highlight")) for formatter in formatters)


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    for name, value in facts.items():
        if "\n" in value.strip():
            yield f"**{literal(name)}:**"
            yield quoted(inert(value))
        elif value:
            yield f"**{literal(name)}:** {literal(value)}"


def _blocks(turn: TurnRecord, label: Label) -> Iterator[str]:
    """Yield the answer to a prompt: notes, reasoning, texts and tool calls in their order, the outcome, the footer."""
    yield from (f"*{literal(note)}*" for note in turn.notes if note.strip())
    if turn.reasoning.strip():
        yield "*Reasoning:*"
        yield quoted(inert(turn.reasoning))
    text = ""
    for part in turn.parts:
        if isinstance(part, Text):
            text += part.text
        elif isinstance(part, ToolCall):
            yield inert(text)
            yield from _tool_call(part)
            text = ""
    yield inert(text)
    if turn.state is not TurnState.DONE:
        yield f"**■ {literal(state_words(turn))}**"
    yield f"*{literal(footer_text(turn, label))}*"


def _tool_call(call: ToolCall) -> Iterator[str]:
    target = f" {literal(call_target(call))}".rstrip()
    yield f"*Tool {literal(call.name)}{target}: {literal(call_facts(call))}*"
    contents = (call.arguments, answers_text(call), call.result)
    yield from (fenced(shortened(content, MAX_TOOL_CHARS)) for content in contents if content)
