"""Many sessions, many turns, and every few of them something goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import psutil

import copilot_nb as cp
from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, TurnInterrupted
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.testing import ScriptedModel

SESSIONS = 30
ROUNDS = 20
MakeManager = Callable[..., Manager]


def test_every_acknowledged_turn_is_in_its_history_once_and_in_order(own_manager: MakeManager) -> None:
    soak = Soak(own_manager)
    for round_number in range(ROUNDS):
        turns = [soak.manager.session(name).send(f"{name} turn {round_number}") for name in soak.acknowledged]
        soak.disturb(turns, round_number)
        for turn in cp.as_completed(turns, timeout_s=60):
            assert turn.error is None or isinstance(turn.error, CopilotNBError)
            if turn.error is None:
                soak.acknowledged[turn.session.name].append(turn.prompt)
        if round_number % 7 == 6:
            soak.start_over()
        soak.edit(round_number)
    assert sum(map(len, soak.acknowledged.values())) > SESSIONS * ROUNDS / 2
    assert len(soak.manager.stored()) == len(soak.acknowledged) > SESSIONS
    for name in soak.acknowledged:
        soak.check(name)


class Soak:
    """Sessions, and what each is to hold: the prompts whose turns ended well and were not taken back.

    Attributes
    ----------
    manager : Manager
        That of the kernel that is running.
    acknowledged : dict of str to list of str
        The prompts by the session's name.
    """

    def __init__(self, make: MakeManager) -> None:
        self._make = make
        self._chance = random.Random(20)
        self.manager = make(ScriptedModel(chunk_delay_s=0.002))
        self.acknowledged: dict[str, list[str]] = {f"soak-{number}": [] for number in range(SESSIONS)}

    def start_over(self) -> None:
        """Let the kernel end, and another go on."""
        self.manager.close()
        self.manager = self._make(ScriptedModel(chunk_delay_s=0.002))

    def disturb(self, turns: list[Turn], round_number: int) -> None:
        """Stop some turns, copy a session that answers, kill the runtime."""
        for turn in self._chance.sample(turns, 3):
            turn.stop()
        if round_number % 3 == 1:
            self._fork(self._choose(), f"fork-{round_number}")
        if round_number % 5 == 2:
            next(cp.as_completed(turns, timeout_s=60))
            _kill_runtime(self.manager)

    def edit(self, round_number: int) -> None:
        """Take turns of some sessions back, some of them only for a moment; give others another name."""
        for _ in range(3):
            self._rewind(self._choose(), is_undone=self._chance.random() < 0.5)
        self._rename(self._choose(), f"renamed-{round_number}")

    def check(self, name: str) -> None:
        """Check what a session holds."""
        history = self.manager.session(name).history
        done = [turn.prompt for turn in history if turn.state is TurnState.DONE]
        # a turn that ended just before its runtime was killed can be there without having been acknowledged
        expected = self.acknowledged[name]
        assert [prompt for prompt in done if prompt in expected] == expected
        assert all(turn.text for turn in history if turn.state is TurnState.DONE)
        numbers = [int(turn.prompt.rsplit(" ", 1)[1]) for turn in history]
        assert numbers == sorted(set(numbers)), "a prompt is there twice, or out of order"

    def _choose(self) -> str:
        return self._chance.choice([name for name, prompts in self.acknowledged.items() if prompts])

    def _fork(self, source: str, name: str) -> None:
        before = list(self.acknowledged[source])
        at = None if self._chance.random() < 0.5 else self._chance.randint(1, len(before))
        copy = self.manager.session(source).fork(name, at)
        held = [turn.prompt for turn in copy.history]
        assert at is None or len(held) == at
        self.acknowledged[name] = before if at is None else [prompt for prompt in before if prompt in held]

    def _rewind(self, name: str, *, is_undone: bool) -> None:
        session = self.manager.session(name)
        before = session.history[:]
        to = self._chance.randrange(len(before))
        assert session.rewind(to) == len(before) - to
        assert list(session.history) == list(before[:to])
        if is_undone:
            assert session.undo_rewind() == len(before) - to
            assert list(session.history) == list(before)
        else:
            left = [turn.prompt for turn in before[:to]]
            self.acknowledged[name] = [prompt for prompt in self.acknowledged[name] if prompt in left]

    def _rename(self, name: str, new_name: str) -> None:
        self.manager.session(name).rename(new_name)
        self.acknowledged[new_name] = self.acknowledged.pop(name)


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
    for session in sessions:  # also before the session is used again
        assert [(turn.prompt, turn.state.value) for turn in session.history] == [
            *(("before", "done"), ("during", "interrupted")),
        ]
    assert {stored.turns for stored in manager.stored()} == {2}
    model.release()
    cp.wait([session.send("after") for session in sessions], timeout_s=10)
    for session in sessions:
        states = [turn.state.value for turn in session.history]
        assert states == ["done", "interrupted", "done"]
