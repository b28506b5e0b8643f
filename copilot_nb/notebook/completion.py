"""Tab completion of ``%copilot`` and ``%%copilot``: subcommands, options, session names, models, providers.

IPython begins a new word at a quotation mark, a colon or a comma; a name with blanks and a model such as
``smollm2-135m:creative`` are one word here. So each candidate says which part of the line it replaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from IPython.core.completer import SimpleCompletion, SimpleMatcherResult
from IPython.core.getipython import get_ipython

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.notebook.arguments import ASK_OPTIONS, Option
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.notebook.subcommands.comparing import COMPARE, COMPARE_OPTIONS, SCORERS
from copilot_nb.structured import is_like_schema

_FILES = ("-a", "--attach", "--over", "--store")
_VARIABLES = ("-a", "--attach", "--over", "--scorer", "--systems")
_LISTS = ("--models", "--providers", "--efforts")
_CHOICES = {flag: dict(option.settings).get("choices", ()) for option in ASK_OPTIONS for flag in option.flags}
_WORD = re.compile(r"""["'][^"']*["']?|[^\s"']+""")


def complete(before: str) -> SimpleMatcherResult:
    """Return candidates for the word at the end of `before`, the line up to the cursor.

    Others are wanted only where a file may be named: those are IPython's to know.
    """
    words, typed = _typed(before)
    found = [SimpleCompletion(each, type="magic") for each in _candidates(words) if each.startswith(typed)]
    is_alone = not words or words[-1] not in _FILES
    return {"completions": found, "matched_fragment": typed, "suppress": is_alone, "ordered": True}


def _typed(before: str) -> tuple[list[str], str]:
    """Return the words before the cursor, and the word being typed."""
    words = _WORD.findall(before)
    is_open = bool(words) and words[-1][0] in "\"'" and words[-1].count(words[-1][0]) == 1
    if not words or (before[-1].isspace() and not is_open):
        return words, ""
    *words, typed = words
    if words and words[-1] in _LISTS:
        typed = typed.rpartition(",")[2]
    return words, typed


def _candidates(words: list[str]) -> list[str]:
    if words and words[-1] == "--schema":
        return [name for name, value in _variables().items() if is_like_schema(value)]
    if words and words[-1] in _VARIABLES:
        return [*_variables(), *(SCORERS if words[-1] == "--scorer" else ())]
    if words and words[-1] in ("-m", "--model", "--models", "--judge"):
        return _of_kind("model")
    if words and words[-1] in ("-p", "--provider", "--providers"):
        return _of_kind("provider")
    if words and (choices := _CHOICES.get(words[-1])):
        return list(choices)
    if words[:2] == ["%%copilot", COMPARE.word]:
        return _flags(COMPARE_OPTIONS)
    if words[:1] == ["%%copilot"]:
        return [*([COMPARE.word] if not words[1:] else []), *_names(), *_flags(ASK_OPTIONS)]
    return _line(words[1:])


def _line(words: list[str]) -> list[str]:
    if not words or words[0] not in SUBCOMMANDS:
        return [] if words else list(SUBCOMMANDS)
    command = SUBCOMMANDS[words[0]]
    offered = [each for kind in dict.fromkeys(argument.kind for argument in command.takes) for each in _of_kind(kind)]
    return [*offered, *_flags(command.options)]


def _of_kind(kind: str) -> list[str]:
    match kind:
        case "session":
            return _names()
        case "command":
            return list(SUBCOMMANDS)
        case "model":
            manager = shared_manager()
            return [*manager.settings.aliases, *manager.providers.models]
        case "provider":
            return list(shared_manager().providers.names)
        case _:
            return []


def _variables() -> dict[str, object]:
    """Return the user's variables, sorted by name."""
    shell = get_ipython()
    if shell is None:
        return {}
    own = set(shell.user_ns) - set(shell.user_ns_hidden)
    return {name: shell.user_ns[name] for name in sorted(own) if not name.startswith("_")}


def _flags(options: Sequence[Option]) -> list[str]:
    return [flag for option in options for flag in option.flags if flag.startswith("--")]


def _names() -> list[str]:
    return [f'"{name}"' if " " in name else name for name in shared_manager().names()]
