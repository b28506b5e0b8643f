"""Writes a comparison as logs of Inspect (inspect_ai): one `.eval` file for each variant.

`inspect view`, `inspect_ai.analysis` and everything else that reads such logs can then be used. They are written by
Inspect's own log API, as its file format is not public.
"""

from __future__ import annotations

import hashlib
import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from copilot_nb.errors import InputError
from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.grid import Cell, Variant
from copilot_nb.experiments.store import Answer, AnsweredTurn

with extra("inspect"):
    from inspect_ai import log as logs
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ModelOutput,
        ModelUsage,
    )
    from inspect_ai.scorer import Score

TASK = "compare"

Scored = tuple[Cell, Answer, Mapping[str, float | None]]


def write_logs(folder: Path, cells: Iterable[Scored]) -> list[Path]:
    """Write one log for each variant; existing files of these names are replaced.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    cells : iterable of (Cell, Answer, mapping of str to float or None)
        The cells that were run, each with its answer and its scores by the scorer's name.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    by_variant: dict[Variant, list[Scored]] = {}
    for each in cells:
        by_variant.setdefault(each[0].variant, []).append(each)
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (variant, its_cells) in enumerate(by_variant.items(), 1):
            paths.append(folder / f"{TASK}-{number}.eval")
            logs.write_eval_log(_log(variant, its_cells), str(paths[-1]))
    except OSError as error:
        raise InputError(f"cannot write Inspect's logs to {folder}: {error.strerror}", "name another folder") from error
    return paths


def _log(variant: Variant, cells: Sequence[Scored]) -> Any:
    samples = [_sample(*each) for each in cells]
    ids = sorted({sample.id for sample in samples})
    turns = [turn for _, answer, _ in cells for turn in answer.turns]
    ended = [answer.answered_s for _, answer, _ in cells if answer.answered_s is not None]
    began_at = _at(min((turn.started_s for turn in turns if turn.started_s is not None), default=None))
    name = _model(variant)
    spec = logs.EvalSpec(
        created=began_at,
        task=TASK,
        task_id=f"{TASK}-{hashlib.sha256(repr(sorted(variant.asked.items())).encode()).hexdigest()[:12]}",
        dataset=logs.EvalDataset(name="prompts", samples=len(ids), sample_ids=ids),
        model=name,
        config=logs.EvalConfig(epochs=1 + max(cell.repeat for cell, _, _ in cells)),
        metadata={"variant": variant.name, **variant.asked},
    )
    usage = _usage(turns)
    stats = logs.EvalStats(started_at=began_at, completed_at=_at(max(ended, default=None)), model_usage={name: usage})
    done = sum(answer.state == "done" for _, answer, _ in cells)
    results = logs.EvalResults(total_samples=len(cells), completed_samples=done, scores=list(_means(cells)))
    return logs.EvalLog(status="success", eval=spec, results=results, stats=stats, samples=samples)


def _sample(cell: Cell, answer: Answer, scores: Mapping[str, float | None]) -> Any:
    name, system = _model(cell.variant), cell.variant.options.system
    messages = [ChatMessageSystem(content=system)] if system else []
    for turn in answer.turns:
        messages.append(ChatMessageUser(content=turn.prompt))
        messages.append(ChatMessageAssistant(content=turn.text, model=name, source="generate"))
    usage, last = _usage(answer.turns), answer.turns[-1] if answer.turns else None
    output = ModelOutput.from_content(last.model or name, last.text) if last else ModelOutput(model=name)
    output.usage = usage
    return logs.EvalSample(
        id=cell.prompt.row + 1,
        epoch=cell.repeat + 1,
        input=cell.prompt.turns[0],
        target=cell.prompt.target,
        messages=messages,
        output=output,
        scores={
            scorer: Score(value=value, answer=last.text if last else None)
            for scorer, value in scores.items()
            if value is not None
        },
        model_usage={name: usage},
        total_time=sum(turn.duration_s or 0.0 for turn in answer.turns),
        completed_at=_at(answer.answered_s) if answer.answered_s else None,
        metadata={"attempts": answer.attempts, "images": len(cell.prompt.images)},
        error=logs.EvalError(message=answer.error, traceback="", traceback_ansi="") if answer.error else None,
        uuid=cell.key[:22],
    )


def _means(cells: Sequence[Scored]) -> Iterator[Any]:
    """Yield the mean of each scorer; answers without a score are left out."""
    scored = (pair for _, _, scores in cells for pair in scores.items())
    pairs = sorted((scorer, value) for scorer, value in scored if value is not None)
    for scorer, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
        mean = logs.EvalMetric(name="mean", value=statistics.fmean(value for _, value in group))
        yield logs.EvalScore(name=scorer, scorer=scorer, metrics={"mean": mean})


def _usage(turns: Iterable[AnsweredTurn]) -> Any:
    turns = list(turns)
    tokens_in = sum(turn.input_tokens or 0 for turn in turns)
    tokens_out = sum(turn.output_tokens or 0 for turn in turns)
    costs = [turn.cost for turn in turns]
    known = [cost for cost in costs if cost is not None]
    return ModelUsage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        total_tokens=tokens_in + tokens_out,
        total_cost=sum(known) if costs and len(known) == len(costs) else None,
    )


def _model(variant: Variant) -> str:
    return f"{variant.options.provider}/{variant.options.model or 'default'}"


def _at(time_s: float | None) -> str:
    return datetime.fromtimestamp(time_s or 0.0, UTC).isoformat()
