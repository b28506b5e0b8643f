"""Tab completion of ``%copilot`` and ``%%copilot``: subcommands, options, session names, models, providers."""

from __future__ import annotations

from typing import Any

from copilot_nb.notebook.arguments import ASK_OPTIONS, FORMATS, SESSION_OPTIONS
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.sessions.api import shared_manager

_TAKES_NAME = ("ask", "rm", "stop", "use", "new", "wait", "show")
_OWN_OPTIONS = {"show": ("-n", "--number"), "rm": ("-y", "--yes"), "stop": ("--all",)}


def complete(event: Any) -> list[str]:
    """Return candidates for the word under the cursor (a ``complete_command`` hook; IPython filters them)."""
    before = event.text_until_cursor.split("\n")[-1]
    words = before.split()
    if not before[-1:].isspace():
        words = words[:-1]
    if words and words[-1] in ("-m", "--model", "--models"):
        return shared_manager().providers.models
    if words and words[-1] in ("-p", "--provider", "--providers"):
        return list(shared_manager().providers.names)
    if words and words[-1] in ("-f", "--format"):
        return list(FORMATS)
    if words[:1] == ["%%copilot"]:
        return [*_names(), *_flags(ASK_OPTIONS)]
    return _line(words[1:])


def _line(words: list[str]) -> list[str]:
    if not words:
        return list(SUBCOMMANDS)
    word = words[0]
    if word == "help":
        return list(SUBCOMMANDS)
    options = {"ask": _flags(ASK_OPTIONS), "new": _flags(SESSION_OPTIONS)}.get(word, list(_OWN_OPTIONS.get(word, ())))
    return [*(_names() if word in _TAKES_NAME else []), *options]


def _flags(options: tuple[Any, ...]) -> list[str]:
    return [flag for option in options for flag in option.flags if flag.startswith("--")]


def _names() -> list[str]:
    return [f'"{name}"' if " " in name else name for name in shared_manager().names()]
