"""The comparison panel: what the page is told, above all what a blind round does not tell it; votes and results."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_nb.conversation.changes import Ended, Noted, TextDelta, TextDone, UsageReported
from copilot_nb.conversation.parts import TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import CopilotNBError, InputError, SessionInUse, TurnFailed
from copilot_nb.experiments import rounds
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.prompt_plan import PromptPlan
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.settings import CopilotNB

BEGAN = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
NAMES = ("alice", "bertha")
SECRETS = (*NAMES, "wise-model", "quick-model", "test-house", "14:05")


class Quiet(Session):
    """A session whose turns go nowhere: the test answers them."""

    def _send(self, plan: PromptPlan, *_args: Any, **_options: Any) -> Turn:
        turn = Turn(self, plan.text, owner=self._queue)
        turn.on_change = self._turn_changed
        turn.begin(TurnRecord(f"id-{self.name}", plan.text, started_at=BEGAN))
        return turn


@pytest.fixture
def manager() -> Iterator[Manager]:
    manager = Manager(CopilotNB(offline=True))
    yield manager
    manager.close()


def quiet_state(name: str, model: str) -> SessionState:
    options = SessionOptions(provider="test-house", model=model)
    return SessionState(name=name, session_id=f"{name}-id", options=options)


@pytest.fixture
def pair(manager: Manager) -> tuple[Session, Session]:
    wise, quick = (
        Quiet(quiet_state(name, model), manager.engine, manager)
        for name, model in zip(NAMES, ("wise-model", "quick-model"), strict=True)
    )
    return wise, quick


class Page:
    """What a page is to a panel: it gets its messages and sends some."""

    def __init__(self, panel: ComparePanel) -> None:
        self.panel = panel
        self.got: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = []
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        vars(panel)["send"] = lambda message, *_: self._arrived.put(json.loads(json.dumps(message)))
        self._number = 0

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        asked = f"m{self._number}"
        self.panel._handle_custom_msg({"do": do, "id": asked, **fields}, [])
        return self.until(lambda message: message.get("re") == asked)

    def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = self._arrived.get(timeout=10)
            self.got.append(message)
            self.items += message.get("items", [])
            if fits(message):
                return message

    def item(self, **wanted: Any) -> dict[str, Any]:
        """Return the first item of news with these fields that has not been asked for, once it is there."""
        while (at := next((i for i, item in enumerate(self.items) if wanted.items() <= item.items()), -1)) < 0:
            self.until(lambda message: "items" in message)
        item = self.items[at]
        del self.items[: at + 1]
        return item

    def everything(self) -> str:
        return json.dumps(self.got, ensure_ascii=False)


@pytest.fixture
def compare(manager: Manager, pair: tuple[Session, Session]) -> Iterator[Callable[..., Page]]:
    panels: list[ComparePanel] = []

    def make(**options: Any) -> Page:
        panels.append(ComparePanel(pair, manager=manager, **options))
        return Page(panels[-1])

    yield make
    for panel in panels:
        panel.close()


def say(turn: Turn, text: str) -> None:
    turn.apply(TextDelta("t", text, at=BEGAN + timedelta(seconds=1)))


def finish(turn: Turn, error: CopilotNBError | None = None) -> None:
    end = BEGAN + timedelta(seconds=4)
    if error is None:
        turn.apply(TextDone("t", turn.text, model=turn.session.model, at=end))
        turn.apply(UsageReported(Usage(10, 5, 0.25), turn.session.model))
        turn.apply(Ended(at=end))
    else:
        turn.apply(Ended(TurnState.FAILED, "what the runtime says", at=end))
    turn.finish(error)


def test_a_round_streams_each_block_once_and_ends_whole(compare: Callable[..., Page]) -> None:
    page = compare()
    whole = page.ask("hello")
    assert whole["kind"] == "whole"
    assert whole["rounds"] == []
    assert whole["frame"]["names"] == list(NAMES)
    assert page.ask("send", prompt="Why?") == {"re": "m2", "seq": 2, "ok": True}
    page.item(kind="round", round=1)
    turn = page.panel.results[0].turns[0]
    say(turn, "One **bold** block.\n\nAnd a\n")
    item = page.item(kind="answer", round=1, column=0)
    assert "<strong>bold</strong>" in item["more"]
    assert item["text"] == "And a\n"
    say(turn, "second")
    item = page.item(kind="answer", round=1, column=0)
    assert item["text"] == "second"
    assert "more" not in item
    assert "answer" not in item
    finish(turn)
    item = page.item(kind="answer", round=1, column=0, over=True)
    assert item["state"] == "done"
    assert item["tail"] == ""
    assert "wise-model" in item["footer"]


def test_a_blind_round_tells_nothing_of_whose_it_is_before_the_vote(
    compare: Callable[..., Page], pair: tuple[Session, Session]
) -> None:
    page = compare(blind=True)
    page.ask("hello")
    page.ask("send", prompt="Why?")
    page.item(kind="round", round=1)
    first, second = page.panel.results[0].turns
    first.notes.append(f"resumed {first.session.name}")
    first.apply(Noted("switched to wise-model"))
    say(first, "An answer.")
    page.item(kind="answer", column=0)
    assert "still being answered" in page.ask("vote", round=1, choice=1)["error"]
    finish(first)
    finish(second, TurnFailed(f"{second.session.model} of {second.session.name} is down"))
    page.item(kind="answer", column=1, over=True)
    state_of(pair[0]).tell("session")
    page.ask("hello")  # a page that is reloaded learns no more
    page.ask("earlier", before=2)
    frozen = page.panel.transcript()
    told = page.everything() + repr(page.panel) + json.dumps(page.panel._repr_mimebundle_()) + repr(frozen)
    assert not [secret for secret in SECRETS if secret in told]
    assert "the reason is shown after the vote" in told

    assert page.ask("vote", round=1, choice=1)["ok"]
    item = page.item(kind="voted", round=1)
    assert [column["name"] for column in item["columns"]] == [first.session.name, second.session.name]
    assert [column["best"] for column in item["columns"]] == [True, False]
    assert first.session.model in item["columns"][0]["footer"]
    assert f"resumed {first.session.name}" in item["columns"][0]["head"]
    assert f"of {second.session.name} is down" in item["columns"][1]["outcome"]
    assert all("answer" not in column for column in item["columns"]), "the page has the answers"


def test_the_order_of_blind_columns_is_drawn_again(
    compare: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SHUFFLE", list.reverse)
    page = compare(blind=True)
    asked = page.panel.ask("Why?")
    assert [turn.session.name for turn in asked.turns] == ["bertha", "alice"]
    for turn in asked.turns:
        finish(turn)
    page.panel.blind = False
    assert [turn.session.name for turn in page.panel.ask("And?").turns] == ["alice", "bertha"]


def test_a_blind_vote_is_given_once_and_an_open_one_can_change(compare: Callable[..., Page]) -> None:
    panel = compare(blind=True).panel
    for turn in panel.ask("Why?").turns:
        finish(turn)
    panel.vote(1, 2)
    with pytest.raises(InputError, match="blind vote on round 1 is final"):
        panel.vote(1, 1)
    panel.blind = False
    for turn in panel.ask("And?").turns:
        finish(turn)
    panel.vote(2, 1)
    assert panel.vote(2, "tie").winner is None
    assert [each.vote for each in panel.results] == ["best", "tie"]


@pytest.mark.parametrize(("number", "choice"), [(2, 1), (0, 1), (1, 3), (1, 0), (1, "best"), (1, "alice")])
def test_an_invalid_vote_is_refused(compare: Callable[..., Page], number: int, choice: int | str) -> None:
    panel = compare().panel
    for turn in panel.ask("Why?").turns:
        finish(turn)
    with pytest.raises(InputError, match=r"there is no round|is not a choice"):
        panel.vote(number, choice)
    assert panel.results[0].vote is None


def test_results_are_a_frame_and_a_summary(compare: Callable[..., Page]) -> None:
    panel = compare().panel
    for prompt, choice in (("Why?", 1), ("How?", 1), ("Who?", "none good"), ("When?", None)):
        for turn in panel.ask(prompt).turns:
            say(turn, f"{turn.session.name} says so.")
            finish(turn)
        if choice is not None:
            panel.vote(len(panel.results), choice)
    table = panel.to_frame()
    assert len(table) == 8
    assert list(table.query("won == True")["session"]) == ["alice", "alice"]
    first = table.iloc[0]
    assert (first["round"], first["prompt"], first["column"], first["model"]) == (1, "Why?", 1, "wise-model")
    assert (first["ttft_s"], first["duration_s"], first["input_tokens"], first["output_tokens"]) == (1, 4, 10, 5)
    assert first["text"] == "alice says so."
    assert list(table["vote"].isna()) == [False] * 6 + [True] * 2
    assert panel.summary.rows == (
        ("alice", "wise-model (test-house)", "2", "67% of 3"),
        ("bertha", "quick-model (test-house)", "0", "0% of 3"),
    )
    assert panel.summary.caption == "3 of 4 rounds voted, 0 ties, 1 with none good"


def test_a_page_gets_the_last_rounds_and_asks_for_those_before(compare: Callable[..., Page]) -> None:
    page = compare()
    for number in range(1, 8):
        for turn in page.panel.ask(f"prompt {number}").turns:
            finish(turn)
    whole = page.ask("hello")
    assert [each["round"] for each in whole["rounds"]] == [3, 4, 5, 6, 7]
    assert whole["earlier"] == 2
    more = page.ask("earlier", before=3)
    assert [each["prompt"] for each in more["rounds"]] == ["prompt 1", "prompt 2"]
    assert more["earlier"] == 0
    page.ask("vote", round=1, choice="tie")
    assert page.item(kind="voted", round=1)["vote"] == "tie"


def test_one_round_at_a_time_and_none_to_a_session_that_is_gone(
    compare: Callable[..., Page], pair: tuple[Session, Session]
) -> None:
    page = compare()
    page.ask("send", prompt="Why?")
    assert "still being answered" in page.ask("send", prompt="And?")["error"]
    for turn in page.panel.results[0].turns:
        finish(turn)
    assert "the prompt is empty" in page.ask("send", prompt="  ")["error"]
    state_of(pair[1]).is_gone = True
    assert "'bertha' has been deleted" in page.ask("send", prompt="And?")["error"]
    assert len(page.panel.results) == 1


def test_a_retry_starts_the_answer_over(compare: Callable[..., Page]) -> None:
    page = compare()
    page.ask("hello")
    turn = page.panel.ask("Why?").turns[0]
    say(turn, "A first try.")
    page.item(kind="round")
    turn.begin(TurnRecord("x", "Why?"))
    say(turn, "Another.")
    item = page.until(lambda message: "Another." in json.dumps(message))["items"][-1]
    assert item["tail"] == "Another."


def test_an_error_of_a_blind_retry_does_not_reveal_the_session(
    compare: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = compare(blind=True)
    for turn in page.panel.ask("Why?").turns:
        finish(turn)

    def refuse(session: Session, *_: Any, **_options: Any) -> Turn:
        raise SessionInUse(f"session {session.name!r} is open in another process")

    monkeypatch.setattr(Quiet, "send", refuse)
    for column in (1, 2):
        error = page.ask("retry", round=1, column=column)["error"]
        assert error == "this answer cannot be asked for again → vote, or ask all of them again"
    with pytest.raises(InputError, match="cannot be asked for again") as caught:
        page.panel.retry(1, 1)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_a_vote_that_could_not_be_kept_is_kept_later(
    compare: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = compare().panel
    for turn in panel.ask("Why?").turns:
        finish(turn)
    kept: list[str | None] = []

    def refuse(*_: Any) -> None:
        raise SessionInUse("session 'alice' is open in another process")

    monkeypatch.setattr(rounds, "keep_round", refuse)
    panel.vote(1, 1)
    monkeypatch.setattr(rounds, "keep_round", lambda _manager, asked: kept.append(asked.vote))
    panel._arena.keep()
    panel._arena.keep()
    assert kept == ["best"], "once, and not again"


def test_rounds_are_looked_at_when_an_answer_has_ended_not_while_it_streams(
    compare: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = compare()
    page.ask("hello")
    states: list[bool] = []
    turn, other = page.panel.ask("Why?").turns
    monkeypatch.setattr(page.panel._arena, "keep", lambda: states.append(turn.done))
    page.item(kind="round", round=1)
    for word in ("One", " two", " three"):
        say(turn, word)
    page.item(kind="answer", column=0)
    page.ask("hello")  # answered after the jobs before it
    assert states == []
    finish(turn)
    finish(other)
    page.item(kind="answer", column=1, over=True)
    page.ask("hello")
    assert states
    assert all(states)


def test_fewer_than_two_are_no_comparison(manager: Manager, pair: tuple[Session, Session]) -> None:
    for sessions in ((), "ab", (pair[0],), (pair[0], pair[0])):
        with pytest.raises(InputError, match="needs two sessions, models or providers"):
            ComparePanel(sessions, manager=manager)
