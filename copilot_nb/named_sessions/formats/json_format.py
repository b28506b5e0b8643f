"""The JSON format of conversations: the contents of a `.json` export, and how it is read.

One object, encoded in UTF-8, with its keys in this order:

=============  =============================================================================
``format``     ``"copilot_nb/conversation"``
``version``    ``1``
exported_at    when the file was written; all times are ISO 8601 with a time zone
name           the session's name
session_id     its id in the runtime
provider       its provider, such as ``"github"``
model          its model; ``""`` for the provider's default
system         its system message
``turns``      the conversation, oldest first: a list of turns
=============  =============================================================================

A turn (the attributes of `TurnRecord`):

==============  ===================================================================================
turn_id         the runtime's id of the prompt
``prompt``      the user's prompt
images          its images: a list of name, mime_type, size_bytes; not the images themselves
state           ``"done"``, ``"failed"``, ``"interrupted"``, ``"working"`` or ``"queued"``
model           the model that answered
started_at      when the prompt was sent, or null
first_token_at  when the answer began, or null
finished_at     when the turn ended, or null
usage           input_tokens, output_tokens, cost, context_tokens and window_tokens, or null
notes           the runtime's notes during the turn: a list of strings
error           why the turn failed
event_id        the runtime's id of the event that began the turn
parts           the parts that followed the prompt, in order: a list
==============  ===================================================================================

A part has one of three values of ``kind``:

=============  =============================================================================
``text``       part_id, text (Markdown), complete
``reasoning``  part_id, text, complete
``tool``       call_id, name, arguments (JSON text), result, succeeded (null if unfinished),
               stopped (the turn ended first), started_at, ended_at, decision (null if none):
               outcome (a word of `parts.Outcome`), by, reason, at, waited_s; answers: a list
               of what the user was asked: question, and the keys of a decision (reason is
               the answer)
=============  =============================================================================

A reader requires ``format``, ``version``, ``turns``, and the ``prompt`` of each turn; any other key that is missing or
null is read as empty. A reader ignores unknown keys and kinds of part, which a later release may add within version 1.
A change that an older reader would misread raises the version, and a reader refuses a version higher than its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from copilot_nb.conversation.parts import (
    OUTCOMES,
    Answer,
    Decision,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    TurnState,
    Usage,
)
from copilot_nb.conversation.transcript import TurnRecord

FORMAT = "copilot_nb/conversation"
VERSION = 1

T = TypeVar("T")


def _now() -> datetime:
    return datetime.now().astimezone().replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Exported:
    """The facts about an exported session, in addition to its turns; an unknown one is ``""``.

    Attributes
    ----------
    name, session_id : str
        The session's name for the user, and its id in the runtime.
    provider, model, system : str
        Its provider, model and system message.
    exported_at : datetime
        When it was exported, with a time zone.
    """

    name: str
    session_id: str = ""
    provider: str = ""
    model: str = ""
    system: str = ""
    exported_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Imported:
    """A conversation read from a file."""

    facts: Exported
    turns: tuple[TurnRecord, ...]


def to_json(turns: Sequence[TurnRecord], facts: Exported) -> dict[str, Any]:
    """Return a conversation as data for `json.dumps`."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": facts.exported_at.isoformat(),
        "name": facts.name,
        "session_id": facts.session_id,
        "provider": facts.provider,
        "model": facts.model,
        "system": facts.system,
        "turns": [_turn_to_json(turn) for turn in turns],
    }


def _turn_to_json(turn: TurnRecord) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "prompt": turn.prompt,
        "images": [{"name": i.name, "mime_type": i.mime_type, "size_bytes": i.size_bytes} for i in turn.images],
        "state": turn.state.value,
        "model": turn.model,
        "started_at": _time_to_json(turn.started_at),
        "first_token_at": _time_to_json(turn.first_token_at),
        "finished_at": _time_to_json(turn.finished_at),
        "usage": dataclasses.asdict(turn.usage) if turn.usage else None,
        "notes": list(turn.notes),
        "error": turn.error,
        "event_id": turn.event_id,
        "parts": [_part_to_json(part) for part in turn.parts],
    }


def _time_to_json(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _part_to_json(part: Part) -> dict[str, Any]:
    match part:
        case Text(part_id, text, complete):
            return {"kind": "text", "part_id": part_id, "text": text, "complete": complete}
        case Reasoning(part_id, text, complete):
            return {"kind": "reasoning", "part_id": part_id, "text": text, "complete": complete}
        case ToolCall():
            return _call_to_json(part)


def _call_to_json(call: ToolCall) -> dict[str, Any]:
    return {
        "kind": "tool",
        **{name: getattr(call, name) for name in ("call_id", "name", "arguments", "result", "succeeded")},
        "stopped": call.is_stopped,
        "started_at": _time_to_json(call.started_at),
        "ended_at": _time_to_json(call.ended_at),
        "decision": _decision_to_json(call.decision) if call.decision else None,
        "answers": [{"question": each.question, **_decision_to_json(each.decision)} for each in call.answers],
    }


def _decision_to_json(decision: Decision) -> dict[str, Any]:
    said = {name: getattr(decision, name) for name in ("outcome", "by", "reason", "waited_s")}
    return {**said, "at": _time_to_json(decision.at)}


def from_json(data: object) -> Imported:
    """Return the conversation in `data`.

    Raises
    ------
    ValueError
        If `data` is not a conversation that this release can read; the message gives the reason in one line.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it is not a conversation that copilot_nb exported as .json")
    version = _value(data, "version", int, 0)
    if not 1 <= version <= VERSION:
        raise ValueError(f"it has version {version}; this release of copilot_nb reads versions up to {VERSION}")
    facts = Exported(
        **{key: _value(data, key, str, "") for key in ("name", "session_id", "provider", "model", "system")},
        exported_at=_time(data, "exported_at") or _now(),
    )
    if "turns" not in data:
        raise ValueError("'turns' is missing")
    turns = _list(data, "turns")
    return Imported(facts, tuple(_placed(f"turn {number}", _turn, turn) for number, turn in enumerate(turns, 1)))


def _turn(data: Mapping[str, Any]) -> TurnRecord:
    if not isinstance(data.get("prompt"), str):
        raise ValueError("'prompt' is missing")  # noqa: TRY004 - the file is wrong, not the program
    parts = [_placed(f"part {number}", _part, part) for number, part in enumerate(_list(data, "parts"), 1)]
    images = [_placed(f"image {number}", _image, image) for number, image in enumerate(_list(data, "images"), 1)]
    return TurnRecord(
        turn_id=_value(data, "turn_id", str, ""),
        prompt=data["prompt"],
        parts=tuple(part for part in parts if part is not None),
        state=TurnState(_value(data, "state", str, "done")),
        model=_value(data, "model", str, ""),
        usage=_usage(_value(data, "usage", dict, {})),
        started_at=_time(data, "started_at"),
        first_token_at=_time(data, "first_token_at"),
        finished_at=_time(data, "finished_at"),
        notes=tuple(note for note in _list(data, "notes") if isinstance(note, str)),
        error=_value(data, "error", str, ""),
        event_id=_value(data, "event_id", str, ""),
        images=tuple(images),
    )


def _image(data: Mapping[str, Any]) -> Image:
    name, mime_type = _value(data, "name", str, ""), _value(data, "mime_type", str, "")
    return Image(name, mime_type, _value(data, "size_bytes", int, 0))


def _part(data: Mapping[str, Any]) -> Part | None:
    """Return a part, or ``None`` for an unknown kind, which a later release may have added."""
    match _value(data, "kind", str, ""):
        case "text" | "reasoning" as kind:
            make = Text if kind == "text" else Reasoning
            complete = _value(data, "complete", bool, True)
            return make(_value(data, "part_id", str, ""), _value(data, "text", str, ""), complete)
        case "tool":
            return _call(data)
        case _:
            return None


def _call(data: Mapping[str, Any]) -> ToolCall:
    texts: dict[str, Any] = {key: _value(data, key, str, "") for key in ("call_id", "name", "arguments", "result")}
    return ToolCall(
        **texts,
        succeeded=_value(data, "succeeded", bool, None),
        is_stopped=_value(data, "stopped", bool, False),
        started_at=_time(data, "started_at"),
        ended_at=_time(data, "ended_at"),
        decision=_decision(_value(data, "decision", dict, {})),
        answers=tuple(found for each in _list(data, "answers") if (found := _answer(each)) is not None),
    )


def _decision(data: Mapping[str, Any]) -> Decision | None:
    said: dict[str, Any] = {key: _value(data, key, str, "") for key in ("outcome", "by", "reason")}
    if said["outcome"] not in OUTCOMES:
        return None
    return Decision(**said, at=_time(data, "at"), waited_s=_number(data, "waited_s") or 0.0)


def _answer(data: object) -> Answer | None:
    if not isinstance(data, dict) or (decision := _decision(data)) is None:
        return None
    return Answer(_value(data, "question", str, ""), decision)


def _usage(data: Mapping[str, Any]) -> Usage | None:
    if not data:
        return None
    return Usage(
        _value(data, "input_tokens", int, 0),
        _value(data, "output_tokens", int, 0),
        _number(data, "cost"),
        _value(data, "context_tokens", int, 0),
        _value(data, "window_tokens", int, None),
    )


def _number(data: Mapping[str, Any], key: str) -> float | None:
    number = data.get(key)
    is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    return number if is_number else None


def _time(data: Mapping[str, Any], key: str) -> datetime | None:
    written = _value(data, key, str, "")
    if not written:
        return None
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{key!r} is not a time: {written[:40]!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _list(data: Mapping[str, Any], key: str) -> list[object]:
    empty: list[object] = []
    return _value(data, key, list, empty)


def _value(data: Mapping[str, Any], key: str, kind: type[Any], default: T) -> T:
    """Return the value of `key`, which must be of type `kind`; `default` if it is missing or null."""
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is {type(value).__name__}, not {kind.__name__}")
    return value  # type: ignore[no-any-return]


def _placed(place: str, read: Callable[[Mapping[str, Any]], T], data: object) -> T:
    """Return ``read(data)``; an error names the place of `data` in the file."""
    if not isinstance(data, dict):
        raise ValueError(f"{place} is not an object")  # noqa: TRY004 - as above
    try:
        return read(data)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
