"""Tab completion of ``%copilot`` and ``%%copilot``: subcommands, options, session names, models, providers.

IPython begins a new word at a quotation mark, a colon or a comma; a name with blanks and a model such as
``smollm2-135m:creative`` are one word here. So it is told which piece of the line a candidate replaces.
"""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import SimpleCompletion, SimpleMatcherResult

from copilot_nb.notebook.arguments import ASK_OPTIONS, FORMATS, SESSION_OPTIONS
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.sessions.api import shared_manager

_WORD = re.compile(r"""["'][^"']*["']?|[^\s"']+""")
_TAKES_NAME = ("ask", "rm", "stop", "use", "new", "wait", "show")
_OWN_OPTIONS = {"show": ("-n", "--number"), "rm": ("-y", "--yes"), "stop": ("--all",)}


def complete(before: str) -> SimpleMatcherResult:
    """Return candidates for the word at the end of `before`, the line up to the cursor; no others are wanted then."""
    words, typed = _typed(before)
    found = [SimpleCompletion(each, type="magic") for each in _candidates(words) if each.startswith(typed)]
    return {"completions": found, "matched_fragment": typed, "suppress": True, "ordered": True}


def _typed(before: str) -> tuple[list[str], str]:
    """Return the words before the cursor, and the one that is being typed."""
    words = _WORD.findall(before)
    is_open = bool(words) and words[-1][0] in "\"'" and words[-1].count(words[-1][0]) == 1
    if not words or (before[-1].isspace() and not is_open):
        return words, ""
    *words, typed = words
    if words and words[-1] in ("--models", "--providers"):
        typed = typed.rpartition(",")[2]
    return words, typed


def _candidates(words: list[str]) -> list[str]:
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
