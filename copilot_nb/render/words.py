"""Times and amounts in words, and suggestions for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import timedelta

_MINUTE_S = 60
_DAY_S = 24 * 60 * _MINUTE_S
_UNITS = (
    (365 * _DAY_S, "year"),
    (30 * _DAY_S, "month"),
    (7 * _DAY_S, "week"),
    (_DAY_S, "day"),
    (60 * _MINUTE_S, "hour"),
    (_MINUTE_S, "minute"),
    (1, "second"),
)
_TENTHS_BELOW_S = 9.95
_NEAREST = 3


def age(delta: timedelta) -> str:
    """Return a span of time in its largest unit, rounded down: ``"3 minutes"``, ``"2 days"``, ``"a moment"``."""
    seconds = int(delta.total_seconds())
    for unit_s, name in _UNITS:
        if seconds >= unit_s:
            return count(seconds // unit_s, name)
    return "a moment"


def count(number: int, noun: str) -> str:
    """Return a number and a noun that agree: ``"1 turn"``, ``"1,200 turns"``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a duration in short: ``"0.4 s"``, ``"12 s"``, ``"3 min 20 s"``, ``"1 h 5 min"``."""
    minutes, whole_s = divmod(round(seconds), _MINUTE_S)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {whole_s} s"
    return f"{whole_s} s" if seconds >= _TENTHS_BELOW_S else f"{max(seconds, 0):.1f} s"


def shortened(text: str, max_chars: int) -> str:
    """Return `text`, or its beginning and the number of characters left out."""
    left_out = len(text) - max_chars
    return text if left_out <= 0 else f"{text[:max_chars]}… ({left_out:,} more characters)"


def nearest(word: str, known: Sequence[str]) -> list[str]:
    """Return the words in `known` that look most like `word`."""
    alike = [name for name in known if word.lower() in name.lower()][:_NEAREST]
    return list(dict.fromkeys(alike + difflib.get_close_matches(word, known, _NEAREST, 0.4)))[:_NEAREST]


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ``"did you mean ls? "`` where one of `known` is nearly `word`; ``""`` where none is.

    `prefix` is what all of `known` begin with; it is not compared.
    """
    names = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
    found = difflib.get_close_matches(word.removeprefix(prefix), names, 1)
    return f"did you mean {prefix}{found[0]}? " if found else ""
