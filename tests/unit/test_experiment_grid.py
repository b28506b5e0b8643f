"""The grid of a comparison: keys, order, budget, progress, plan."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pandas as pd
import pytest

from copilot_nb.conversation.parts import Image, Usage
from copilot_nb.errors import InputError
from copilot_nb.experiments.api import _path, compare
from copilot_nb.experiments.budget import Budget
from copilot_nb.experiments.engines.in_kernel import InKernelEngine
from copilot_nb.experiments.grid import Cell, Grid, Variant, make_grid
from copilot_nb.experiments.notes import cluster_notes, missing_notes, model_notes
from copilot_nb.experiments.options import CompareOptions, CompareOptionValues, compare_options
from copilot_nb.experiments.plan import Plan
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.prompts import Prompt, read_prompts
from copilot_nb.experiments.store import Answer, AnsweredTurn
from copilot_nb.experiments.waiting_cells import WaitingCells
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.testing import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copilot_nb.named_sessions.manager import Manager

A = Variant("a", SessionOptions(model="a", provider="p", system="s", effort="", context=""))
B = Variant("b", dataclasses.replace(A.options, model="b"))


def grid(texts: list[str], variants: tuple[Variant, ...] = (A, B), repeats: int = 1, seed: int = 0) -> Grid:
    return make_grid(read_prompts(texts), variants, repeats, seed)


def keys(made: Grid) -> set[str]:
    return set(made.unique)


def test_a_grid_that_grows_keeps_its_keys() -> None:
    small = keys(grid(["x", "y"]))
    assert len(small) == 4
    assert small < keys(grid(["x", "y"], repeats=2, seed=1))
    assert small < keys(grid(["new", "x", "y"]))
    assert small < keys(
        grid(["x", "y"], (A, B, dataclasses.replace(A, options=dataclasses.replace(A.options, model="c"))))
    )
    assert small == keys(grid(["y", "x"], (dataclasses.replace(B, name="another name"), A)))


@pytest.mark.parametrize(
    "changes",
    [{"model": "c"}, {"provider": "q"}, {"system": ""}, {"effort": "high"}, {"context": "long"}],
    ids=str,
)
def test_a_key_follows_all_that_an_answer_depends_on(changes: dict[str, str]) -> None:
    other = Variant("a", dataclasses.replace(A.options, **changes))
    assert not keys(grid(["x"], (A,))) & keys(grid(["x"], (other,)))


def test_a_key_follows_the_address_the_images_and_the_turns() -> None:
    images = [(), (Image("i", "image/png", 1, b"1"),), (Image("i", "image/png", 1, b"2"),)]
    prompts = [Prompt(row, ("x",), each) for row, each in enumerate(images)] + [Prompt(3, ("x", "x"))]
    assert len(keys(make_grid(prompts, [A, dataclasses.replace(A, address="https://elsewhere")], 1, 0))) == 8


def test_a_prompt_that_stands_twice_is_asked_once() -> None:
    made = grid(["x", "x", "y"])
    assert (len(made.cells), len(made.unique), made.repeats) == (6, 4, 1)


def test_variants_alternate_prompt_by_prompt_in_a_seeded_order() -> None:
    made = grid([str(number) for number in range(20)], repeats=2)
    pairs = [made.cells[place : place + 2] for place in range(0, 80, 2)]
    assert all(one.prompt == other.prompt and {one.variant, other.variant} == {A, B} for one, other in pairs)
    assert [cell.repeat for cell in made.cells] == [0] * 40 + [1] * 40
    assert len({tuple(cell.variant.name for cell in pair) for pair in pairs}) == 2
    assert made == grid([str(number) for number in range(20)], repeats=2)
    assert made.cells != grid([str(number) for number in range(20)], repeats=2, seed=1).cells


def test_a_budget_asks_one_cell_first_and_stops_before_it_is_passed() -> None:
    budget = Budget(max_tokens=100)
    assert (budget.has_room(0), budget.has_room(1)) == (True, False)
    budget.add([Usage(10, 10)])
    assert (budget.has_room(1), budget.has_room(2)) == (True, False)
    budget.add([Usage(10, 10)])
    assert (budget.has_room(2), budget.has_room(3)) == (True, False)
    for _ in range(2):
        budget.add([Usage(10, 10)])
    assert budget.reason() == ""
    budget.add([Usage(10, 10)])
    assert budget.reason() == "stopped at 100 tokens: one more answer could pass max_tokens=100"


def test_a_dear_model_among_cheap_ones_passes_the_limit_by_one_answer_at_most() -> None:
    budget, costs = Budget(max_cost=5.0), [0.25, 10.0] * 20
    running: list[float] = []
    while running or budget.has_room(0):
        while costs and budget.has_room(len(running)):
            running.append(costs.pop(0))
        budget.add([Usage(1, 1, cost=running.pop(0))])
    assert budget.cost <= 0.25 + 10.0 + 0.25
    assert budget.reason() == "stopped at a cost of 10.5: one more answer could pass max_cost=5"


def test_a_limit_of_cost_does_not_hold_where_the_cost_is_unknown() -> None:
    budget = Budget(max_cost=1.0)
    budget.add([Usage(1, 1, cost=0.25)])
    assert budget.has_room(0)
    budget.add([Usage(1, 1, cost=None)])
    assert not budget.has_room(0)
    assert budget.reason() == "stopped: max_cost cannot be kept, because an answer's cost is unknown; max_tokens can"
    assert Budget().has_room(1000)


def test_the_options_are_those_of_the_signature_and_documented() -> None:
    fields = [field.name for field in dataclasses.fields(CompareOptions)]
    assert fields == list(CompareOptionValues.__annotations__)
    assert [*inspect.signature(compare).parameters] == ["prompts", "template", *fields]
    documented = re.findall(r"^(\w[\w, ]*) : ", inspect.getdoc(compare) or "", re.MULTILINE)
    assert sorted(", ".join(documented).split(", ")) == sorted(["prompts", "template", *fields])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "a"}, "compare has no option 'model' → did you mean models?"),
        ({"repeat": 3}, "compare has no option 'repeat' → did you mean repeats?"),
        ({"models": ["a", None]}, "models must be a text or a list of texts, not ('a', None)"),
        ({"models": 3}, "models must be a text or a list of texts, not 3"),
        ({"models": []}, "models is an empty list → leave it out for the default"),
        ({"systems": 3}, "systems must be a text, a list of texts, or a mapping of names to texts, not 3"),
        ({"systems": ["a", 3]}, "systems must be texts, not ['a', 3]"),
        ({"systems": {"n": None}}, "systems must be texts, not {'n': None}"),
        ({"repeats": 1.5}, "repeats must be a whole number, not 1.5"),
        ({"repeats": "2"}, "repeats must be a whole number, not '2'"),
        ({"retries": -1}, "retries must be at least 0, not -1"),
        ({"max_cost": "a lot"}, "max_cost must be a number, not 'a lot'"),
        ({"max_cost": float("nan")}, "max_cost must be greater than 0, not nan"),
        ({"max_tokens": -5}, "max_tokens must be greater than 0, not -5"),
        ({"max_age": "2d"}, "max_age must be a timedelta, such as datetime.timedelta(days=2), not '2d'"),
        ({"store": 5}, "store must be the path of a file, not 5"),
        ({"on_progress": "x"}, "on_progress must be a function, not 'x'"),
        ({"cluster": 3}, "cluster must be the name of a column, not 3"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_one_line(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        compare_options(given)
    assert said in str(caught.value)


def test_none_leaves_each_option_at_its_default_and_names_may_come_in_any_collection() -> None:
    assert compare_options(dict.fromkeys(CompareOptionValues.__annotations__)) == CompareOptions()
    assert compare_options({"models": pd.Series(["a", "b"])}).models == ("a", "b")


@pytest.mark.parametrize(
    ("notebook", "file"),
    [
        ("", "copilot_nb.comparison.sqlite"),
        ("FOLDER/My study.ipynb", "FOLDER/My study.comparison.sqlite"),
        ("/nowhere/of another machine.ipynb", "of another machine.comparison.sqlite"),
        ("C:\\Users\\ann\\study.ipynb", "study.comparison.sqlite"),
    ],
)
def test_the_file_is_by_default_beside_the_notebook(tmp_path: Path, notebook: str, file: str) -> None:
    manager = cast("Manager", SimpleNamespace(notebook=notebook.replace("FOLDER", str(tmp_path))))
    assert str(_path(manager, None)) == file.replace("FOLDER", str(tmp_path))


def test_progress_is_one_line() -> None:
    said = Progress(400, 312, 250, 3, 1000, 1.2, 38, 60.0)
    assert str(said) == (
        "312 of 400 answers · 250 kept from before · 3 failed · 1,000 tokens · cost 1.2 (38 answers of unknown cost) · "
        "65 a minute · 1 min 18 s left"
    )
    assert str(Progress(3, 2, tokens=9, unknown=2)) == "2 of 3 answers · 9 tokens · cost of 2 answers unknown"
    assert str(Progress(1)) == "0 of 1 answer"
    assert "· 1.5 a minute ·" in str(Progress(10, 3, elapsed_s=120.0))
    assert Progress(10, 4, 4, elapsed_s=9.0).left_s is None
    judging = Progress(6, 2, 0, 1, 1500, 1.5, unknown=3, elapsed_s=3.0)
    both = Progress(4, 4, tokens=1000, cost=1.2).then(judging)
    outcome = "4 of 4 answers · 1,500 tokens · cost 1.5 (3 answers of unknown cost) · 2 of 6 judgements · 1 failed"
    assert str(both) == f"{outcome} · 60 a minute · 3.0 s left"
    assert (both.outcome, str(both.with_note("4 of 4 scores"))) == (outcome, f"{outcome} · 4 of 4 scores")


def test_a_plan_shows_what_the_rest_would_take() -> None:
    made = grid(["x", "y", "z"])

    def planned(costs: Sequence[float | None], of: Sequence[Variant]) -> Plan:
        cells = [key for variant in of for key, cell in made.unique.items() if cell.variant == variant]
        answers = {
            key: Answer("done", (AnsweredTurn("q", "a", "m", 60, 40, cost, None, None, None),))
            for key, cost in zip(cells, costs, strict=False)
        }
        return Plan.of(made, answers, Path("f.sqlite"))

    plan = planned([0.5, None, 1.0, 4.0], [A, B])
    assert (plan.cells, plan.kept, plan.left, plan.cost, plan.unknown) == (6, 4, 2, 5.5, 1)
    assert (plan.expected_tokens, plan.expected_cost) == (200, 8.0)
    assert "to ask   2: tokens about 200, cost about 8" in str(plan)
    assert planned([0.5, 0.5, 0.5], [A]).outlook == "tokens about 300, cost unknown", "nothing is known of B's cost"
    assert planned([0.5, None, 1.0, 4.0, 4.0, 4.0], [A, B]).expected_cost == 0
    nothing = Plan.of(made, {}, Path("f.sqlite"))
    assert (nothing.cost, nothing.expected_tokens, nothing.outlook) == (None, None, "tokens unknown, cost unknown")


def test_groups_of_prompts_are_noted() -> None:
    rows = [{"prompt": text, "passage": passage} for text, passage in (("x", 1), ("y", 1), ("z", 2))]
    made = make_grid(read_prompts(rows), (A, B), 1, 0)
    assert list(cluster_notes(made, "passage")) == ["3 prompts in 2 groups by passage: each group counts once"]
    assert list(cluster_notes(made, "")) == []


def test_models_of_another_name_and_cells_without_an_answer_are_noted() -> None:
    made = grid(["x", "y"])
    named = {"a": "a-2026-11-01", "b": "b"}

    def answer(cell: Cell) -> Answer:
        said = named[cell.variant.name]
        return Answer("done", (AnsweredTurn("q", "t", said, 1, 1, None, None, None, None),))

    answers = {key: answer(cell) for key, cell in made.unique.items()}
    assert list(model_notes(made, answers)) == ["a: asked for a, answered by a-2026-11-01 (2 turns)"]
    assert list(missing_notes(answers)) == []
    states = dict(zip(made.unique, [Answer("failed", error="no"), Answer("wanted"), Answer("asking")], strict=False))
    assert list(missing_notes(answers | states)) == [
        "1 cell failed: no",
        "2 cells of 4 have no answer yet: run it again to go on",
    ]


class Slow(ScriptedModel):
    parallel = 2


def test_a_model_in_this_kernel_is_asked_as_much_as_it_answers_at_once_and_others_go_on() -> None:
    providers = {"p": None, "slow": InKernel("slow", Slow)}
    settings = SimpleNamespace(max_parallel_turns=20)
    slow = dataclasses.replace(B, options=dataclasses.replace(B.options, provider="slow"))
    waiting = WaitingCells(InKernelEngine(cast("Manager", SimpleNamespace(providers=providers, settings=settings))))
    for cell in grid(["1", "2", "3", "4", "5"], (A, slow)).cells:
        waiting.add(cell)
    under_way: list[Cell] = []
    while (taken := waiting.take(under_way)) is not None:
        under_way.append(taken)
    assert [cell.variant for cell in under_way] == [slow] * 4 + [A] * 5
    settings.max_parallel_turns = 8
    assert waiting.take(under_way[1:]) is None
    (last,) = [waiting.take(under_way[2:])]
    assert last is not None
    assert last.variant == slow
    assert len(waiting) == 0
