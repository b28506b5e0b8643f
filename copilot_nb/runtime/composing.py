"""Composes the log of an imported conversation from the lines that the runtime wrote for two sample turns.

Played prompt by prompt, 1,000 turns take the runtime two minutes: it hands each model call, and some events, the whole
history. So only two turns are played (`providers.sample_model`): one with an answer and one with an error, in words and
numbers that nothing else has. Each recorded turn is then a copy of the lines of one of them, with its own words in
their place and ids of its own. What the lines mean need not be known here, so another version of the runtime may write
others; the caller reads the result back through the runtime.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.providers.base import NEVER_FULL_TOKENS
from copilot_nb.providers.sample_model import (
    ANSWER,
    ASKED,
    ASKED_IN_VAIN,
    ERROR,
    MODEL,
    TOKENS_IN,
    TOKENS_OUT,
)
from copilot_nb.render.escape import well_formed

NAMELESS = "recorded"
"""The model of a turn in which none is named."""
MAX_TOLD_TOKENS = NEVER_FULL_TOKENS // 10
"""Usage beyond it is told as this, or the runtime would ask for a summary."""

Event = dict[str, Any]
_PROMPT = "user.message"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|chatcmpl-[0-9a-f]+")
_PLACE = re.compile("|".join([*map(re.escape, (ASKED, ASKED_IN_VAIN, ANSWER, ERROR, MODEL)), _ID.pattern]))


def is_answered(turn: TurnRecord) -> bool:
    """Whether there is an answer that the runtime would take for one."""
    return bool(turn.text.strip())


def compose(log: Path, pattern: bytes, turns: Sequence[TurnRecord]) -> None:
    """Write the log of `turns`.

    Parameters
    ----------
    log : Path
        Where to; nobody may have it open.
    pattern : bytes
        What the runtime had written there of the turns it has played.
    turns : sequence of TurnRecord
        What the conversation consists of, oldest first.
    """
    pieces = _pieces(pattern)
    written = log.with_name(f"{log.name}.new")
    with written.open("w", encoding="utf-8", newline="\n") as file:
        for event in _composed(pieces, turns):
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    written.replace(log)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a log begins with, and the events of a turn that was answered and of one that was refused."""

    head: list[Event]
    answered: list[Event]
    refused: list[Event]


def _pieces(pattern: bytes) -> _Pieces:
    events = [json.loads(line) for line in pattern.splitlines()]
    starts = [place for place, event in enumerate(events) if event["type"] == _PROMPT]
    played = [events[start:end] for start, end in itertools.pairwise([*starts, len(events)])]
    answered, refused = (next((each for each in played if word in json.dumps(each)), []) for word in (ANSWER, ERROR))
    return _Pieces(events[: starts[0]], answered, refused)


def _composed(pieces: _Pieces, turns: Sequence[TurnRecord]) -> Iterator[Event]:
    first_model = next((turn.model for turn in turns if turn.model), NAMELESS)
    for event in pieces.head:
        yield _filled(event, lambda found: first_model if found == MODEL else found, {})
    shared = {found: found for found in _ID.findall(json.dumps(pieces.head))}
    last_id = pieces.head[-1]["id"]
    for turn in turns:
        events = pieces.answered if is_answered(turn) else pieces.refused
        known = shared | {events[0]["parentId"]: last_id} | _words(turn)
        for event in events:
            filled = _filled(event, functools.partial(_known, known), _numbers(turn))
            last_id = filled["id"]
            yield filled


def _known(known: dict[str, str], found: str) -> str:
    """Return what stands in place of a word or an id: for an id that is new here, a new one."""
    return known[found] if found in known else known.setdefault(found, _like(found))


def _words(turn: TurnRecord) -> dict[str, str]:
    error = well_formed(turn.error).removeprefix("400 ") or "no answer was recorded"
    prompt = well_formed(turn.prompt)
    return {
        ASKED: prompt,
        ASKED_IN_VAIN: prompt,
        ANSWER: well_formed(turn.text),  # the runtime refuses half a character
        ERROR: error,
        MODEL: turn.model or NAMELESS,
    }


def _numbers(turn: TurnRecord) -> dict[int, int]:
    told = (turn.usage.input_tokens, turn.usage.output_tokens) if turn.usage else (0, 0)
    tokens_in, tokens_out = (min(max(number, 0), MAX_TOLD_TOKENS) for number in told)
    return {TOKENS_IN: tokens_in, TOKENS_OUT: tokens_out, TOKENS_IN + TOKENS_OUT: tokens_in + tokens_out}


def _like(found: str) -> str:
    return f"chatcmpl-{uuid.uuid4().hex}" if found.startswith("chatcmpl-") else str(uuid.uuid4())


def _filled(value: Any, in_place: Callable[[str], str], numbers: dict[int, int]) -> Any:
    """Return a copy of `value` with other words, ids and numbers."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: in_place(match.group()), value)
    if isinstance(value, dict):
        return {key: _filled(each, in_place, numbers) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, in_place, numbers) for each in value]
    return numbers.get(value, value) if type(value) is int else value
