"""Seconds of processor time, of this process and of those it has started."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Load:
    """What something took: seconds in all, and seconds of processor time in Python and in the runtimes."""

    took_s: float
    python_s: float
    runtime_s: float

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time."""
        return self.python_s + self.runtime_s


def taken(apart: Collection[int] = ()) -> Load:
    """Return what has been taken so far, without the processes of the ids `apart`."""
    python_s = runtime_s = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            if "--headless" in process.cmdline():
                runtime_s += times.user + times.system
            elif process.pid not in apart:
                python_s += times.user + times.system
    return Load(time.perf_counter(), python_s, runtime_s)


def since(began: Load, apart: Collection[int] = ()) -> Load:
    """Return what has been taken since `began`."""
    now = taken(apart)
    return Load(now.took_s - began.took_s, now.python_s - began.python_s, now.runtime_s - began.runtime_s)
