"""Scores stored answers: missing scores are computed in threads and stored; errors are reported, not stored.

`ScoreSheet` holds the scores of a comparison.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from typing import Any, cast

from copilot_nb.conversation.prompt import require_kind
from copilot_nb.errors import InputError, TurnInterrupted
from copilot_nb.experiments.grid import Cell
from copilot_nb.experiments.prompts import ATTACH, Prompt
from copilot_nb.experiments.scorers import Outcome, Sample, Scorer, as_scorer, score
from copilot_nb.experiments.scores import ScoreRow
from copilot_nb.experiments.store import Answer, Store
from copilot_nb.render.words import count, did_you_mean
from copilot_nb.structured import Schema
from copilot_nb.system.threads import DaemonPool

BATCH = 50
"""Scores that are committed together (count)."""

Progressed = Callable[[int, int], object]
"""Called with the number of scored answers and the total."""

Place = tuple[str, str]
"""The key of a score: the key of its cell, and a hash of the scorer's other inputs."""


def checked(scorers: Scorer | Callable[..., object] | Iterable[Scorer | Callable[..., object]]) -> tuple[Scorer, ...]:
    """Return one scorer or several as a tuple.

    Raises
    ------
    InputError
        If one of them is not a scorer, or two have the same name.
    """
    is_one = isinstance(scorers, Scorer | str) or callable(scorers) or not isinstance(scorers, Iterable)
    listed: list[Any] = [scorers] if is_one else list(cast(Iterable[Any], scorers))
    found = tuple(as_scorer(each) for each in listed)
    names = [each.name for each in found]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"two scorers are called {twice!r}", "give one another name: of_callable(function, id=NAME)")
    return found


def place_of(cell: Cell) -> Place:
    """Return the key of a score of `cell`; the same answer may be scored against several targets."""
    return cell.key, _about(cell.prompt)


def unit_of(cell: Cell, cluster: str) -> str:
    """Return the unit of the statistics: the prompt of a cell, or its group if `cluster` names a column."""
    return str(cell.prompt.variables[cluster]) if cluster else cell.prompt_key


def _about(prompt: Prompt) -> str:
    variables = {name: value for name, value in prompt.variables.items() if name != ATTACH}  # is in the cell's key
    seen = [prompt.target, prompt.turns, variables]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:16]


def sample_of(cell: Cell, answer: Answer, schema: Schema | None) -> Sample:
    """Return the input of a scorer: of a conversation, the last answer and all prompts."""
    prompt, text = cell.prompt, answer.turns[-1].text
    value = schema.read(text).value if schema else None
    return Sample(text, prompt.target, "\n\n".join(prompt.turns), prompt.variables, value)


def score_missing(
    store: Store,
    scorer: Scorer,
    places: Collection[Place],
    sample_at: Callable[[Place], Sample],
    on_progress: Progressed,
) -> dict[Place, Outcome]:
    """Return the outcome of each answer; only missing scores are computed, and stored as they are computed.

    Parameters
    ----------
    store : Store
        Stores the scores.
    scorer : Scorer
        The scorer.
    places : collection of Place
        The keys of the wanted scores.
    sample_at : callable
        Returns the input of the scorer for a key.
    on_progress : callable
        Called in this thread with the number of scored answers and the total.
    """
    known = store.scores(scorer.identity)
    found = {place: Outcome(known[place]) for place in places if place in known}
    missing = [place for place in places if place not in known]
    unkept: dict[Place, float] = {}
    jobs: dict[Future[Outcome], Place] = {}
    pool = DaemonPool(os.cpu_count() or 1, "copilot-nb-scores")  # nobody waits for a scorer that never returns
    try:
        jobs |= {pool.submit(score, scorer, sample_at(place)): place for place in missing}
        for number, job in enumerate(as_completed(jobs), 1):
            outcome = found[jobs[job]] = job.result()
            if outcome.value is not None:
                unkept[jobs[job]] = outcome.value
            if len(unkept) == BATCH or number == len(jobs):
                store.keep_scores(scorer.identity, unkept)
                unkept = {}
            on_progress(number, len(jobs))
    except BaseException as error:
        for job in jobs:
            job.cancel()
        store.keep_scores(scorer.identity, unkept)
        if isinstance(error, KeyboardInterrupt):
            kept = sum(outcome.value is not None for outcome in found.values())
            said = f"stopped: {kept:,} of {count(len(places), 'score')} of {scorer.name} are kept"
            raise TurnInterrupted(said, "run it again to go on") from error
        raise
    finally:
        pool.shutdown()
    return found


class ScoreSheet:
    """The scores of a comparison's answers, by scorer.

    Parameters
    ----------
    scorers : sequence of Scorer
        The scorers.
    outcomes : mapping
        By the scorer's name, the outcome of each answer.
    """

    def __init__(
        self, scorers: Sequence[Scorer] = (), outcomes: Mapping[str, Mapping[Place, Outcome]] | None = None
    ) -> None:
        self.scorers = tuple(scorers)
        self.outcomes = outcomes or {}

    @classmethod
    def computed(
        cls,
        scorers: Sequence[Scorer],
        cells: Sequence[tuple[Cell, Answer]],
        store: Store,
        on_progress: Progressed,
        schema: Schema | None,
    ) -> ScoreSheet:
        """Return the scores of all answers; scores in `store` are not computed again."""
        done = {place_of(cell): (cell, answer) for cell, answer in cells if answer.state == "done"}

        @functools.cache
        def sample_at(place: Place) -> Sample:
            return sample_of(*done[place], schema)

        return cls(scorers, {each.name: score_missing(store, each, done, sample_at, on_progress) for each in scorers})

    def name(self, wanted: str) -> str:
        """Return the name of the requested scorer; ``""``: the first.

        Raises
        ------
        InputError
            If there is no scorer of that name.
        """
        if not self.scorers:
            raise InputError("there are no scores", "add scorers: result.score([…]), or compare(…, scorers=[…])")
        known = f"there are: {', '.join(self.outcomes)}"
        name = require_kind(wanted or self.scorers[0].name, str, "a scorer is named by text", known)
        if name not in self.outcomes:
            raise InputError(f"there are no scores of {name!r}", did_you_mean(name, self.outcomes) + known)
        return name

    def others(self, scorer: str) -> str:
        """Return a sentence that says whose scores are shown and how to see the others; ``""`` if there are none."""
        name = self.name(scorer)
        others = ", ".join(f"summary({each!r})" for each in self.outcomes if each != name)
        return others and f"The scores are those of {name}. Those of other scorers: {others}."

    def rows(self, scorer: str, cells: Iterable[tuple[Cell, Answer]], cluster: str) -> tuple[ScoreRow, ...]:
        """Return the scores as input for the statistics.

        Parameters
        ----------
        scorer : str
            The scorer's name; ``""``: the first scorer.
        cells : iterable of tuple of Cell and Answer
            The cells that were run.
        cluster : str
            The column that groups prompts; ``""``: each prompt is its own group.

        Raises
        ------
        InputError
            If there is no such scorer.
        """
        outcomes = self.outcomes[self.name(scorer)]
        return tuple(
            ScoreRow(
                unit_of(cell, cluster),
                cell.variant.name,
                cell.repeat,
                outcomes[place_of(cell)].value if answer.state == "done" else None,
                retried=answer.attempts > 1,
                failed=answer.state != "done",
            )
            for cell, answer in cells
        )

    def of(self, cell: Cell) -> dict[str, float | None]:
        """Return the scores of one cell by their scorers' names."""
        place = place_of(cell)
        return {name: found[place].value for name, found in self.outcomes.items() if place in found}
