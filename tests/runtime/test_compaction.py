"""A conversation that outgrows its model's window: the runtime has it summarised, the history keeps all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from copilot_nb.named_sessions.manager import Manager, manager_of
from copilot_nb.named_sessions.session import Session
from copilot_nb.providers.base import Endpoint
from copilot_nb.providers.chat import ChatRequest
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.testing import ScriptedModel

WINDOW_TOKENS = 4000
SUMMARY = "They talked about many things."
NOTE = "earlier turns are summarised for the model, whose window is nearly full"
MakeManager = Callable[..., Manager]


class SmallWindow(InKernel):
    """A model in the kernel whose window the runtime is told, so that the runtime looks after it."""

    def endpoint(self, model: str) -> Endpoint:
        endpoint = super().endpoint(model)
        provider = {**endpoint.options["provider"], "max_prompt_tokens": WINDOW_TOKENS}
        return dataclasses.replace(endpoint, options={**endpoint.options, "provider": provider})


def is_summary(request: ChatRequest) -> bool:
    return "create a detailed summary of the conversation" in request.prompt


def talk(make: MakeManager, model: ScriptedModel) -> Session:
    manager = make()
    manager.providers.add(SmallWindow("scripted", lambda: model))
    return manager.session("long")


def talkative() -> ScriptedModel:
    return ScriptedModel(lambda request: SUMMARY if is_summary(request) else "word " * 300)


def fill(session: Session, model: ScriptedModel) -> int:
    """Ask until the conversation has been summarised; return how many turns that took."""
    for number in range(1, 30):
        session.ask(f"question {number}: " + "lorem ipsum " * 100)
        if SUMMARY in str(model.requests[-1].messages):
            return number
    raise AssertionError("the conversation was not summarised")


def test_a_summary_is_noted_and_the_history_is_complete(own_manager: MakeManager) -> None:
    model = talkative()
    session = talk(own_manager, model)
    turns = fill(session, model)
    assert turns > 3
    assert len([request for request in model.requests if is_summary(request)]) == 1
    history = session.history
    assert [turn.prompt.split(":")[0] for turn in history] == [f"question {n}" for n in range(1, turns + 1)]
    assert all(turn.text == "word " * 300 for turn in history)
    noted = [number for number, turn in enumerate(history, 1) if turn.notes]
    assert noted == [turns - 1]
    assert [note.startswith(NOTE) for note in history[turns - 2].notes] == [True]
    assert f"of {WINDOW_TOKENS:,} tokens)" in history[turns - 2].notes[0]
    assert manager_of(session).stored()[0].turns == turns


def test_the_turn_itself_tells_it_while_it_is_under_way(own_manager: MakeManager) -> None:
    model = talkative()
    session = talk(own_manager, model)
    notes = [session.ask("lorem ipsum " * 300).record.notes for _ in range(5)]
    assert notes == [turn.notes for turn in session.history]
    assert any(note.startswith(NOTE) for turn in notes for note in turn)


def test_the_summary_is_there_after_a_restart_and_can_be_gone_back_behind(own_manager: MakeManager) -> None:
    model = talkative()
    session = talk(own_manager, model)
    turns = fill(session, model)
    manager_of(session).close()
    again = talk(own_manager, model)
    again.ask("after the restart")
    assert SUMMARY in str(model.requests[-1].messages)
    assert len(again.history) == turns + 1
    again.rewind(2)
    again.ask("from the second on")
    asked = [text.split(":")[0] for text in model.requests[-1].user_texts]
    assert asked == ["question 1", "question 2", "from the second on"]
    assert SUMMARY not in str(model.requests[-1].messages)
