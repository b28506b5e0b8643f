"""Comparisons on the real runtime: what a restart leaves of rounds and votes, and an answer that is asked for again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from copilot_nb.errors import InputError, SessionNotFound, TurnFailed
from copilot_nb.experiments.round_store import ENTRY, Part, ask_again, keep
from copilot_nb.experiments.rounds import Round
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Session, engine_of, state_of
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import script

Make = Callable[..., Manager]


def opened(manager: Manager, **options: Any) -> ComparePanel:
    return ComparePanel(models=["scripted", "scripted-b"], name="t", manager=manager, **options)


def asked(panel: ComparePanel, prompt: str) -> Round:
    """Return a round when it is over and kept."""
    asked = panel.ask(prompt)
    for turn in asked.turns:
        turn.wait()
    panel._arena.keep()
    return asked


def facts(rounds: Sequence[Round]) -> list[tuple[Any, ...]]:
    return [
        (
            *(each.number, each.prompt, each.is_blind, each.vote, each.winner and each.winner.session.name),
            *((turn.session.name, turn.text) for turn in each.turns),
        )
        for each in rounds
    ]


def test_rounds_and_votes_outlive_the_kernel(own_manager: Make) -> None:
    first = own_manager(ScriptedModel(lambda request: f"{request.model} on {request.prompt}"))
    panel = opened(first)
    for number, (prompt, choice) in enumerate((("one", 2), ("two", "tie"), ("three", "none good"), ("four", None)), 1):
        asked(panel, prompt)
        if choice is not None:
            panel.vote(number, choice)
    panel.blind = True
    asked(panel, "five")
    panel.vote(5, 1)
    panel.vote(1, 1)
    asked(panel, "six")
    before = facts(panel.results)
    panel.close()
    first.close()

    again = opened(own_manager(), blind=True)
    assert facts(again.results) == before
    assert again.results[5].is_hidden
    assert again.summary.caption == "4 of 6 rounds voted, 1 tie, 1 with none good"
    again.vote(6, 2)
    assert asked(again, "seven").number == 7


def test_a_round_is_there_as_long_as_all_of_it_is(manager: Manager) -> None:
    a, b, c = (manager.session(f"whole-{letter}") for letter in "abc")

    def votes(*sessions: Session) -> list[tuple[str, str | None]]:
        return [(each.prompt, each.vote) for each in ComparePanel(sessions, manager=manager).results]

    for prompt in ("one", "two"):
        panel = ComparePanel([a, b], manager=manager)
        panel.vote(asked(panel, prompt).number, "tie")
    panel = ComparePanel([a, b, c], manager=manager)
    panel.vote(asked(panel, "three").number, "tie")
    assert votes(b, a) == [("one", "tie"), ("two", "tie"), ("three", None)]
    assert votes(a, b, c) == [("three", "tie")]
    b.rewind(1)
    assert votes(a, b) == [("one", "tie")]
    manager.loop.blocking(_spoil(a))
    assert votes(a, b) == [("one", None)]


async def _spoil(session: Any) -> None:
    await (await engine_of(session).loaded(state_of(session))).annotate({ENTRY: '{"x": [1]}'})


def said(panel: ComparePanel) -> list[object]:
    """Return the prompts that a comparison shows: those of rounds, and, each session's own, of what is between them."""
    whole = panel.whole()
    rows: list[tuple[int, object]] = [(each["round"], each["prompt"]) for each in whole["rounds"]]
    rows += [
        (each["before"] - 0.5, [[turn["prompt"] for turn in column["turns"]] for column in each["columns"]])
        for each in whole["unshared"]
    ]
    return [row for _, row in sorted(rows)]


def test_what_sessions_have_said_before_is_shown_side_by_side(manager: Manager) -> None:
    py, web = manager.session("said-py"), manager.session("said-web")
    py.ask("only py")
    for session in (web, py):
        session.ask("both")
    web.ask("web one")
    web.ask("web two")
    panel = ComparePanel([py, web], manager=manager)
    assert said(panel) == [[["only py"], []], "both", [[], ["web one", "web two"]]]
    assert [turn.session for turn in panel.results[0].turns] == [py, web]
    static = str(panel.transcript())
    places = [static.index(prompt) for prompt in ("only py", "both", "web one", "web two")]
    assert places == sorted(places)
    panel.vote(1, 2)
    asked(panel, "now")
    again = ComparePanel([py, web], manager=manager)
    assert said(again) == [[["only py"], []], "both", [[], ["web one", "web two"]], "now"]
    assert [each.vote for each in again.results] == ["best", None]


def test_what_was_said_before_a_blind_comparison_is_blind(manager: Manager) -> None:
    a, b = manager.session("blind-a"), manager.session("blind-b")
    for session in (a, b):
        session.ask("both")
        session.ask(f"only {session.name}")
    panel = ComparePanel([a, b], blind=True, manager=manager)
    assert said(panel) == ["both"]
    assert panel.results[0].is_hidden


def test_of_copies_of_a_session_only_what_differs_is_compared(manager: Manager) -> None:
    one = manager.session("copied")
    for prompt in ("shared", "shared too"):
        one.ask(prompt)
    other = one.fork("copied-2")
    for session in (one, other):
        session.ask("differs")
    panel = ComparePanel([one, other], manager=manager)
    assert said(panel) == ["differs"]
    assert panel.whole()["note"] == "2 turns common to all sessions left out"


def test_an_answer_that_is_coming_is_compared_too(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    sessions = [manager.session(f"coming-{letter}") for letter in "ab"]
    model.hold()
    turns = [session.send("both") for session in sessions]
    panel = ComparePanel(sessions, manager=manager)
    assert panel.results[0].turns == tuple(turns)
    model.release()
    for turn in turns:
        turn.wait()
    assert panel.vote(1, 1).winner is turns[0]


def test_an_answer_is_asked_for_again_in_its_place(manager: Manager) -> None:
    panel = opened(manager)
    asked(panel, "one")
    asked(panel, "two")
    left, right = panel.sessions
    again = panel.retry(2, 2)
    again.turns[1].wait()
    assert [turn.prompt for turn in right.history] == ["one", "two"]
    assert right.history[1].turn_id == again.turns[1].record.turn_id != left.history[1].turn_id
    with pytest.raises(InputError, match="only the last round's answers"):
        panel.retry(1, 1)
    with pytest.raises(InputError, match="there is no answer 3"):
        panel.retry(2, 3)
    left.ask("something else")
    with pytest.raises(InputError, match="session 't@scripted' has later turns"):
        panel.retry(2, 1)
    panel.vote(2, 1)
    with pytest.raises(InputError, match="before the vote"):
        panel.retry(2, 2)


def test_a_session_whose_first_prompt_failed_can_be_asked_again(manager: Manager) -> None:
    broken = ["scripted-b"]
    script(manager, ScriptedModel(lambda r: Reply(error=ChatError(401, "no key")) if r.model in broken else "Fine."))
    panel = ComparePanel(models=["scripted", "scripted-b"], name="failing", manager=manager)
    for _ in range(2):
        good, bad = panel.ask("Why?").turns
        good.wait()
        with pytest.raises(TurnFailed):
            bad.wait()
    assert not state_of(bad.session).exists
    broken.clear()
    mended = panel.retry(2, 2).turns[1]
    mended.wait()
    assert (mended.text, mended.session.model) == ("Fine.", "scripted-b")
    assert panel.sessions == (good.session, bad.session)
    mended.session.delete()
    with pytest.raises(SessionNotFound, match="is gone"):
        panel.retry(2, 2)
    with pytest.raises(InputError, match="has been deleted"):
        panel.ask("And?")


def test_answers_that_all_failed_are_asked_for_again_one_by_one(manager: Manager) -> None:
    broken = [True]
    script(manager, ScriptedModel(lambda _: Reply(error=ChatError(401, "no key")) if broken else "Fine."))
    asked_of = {"both-a": None, "both-b": "long"}
    sessions = [manager.session(n, user="ann", system="Be brief.", context=c) for n, c in asked_of.items()]
    panel = ComparePanel(sessions, manager=manager)
    for turn in panel.ask("Why?").turns:
        with pytest.raises(TurnFailed):
            turn.wait()
    broken.clear()
    for column in (1, 2):
        panel.retry(1, column).turns[column - 1].wait()
    assert [turn.text for turn in panel.results[0].turns] == ["Fine."] * 2
    assert panel.sessions == tuple(turn.session for turn in panel.results[0].turns)
    facts = [(each.name, each.user, each.system, each.context) for each in panel.sessions]
    assert facts == [("ann-both-a", "ann", "Be brief.", ""), ("ann-both-b", "ann", "Be brief.", "long")]


def test_a_vote_that_not_all_could_keep_is_none(manager: Manager) -> None:
    sessions = [manager.session(f"half-{letter}") for letter in "ab"]
    round_ = asked(ComparePanel(sessions, manager=manager), "one")
    part = Part(round_.turns[1].record.turn_id, 1, 2, is_blind=False, vote="other")
    manager.loop.blocking(keep(round_.key, {sessions[1]: part}))
    part = Part(round_.turns[0].record.turn_id, 0, 2, is_blind=False, vote="other")
    manager.loop.blocking(keep(round_.key, {sessions[0]: part}))
    again = ComparePanel(sessions, manager=manager)
    assert [(each.vote, each.verdict) for each in again.results] == [(None, "Not voted on")]
    assert "Not voted on" in str(again.transcript())
    assert again.vote(1, 2).verdict == "Best: half-b"


def test_only_the_turn_that_is_meant_is_replaced(manager: Manager) -> None:
    session = manager.session("meant")
    first, second = session.ask("one"), session.ask("two")
    with pytest.raises(InputError, match="session 'meant' has later turns"):
        manager.loop.blocking(ask_again(first))
    assert [turn.prompt for turn in session.history] == ["one", "two"]
    again = manager.loop.blocking(ask_again(second)).wait()
    assert [turn.turn_id for turn in session.history] == [first.record.turn_id, again.record.turn_id]


def test_providers_are_compared_under_the_names_that_a_cell_gives_them(manager: Manager) -> None:
    script(manager, ScriptedModel(lambda request: f"other {request.model}"), "other")
    panel = ComparePanel(providers=["scripted", "other"], name="p", model="scripted-b", manager=manager)
    asked(panel, "Why?")
    rows = [(each.name, each.provider, each.model) for each in panel.sessions]
    assert rows == [("p@scripted", "scripted", "scripted-b"), ("p@other", "other", "scripted-b")]
    for wrong in ({"models": ["x"]}, {"provider": "scripted"}):
        with pytest.raises(InputError, match="models and providers cannot be combined"):
            ComparePanel(providers=["scripted", "other"], manager=manager, **wrong)


def test_without_pandas_a_frame_is_refused_in_one_line(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = ComparePanel(["no-pandas-a", "no-pandas-b"], manager=manager)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"to_frame needs pandas.*pip install pandas") as caught:
        panel.to_frame()
    assert "\n" not in str(caught.value)
    assert panel.summary.caption == "0 of 0 rounds voted, 0 ties, 0 with none good"
