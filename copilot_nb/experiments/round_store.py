"""Stores the rounds of a comparison and their votes, so that they survive a restart of the kernel.

A round is one turn in each of several sessions. Each session stores its part in its metadata: the turn, the column and
the vote. So a round exists as long as all of its turns: it disappears when one of them is taken back or its session is
deleted.

Why: docs/decisions/0019-rounds-in-session-metadata.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.metadata import PREFIX
from copilot_nb.named_sessions.session import engine_of, own_session, replaced_id, state_of
from copilot_nb.named_sessions.stored_history import read_last, refresh
from copilot_nb.runtime.loop import PerLoop

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn

ENTRY = f"{PREFIX}rounds"
MAX_ROUNDS = 100
"""Most rounds that a session stores, the last ones (count): the runtime stores at most 16 KiB."""
MAX_TURNS = 200
"""How many of a session's last turns are searched for rounds (count)."""
TURN_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One session's part of a round.

    Attributes
    ----------
    turn : str
        The first digits of its turn's id.
    column : int
        Its column, counted from 0.
    of : int
        The number of answers in the round.
    is_blind : bool
        Whether names were hidden until the vote.
    vote : str
        The vote: ``"best"`` (this answer), ``"other"`` (another answer), another word for a vote on all; ``""``: none.
    """

    turn: str
    column: int
    of: int
    is_blind: bool
    vote: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "turn", self.turn[:TURN_DIGITS])


Parts = dict[str, Part]
_writing: WeakKeyDictionary[Session, PerLoop[asyncio.Lock]] = WeakKeyDictionary()


async def keep(key: str, parts: Mapping[Session, Part]) -> None:
    """Store each session's part of the round `key`.

    Raises
    ------
    SessionInUse
        If another process has one of them open.
    """
    await asyncio.gather(*(_keep(session, key, part) for session, part in parts.items()))


async def _keep(session: Session, key: str, part: Part) -> None:
    async with _writing.setdefault(session, PerLoop(asyncio.Lock))():
        (kept,) = await _kept([session])
        last = list((kept | {key: part}).items())[-MAX_ROUNDS:]
        text = json.dumps({each: dataclasses.astuple(part) for each, part in last}, separators=(",", ":"))
        connection = await engine_of(session).loaded(state_of(session))
        await connection.annotate({ENTRY: text})


async def rounds_of(sessions: Sequence[Session]) -> list[tuple[str, list[tuple[Session, Part, TurnRecord]]]]:
    """Return the rounds of exactly these sessions, oldest first: a key, and their parts in the order of the columns.

    Raises
    ------
    SessionError
        If a session's log cannot be read.
    """
    if not all(state_of(session).exists for session in sessions):
        return []
    kept = await _kept(sessions)
    keys = [key for key in kept[0] if all(key in parts and parts[key].of == len(sessions) for parts in kept)]
    if not keys:
        return []
    histories = await asyncio.gather(
        *(read_last(state_of(session), engine_of(session), MAX_TURNS) for session in sessions)
    )
    turns = [{turn.turn_id[:TURN_DIGITS]: turn for turn in history} for history in histories]
    found = []
    for key in keys:
        parts = [each[key] for each in kept]
        if all(part.turn in known for part, known in zip(parts, turns, strict=True)):
            columns = [(s, part, known[part.turn]) for s, part, known in zip(sessions, parts, turns, strict=True)]
            found.append((key, sorted(columns, key=lambda column: column[1].column)))
    return found


async def ask_again(turn: Turn) -> Turn:
    """Send the prompt of a session's last turn again, in place of that turn.

    Raises
    ------
    InputError
        If the session has later turns.
    SessionInUse
        If another process has it open.
    """
    session = own_session(turn.session)
    state, engine = state_of(session), engine_of(session)
    replaced = replaced_id(turn)
    if not replaced or not state.exists or state.is_gone:
        return session.send(turn.prompt, cell="")
    more_said = InputError(f"session {session.name!r} has later turns", "ask all of them again")
    if session.is_busy:
        raise more_said
    async with state.lock:  # no other turn runs before this one is in the queue
        await refresh(state, engine)
        last = (await (await engine.client()).archive.last_turns(state.session_id, 1)).turns
        if last and last[0].turn_id != replaced:
            raise more_said
        return session.send(turn.prompt, cell="", replaces=turn)


async def _kept(sessions: Sequence[Session]) -> list[Parts]:
    """Return the parts that each session stores, without entries that `_keep` could not have written."""
    archive = (await engine_of(sessions[0]).client()).archive
    entries = await archive.annotations([session.session_id for session in sessions])
    return [_read(entries.get(session.session_id, {}).get(ENTRY, "")) for session in sessions]


def _read(text: str) -> Parts:
    try:
        return {key: Part(*fields) for key, fields in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}
