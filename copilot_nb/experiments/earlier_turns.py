"""Earlier turns of the sessions of a comparison: their histories side by side.

A prompt that all sessions received is shown as a round, as if the comparison had sent it. Turns between two rounds,
which only some sessions have, are shown in a column for each session, one below the other, without a vote. Turns that
the sessions share because they are forks of one session show no difference and are left out.

Why: docs/decisions/0035-earlier-turns-in-a-comparison.md.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from copilot_nb.experiments.rounds import Round, in_columns, past_turn
from copilot_nb.named_sessions.session import engine_of, state_of
from copilot_nb.named_sessions.stored_history import read_last
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn

LAST_TURNS = 20
"""How many of each session's last turns are compared (count)."""
UNSHARED = "Asked separately"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Row = tuple["Turn", ...]


@dataclass(frozen=True)
class Unshared:
    """Turns that not all sessions have.

    Attributes
    ----------
    before : int
        The number of the round that follows them; after the last round, one more than the number of rounds.
    turns : tuple of tuple of Turn
        The turns of each session, oldest first; some sessions may have none.
    """

    before: int
    turns: tuple[Row, ...]


@dataclass(frozen=True)
class EarlierTurns:
    """The history to show before the comparison sends its first prompt.

    Attributes
    ----------
    rounds : tuple of Round
        The stored rounds, and those found in the histories, oldest first.
    unshared : tuple of Unshared
        The turns between the rounds.
    note : str
        A remark for the reader on what is left out.
    """

    rounds: tuple[Round, ...] = ()
    unshared: tuple[Unshared, ...] = ()
    note: str = ""


def earlier_turns(manager: Manager, sessions: Sequence[Session], kept: Sequence[Round], *, blind: bool) -> EarlierTurns:
    """Return the history of `sessions`: their stored rounds, and rounds and other turns found in their logs.

    Parameters
    ----------
    manager : Manager
        Owns the sessions.
    sessions : sequence of Session
        The sessions to compare.
    kept : sequence of Round
        The rounds stored in them.
    blind : bool
        Whether the rounds found are blind; then nothing else is shown, because it would identify the sessions.

    Raises
    ------
    SessionError
        If a session's log cannot be read.
    """
    histories, is_cut = manager.loop.blocking(_histories(sessions))
    in_all = set.intersection(*({turn.record.turn_id for turn in history} for history in histories)) - {""}
    known = {turn.record.turn_id: turn for each in kept for turn in each.turns}
    own = [
        [known.get(turn.record.turn_id, turn) for turn in history if turn.record.turn_id not in in_all]
        for history in histories
    ]
    rest = [[turn for turn in history if turn not in known.values()] for history in own]
    found = [
        Round(0, row[0].prompt, tuple(in_columns(row, blind=blind)), blind, key=secrets.token_hex(4))
        for row in common(rest)
    ]
    in_order = sorted([*kept, *found], key=_began)
    rounds = tuple(dataclasses.replace(each, number=number) for number, each in enumerate(in_order, 1))
    if blind:
        return EarlierTurns(rounds)
    notes = [f"{count(len(in_all), 'turn')} common to all sessions left out"] if in_all else []
    notes += [f"only the last {LAST_TURNS} turns of each session are shown"] if is_cut else []
    return EarlierTurns(rounds, tuple(unshared(rounds, own)), "; ".join(notes))


async def _histories(sessions: Sequence[Session]) -> tuple[list[list[Turn]], bool]:
    """Return the last turns of each session, with the running ones, and whether there are earlier turns."""
    pending = [list(state_of(session).pending) for session in sessions]
    reading = (read_last(state_of(session), engine_of(session), LAST_TURNS) for session in sessions)
    stored = await asyncio.gather(*reading)
    under_way = {turn.record.turn_id for turns in pending for turn in turns}
    histories = [
        [*(past_turn(session, record) for record in history if record.turn_id not in under_way), *turns]
        for session, history, turns in zip(sessions, stored, pending, strict=True)
    ]
    return histories, any(history.numbers[:1] > (1,) for history in stored)


def common(histories: Sequence[Sequence[Turn]]) -> list[Row]:
    """Return the turns in which all sessions received the same prompt, in the order common to all."""
    prompts = [[turn.prompt.strip() for turn in history] for history in histories]
    shared = prompts[0]
    for other in prompts[1:]:
        blocks = SequenceMatcher(None, shared, other, autojunk=False).get_matching_blocks()
        shared = [each for start, _, size in blocks for each in shared[start : start + size]]
    return list(zip(*(_of_prompts(history, shared) for history in histories), strict=True))


def _of_prompts(history: Sequence[Turn], prompts: Sequence[str]) -> Iterator[Turn]:
    left = iter(history)
    return (next(turn for turn in left if turn.prompt.strip() == prompt) for prompt in prompts)


def unshared(rounds: Sequence[Round], histories: Sequence[Sequence[Turn]]) -> Iterator[Unshared]:
    """Yield the turns that belong to no round, grouped by the round that follows them."""
    number_of = {turn: each.number for each in rounds for turn in each.turns}
    places: dict[int, list[list[Turn]]] = {}
    for column, history in enumerate(histories):
        before = len(rounds) + 1
        for turn in reversed(history):
            if turn in number_of:
                before = number_of[turn]
            elif turn.done:
                places.setdefault(before, [[] for _ in histories])[column].insert(0, turn)
    for before in sorted(places):
        yield Unshared(before, tuple(map(tuple, places[before])))


def _began(asked: Round) -> tuple[bool, datetime]:
    """Return the sort key of rounds by time; a round that is still being answered is last."""
    return not asked.is_over, min(turn.record.started_at or _LONG_AGO for turn in asked.turns)
