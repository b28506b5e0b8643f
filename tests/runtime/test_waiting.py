from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

import copilot_nb as cp
from copilot_nb.errors import RuntimeUnavailable, TurnFailed, TurnInterrupted
from copilot_nb.named_sessions import waiting
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.runtime.client import RuntimeClient
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import script


def test_wait_returns_all_in_order(manager: Manager) -> None:
    turns = [manager.session(f"wait-{n}").send(str(n)) for n in range(3)]
    assert cp.wait(turns) == turns
    assert all(turn.done for turn in turns)


def test_wait_counts_the_failures_once_all_have_ended(manager: Manager) -> None:
    model = script(manager, ScriptedModel(lambda request: _reply(request.prompt)))
    turns = [manager.session(f"mixed-{n}").send(word) for n, word in enumerate(("good", "bad", "good"))]
    with pytest.raises(TurnFailed, match=r"1 of 3 turns did not finish: mixed-1: "):
        cp.wait(turns)
    assert [turn.text for turn in turns] == ["fine", "", "fine"]
    assert len(model.requests) == 3


def _reply(prompt: str) -> str | Reply:
    return "fine" if prompt == "good" else Reply(error=ChatError(400, "no"))


def test_wait_gives_up_after_its_time_and_the_turns_go_on(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    turns = [manager.session(f"slow-{n}").send("x") for n in range(2)]
    with pytest.raises(TimeoutError):
        cp.wait(turns, timeout_s=0.2)
    model.release()
    cp.wait(turns)


def test_as_completed_yields_the_one_that_ends_first(manager: Manager) -> None:
    model = script(manager, ScriptedModel(lambda request: _slow(request.prompt)))
    slow, quick = manager.session("as-slow").send("slow"), manager.session("as-quick").send("quick")
    model.wait_for_stalled(1)
    ended = cp.as_completed([slow, quick], timeout_s=10)
    assert next(ended) is quick
    model.release()
    assert list(ended) == [slow]


def _slow(prompt: str) -> str | Reply:
    return Reply("slow", stall_after_chars=0) if prompt == "slow" else "quick"


def test_no_more_turns_at_once_than_allowed(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    manager.settings.max_parallel_turns = 2
    try:
        model.hold()
        turns = [manager.session(f"seat-{n}").send("x") for n in range(4)]
        model.wait_for_stalled(2)
        assert len(model.requests) == 2
        model.release()
        cp.wait(turns)
    finally:
        manager.settings.max_parallel_turns = 64


def test_a_finished_turn_can_be_pickled(manager: Manager) -> None:
    turn = manager.session("pickled").ask("x")
    again = pickle.loads(pickle.dumps(turn))
    assert (again.record, again.session.name, again.done) == (turn.record, "pickled", True)
    assert again._repr_mimebundle_() == turn._repr_mimebundle_()


def test_an_unfinished_turn_cannot_be_pickled(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    turn = manager.session("unpicklable").send("x")
    with pytest.raises(TypeError, match="before it has ended"):
        pickle.dumps(turn)
    model.release()
    turn.wait()


def test_now_goes_before_those_that_wait_and_sends_the_partial_answer_along(manager: Manager) -> None:
    model = script(manager, ScriptedModel([Reply("Half of it", stall_after_chars=7), "Second.", "Third."]))
    session = manager.session("urgent")
    first, waiting = session.send("one"), session.send("two")
    while not first.text:
        first.wait_for_change(0.1)
    urgent = session.send("stop, rather this", now=True)
    assert urgent.wait().text == "Second."
    assert waiting.wait().text == "Third."
    assert (first.state.value, first.text) == ("interrupted", "Half of")
    assert "Half of" in model.requests[1].user_texts[-1]
    assert [turn.prompt for turn in session.history] == ["one", "stop, rather this", "two"]


def test_now_with_nothing_under_way_is_an_ordinary_prompt(manager: Manager) -> None:
    session = manager.session("calm")
    assert session.send("one", now=True).wait().text
    assert session.send("two", now=True).wait().text
    assert [turn.prompt for turn in session.history] == ["one", "two"]


def test_an_interrupt_at_the_very_end_ends_a_loop_of_questions(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = manager.session("last-moment").ask("one")

    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "_follow", interrupted)
    monkeypatch.setattr(waiting, "_interrupt", lambda *_args: None)
    with pytest.raises(TurnInterrupted, match="interrupted just after the answer arrived"):
        turn.wait()


def test_a_prompt_that_waits_is_withdrawn_where_the_kernel_shuts_down(own_manager: Callable[..., Manager]) -> None:
    model = ScriptedModel(Reply("It begins, and", stall_after_chars=9))
    manager = own_manager(model)
    session = manager.session("s1")
    under_way, waits = session.send("one"), session.send("two")
    model.wait_for_stalled(1)
    manager.close()
    with pytest.raises(TurnInterrupted, match="withdrawn before it was sent"):
        waits.wait(10)
    assert under_way.done
    assert manager.running_client is None, "the prompt would have started it anew"


def test_no_runtime_is_started_while_a_manager_is_closed(
    own_manager: Callable[..., Manager], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, stop, refused = own_manager(ScriptedModel("Yes.")), RuntimeClient.stop, []

    async def stopped_while_another_asks(client: RuntimeClient) -> None:
        with pytest.raises(RuntimeUnavailable, match="the kernel is shutting down"):
            await manager.client()
        refused.append(client)
        await stop(client)

    manager.session("a").ask("hi")
    monkeypatch.setattr(RuntimeClient, "stop", stopped_while_another_asks)
    manager.close()
    assert len(refused) == 1
    assert manager.session("b").ask("hi").text == "Yes.", "it can be used again"
