"""The limit of the cost of a comparison, with a Copilot account, for which a stand-in answers: its answers cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from copilot_nb.experiments import api
from copilot_nb.experiments.api import compare
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.settings import CopilotNB
from tests.github import GitHubStandIn, github_here, model

CHEAP, DEAR = "gpt-5-mini", "gpt-5"
COST_CHEAP, COST_DEAR = 0.25, 1.0


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubStandIn]:
    """An account with two models, which `compare` uses."""
    home = tmp_path / "home"
    with github_here() as github, closing(Manager(CopilotNB(home=str(home), offline=False))) as manager:
        github.models = [model(CHEAP, COST_CHEAP), model(DEAR, COST_DEAR)]
        github.keep_login(home)
        monkeypatch.setattr(api, "shared_manager", lambda: manager)
        monkeypatch.chdir(tmp_path)
        yield github


def test_a_limit_of_cost_stops_after_the_answers_that_fit_and_a_greater_one_goes_on(github: GitHubStandIn) -> None:
    texts = [f"question {number}" for number in range(8)]
    result = compare(texts, models=CHEAP, providers="github", max_cost=0.8)
    plan = result.plan()
    assert (plan.kept, plan.cost, plan.expected_cost, len(github.prompts)) == (3, 0.75, 1.25, 3)
    assert result.notes == (
        "stopped at a cost of 0.75: one more answer could pass max_cost=0.8",
        "5 cells of 8 have no answer yet: run it again to go on",
    )
    assert compare(texts, models=CHEAP, providers="github", max_cost=0.2, ask=False).plan() == plan
    seen: list[str] = []
    result = compare(
        texts, models=CHEAP, providers="github", max_cost=1.25, on_progress=lambda each: seen.append(str(each))
    )
    assert seen[-1].startswith("8 of 8 answers · 3 kept from before · 70 tokens · cost 1.25")
    assert (result.plan().left, result.notes) == (0, ())
    assert sorted(github.prompts) == texts, "none was paid for twice"
    plan = compare(texts, models=[CHEAP, DEAR], providers="github", ask=False).plan()
    assert (plan.missing, plan.expected_cost) == (8, None), "the cheap answers do not tell what the dear ones cost"
    result = compare(texts, models=[CHEAP, DEAR], providers="github", max_cost=2.5)
    assert result.plan().expected_cost == 6 * COST_DEAR
    assert result.to_frame().groupby("variant")["cost"].sum().to_dict() == {CHEAP: 8 * COST_CHEAP, DEAR: 2 * COST_DEAR}
    assert "stopped at a cost of 2: one more answer could pass max_cost=2.5" in result.notes
