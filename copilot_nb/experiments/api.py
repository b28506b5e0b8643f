"""`copilot_nb.compare`: prompts × variants × repeats in one call."""

from __future__ import annotations

import concurrent.futures
import json
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from copilot_nb.errors import InputError, TurnInterrupted
from copilot_nb.experiments.budget import Budget
from copilot_nb.experiments.comparison import Comparison
from copilot_nb.experiments.engines.selection import EngineMaker, engine_maker
from copilot_nb.experiments.grid import Cell, Grid, Variant, make_grid, variant_of, variants_of
from copilot_nb.experiments.judge import Judge
from copilot_nb.experiments.judging import Judging
from copilot_nb.experiments.options import (
    CompareOptions,
    CompareOptionValues,
    OnProgress,
    compare_options,
    takes_compare_options,
)
from copilot_nb.experiments.plan import planned
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.prompts import Prompt, Template, is_missing, read_prompts
from copilot_nb.experiments.runner import Runner
from copilot_nb.experiments.scoring import checked
from copilot_nb.experiments.store import Store, new_owner
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count
from copilot_nb.runtime.loop import POLL_S
from copilot_nb.structured import schema_of
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

MAX_UNCONFIRMED = 10_000
"""The most answers that are requested without ``confirm=True`` (count)."""
STOP_GRACE_S, STOP_LIMIT_S = 5.0, 60.0
"""How long an interrupt waits for the running answers to stop, in seconds: at first, and then if the loop works."""
GO_ON = "run it again to go on"
SLOW = "the running ones are still being stopped; run it again to go on"
STUCK = (
    "the running ones could not be stopped, because a model in this kernel runs Python code that does not return; "
    "when it has, run it again to go on, or restart the kernel"
)
SUFFIX = ".comparison.sqlite"
NOT_ASKED = "nothing was asked and nothing is stored, because of ask=False"


@takes_compare_options
def compare(prompts: object, template: Template = "", **options: Unpack[CompareOptionValues]) -> Comparison:
    """Send each prompt to each variant, in isolated sessions, and return the answers.

    The variants are all combinations of `models`, `providers`, `systems` and `efforts`. Answers are stored in a file as
    they arrive: run the same line again, after an interrupt or a crash, or with more prompts, models or repeats, and
    only missing answers are requested.

    Parameters
    ----------
    prompts : object
        A text, or a list of prompts, each a text, a list of texts (several turns) or a mapping with a target or an
        attachment (``{"prompt": …, "target": …, "attach": …}``). Or a table (pandas, polars, Arrow, Hugging Face), or
        the path of a ``.csv`` or ``.jsonl`` file.
    template : str or sequence of str, optional
        The text of each row's prompt, or of its turns: ``{{ column }}`` is the row's value.
    {options}

    Raises
    ------
    InputError
        If there are no prompts, the template names a column that does not exist, the file cannot be used, …; then
        nothing has been sent.
    ProviderError
        If a model or provider does not exist or cannot answer.
    TurnInterrupted
        If the kernel is interrupted; the answers so far are kept.

    Examples
    --------
    >>> result = compare(["What is 2 + 2?"], models=["gpt-5", "claude-sonnet-4.5"])
    >>> result.to_frame()
    """
    manager = shared_manager()
    return _compared(manager, read_prompts(prompts, template, manager.hide_secrets), compare_options(options))


def _compared(manager: Manager, prompts: tuple[Prompt, ...], options: CompareOptions) -> Comparison:
    scorers = checked(options.scorers)
    schema = None if options.schema is None else schema_of(options.schema)
    if schema is not None:
        prompts = tuple(prompt.with_text(schema.instruction) for prompt in prompts)
    _check_prompts(manager, prompts, options.cluster)
    variants = manager.loop.blocking(variants_of(manager, options))
    judge = _judge(manager, options.judge, variants) if options.judge else None
    on_progress = options.on_progress or _silent
    make_engine = engine_maker(manager, options, [*variants, *([judge[1]] if judge else [])])
    path = _path(manager, options.store)
    grid = _grid(prompts, variants, options, path, judge)
    with Store(path, is_copy=not options.ask) as store:
        budget = Budget(options.max_cost, options.max_tokens)
        runner = _runner(manager, make_engine, grid, store, options, budget=budget, schema=options.schema)
        if options.ask:
            _drive(manager, runner, on_progress)
            if runner.error is not None and not runner.progress.done:
                raise runner.error
        answers = store.answers(grid.unique)
        said, notes = runner.progress, runner.notes
        if not options.ask:
            kept = sum(answer.state == "done" for answer in answers.values())
            said, notes = replace(said, done=kept, kept=kept), [NOT_ASKED]
        judging = judge and Judging(*judge, grid, answers)
        if judging and judging.pairs and options.ask:
            judged = _runner(
                manager, make_engine, judging.grid, store, replace(options, keep="answers"), budget=budget.anew()
            )
            asked = said
            _drive(manager, judged, lambda told: on_progress(asked.then(told)), "judgement")
            said = asked.then(judged.progress)
            notes = list(dict.fromkeys([*notes, *judged.notes]))
    result = Comparison(
        manager,
        grid,
        store.path,
        notes,
        cluster=options.cluster,
        schema=schema,
        judging=judging,
        is_copy=not options.ask,
    )
    return result.score(
        scorers, lambda done, total: on_progress(said.with_note(f"{done:,} of {count(total, 'score')}"))
    )


def _grid(
    prompts: Sequence[Prompt],
    variants: Sequence[Variant],
    options: CompareOptions,
    path: Path,
    judge: tuple[Judge, Variant] | None,
) -> Grid:
    """Return the grid of a comparison whose size is confirmed; a refused one leaves no file behind."""
    with Store(path, is_copy=not options.ask or not path.exists()) as store:
        if not options.confirm:
            _check_count(len(prompts), len(variants), options.repeats, store)
        grid = make_grid(prompts, variants, options.repeats, options.seed)
        if options.ask and not options.confirm:
            _check_size(grid, store, judge, is_named=options.store is not None)
    return grid


def _judge(manager: Manager, wanted: str | Judge, variants: Sequence[Variant]) -> tuple[Judge, Variant]:
    """Return the judge with its model, resolved."""
    if len(variants) == 1:
        raise InputError(
            f"a judge compares two variants or more, and there is only {variants[0].name}", "name more models"
        )
    judge = Judge(wanted) if isinstance(wanted, str) else wanted
    found = manager.loop.blocking(variant_of(manager, judge.model, judge.provider, ("", judge.system), judge.effort))
    return judge, replace(found, name=found.options.model or found.options.provider)


def _runner(
    manager: Manager,
    make_engine: EngineMaker,
    grid: Grid,
    store: Store,
    options: CompareOptions,
    *,
    budget: Budget,
    schema: object = None,
) -> Runner:
    """Return what asks the cells of a grid that have no answer; they are added to the file."""
    store.want({key: _as_json(cell) for key, cell in grid.unique.items()})
    owner = new_owner()
    return Runner(manager, make_engine(owner, schema), grid, store, options, owner=owner, budget=budget)


def _silent(_progress: Progress) -> None:
    """Report no progress."""


def _check_prompts(manager: Manager, prompts: Iterable[Prompt], cluster: str) -> None:
    """Check all prompts before the first is sent."""
    for prompt in prompts:
        try:
            for number, turn in enumerate(prompt.turns):
                manager.check_prompt(turn, prompt.images if number == 0 else ())
        except InputError as error:
            raise InputError(f"prompt {prompt.row + 1}: {error.message}", error.hint) from error
        if cluster and cluster not in prompt.variables:
            known = f"columns: {', '.join(prompt.variables)}"
            raise InputError(f"prompt {prompt.row + 1} has no column {cluster!r}, which cluster= names", known)
        if cluster and is_missing(prompt.variables[cluster]):
            said = f"prompt {prompt.row + 1} has no value in the column {cluster!r}, which cluster= names"
            raise InputError(said, "leave such rows out, or fill them in")


def _path(manager: Manager, store: str | Path | None) -> Path:
    """Return the file of a comparison: by default in the notebook's folder, also after ``%cd``."""
    if store is not None:
        path = expanded(store)
        if "\0" in str(path) or well_formed(str(path)) != str(path):
            raise InputError(f"store= is not the name of a file: {str(store)!r}")
        try:
            is_folder = path.is_dir()
        except OSError as error:
            raise InputError(
                f"store= is not the name of a file: {error.strerror}", f"store='answers{SUFFIX}'"
            ) from error
        if is_folder:
            raise InputError(f"store= names a folder, {str(store)!r}", f"name a file in it, such as answers{SUFFIX}")
        return path
    folder, _, notebook = manager.notebook.replace("\\", "/").rpartition("/")
    name = f"{Path(notebook).stem or 'copilot_nb'}{SUFFIX}"
    return Path(folder, name) if Path(folder).is_absolute() and Path(folder).is_dir() else Path(name)


def _check_count(prompts: int, variants: int, repeats: int, store: Store) -> None:
    """Check the size of a grid before making it, which takes memory and time; `_check_size` deducts stored answers."""
    cells = prompts * variants * repeats
    if cells > 10 * MAX_UNCONFIRMED + store.count():
        told = " × ".join((count(prompts, "prompt"), count(variants, "variant"), count(repeats, "repeat")))
        raise InputError(f"this asks for up to {cells:,} answers ({told})", "if you mean it: confirm=True")


def _check_size(grid: Grid, store: Store, judge: tuple[Judge, Variant] | None, *, is_named: bool) -> None:
    """Check that the user confirmed a large number of answers, or a file with answers of other comparisons only."""
    answers = store.answers(grid.unique)
    judging = judge and Judging(*judge, grid, answers)
    replies = store.answers(judging.grid.unique) if judging else {}
    plan = planned(grid, answers, store.path, judging, replies)
    if is_named and not answers and (others := store.count()):
        raise InputError(
            f"{store.path} holds {count(others, 'answer')}, and none of them belongs to this comparison",
            "name another file: store=…; or add to it: confirm=True",
        )
    if plan.left > MAX_UNCONFIRMED:
        raise InputError(
            f"this asks for {plan.left:,} answers ({plan.grid}; {plan.outlook})", "if you mean it: confirm=True"
        )


def _as_json(cell: Cell) -> str:
    """Return a cell's prompt and options, for readers of the file."""
    told = {"turns": cell.prompt.turns, **cell.variant.asked, "repeat": cell.repeat}
    return json.dumps(told, ensure_ascii=False)


def _drive(manager: Manager, runner: Runner, on_progress: OnProgress, what: str = "answer") -> None:
    """Run, and report progress in this thread; an interrupt stops the running answers and keeps the rest."""
    running = manager.loop.submit(runner.run())
    try:
        told: Progress | None = None
        while not (is_over := running.done()) or runner.progress != told:
            if (now := runner.progress) != told:
                on_progress(told := now)
            if not is_over:
                concurrent.futures.wait([running], POLL_S)
        running.result()
    except KeyboardInterrupt as error:
        hint = _stop(manager, runner, running)
        progress = runner.progress
        raise TurnInterrupted(f"stopped: {progress.done:,} of {count(progress.total, what)} are kept", hint) from error
    except BaseException:  # from `on_progress`, or from the run itself
        _stop(manager, runner, running)
        raise


def _stop(manager: Manager, runner: Runner, running: concurrent.futures.Future[None]) -> str:
    """Stop a run, and return what to do next; the cells of a run that does not end are released all the same."""
    is_stopping = threading.Event()
    manager.loop.call_soon(runner.stop)
    manager.loop.call_soon(is_stopping.set)
    with suppress(KeyboardInterrupt):
        concurrent.futures.wait([running], STOP_GRACE_S)
        if is_stopping.is_set():  # the loop is not stuck, only slow, as on a busy machine
            concurrent.futures.wait([running], STOP_LIMIT_S)
    if running.done():
        return GO_ON
    runner.release()
    return SLOW if is_stopping.is_set() else STUCK
