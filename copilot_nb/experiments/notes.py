"""Remarks for the reader of a comparison: missing answers, the models that answered, scorers that raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from copilot_nb.experiments.grid import Grid
from copilot_nb.experiments.judge import remarks
from copilot_nb.experiments.judging import Judging
from copilot_nb.experiments.scorers import Outcome
from copilot_nb.experiments.scoring import Place, unit_of
from copilot_nb.experiments.store import Answer
from copilot_nb.render.words import count
from copilot_nb.structured import Schema


def missing_notes(answers: Mapping[str, Answer]) -> Iterator[str]:
    """Yield the number of cells without an answer, and why."""
    states = Counter(answer.state for answer in answers.values())
    errors = Counter(answer.error for answer in answers.values() if answer.state in ("failed", "refused"))
    if errors:
        (said, times), *others = errors.most_common()
        more = f" ({times:,} times, and {count(len(others), 'other reason')})" if others else ""
        yield f"{count(errors.total(), 'cell')} failed: {said}{more}"
    if unasked := states["wanted"] + states["asking"]:
        verb = "has" if unasked == 1 else "have"
        yield f"{count(unasked, 'cell')} of {len(answers):,} {verb} no answer yet: run it again to go on"


def repeated_notes(grid: Grid) -> Iterator[str]:
    """Yield the number of prompts that repeat an earlier one."""
    if repeated := len(grid.prompts) - len({cell.prompt_key for cell in grid.cells}):
        verbs = "repeats an earlier one and shares" if repeated == 1 else "repeat an earlier one and share"
        yield f"{repeated:,} of {len(grid.prompts):,} prompts {verbs} its answers"


def cluster_notes(grid: Grid, cluster: str) -> Iterator[str]:
    """Yield the number of groups that count as prompts in the statistics, if `cluster` names a column."""
    if cluster:
        groups = {unit_of(cell, cluster) for cell in grid.cells}
        sizes = f"{count(len(grid.prompts), 'prompt')} in {count(len(groups), 'group')}"
        yield f"{sizes} by {cluster}: each group counts once"


def model_notes(grid: Grid, answers: Mapping[str, Answer]) -> Iterator[str]:
    """Yield the variants whose answers came from a model with another name than requested, or from several."""
    for variant in grid.variants:
        keys = {cell.key for cell in grid.cells if cell.variant == variant}
        said = Counter(turn.model for key in keys if key in answers for turn in answers[key].turns if turn.model)
        asked = variant.options.model
        if others := [name for name in said if asked and name != asked]:
            named = ", ".join(f"{name} ({count(said[name], 'turn')})" for name in others)
            yield f"{variant.name}: asked for {asked}, answered by {named}"
        elif len(said) > 1:
            yield f"{variant.name}: answered by {len(said)} models: {', '.join(said)}"


def judge_notes(judging: Judging, replies: Mapping[str, Answer], grid: Grid) -> Iterator[str]:
    """Yield remarks on a judge: missing replies, how often the order decided, whether it is one of the candidates."""
    for note in missing_notes(replies):
        yield f"judge {judging.name}: {note}"
    candidates = {variant.options.model or variant.label for variant in grid.variants}
    judge = judging.variant.options.model or judging.variant.label
    asked = [judgement for pair, judgement in judging.judgements(replies) if pair.asked]
    yield from remarks(judge, candidates, asked)
    if same := sum(not pair.asked for pair in judging.pairs):
        yield f"{count(same, 'pair')} of answers with the same text {'counts' if same == 1 else 'count'} as ties"


def score_notes(scores: Iterable[Mapping[Place, Outcome]]) -> Iterator[str]:
    """Yield the number of answers without a score for each scorer, and its most frequent error."""
    for outcomes in scores:
        errors = Counter(outcome.error for outcome in outcomes.values() if outcome.value is None)
        if errors:
            said, _ = errors.most_common(1)[0]
            verb = "has" if errors.total() == 1 else "have"
            yield f"{count(errors.total(), 'answer')} of {len(outcomes):,} {verb} no score: {said}"


def schema_notes(schema: Schema, answers: Iterable[Answer]) -> Iterator[str]:
    """Yield the number of answers that do not conform to the schema, and the most frequent reason."""
    read = [schema.read(answer.turns[-1].text).error for answer in answers if answer.turns]
    errors = Counter(error for error in read if error)
    if errors:
        said, _ = errors.most_common(1)[0]
        verb = "does" if errors.total() == 1 else "do"
        yield f"{count(errors.total(), 'answer')} of {len(read):,} {verb} not conform to the schema: {said}"
