"""Reads JSON that somebody else wrote: a provider, a model, a file.

Python's parser raises `RecursionError`, which is no `ValueError`, for ``[[[[…`` of a thousand brackets; and what it can
just read may be too deep for the code that walks through it. So every reader of JSON that we did not write calls this
module, and has one error to handle.
"""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 200
"""How deep lists and objects may be nested (levels); the runtime allows 128 in what it stores."""

_TOO_DEEP = "it is nested too deeply"


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.
    """
    try:
        return _checked(json.loads(text), text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def parsed_beginning(text: str) -> Any:
    """Return the JSON value that a text begins with, whatever stands behind it.

    Raises
    ------
    ValueError
        If it begins with none, or it is nested too deeply.
    """
    try:
        return _checked(json.JSONDecoder().raw_decode(text)[0], text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _checked(value: Any, text: str | bytes) -> Any:
    opened = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    if opened > MAX_DEPTH and _is_too_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        held = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        if not held:
            return False
        level = [inner for each in held for inner in each]
    return True
