"""A later turn, over the bare SDK's on the same runtime, the same loop and with the same session options.

`session.ask` is timed as its caller sees it, from another thread than the loop's; the SDK's `send_and_wait` on the
loop itself. Both wait until the runtime says that the session is idle; `ask` also has the turn counted and written to
disk. They and the magic take turns, in changing order; each repetition has new sessions, because a turn becomes
slower with every turn before it. No session has tools: `bench.tools` measures what they cost.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from bench.bare import as_shipped, bare_session, bare_turn_s
from bench.report import Result, ratios
from copilot_nb.named_sessions.api import drop_manager, shared_manager
from copilot_nb.testing import ScriptedModel, install

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

REPETITIONS = 7
TURNS = 40
WARM_UP_TURNS = 5
PROMPT = "hello"

Timer = Callable[[], float]


def run() -> list[Result]:
    """Measure."""
    install(ScriptedModel("ok"))
    manager = shared_manager()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("%load_ext copilot_nb")
    try:
        rounds = [_round(manager, shell, str(number)) for number in range(REPETITIONS)]
    finally:
        drop_manager()
    bare, alike, ask, magic = zip(*rounds, strict=True)
    return [
        ratios("turn: session.ask / bare send_and_wait", ask, bare, at_most=1.08),
        ratios("turn: session.ask / bare SDK that reads times as ours does", ask, alike),
        ratios("turn: %%copilot in a terminal shell / bare send_and_wait", magic, bare),
        Result("turn: (bare send_and_wait)", [1000 * took_s for took_s in bare], "ms"),
    ]


def _round(manager: Manager, shell: InteractiveShell, name: str) -> tuple[float, ...]:
    """Return the median seconds of a turn: bare, bare with our reading of times, `ask`, magic."""
    bare, alike = (manager.loop.blocking(bare_session(manager, f"{kind}-{name}")) for kind in ("bare", "alike"))
    session = manager.session(f"ask-{name}", tools="none")
    timers: list[Timer] = [
        as_shipped()(lambda: bare_turn_s(manager, bare, PROMPT)),
        lambda: bare_turn_s(manager, alike, PROMPT),
        lambda: timed(lambda: session.ask(PROMPT)),
        lambda: timed(lambda: shell.run_cell_magic("copilot", f"magic-{name} -t none", PROMPT)),
    ]
    samples = by_turns(timers, WARM_UP_TURNS + TURNS)
    for each in (bare, alike):
        manager.loop.blocking(each.disconnect())
    manager.delete(f"ask-{name}")
    manager.delete(f"magic-{name}")
    return tuple(statistics.median(taken[WARM_UP_TURNS:]) for taken in samples)


def by_turns(timers: list[Timer], count: int) -> list[list[float]]:
    """Call each `count` times, in every order equally often, because each call leaves work to the next."""
    samples: list[list[float]] = [[] for _ in timers]
    orders = itertools.cycle(itertools.permutations(range(len(timers))))
    for _, order in zip(range(count), orders, strict=False):
        for i in order:
            samples[i].append(timers[i]())
    return samples


def timed(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes; what it prints is dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        began_s = time.perf_counter()
        function()
        return time.perf_counter() - began_s
