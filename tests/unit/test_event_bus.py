"""Observers come and go in several threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from copilot_nb.named_sessions.events import EventBus

MANY = 1_000


@pytest.fixture
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_switching_often")
def test_no_observer_is_lost_when_others_come_and_go_in_other_threads() -> None:
    loop: Any = SimpleNamespace(call_soon=lambda observer, event: observer(event))
    bus, told = EventBus[str](loop), list[int]()

    def come_and_go() -> None:
        for _ in range(MANY):
            bus.add(len)()

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(MANY):
        bus.add(lambda _event, number=number: told.append(number))  # type: ignore[misc]
    for thread in threads:
        thread.join()
    bus.tell("event")
    assert told == list(range(MANY))


def test_an_observer_that_was_added_twice_is_told_twice_until_each_is_removed() -> None:
    loop: Any = SimpleNamespace(call_soon=lambda observer, event: observer(event))
    bus, told = EventBus[str](loop), list[str]()
    removals = [bus.add(told.append), bus.add(told.append)]
    for remove in removals:
        bus.tell("event")
        remove()
        remove()
    bus.tell("event")
    assert told == ["event"] * 3
