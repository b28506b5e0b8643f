"""Many sessions, many turns, and every few of them something goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import psutil

import copilot_nb as cp
from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, TurnInterrupted
from copilot_nb.sessions.manager import Manager
from copilot_nb.sessions.turn import Turn
from copilot_nb.testing import ScriptedModel

SESSIONS = 30
ROUNDS = 20
MakeManager = Callable[..., Manager]


def test_every_acknowledged_turn_is_in_its_history_once_and_in_order(own_manager: MakeManager) -> None:
    chance = random.Random(20)
    names = [f"soak-{number}" for number in range(SESSIONS)]
    acknowledged: dict[str, list[str]] = {name: [] for name in names}
    manager = own_manager(ScriptedModel(chunk_delay_s=0.002))
    for round_number in range(ROUNDS):
        turns = [manager.session(name).send(f"{name} turn {round_number}") for name in names]
        _disturb(manager, turns, chance, round_number)
        for turn in cp.as_completed(turns, timeout_s=60):
            assert turn.error is None or isinstance(turn.error, CopilotNBError)
            if turn.error is None:
                acknowledged[turn.session.name].append(turn.prompt)
        if round_number % 7 == 6:  # the kernel ends, another goes on
            manager.close()
            manager = own_manager(ScriptedModel(chunk_delay_s=0.002))
    assert sum(map(len, acknowledged.values())) > SESSIONS * ROUNDS / 2
    for name in names:
        history = manager.session(name).history
        done = [turn.prompt for turn in history if turn.state is TurnState.DONE]
        # a turn that ended just before its runtime was killed can be there without having been acknowledged
        assert [prompt for prompt in done if prompt in acknowledged[name]] == acknowledged[name]
        assert all(turn.text for turn in history if turn.state is TurnState.DONE)
        numbers = [int(turn.prompt.rsplit(" ", 1)[1]) for turn in history]
        assert numbers == sorted(set(numbers)), "a prompt is there twice, or out of order"


def _disturb(manager: Manager, turns: list[Turn], chance: random.Random, round_number: int) -> None:
    for turn in chance.sample(turns, 3):
        turn.stop()
    if round_number % 5 == 2:
        next(cp.as_completed(turns, timeout_s=60))
        _kill_runtime(manager)


def _kill_runtime(manager: Manager) -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # a child that is ending has no environment any more
            if child.environ().get("COPILOT_HOME") == manager.settings.home:
                child.kill()


def test_runtime_killed_while_ten_turns_stream(own_manager: MakeManager) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    sessions = [manager.session(f"ten-{number}") for number in range(10)]
    cp.wait([session.send("before") for session in sessions])
    model.hold()
    turns = [session.send("during") for session in sessions]
    model.wait_for_stalled(10)
    _kill_runtime(manager)
    for turn in cp.as_completed(turns, timeout_s=10):
        assert isinstance(turn.error, TurnInterrupted)
    model.release()
    cp.wait([session.send("after") for session in sessions], timeout_s=10)
    for session in sessions:
        states = [turn.state.value for turn in session.history]
        assert states == ["done", "interrupted", "done"]
