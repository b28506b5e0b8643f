"""Parses time spans such as ``30d`` and ``12h``."""

from __future__ import annotations

import re
from datetime import timedelta

from copilot_nb.errors import InputError

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_age(text: str) -> timedelta:
    """Return the time span that `text` describes.

    Raises
    ------
    InputError
        If `text` is not a number followed by m, h, d or w.

    Examples
    --------
    >>> parse_age("30d").days
    30
    """
    match = re.fullmatch(r"(\d{1,6})\s*([mhdw])", text.strip().lower())
    if match is None:
        raise InputError(f"{text!r} is not a time span", "for example 30d, 12h, 45m or 2w")
    return int(match[1]) * _UNITS[match[2]]
