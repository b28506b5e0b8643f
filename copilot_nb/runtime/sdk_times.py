"""Has the SDK read the runtime's times by Python's own parser.

Why: docs/decisions/0051-read-times-as-iso.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any

from copilot.generated import rpc, session_events

READER = "from_datetime"
"""The function by which a module of the SDK reads a time."""
MODULES = (rpc, session_events)


def read_times_as_iso() -> None:
    """Replace the functions by which the SDK reads times, for all that this process does with the SDK."""
    for module in MODULES:
        vars(module)[READER] = _iso_first(inspect.unwrap(vars(module)[READER]))


def _iso_first(read: Callable[[Any], datetime]) -> Callable[[Any], datetime]:
    @functools.wraps(read)
    def from_datetime(text: Any) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except (TypeError, ValueError):
            return read(text)

    return from_datetime
