"""Keeps the pipes to processes that end when these close out of forked children.

A child of `multiprocessing` inherits every open file. As long as it holds the runtime's standard input, the runtime
outlives a kernel that was killed.
"""

from __future__ import annotations

import os
import subprocess
import weakref
from typing import Any

_processes: weakref.WeakSet[subprocess.Popen[Any]] = weakref.WeakSet()


def keep_pipes_from_forks(process: subprocess.Popen[Any]) -> None:
    """Keep the pipes to `process` out of children that are forked from now on."""
    _processes.add(process)


def _replace_pipes() -> None:
    """Replace each pipe by the null device; if it were closed, another file could get its number."""
    for process in _processes:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, pipe.fileno(), inheritable=False)
                os.close(null)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_pipes)
