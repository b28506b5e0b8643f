"""Votes on the answers of a comparison: what the page is told, what is kept for whom, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments.comparison import Comparison
from copilot_nb.experiments.grid import Grid, Variant, make_grid
from copilot_nb.experiments.prompts import Prompt
from copilot_nb.experiments.store import AnsweredTurn, Store
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.panels.votes import VotePanel
from copilot_nb.settings import CopilotNB

from .test_panels_compare import Page

NAMES = ("wise-model", "quick-model", "third-model")
TEXTS = {"wise-model": "It is **forty-two**.", "quick-model": "42", "third-model": "No idea."}
SECRETS = (*NAMES, "test-house", "billed-as", "1234", "0.25", "you-know")


def variant(name: str) -> Variant:
    return Variant(name, SessionOptions(model=name, provider="test-house"))


def compared(path: Path, manager: Manager, names: tuple[str, ...] = NAMES[:2], prompts: int = 3) -> Comparison:
    """Return a comparison whose answers are stored; of the last prompt all answers are the same."""
    grid = make_grid([Prompt(row, (f"question {row}",)) for row in range(prompts)], list(map(variant, names)), 1, 0)
    answer(grid, path, lambda name, row: "the same" if row == prompts - 1 else TEXTS[name])
    return Comparison(manager, grid, path)


def answer(grid: Grid, path: Path, text: Callable[[str, int], str]) -> None:
    with Store(path) as store:
        store.want(dict.fromkeys(grid.unique, "{}"))
        store.claim(dict.fromkeys(grid.unique, ""), "o", 1e12)
        for key, cell in grid.unique.items():
            said = text(cell.variant.name, cell.prompt.row)
            turn = AnsweredTurn(
                cell.prompt.turns[0], said, f"billed-as {cell.variant.name}", 1234, 5, 0.25, 9.0, 2.0, 1e9
            )
            store.keep(key, "o", [turn], "", "")


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager(CopilotNB(offline=True))
    yield manager
    manager.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sqlite"


@pytest.fixture
def opened(manager: Manager) -> Iterator[Callable[..., Page]]:
    panels: list[Any] = []

    def open_it(result: Comparison, rater: str = "you") -> Page:
        panels.append(result.open_panel(rater))
        return Page(panels[-1])

    yield open_it
    for panel in panels:
        panel.close()


def column_of(round_fields: dict[str, Any], text: str) -> int:
    """Return the column whose answer holds `text`, counted from 1."""
    return next(at for at, column in enumerate(round_fields["columns"], 1) if text in column["answer"])


def test_no_byte_to_the_page_names_a_model_before_the_last_vote(
    path: Path, manager: Manager, opened: Callable[..., Page]
) -> None:
    page = opened(compared(path, manager))
    whole = page.ask("hello")
    assert [each["prompt"] for each in whole["rounds"]] == ["question 0"]
    assert whole["frame"]["hidden"] == "0 of 3 rounds voted; names hidden until the last vote"
    assert page.ask("vote", round=1, choice=column_of(whole["rounds"][0], "42"))["ok"]
    voted = page.item(kind="voted")
    assert [column["name"] for column in voted["columns"]] == ["", ""]
    assert sorted(column["best"] for column in voted["columns"]) == [False, True]
    asked = page.item(kind="round")
    assert asked["prompt"] == "question 1"
    told = page.everything() + json.dumps(page.ask("csv")) + page.panel.transcript().html + page.panel.transcript().text
    assert not [secret for secret in SECRETS if secret in told]
    for choice in ("tie", column_of(whole["rounds"][0], "42")):  # a vote can change as long as names are hidden
        assert page.ask("vote", round=1, choice=choice)["ok"]
    page.ask("vote", round=2, choice="tie")  # answered after all names are sent
    whole = [message for message in page.got if message.get("kind") == "whole"][-1]
    assert {column["name"] for each in whole["rounds"] for column in each["columns"]} == set(NAMES[:2])
    assert whole["rounds"][2]["vote"] == "tie"  # the same text: a tie without asking
    assert whole["frame"]["rows"] == [["wise-model", "0", "0% of 3"], ["quick-model", "1", "33% of 3"]]
    assert "Best: quick-model" in page.panel.transcript().text
    assert "final" in page.ask("vote", round=1, choice=1)["error"]


def test_votes_are_kept_for_each_person_and_become_preferences(
    path: Path, manager: Manager, opened: Callable[..., Page]
) -> None:
    result = compared(path, manager)
    for rater, choices in {"ann": ("forty", "forty"), "bob": ("forty", "none good")}.items():
        for number, choice in enumerate(choices, 1):
            page = opened(result, rater)  # each time as after a restart
            shown = page.ask("hello")["rounds"]
            assert len(shown) == number
            page.panel.vote(number, column_of(shown[-1], choice) if choice == "forty" else choice)
        assert repr(page.panel) == "<VotePanel: 3 of 3 rounds voted>"
    assert result.raters == ("ann", "bob", "people")
    (pair,) = result.preferences("ann").pairs
    assert (pair.first, pair.wins, pair.ties, pair.losses) == ("wise-model", 2, 1, 0)
    (pair,) = result.preferences("people").pairs
    assert (pair.wins, pair.ties) == (2, 1)
    summary = str(result.summary())
    assert "Preferences by prompt, people" in summary
    assert "ann : bob  67%    3" in summary
    assert result.plot("agreement").description.endswith("ann and bob: 67%")
    frame = result.to_frame()
    assert frame["preferred_by_people"].tolist() == [1, 0, 0.75, 0.25, 0.5, 0.5]
    assert sorted(result.judgements()["rater"]) == ["ann"] * 3 + ["bob"] * 3
    with pytest.raises(InputError, match="'an' has rated nothing → did you mean ann"):
        result.preferences("an")


def test_columns_are_in_an_order_of_their_own_for_each_round_and_person_and_the_same_after_a_restart(
    path: Path, manager: Manager
) -> None:
    result = compared(path, manager, NAMES, prompts=12)
    orders = {}
    for rater in ("ann", "bob", "ann"):
        panel = result.open_panel(rater)
        assert isinstance(panel, VotePanel)
        for number in range(len(panel.results), 12):
            panel.vote(number, "tie")
        order = [[turn.session.name for turn in asked.turns] for asked in panel.results]
        assert orders.setdefault(rater, order) == order
        panel.close()
    assert orders["ann"] != orders["bob"]
    assert len({tuple(order) for order in orders["ann"]}) > 2


def test_a_vote_does_not_outlive_its_answers_but_a_model_more(path: Path, manager: Manager) -> None:
    result = compared(path, manager, prompts=1)
    answer(result._grid, path, lambda name, _row: TEXTS[name])
    result = Comparison(manager, result._grid, path)
    panel = result.open_panel()
    assert isinstance(panel, VotePanel)
    best = next(at for at, turn in enumerate(panel.results[0].turns, 1) if turn.text == "42")
    panel.vote(1, best)
    panel.close()
    assert len(result.preferences().judgements) == 1
    three = compared(path, manager, NAMES, prompts=1)
    answer(three._grid, path, lambda name, _row: TEXTS[name])
    three = Comparison(manager, three._grid, path)
    assert len(three.preferences().judgements) == 1
    panel = three.open_panel()
    assert panel.results[0].vote is None  # type: ignore[attr-defined]
    panel.vote(1, next(at for at, turn in enumerate(panel.results[0].turns, 1) if turn.text == "42"))  # type: ignore[attr-defined]
    panel.close()  # type: ignore[attr-defined]
    assert [(one.first, one.second, one.outcome) for one in three.preferences().judgements] == [
        ("wise-model", "quick-model", 0),
        ("quick-model", "third-model", 1),
    ]
    answer(result._grid, path, lambda _name, _row: "another")
    with pytest.raises(InputError, match="no answers were judged"):
        Comparison(manager, result._grid, path).preferences()


def test_what_cannot_be_voted_on_is_one_line(path: Path, manager: Manager) -> None:
    result = compared(path, manager)
    for rater in ("", "people", 3):
        with pytest.raises(InputError, match="cannot be the name of a person who votes"):
            result.open_panel(rater)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is nothing to vote on: no prompt has two answers"):
        compared(path, manager, NAMES[:1]).open_panel()
    panel = result.open_panel()
    with pytest.raises(InputError, match="there is no round 9"):
        panel.vote(9, 1)  # type: ignore[attr-defined]
    panel.close()  # type: ignore[attr-defined]
    path.unlink()
    with pytest.raises(InputError, match=r"a.sqlite is gone, and votes are stored in it → run the comparison again"):
        result.open_panel()
    assert result.score(len).rows()[0].score is not None
    assert not path.exists()
