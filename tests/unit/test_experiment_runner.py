"""The order in which a run of a comparison claims its cells and hands them to its engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from copilot_nb.experiments.engines.base import CellEngine, Job, Outcome
from copilot_nb.experiments.grid import Grid, Variant, make_grid
from copilot_nb.experiments.options import CompareOptions
from copilot_nb.experiments.prompts import read_prompts
from copilot_nb.experiments.runner import CLAIMED_AT_ONCE, Runner
from copilot_nb.experiments.store import AnsweredTurn, Store, new_owner
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import SessionOptions

SEATS = 3 * CLAIMED_AT_ONCE
VARIANT = Variant("a", SessionOptions(model="a", provider="p", system="s", effort="", context=""))
ANSWER = AnsweredTurn("a question", "an answer", "a", 1, 1, None, 0.1, 0.1, 1e9)


class NotingEngine:
    """An engine that answers at once and notes what it is asked."""

    seats = SEATS

    def __init__(self, noted: list[str]) -> None:
        self._noted = noted

    def limit_of(self, _provider: str) -> int:
        return 0

    def turn_of(self, _session_id: str) -> None: ...

    async def begin(self) -> None: ...

    async def ask(self, _job: Job) -> Outcome:
        self._noted.append("ask")
        return Outcome((ANSWER,))

    async def discard(self, _job: Job) -> None: ...

    def stop(self) -> None: ...

    async def end(self) -> None: ...


class NotingStore(Store):
    """A store that notes each claim."""

    noted: list[str]

    def claim(self, sessions: Mapping[str, str], owner: str, before_s: float = 0.0) -> dict[str, int]:
        self.noted.append(f"claim {len(sessions)}")
        return super().claim(sessions, owner, before_s)


def noted_run(path: Path, grid: Grid) -> list[str]:
    noted: list[str] = []
    with NotingStore(path) as store:
        store.noted = noted
        store.want(dict.fromkeys(grid.unique, "{}"))
        engine = cast(CellEngine, NotingEngine(noted))
        runner = Runner(cast(Manager, None), engine, grid, store, CompareOptions(), owner=new_owner())
        asyncio.run(runner.run())
        assert runner.progress.done == len(grid.unique)
    return noted


def test_the_first_cells_begin_before_the_last_seats_are_claimed(tmp_path: Path) -> None:
    grid = make_grid(read_prompts([f"question {number}" for number in range(2 * SEATS)]), (VARIANT,), 1, 0)
    noted = noted_run(tmp_path / "store.sqlite", grid)
    assert noted[0] == f"claim {CLAIMED_AT_ONCE}"
    claims = [place for place, what in enumerate(noted) if what.startswith("claim")]
    assert "ask" in noted[: claims[2]]


class OneSeat(NotingEngine):
    """An engine with one seat, which announces its second cell."""

    seats = 1

    def __init__(self) -> None:
        super().__init__([])
        self.second = threading.Event()

    async def ask(self, job: Job) -> Outcome:
        outcome = await super().ask(job)
        if len(self._noted) == 2:
            self.second.set()
        return outcome


class SlowStore(Store):
    """A store that keeps an answer only once the second cell runs."""

    second: threading.Event

    def keep(self, *answer: Any) -> None:
        assert self.second.wait(30), "the seat was not free"
        super().keep(*answer)


def test_the_next_cell_begins_while_an_answer_is_stored(tmp_path: Path) -> None:
    grid = make_grid(read_prompts(["one", "two"]), (VARIANT,), 1, 0)
    engine = OneSeat()
    with SlowStore(tmp_path / "store.sqlite") as store:
        store.second = engine.second
        store.want(dict.fromkeys(grid.unique, "{}"))
        runner = Runner(cast(Manager, None), cast(CellEngine, engine), grid, store, CompareOptions(), owner=new_owner())
        asyncio.run(runner.run())
        assert {answer.state for answer in store.answers(grid.unique).values()} == {"done"}
