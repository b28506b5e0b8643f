"""Runs the cells of a comparison that have no answer yet, each in an isolated session.

`Runner.run` is a coroutine on the sessions' loop. It claims as many cells as its engine has seats, has the engine run
them concurrently, and commits each answer as it arrives. It waits for cells that another process on the same file has
claimed, and runs them itself if that process dies.

A session's id is made of the cell's key, the run and the attempt: it does not name the model, no two attempts share a
session, and the sessions that a dead process has left are found by its run.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import Usage
from copilot_nb.errors import CopilotNBError, InputError, ProviderError, RuntimeUnavailable
from copilot_nb.experiments.budget import Budget
from copilot_nb.experiments.engines.base import CellEngine, EngineGone, Job, Outcome, WorkerLost, delete_left, rerun_ids
from copilot_nb.experiments.grid import Cell, Grid, Variant
from copilot_nb.experiments.live_answers import LiveAnswers
from copilot_nb.experiments.options import CompareOptions
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.store import BEAT_S, Answer, AnsweredTurn, Store
from copilot_nb.experiments.waiting_cells import WaitingCells
from copilot_nb.render.words import count
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

CLAIMED_AT_ONCE = 16
"""How many cells are claimed by one write to the file (count): the first ones open their sessions meanwhile."""
LOOK_AGAIN_S = 0.5
"""Seconds between checks of the cells that other processes have claimed."""
MAX_RUNNING_PER_SEAT = 2
"""The cells that run or are being stored, for each seat (count): where storing is slow, the next ones wait for it."""
KEY_DIGITS, RUN_DIGITS = 16, 8
SESSION_ID = re.compile(rf"ab-[0-9a-f]{{{KEY_DIGITS}}}-(?P<run>[0-9a-f]{{{RUN_DIGITS}}})-\d+")


class Runner:
    """One run of a comparison.

    Parameters
    ----------
    manager : Manager
        Deletes the sessions that dead processes have left.
    engine : CellEngine
        Runs the cells.
    grid : Grid
        The cells to run.
    store : Store
        Stores the answers; already contains the cells.
    options : CompareOptions
        The options of the run, with its limits of cost and tokens.
    owner : str
        The name of the run (see `store.new_owner`).
    budget : Budget, optional
        The limits of cost and tokens, shared with an earlier run; by default those of the options.

    Attributes
    ----------
    notes : list of str
        Remarks on the run for its reader, one line each.
    error : CopilotNBError or None
        The first error that left a cell without an answer.
    """

    def __init__(
        self,
        manager: Manager,
        engine: CellEngine,
        grid: Grid,
        store: Store,
        options: CompareOptions,
        *,
        owner: str,
        budget: Budget | None = None,
    ) -> None:
        self._manager = manager
        self._engine = engine
        self._store = store
        self._budget = budget or Budget(options.max_cost, options.max_tokens)
        self._retries = options.retries
        self._keeps_sessions = options.keep == "sessions"
        self._before_s = 0.0 if options.max_age is None else time.time() - options.max_age.total_seconds()
        self._owner = owner
        self._versions = f"copilot-nb {version('copilot-nb')}, github-copilot-sdk {version('github-copilot-sdk')}"
        self._cells = grid.unique
        self._waiting = WaitingCells(engine)
        self._live = LiveAnswers(grid, engine.turn_of)
        self._elsewhere: dict[str, Cell] = {}
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._lost: list[str] = []
        self._dropped: dict[Variant, CopilotNBError] = {}
        self._going: set[asyncio.Task[None]] = set()
        self._seated: dict[str, Cell] = {}  # by their sessions' ids: those whose answers are still to come
        self._moved = asyncio.Event()
        self._is_stopping = False
        self._began_s = time.monotonic()
        self._kept = self._done = self._failed = 0
        self.notes: list[str] = []
        self.error: CopilotNBError | None = None
        self._progress = Progress(len(self._cells))

    @property
    def progress(self) -> Progress:
        """The progress of the run; may be read from any thread."""
        return replace(self._progress, answers=self._live.shown())

    async def run(self) -> None:
        """Run until each cell has an answer or has failed for good, the budget is spent, or `stop` is called.

        Raises
        ------
        InputError
            If the file cannot be written, or the engine cannot run the cells. Stored answers stay.
        """
        await in_thread(self._store.beat, self._owner)
        beating = asyncio.create_task(self._beat())
        try:
            await self._begin()
            if self._waiting:
                await self._engine.begin()
            while not self._is_stopping and await self._fill():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), LOOK_AGAIN_S)
                self._moved.clear()
                self._collect()
        finally:
            beating.cancel()
            await self._stop_all()
        self._conclude()

    def stop(self) -> None:
        """Start no more cells and stop the running ones (on the loop's thread); `run` returns when they have ended."""
        if not self._is_stopping:  # a second cancellation would not wait for what the first one stops
            self._is_stopping = True
            if self._going:
                self._engine.stop()
            for task in self._going:
                task.cancel()

    def release(self) -> None:
        """Release the claimed cells, from any thread: for a run whose loop does not answer."""
        self._store.release(self._owner)

    async def _begin(self) -> None:
        """Find the cells to run."""
        await self._clear_up()
        answers = await in_thread(self._store.answers, self._cells)
        for key, cell in self._cells.items():
            answer = answers[key]
            if answer.state != "done" or (answer.answered_s or 0.0) < self._before_s:
                self._waiting.add(cell)
        self._live.know(answers)
        self._kept = self._done = len(self._cells) - len(self._waiting)
        self._report()

    async def _fill(self) -> bool:
        """Claim and start as many cells as may run now; return whether there is anything left to wait for."""
        while not self._is_stopping:
            if wanted := self._next():
                await self._claim(wanted)
            elif self._going:
                return True
            elif not self._elsewhere:
                return False
            else:
                await self._look_elsewhere()
        return False

    def _next(self) -> list[Cell]:
        """Return the next cells to claim, as many as the seats and the budget allow."""
        wanted: list[Cell] = []
        room = min(CLAIMED_AT_ONCE, MAX_RUNNING_PER_SEAT * self._engine.seats - len(self._going))
        while len(wanted) < room and self._budget.has_room(len(self._seated) + len(wanted)):
            if (cell := self._waiting.take([*self._seated.values(), *wanted])) is None:
                break
            if cell.variant not in self._dropped:
                wanted.append(cell)
        return wanted

    async def _claim(self, cells: list[Cell]) -> None:
        jobs = {cell.key: self._job(cell) for cell in cells}
        ids = {key: job.session_id for key, job in jobs.items()}
        claimed = await in_thread(self._store.claim, ids, self._owner, self._before_s)
        if self._is_stopping:
            return
        for cell in cells:
            if cell.key in claimed:
                self._live.begin(cell.key, ids[cell.key])
                self._seated[ids[cell.key]] = cell
                task = asyncio.create_task(self._ask(cell, jobs[cell.key]))
                self._going.add(task)
                task.add_done_callback(lambda _: self._moved.set())
            else:
                self._elsewhere[cell.key] = cell

    def _job(self, cell: Cell) -> Job:
        session_id = f"ab-{cell.key[:KEY_DIGITS]}-{_run(self._owner)}-{self._failures[cell.key] + 1}"
        prompt, options = cell.prompt, cell.variant.options
        return Job(session_id, options, prompt.turns, prompt.images, self._keeps_sessions)

    async def _look_elsewhere(self) -> None:
        """After a pause, check the cells that other processes have claimed."""
        await asyncio.sleep(LOOK_AGAIN_S)
        await self._clear_up()
        for key, state in (await in_thread(self._store.states, list(self._elsewhere))).items():
            if state == "asking":
                continue
            cell = self._elsewhere.pop(key)
            if state == "done":
                self._done += 1
            else:
                self._waiting.add(cell)
        self._report()

    def _collect(self) -> None:
        for task in [task for task in self._going if task.done()]:
            self._going.remove(task)
            if not task.cancelled():
                task.result()  # an error of the store ends the run
        self._report()

    async def _ask(self, cell: Cell, job: Job) -> None:
        """Run one cell and store its answer or its error."""
        try:
            outcome = await self._engine.ask(job)
        except (WorkerLost, EngineGone) as error:
            self._lost += rerun_ids(job.session_id)
            await self._note_loss(cell, error)
        else:
            self._free_seat(job)  # the next cell runs while this one's answer is stored
            await self._note(cell, job, outcome)
        finally:
            self._free_seat(job)
            await asyncio.shield(self._engine.discard(job))

    def _free_seat(self, job: Job) -> None:
        self._seated.pop(job.session_id, None)
        self._moved.set()

    async def _note(self, cell: Cell, job: Job, outcome: Outcome | None) -> None:
        if outcome is None:
            await in_thread(self._store.give_back, cell.key, self._owner, began=False)
            return
        self._budget.add([_usage(turn) for turn in outcome.turns])
        if outcome.error is None:
            kept_id = job.session_id if job.keeps_session else ""
            keeping = in_thread(self._store.keep, cell.key, self._owner, outcome.turns, self._versions, kept_id)
            await asyncio.shield(keeping)  # an interrupt must not lose a complete answer
            self._live.know({cell.key: Answer("done", outcome.turns)})
            self._done += 1
        elif not self._is_stopping:  # else the cell was stopped, and `_stop_all` releases it
            await self._note_failure(cell, outcome.error)

    async def _note_loss(self, cell: Cell, error: WorkerLost | EngineGone) -> None:
        """Release a cell whose worker is gone: the next run asks it again; without its engine this run ends."""
        self.error = self.error or error
        self._losses[str(error)] += 1
        await in_thread(self._store.give_back, cell.key, self._owner, began=True)
        if isinstance(error, EngineGone):
            self.stop()

    async def _note_failure(self, cell: Cell, error: CopilotNBError) -> None:
        """Store why a cell has no answer, and decide whether the cell is retried and its variant goes on."""
        self.error = self.error or error
        self._failures[cell.key] += 1
        is_refused = isinstance(error, InputError)
        await in_thread(self._store.fail, cell.key, self._owner, str(error), refused=is_refused)
        is_last = is_refused or self._failures[cell.key] > self._retries
        if isinstance(error, ProviderError) or (is_last and isinstance(error, RuntimeUnavailable)):
            self._dropped.setdefault(cell.variant, error)
        elif not is_last:
            self._waiting.add(cell)
            return
        self._live.know({cell.key: Answer("failed", error=str(error))})
        self._failed += 1

    async def _clear_up(self) -> None:
        """Release the cells of dead processes, and delete the sessions that they have left in this kernel's home."""
        runs = {_run(owner) for owner in await in_thread(self._store.free_the_dead)}
        if not runs:
            return
        kept = await in_thread(self._store.kept_sessions)
        with suppress(CopilotNBError):  # a leftover session does no harm
            archive = (await self._manager.client()).archive
            stored = await archive.stamps()
            left = [each for each in stored if (found := SESSION_ID.match(each)) and found["run"] in runs]
            await delete_left(archive, (each for each in left if each not in kept))

    async def _delete_lost(self) -> None:
        """Delete the sessions of workers that died, if they are in this kernel's home."""
        if self._lost:
            with suppress(CopilotNBError):
                await delete_left((await self._manager.client()).archive, self._lost)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(InputError):  # storing an answer reports the same error
                await in_thread(self._store.beat, self._owner)

    async def _stop_all(self) -> None:
        """Stop the running cells and release them."""
        self.stop()
        await asyncio.gather(*self._going, return_exceptions=True)
        await self._engine.end()
        await self._delete_lost()
        await in_thread(self._store.release, self._owner)

    def _conclude(self) -> None:
        for variant, error in self._dropped.items():
            self.notes.append(f"{variant.name}: stopped, because {error}")
        for said, number in self._losses.items():
            self.notes.append(f"{count(number, 'cell')} lost: {said}")
        unasked = len(self._cells) - self._done - self._failed
        if unasked and (reason := self._budget.reason()):
            self.notes.append(reason)
        self._report()

    def _report(self) -> None:
        budget = self._budget
        self._progress = Progress(
            len(self._cells),
            self._done,
            self._kept,
            self._failed,
            budget.tokens,
            budget.cost,
            budget.unknown,
            time.monotonic() - self._began_s,
        )


def _run(owner: str) -> str:
    """Return the digits by which the session ids of a run name it."""
    return owner.rpartition("/")[2][:RUN_DIGITS]


def _usage(turn: AnsweredTurn) -> Usage:
    return Usage(turn.input_tokens or 0, turn.output_tokens or 0, cost=turn.cost)
