"""`%copilot models`, aliases, unknown models, reasoning efforts and a switch in the middle of a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.providers.base import ModelInfo
from tests.github import GitHubStandIn, github_here, model
from tests.loopback import Loopback
from tests.shell.conftest import Notebook


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback("From the server.", models=("m-1", "m-2")) as running:
        yield running


@pytest.fixture
def here(nb: Notebook, server: Loopback) -> Notebook:
    """A notebook with a provider of its own, `mine`."""
    nb.settings.providers = {"mine": {"type": "openai-compatible", "base_url": f"{server.url}/v1", "model": "m-1"}}
    return nb


@pytest.fixture
def logged_in(broken: Notebook) -> Iterator[tuple[Notebook, GitHubStandIn]]:
    """The shell online, logged in to a stand-in for GitHub."""
    with github_here() as github:
        github.keep_login(Path(broken.settings.home))
        broken.settings.offline = False
        yield broken, github


def learn(monkeypatch: pytest.MonkeyPatch, *infos: ModelInfo) -> None:
    """Let the server list these models."""

    async def ask(*_: object) -> list[ModelInfo]:
        return list(infos)

    monkeypatch.setattr("copilot_nb.providers.catalogue.ask", ask)


def test_the_accounts_models_are_listed_as_the_runtime_tells_them(
    logged_in: tuple[Notebook, GitHubStandIn],
) -> None:
    nb, github = logged_in
    rows = {row[0]: row[1:] for row in nb.run("%copilot models --provider github").result.rows}
    assert rows["gpt-5"] == ("github", "264,000", "64,000", "yes", "yes", "low, medium, high", "1×")
    assert rows["auto"] == ("github", *["–"] * 6)
    found = json.loads(nb.run("%copilot models -p github --json").out)
    assert found[-1] == {
        "provider": "github",
        "model_id": "gpt-5",
        "window_tokens": 264_000,
        "output_tokens": 64_000,
        "tools": True,
        "vision": True,
        "efforts": ["low", "medium", "high"],
        "price": None,
        "multiplier": 1.0,
    }
    assert github.asked.count("/models") == 1


def test_a_model_that_the_account_has_not_is_refused_with_the_nearest(
    logged_in: tuple[Notebook, GitHubStandIn],
) -> None:
    nb, github = logged_in
    complaint = nb.run("%%copilot a -p github -m gpt5\nhi").complaint
    assert complaint == "ProviderError: your Copilot account has no model 'gpt5' → use --model; it has: gpt-5"
    assert "/responses" not in github.asked
    assert nb.run("%%copilot a -p github -m gpt-5 --effort max\nhi").complaint == (
        "InputError: gpt-5 (github) has no reasoning effort 'max' → it has: low, medium, high"
    )


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_the_accounts_models_complete_once_they_are_known(logged_in: tuple[Notebook, GitHubStandIn]) -> None:
    nb, github = logged_in
    github.models.append(model("gpt-5-mini", 0.33, ("low",), max_context_window_tokens=1))
    nb.run("%copilot models")
    assert "%%copilot a -m gpt-5" in nb.complete("%%copilot a -m gpt-")


def test_models_without_a_login_say_how_to_log_in(broken: Notebook) -> None:
    with github_here():
        broken.settings.offline = False
        complaint = broken.run("%copilot models --provider github").complaint
        assert complaint.startswith("ProviderError: nobody is logged in to Copilot → log in with %copilot login, or")
        table = broken.run("%copilot models").result
    assert "github: nobody is logged in to Copilot" in table.caption
    assert "not asked: openai, " in table.caption


def test_a_provider_of_ones_own_is_asked_once_and_again_on_demand(here: Notebook, server: Loopback) -> None:
    table = here.run("%copilot models --provider mine").result
    assert [row[:2] for row in table.rows] == [("m-1", "mine"), ("m-2", "mine")]
    here.run("%copilot models")
    assert server.listed == 1
    server.models = ("m-3",)
    assert [row[0] for row in here.run("%copilot models -p mine --refresh").result.rows] == ["m-3"]
    assert server.listed == 2


def test_what_is_priced_is_shown_as_it_is_known(here: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(monkeypatch, ModelInfo("a", 8192, price=(1.25, 10.0)), ModelInfo("b", price=(0.0, 0.0), efforts=()))
    rows = [row[2:] for row in here.run("%copilot models -p mine").result.rows]
    assert rows == [
        ("8,192", "–", "–", "–", "–", "$1.25 in, $10 out per million"),
        ("–", "–", "–", "–", "none", "free"),
    ]


def test_a_provider_that_lists_nothing_or_is_not_there_says_so(here: Notebook, server: Loopback) -> None:
    server.models = ()
    assert str(here.run("%copilot models -p mine").result) == "mine does not list its models; name one with --model."
    assert here.run("%copilot models -p nope").complaint.startswith("ProviderError: there is no provider 'nope' → ")


def test_an_alias_stands_for_a_model_wherever_one_is_named(here: Notebook, server: Loopback) -> None:
    here.settings.aliases = {"fast": "mine/m-1", "other": "m-2", "slashed": "not-a-provider/m"}
    assert here.run("%%copilot a -m fast\nhi").out.splitlines()[-1].startswith("[a · m-1 (mine)")
    assert "switched from m-1 (mine) to m-2 (mine)" in here.run("%%copilot a -m other\nhi").out
    both = here.run("%%copilot both --models fast,other -p mine\nhi").out
    assert "[both@fast · m-1 (mine) · " in both
    assert "[both@other · m-2 (mine) · " in both
    here.run('import copilot_nb as cp\ncp.session("a").ask("hi", model="fast")')
    here.settings.provider, here.settings.model = "", "fast"
    here.run("%%copilot usual\nhi")
    models = [asked.model for asked in server.asked]
    assert (models[:2], sorted(models[2:4]), models[4:]) == (["m-1", "m-2"], ["m-1", "m-2"], ["m-1", "m-1"])
    assert here.run("%%copilot a -m fast -p local\nhi").complaint == (
        "InputError: 'fast' is an alias of mine/m-1, which is not of 'local' → leave --provider out, or name the model "
        "itself"
    )
    assert here.run("%%copilot s -m slashed -p mine\nhi").complaint.startswith(
        "ProviderError: mine has no model 'not-a-provider/m'"
    )
    assert "aliases: fast = mine/m-1, other = m-2" in here.run("%copilot models").result.caption


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_aliases_and_efforts_complete(here: Notebook) -> None:
    here.settings.aliases = {"fast": "mine/m-1"}
    assert here.complete("%%copilot a -m fa") == ["%%copilot a -m fast"]
    assert here.complete("%%copilot a --effort hi") == ["%%copilot a --effort high"]
    assert "%copilot models --provider mine" in here.complete("%copilot models --provider mi")
    assert "%copilot models --json" in here.complete("%copilot models --j")


def test_an_effort_stays_with_its_session_until_the_model_changes(here: Notebook, server: Loopback) -> None:
    here.run("%%copilot usual -p mine\nhi")
    assert server.listed == 0, "nobody asks for the models where none is asked for an effort"
    server.asked.clear()
    here.run("%%copilot a -p mine --effort high\nhi")
    here.run("%%copilot a\nhi")
    here.run("%%copilot a --effort low\nhi")
    here.run("%%copilot a -m m-1\nhi")
    here.run("%copilot restart")
    here.run("%%copilot a\nhi")
    here.run("%%copilot a --effort default\nhi")
    here.run("%%copilot a --effort xhigh\nhi")
    here.run("%%copilot a -m m-2\nhi")
    here.run("%copilot restart")
    here.run("%%copilot a\nhi")
    efforts = [asked.body.get("reasoning_effort") for asked in server.asked]
    assert efforts == ["high", "high", "low", "low", "low", None, "xhigh", None, None]


def test_an_effort_goes_with_a_copy_and_is_given_to_a_new_session(here: Notebook, server: Loopback) -> None:
    here.run("%copilot new a -p mine --effort high")
    here.run("%copilot restart")
    here.run("%%copilot a\nhi")
    here.run("%copilot fork a b")
    here.run("%%copilot b\nhi")
    assert [asked.body.get("reasoning_effort") for asked in server.asked] == ["high", "high"]
    assert shared_manager().existing("b").effort == "high"


def test_an_effort_that_a_model_has_not_is_refused_before_anything_is_sent(
    here: Notebook, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(monkeypatch, ModelInfo("m-1", efforts=("low", "high")), ModelInfo("m-2", efforts=()))
    assert here.run("%%copilot a -p mine --effort max\nhi").complaint == (
        "InputError: m-1 (mine) has no reasoning effort 'max' → it has: low, high"
    )
    assert here.run("%%copilot a -p mine -m m-2 --effort low\nhi").complaint == (
        "InputError: m-2 (mine) has no reasoning effort 'low' → it has none: leave --effort out"
    )
    assert here.run("%%copilot a --effort sometimes\nhi").complaint.startswith("InputError: %%copilot: argument --eff")
    assert here.run("%%copilot b --effort low\nhi").complaint.startswith("InputError: ")
    assert not server.asked
    assert here.run("%%copilot a -p mine --effort high\nhi").ok
    assert here.run("%%copilot a --effort max\nhi").complaint.startswith("InputError: m-1 (mine) has no reasoning")
    assert len(server.asked) == 1


def test_a_switch_of_the_model_keeps_the_history_and_is_shown_in_it(here: Notebook, server: Loopback) -> None:
    here.run("%%copilot a -p mine\nfirst")
    said = here.run("%%copilot a -m m-2\nsecond").out
    assert said.startswith("(switched from m-1 (mine) to m-2 (mine))\n")
    assert server.asked[-1].user_texts == ["first", "second"]
    shown = here.run("%copilot show a").result
    assert [turn.model for turn in shown] == ["m-1", "m-2"]
    html = shown._repr_html_()
    assert html.index("m-1") < html.index("second") < html.index("m-2")
