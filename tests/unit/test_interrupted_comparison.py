"""What an interrupt of a comparison says: whether the run has ended, is slow to end, or cannot."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.experiments import api
from copilot_nb.experiments.runner import Runner
from copilot_nb.named_sessions.manager import Manager


def call(function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


@pytest.mark.parametrize(
    ("is_over", "call_soon", "said", "released"),
    [(True, call, api.GO_ON, 0), (False, call, api.SLOW, 1), (False, lambda *_: None, api.STUCK, 1)],
    ids=["ended", "slow", "stuck"],
)
def test_an_interrupt_says_what_became_of_the_run(
    monkeypatch: pytest.MonkeyPatch, is_over: bool, call_soon: Any, said: str, released: int
) -> None:
    for limit in ("STOP_GRACE_S", "STOP_LIMIT_S"):
        monkeypatch.setattr(api, limit, 0)
    running: concurrent.futures.Future[None] = concurrent.futures.Future()

    def stop() -> None:
        if is_over:
            running.set_result(None)

    releases: list[None] = []
    runner = cast(Runner, SimpleNamespace(stop=stop, release=lambda: releases.append(None)))
    manager = cast(Manager, SimpleNamespace(loop=SimpleNamespace(call_soon=call_soon)))
    assert api._stop(manager, runner, running) == said
    assert len(releases) == released
