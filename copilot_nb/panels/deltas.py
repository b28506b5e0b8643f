"""The messages that keep a page up to date on one session: first its last turns whole, then their changes.

The conversation is a list of turns, each identified by a `key`. A turn is first sent as a set of fields, then as
patches with the changed fields: ``prompt`` and ``tail`` are text; ``head`` (notes, reasoning), ``answer`` and
``outcome`` are safe HTML made by `render`; ``images`` are the names of the prompt's images; ``footer`` is the model,
and ``figures`` are the answer's usage figures. While an answer streams, ``more`` is HTML to append to ``answer``, and
``text`` is text to append to ``tail``, the part after the last finished block. So each part of an answer is sent once
as text and once as HTML, however long the answer grows. ``open`` says what the unfinished block will be: code
(``{"kind": "code", "language": ...}``, and ``tail`` is the code), a table or a list (``draft`` is HTML of the lines so
far, ``tail`` what a list has beyond them), or text. ``shown`` is the end of what running code has printed, and
``drawn`` its figures as HTML.

Stored turns are read from the runtime; running turns, and those that ended meanwhile, from the `Turn` objects. All of
this runs on the panel's thread.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.parts import Image, Part, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.named_sessions.session import Event, state_of
from copilot_nb.render.blocks import BlockStream
from copilot_nb.render.escape import well_formed
from copilot_nb.render.turn import (
    Label,
    answer_html,
    figures_html,
    figures_text,
    head_html,
    live_text,
    outcome_html,
)
from copilot_nb.render.unfinished import Unfinished, UnfinishedEnd

if TYPE_CHECKING:
    from copilot_nb.named_sessions.history import History
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn

PAGE_TURNS = 20
"""Turns that are shown at first, and that each "earlier turns" adds (count)."""

Fields = dict[str, Any]


def ended_turn_fields(record: TurnRecord, label: Label) -> Fields:
    """Return all fields of a turn that has ended."""
    return {
        "prompt": well_formed(record.prompt),
        "images": _names(record),
        "answer": answer_html(record.parts, maths="mathml"),
        "tail": "",
        **_around(record, label, live=False),
    }


def _names(record: TurnRecord) -> list[str]:
    return [well_formed(image.name) for image in record.images]


def _around(record: TurnRecord, label: Label, *, live: bool) -> Fields:
    """Return the fields around an answer."""
    model = well_formed(record.model)
    return {
        "state": record.state.value,
        "head": head_html(record, label, live=live, maths="mathml"),
        "outcome": outcome_html(record),
        "footer": model,
        "figures": figures_text(record),
        "at": record.started_at.isoformat() if record.started_at else "",
    }


class LiveTurn:
    """A turn of this kernel, and the fields that the page has received.

    Parameters
    ----------
    turn : Turn
        The turn.
    key : str
        The turn's key on the page.
    """

    def __init__(self, turn: Turn, key: str) -> None:
        self.turn = turn
        self.key = key
        self._seen: object = None
        self._is_over = False
        self._sent: Fields = {}
        self._answer = _LiveAnswer()

    @property
    def turn_id(self) -> str:
        """The runtime's id of the turn; ``""`` until it is sent."""
        return self.turn.record.turn_id

    @property
    def before(self) -> int:
        """The number of turns before it in the queue; 0 unless it waits."""
        owner = self.turn.owner
        return owner.before(self.turn) if owner is not None and self.turn.state is TurnState.QUEUED else 0

    def patch(self) -> Fields:
        """Return the fields that changed since the last `patch` or `whole`."""
        if self._is_over:
            return {}
        is_final = self._is_over = self.turn.done
        record, label, before = self.turn.record, self.turn.panel_label, self.before
        seen = (record, label, before, is_final)
        if seen == self._seen:
            return {}
        self._seen = seen
        if record.state.is_final and not is_final:  # its last text may still change
            record = dataclasses.replace(record, state=TurnState.WORKING)
        asked = {"prompt": well_formed(record.prompt), "images": _names(record), "before": before}
        running = {"shown": live_text(record.parts), "drawn": figures_html(record.parts)}
        fields = {**asked, **running, **_around(record, label, live=not is_final)}
        changed = {name: value for name, value in fields.items() if self._sent.get(name) != value}
        self._sent = fields
        return {**changed, **self._answer.patch(record.parts, is_final=is_final)}

    def whole(self) -> Fields:
        """Return all fields; the next `patch` returns the changes to them."""
        self.patch()
        return {**self._sent, **self._answer.whole()}


class _LiveAnswer:
    """The texts and tool calls of a streaming turn.

    Everything up to the last tool call is one piece, sent again when one of those calls ends; the text after it grows
    block by block.
    """

    def __init__(self) -> None:
        self._before: tuple[Part, ...] = ()
        self._before_html = ""
        self._text = ""
        self._blocks = BlockStream()
        self._end = UnfinishedEnd()
        self._html = ""
        self._tail = Unfinished()

    def whole(self) -> Fields:
        tail = self._tail
        return {"answer": self._before_html + self._html, "open": _kind(tail), "tail": tail.text, "draft": tail.html}

    def patch(self, parts: Sequence[Part], *, is_final: bool) -> Fields:
        before, text = _split(parts)
        is_new = before != self._before or not text.startswith(self._text)
        if is_new:
            if before != self._before:
                self._before, self._before_html = before, answer_html(before, maths="mathml")
            self._blocks, self._html, self._tail = BlockStream(), "", Unfinished()
        html, tail = self._rendered(text, is_final)
        is_new = is_new or not html.startswith(self._html)
        fields: Fields = {}
        if is_new:
            fields["answer"] = self._before_html + html
        elif len(html) > len(self._html):
            fields["more"] = html[len(self._html) :]
        fields |= self._changed(tail, is_new)
        self._text, self._html, self._tail = text, html, tail
        return fields

    def _changed(self, tail: Unfinished, is_new: bool) -> Fields:
        fields: Fields = {}
        if is_new := is_new or _kind(tail) != _kind(self._tail):
            fields["open"] = _kind(tail)
        if is_new or not tail.text.startswith(self._tail.text):
            fields["tail"] = tail.text
        elif len(tail.text) > len(self._tail.text):
            fields["text"] = tail.text[len(self._tail.text) :]
        if tail.html and (is_new or tail.html != self._tail.html):
            fields["draft"] = tail.html
        return fields

    def _rendered(self, text: str, is_final: bool) -> tuple[str, Unfinished]:
        if text == self._text and not is_final:
            return self._html, self._tail
        blocks = self._blocks.feed(text)
        if is_final:
            return self._blocks.finish(), Unfinished()
        return "".join(blocks.finished), self._end.shown(blocks.tail)


def _kind(tail: Unfinished) -> Fields:
    return {"kind": tail.kind, "language": tail.language}


def _split(parts: Sequence[Part]) -> tuple[tuple[Part, ...], str]:
    """Return the parts up to the last tool call (without reasoning), and the text after it."""
    shown = [_without_output(part) for part in parts if isinstance(part, Text | ToolCall)]
    after = list(itertools.takewhile(lambda part: isinstance(part, Text), reversed(shown)))
    text = "".join(part.text for part in reversed(after) if isinstance(part, Text))
    return tuple(shown[: len(shown) - len(after)]), text


def _without_output(part: Text | ToolCall) -> Text | ToolCall:
    """Return a part without what it shows while it runs, which changes often and has fields of its own."""
    return dataclasses.replace(part, output=None) if isinstance(part, ToolCall) and part.output else part


class Deltas:
    """The state of one session on a page, and its changes.

    Parameters
    ----------
    session : Session
        The session.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._keys = itertools.count(1)
        self._live: list[LiveTurn] = []
        self._key_of: dict[str, str] = {}
        self._sent_ids: set[str] = set()
        self._images: dict[str, tuple[Image, ...]] = {}  # images of the stored turns on the page, by key
        self._facts: Fields = {}
        self._usage: Usage | None = None
        self._read: History | None = None  # for the pages of earlier turns
        for turn in list(state_of(session).pending):
            self._join(turn)

    def noted(self, event: Event) -> None:
        """Record an event of the session."""
        if event.kind == "turn" and event.turn is not None:
            self._join(event.turn)

    def _join(self, turn: Turn) -> LiveTurn:
        for live in self._live:
            if live.turn is turn:
                return live
        live = LiveTurn(turn, f"live-{next(self._keys)}")
        self._live.append(live)
        return live

    def whole(self) -> Fields:
        """Return the last stored turns, the running turns, and the session's facts."""
        problem = ""
        self._read = None
        stored: list[Fields] = []
        first = 1
        try:
            ended = [live for live in self._live if live.turn.done]  # stored by now, if at all
            history = self.session.last_turns(PAGE_TURNS)
            for turn in list(state_of(self.session).pending):  # begun meanwhile: may be among the turns read
                self._join(turn)
            self._forget(ended, history)
            live = {each.turn_id for each in self._live}
            self._images = {}
            stored = [self._stored(turn) for turn in history if turn.turn_id not in live]
            self._sent_ids = {turn.turn_id for turn in history} - live
            first = history.numbers[0] if history.numbers else 1
        except CopilotNBError as error:
            problem = str(error)
        turns = [*stored, *({"key": live.key, **live.whole()} for live in self._in_order())]
        self._facts = self._current_facts()
        return {"turns": turns, "first": first, "problem": problem, "session": self._facts}

    def _in_order(self) -> list[LiveTurn]:
        """Return the turns of this kernel in the order in which they run: one may be put before others that wait."""
        return sorted(self._live, key=lambda live: live.before)

    @property
    def is_doubled(self) -> bool:
        """Whether a turn was read from the log before its first event arrived: `whole` must be sent again."""
        return any(live.turn_id in self._sent_ids for live in self._live)

    def news(self) -> list[Fields]:
        """Return the changes since the last `whole` or `news`."""
        items = [{"kind": "turn", "key": live.key, **patch} for live in self._in_order() if (patch := live.patch())]
        if (facts := self._current_facts()) != self._facts:
            self._facts = facts
            items.append({"kind": "session", **facts})
        return items

    def earlier(self, before: int) -> Fields:
        """Return the page of turns before turn number `before`.

        Raises
        ------
        SessionError
            If the session's log cannot be read.
        """
        history = self._read_to(max(1, before - PAGE_TURNS))
        page = [turn for number, turn in zip(history.numbers, history, strict=True) if number < before][-PAGE_TURNS:]
        return {"turns": [self._stored(turn) for turn in page], "first": before - len(page)}

    def _read_to(self, number: int) -> History:
        """Return the turns from turn `number` or earlier on; the log is not read again for each page."""
        history = self._read
        if history is None or history.numbers[:1] > (number,):
            newest = self.session.last_turns(1).numbers
            wanted = newest[-1] - number + 1 if newest else 1
            history = self._read = self.session.last_turns(2 * wanted)
        return history

    def place(self, key: str) -> tuple[TurnRecord, int]:
        """Return a turn by its key, and the number of stored turns before it.

        Raises
        ------
        InputError
            If it is not in the session any more, or was never sent.
        """
        turn_id = next((live.turn_id for live in self._live if live.key == key), "") or self._id(key)
        for i, turn in enumerate(self.session.history):
            if turn.turn_id == turn_id:
                return turn, i
        raise InputError("this turn is not in the session's history")

    def known(self, key: str) -> Turn | TurnRecord:
        """Return a turn by its key: as it is stored, or this kernel's if it was never sent.

        Raises
        ------
        InputError
            If it is not in the session any more.
        """
        turn = self.turn(key)
        return turn if turn is not None and turn.done and not turn.record.turn_id else self.place(key)[0]

    def images(self, key: str) -> tuple[Image, ...]:
        """Return the images of a turn by its key; the log is not read for a turn that the page already shows.

        Raises
        ------
        InputError
            If it is not in the session any more.
        """
        if (turn := self.turn(key)) is not None:
            return turn.record.images
        images = self._images.get(key)
        if images is None:
            images = self._images[key] = self.place(key)[0].images
        return images

    def turn(self, key: str) -> Turn | None:
        """Return a turn that was sent in this kernel, by its key."""
        return next((live.turn for live in self._live if live.key == key), None)

    def _id(self, key: str) -> str:
        return next((turn_id for turn_id, known in self._key_of.items() if known == key), key)

    def _stored(self, turn: TurnRecord) -> Fields:
        key = self._key_of.get(turn.turn_id, turn.turn_id)
        self._images[key] = turn.images
        return {"key": key, **ended_turn_fields(turn, Label(self.session.name, self.session.provider))}

    def _forget(self, ended: Sequence[LiveTurn], history: Sequence[TurnRecord]) -> None:
        """Drop ended turns that can be read from the log or were taken back, and the unsent turns before them."""
        stored = {turn.turn_id for turn in history}
        last = max((i for i, live in enumerate(self._live) if live in ended and live.turn_id in stored), default=-1)
        self._key_of |= {live.turn_id: live.key for live in self._live if live.turn_id}
        self._live = [live for live in self._live[last + 1 :] if live not in ended or not live.turn_id]
        usages = [turn.usage for turn in history if turn.usage]
        self._usage = usages[-1] if usages else None

    def _current_facts(self) -> Fields:
        session, state = self.session, state_of(self.session)
        usage = next((live.turn.usage for live in reversed(self._live) if live.turn.usage), self._usage)
        return {
            "name": well_formed(session.own_name),
            "id": session.session_id,
            "state": session.state,
            "busy": session.is_busy,
            "model": well_formed(state.requested.model or session.model),
            "provider": state.requested.provider or session.provider,
            "gone": state.is_gone,
            "used": usage.context_tokens if usage else 0,
            "window": (usage.window_tokens if usage else 0) or 0,
        }
