"""From ``%load_ext copilot_nb`` to the first token of the first prompt, in a fresh kernel.

The peer is a fresh Python that runs `bare_start` (its own clock, from its first statement): the SDK with the same
runtime and the same session options. Neither side is charged for the start of its interpreter. The cell that loads
the extension also puts the scripted model in place, and is charged for it. The first token is the moment when an
output with text of the answer arrives at the front end.

People think before they type: the second variant leaves three seconds between the cells and counts from the prompt.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.bare import session_options
from bench.kernel import Kernel, fresh_kernel
from bench.report import Result, ratios

REPETITIONS = 5
THINKING_S = 3.0
LOAD = """\
%load_ext copilot_nb
import copilot_nb.testing as testing
testing.install(testing.ScriptedModel("ANSWER"))
"""
ASK = "%%copilot s1\nhello"
ROOT = Path(__file__).parents[1]


def run() -> list[Result]:
    """Measure."""
    options = json.dumps(session_options())
    _bare_s(options), _at_once_s(), _load_s("copilot_nb"), _load_s("bench.nothing")  # caches are filled
    bare: list[float] = []
    at_once: list[float] = []
    later: list[float] = []
    extra_ms: list[float] = []
    heavy: set[str] = set()
    for _ in range(REPETITIONS):
        bare.append(_bare_s(options))
        at_once.append(_at_once_s())
        later.append(_after_thinking_s())
        took_s, found = _load_s("copilot_nb")
        extra_ms.append(1000 * (took_s - _load_s("bench.nothing")[0]))
        heavy |= found
    return [
        ratios("start: first token, cells back to back / bare SDK", at_once, bare, at_most=1.05),
        ratios(f"start: first token after {THINKING_S:g} s of thinking / bare SDK", later, bare, at_most=0.35),
        Result("start: (the bare SDK's first token)", bare, "s"),
        Result("start: %load_ext copilot_nb over that of an empty module", extra_ms, "ms", at_most=50),
        Result(f"start: heavy modules it imports {' '.join(sorted(heavy))}".strip(), [len(heavy)], "", at_most=0),
    ]


def _bare_s(options: str) -> float:
    return float(_said("bench.bare_start", options))


def _load_s(extension: str) -> tuple[float, set[str]]:
    said = json.loads(_said("bench.load", extension))
    return said["took_s"], set(said["heavy"])


def _said(module: str, argument: str) -> str:
    """Run a module in a fresh Python and return the last line it prints."""
    command = [sys.executable, "-m", module, argument]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    return done.stdout.splitlines()[-1]


def _at_once_s() -> float:
    with fresh_kernel() as kernel:
        return _first_token_s(kernel, LOAD, ASK)


def _after_thinking_s() -> float:
    with fresh_kernel() as kernel:
        kernel.run(LOAD)
        time.sleep(THINKING_S)
        return _first_token_s(kernel, ASK)


def _first_token_s(kernel: Kernel, *cells: str) -> float:
    """Send cells, of which the last is a prompt; return the seconds until an output shows text of its answer."""
    began_s = time.perf_counter()
    came = [message.at_s for message in kernel.watch(*cells) if "ANSWER" in message.html]
    return came[0] - began_s
