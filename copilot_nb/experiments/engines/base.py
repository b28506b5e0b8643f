"""What a comparison asks of the engine that runs its cells.

Why: docs/decisions/0042-cells-by-any-executor.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from copilot_nb.conversation.parts import Image
from copilot_nb.errors import CopilotNBError, RuntimeUnavailable
from copilot_nb.experiments.store import AnsweredTurn, has_ended
from copilot_nb.named_sessions.options import SessionOptions

if TYPE_CHECKING:
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.runtime.archive import Archive

DYING_LOOK_S, DYING_LOOKS = 0.05, 40
"""Seconds between the checks of whether the runtime of a dead process has ended, and their number."""
MAX_RERUNS = 7
"""How often Dask may run a job again whose worker has died (count); its own default is 3."""


@dataclass(frozen=True, slots=True)
class Job:
    """One cell on its way to an engine, without anything that belongs to this process.

    Attributes
    ----------
    session_id : str
        The id of its session; no two jobs have the same.
    options : SessionOptions
        The options of the session, all resolved.
    turns : tuple of str
        The prompts that are sent one after another.
    images : tuple of Image
        Images of the first prompt.
    keeps_session : bool
        Whether the session stays when the answer has been stored.
    """

    session_id: str
    options: SessionOptions
    turns: tuple[str, ...]
    images: tuple[Image, ...] = ()
    keeps_session: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    turns : tuple of AnsweredTurn
        The turns that were answered, or that used tokens before they failed.
    error : CopilotNBError or None
        Why there is no complete answer.
    """

    turns: tuple[AnsweredTurn, ...]
    error: CopilotNBError | None = None


def rerun_ids(session_id: str) -> list[str]:
    """Return the ids of the sessions that workers may use for one job, if the first of them die."""
    return [session_id, *(f"{session_id}-{number}" for number in range(2, MAX_RERUNS + 2))]


async def delete_left(archive: Archive, session_ids: Iterable[str]) -> list[str]:
    """Delete the sessions that processes which died have left in a home, and return the ids of those that were there.

    The runtime of such a process, which would write its session once more, ends first: it takes 0.1 s.
    """
    left = [each for each in session_ids if archive.log_path(each).parent.exists()]
    for each in left:
        await _ended([holder.process_id for holder in archive.holders(each)])
        with suppress(CopilotNBError):  # a leftover session does no harm
            await archive.delete(each)
    return left


async def _ended(process_ids: list[int]) -> None:
    for _ in range(DYING_LOOKS):
        if all(map(has_ended, process_ids)):
            return
        await asyncio.sleep(DYING_LOOK_S)


class WorkerLost(RuntimeUnavailable):
    """The worker that ran a cell died; another one may run it."""


class EngineGone(RuntimeUnavailable):
    """The executor or the cluster runs no more cells."""


class CellEngine(Protocol):
    """Runs the cells of one run of a comparison; its methods are called on the loop thread."""

    @property
    def seats(self) -> int:
        """How many cells it takes at the same time (count)."""
        ...

    def limit_of(self, provider: str) -> int:
        """Return how many cells of a provider it takes at the same time; 0: as many as there are seats."""
        ...

    async def begin(self) -> None:
        """Prepare to run cells.

        Raises
        ------
        CopilotNBError
            If it cannot run them.
        """
        ...

    async def ask(self, job: Job) -> Outcome | None:
        """Run a cell; ``None``: it was stopped before it began.

        Raises
        ------
        WorkerLost, EngineGone
            If its end is not known, because its worker is gone.
        """
        ...

    def turn_of(self, session_id: str) -> Turn | None:
        """Return the running turn of a job's session, from any thread; ``None``: it does not run in this process."""
        ...

    async def discard(self, job: Job) -> None:
        """Forget a job whose answer has been stored, or that has none."""
        ...

    def stop(self) -> None:
        """Begin to stop the running cells. The caller then cancels each `ask`, which ends when its cell has stopped."""
        ...

    async def end(self) -> None:
        """Free what the run has used."""
        ...
