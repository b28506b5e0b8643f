"""A conversation as JSON: what a `.json` export holds, and how it is read.

One object, encoded in UTF-8, with its keys in this order:

=============  =============================================================================
``format``     ``"copilot_nb/conversation"``
``version``    ``1``
exported_at    when it was written; all times are ISO 8601 with their zone
name           what the user called the session
session_id     what the runtime stored it under
provider       where its answers came from, such as ``"github"``
model          the model the session asked for; ``""``: the provider's default
system         its system message
``turns``      the conversation, oldest first: a list of turns
=============  =============================================================================

A turn (the attributes of `TurnRecord`):

==============  ===================================================================================
turn_id         the runtime's id of the prompt
``prompt``      what the user said
images          what went with it: a list of name, mime_type, size_bytes; not the images themselves
state           ``"done"``, ``"failed"``, ``"interrupted"``, ``"working"`` or ``"queued"``
model           the model that answered
started_at      when the prompt was sent, or null
first_token_at  when the answer began, or null
finished_at     when it ended, or null
usage           null, or what it cost: input_tokens, output_tokens, cost, context_tokens, window_tokens
notes           what the runtime did on the way: a list of strings
error           why the turn failed
event_id        the runtime's id of the event that began it
parts           what followed the prompt, in order: a list of parts
==============  ===================================================================================

A part is one of three, told apart by ``kind``:

=============  =============================================================================
``text``       part_id, text (Markdown), complete
``reasoning``  part_id, text, complete
``tool``       call_id, name, arguments (JSON text), result, succeeded (null: it was running)
=============  =============================================================================

A reader needs ``format``, ``version``, ``turns``, and of each turn ``prompt``; whatever else is missing or null is
empty. It ignores keys and kinds of part that it does not know: a later release may add some within version 1. What
would be misread by an older reader raises the version, and a higher version than one's own is refused.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from copilot_nb.conversation.parts import Image, Part, Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord

FORMAT = "copilot_nb/conversation"
VERSION = 1

T = TypeVar("T")


def _now() -> datetime:
    return datetime.now().astimezone().replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Exported:
    """What is said of a conversation beside its turns; what is unknown is ``""``.

    Attributes
    ----------
    name, session_id : str
        What the user and what the runtime calls the session.
    provider, model, system : str
        Where its answers come from, the model it asks for, and its system message.
    exported_at : datetime
        When it was exported, with its zone.
    """

    name: str
    session_id: str = ""
    provider: str = ""
    model: str = ""
    system: str = ""
    exported_at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Imported:
    """A conversation that was read back."""

    facts: Exported
    turns: tuple[TurnRecord, ...]


def to_json(turns: Sequence[TurnRecord], facts: Exported) -> dict[str, Any]:
    """Return a conversation as what `json.dumps` takes."""
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
        case ToolCall(call_id, name, arguments, result, succeeded):
            said = {"arguments": arguments, "result": result, "succeeded": succeeded}
            return {"kind": "tool", "call_id": call_id, "name": name, **said}


def from_json(data: object) -> Imported:
    """Return the conversation that `data` holds.

    Raises
    ------
    ValueError
        If it holds none that this release can read; the message says why, in one line.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it is not a conversation that copilot_nb exported as .json")
    version = _value(data, "version", int, 0)
    if not 1 <= version <= VERSION:
        raise ValueError(f"it is of version {version}, and this release of copilot_nb reads up to version {VERSION}")
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
    """Return a part, ``None`` for one of a kind that a later release has added."""
    match _value(data, "kind", str, ""):
        case "text" | "reasoning" as kind:
            make = Text if kind == "text" else Reasoning
            complete = _value(data, "complete", bool, True)
            return make(_value(data, "part_id", str, ""), _value(data, "text", str, ""), complete)
        case "tool":
            call_id, name, arguments, result = (
                _value(data, key, str, "") for key in ("call_id", "name", "arguments", "result")
            )
            return ToolCall(call_id, name, arguments, result, _value(data, "succeeded", bool, None))
        case _:
            return None


def _usage(data: Mapping[str, Any]) -> Usage | None:
    if not data:
        return None
    cost = data.get("cost")
    is_number = isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost)
    return Usage(
        _value(data, "input_tokens", int, 0),
        _value(data, "output_tokens", int, 0),
        cost if is_number else None,
        _value(data, "context_tokens", int, 0),
        _value(data, "window_tokens", int, None),
    )


def _time(data: Mapping[str, Any], key: str) -> datetime | None:
    written = _value(data, key, str, "")
    if not written:
        return None
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{key!r} is no time: {written[:40]!r}") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _list(data: Mapping[str, Any], key: str) -> list[object]:
    empty: list[object] = []
    return _value(data, key, list, empty)


def _value(data: Mapping[str, Any], key: str, kind: type[Any], default: T) -> T:
    """Return a value of the kind that is wanted; `default` where it is missing or null."""
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key!r} is {type(value).__name__}, not {kind.__name__}")
    return value  # type: ignore[no-any-return]


def _placed(place: str, read: Callable[[Mapping[str, Any]], T], data: object) -> T:
    """Return what `read` makes of `data`; what is wrong with it is said with its place."""
    if not isinstance(data, dict):
        raise ValueError(f"{place} is no object")  # noqa: TRY004 - as above
    try:
        return read(data)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
