"""Write the tables of options, subcommands and settings from the help in the code: `python -m docs.tables`.

A table is between two comments in its page; the first one names it. The texts are those of the help. This module adds
the look of code, and links a name to the page that explains it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from copilot_nb.notebook.arguments import ASK_OPTIONS, Option
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.notebook.subcommands.base import Subcommand
from copilot_nb.settings import CopilotNB

PAGES = sorted(Path(__file__).parent.glob("*.md"))
_PLACE = re.compile(
    r"^(<!-- table of (\w+), by python -m docs\.tables -->\n).*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(
    r"`[^`]+`"  # written as code
    r"|\{'(?:[^{}]|\{[^{}]*\})*\}"  # a dictionary
    r"|(?<!\w)'(?P<quoted>[^']*)'(?!\w)"
    r"|\{\{.*?\}\}"
    rf"|%%?copilot(?: (?:{'|'.join(SUBCOMMANDS)})\b\??)?"
    r"|cp\.\w+\([^)]*\)"
    r"|(?<![\w-])--?[a-z][\w-]*"  # an option
    r"|\b[A-Za-z]+(?:_[A-Za-z]+)+\b"  # a variable or a setting
    r"|\{\w+\}|\bNAME(?:~1|@[A-Z]+|:creative)?\b|~/\.copilot|@FILE|(?<!\w)\.(?:env|md|html|json|ipynb)\b"
)
LINKS: dict[str, dict[str, str]] = {
    "settings": {
        "provider": "providers.md",
        "providers": "providers.md#an-endpoint-of-your-own",
        "aliases": "providers.md#short-names-for-models",
        "rerun": "magics.md#running-a-cell-again",
        "hide_secrets": "magics.md#secrets",
        "tools": "agent.md",
        "permissions": "agent.md#rules",
        "mcp_servers": "agent.md#a-shell-files-and-mcp-servers",
        "visitor_sessions_max_age_days": "voila.md#sessions-that-expire",
        "local_models": "providers.md#the-embedded-model",
    },
    "options": {
        "-p": "providers.md",
        "-t": "agent.md",
        "-f": "#code-into-a-new-cell",
        "--schema": "#structured-answers",
    },
    "subcommands": {
        "approve": "agent.md#who-decides",
        "deny": "agent.md#who-decides",
        "answer": "agent.md#who-decides",
        "compare": "compare.md",
        "fix": "#when-a-cell-fails",
        "login": "providers.md#copilot",
        "provider": "providers.md#an-endpoint-of-your-own",
    },
}
_EXPLAINED_THERE = ("compare", "provider")
"""Subcommands whose options the linked page explains."""


def _settings() -> Iterator[tuple[str, ...]]:
    yield "setting", "what it does"
    traits = CopilotNB.class_own_traits(config=True)
    for name in (name for name in vars(CopilotNB) if name in traits):
        default = traits[name].default()
        shown = json.dumps(default) if isinstance(default, str) else repr(default)
        text = _marked(traits[name].help)
        yield _linked("settings", name, f"`{name}`"), text if "Default:" in text else f"{text} Default: `{shown}`."


def _options() -> Iterator[tuple[str, ...]]:
    yield "option", "what it does"
    for option in ASK_OPTIONS:
        yield _linked("options", option.flags[0], _flags(option)), _marked(option.help)


def _subcommands() -> Iterator[tuple[str, ...]]:
    yield "line", "what it does"
    for word, command in SUBCOMMANDS.items():
        usage = " ".join([f"%copilot {word}", *_arguments(command)])
        yield _linked("subcommands", word, f"`{usage}`"), "<br>".join(_explained(command))


def _arguments(command: Subcommand) -> Iterator[str]:
    for action in command.parser()._actions:  # noqa: SLF001 - argparse names no other way
        if not action.option_strings:
            label = str(action.metavar)
            yield {"?": f"[{label}]", "*": f"[{label} ...]", "+": f"{label} ..."}.get(str(action.nargs), label)
    if command.prompt:
        yield command.prompt


def _explained(command: Subcommand) -> Iterator[str]:
    yield _marked(command.summary)
    if command.word in _EXPLAINED_THERE:
        return
    yield from (f"{_flags(option)}: {_marked(option.help)}" for option in command.options if option not in ASK_OPTIONS)
    of_cell = [f"`{option.flags[0]}`" for option in command.options if option in ASK_OPTIONS]
    if len(of_cell) == len(ASK_OPTIONS):
        yield "All options of the cell, before the name"
    elif of_cell:
        yield f"Options of the cell: {', '.join(of_cell)}"


def _flags(option: Option) -> str:
    *short, last = option.flags
    return ", ".join(f"`{flag}`" for flag in [*short, f"{last} {option.value}".strip()])


def _linked(table: str, name: str, text: str) -> str:
    target = LINKS[table].get(name)
    return f"[{text}]({target})" if target else text


def _marked(text: str) -> str:
    """Return a help with the look of code; what it quotes is code."""

    def code(found: re.Match[str]) -> str:
        quoted = found["quoted"]
        words = found[0].strip("`") if quoted is None else quoted or '""'
        return f"`{words}`"

    return _CODE.sub(code, text)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * (head.count(" | ") + 1), *body])


TABLES: dict[str, Callable[[], Iterator[tuple[str, ...]]]] = {
    "settings": _settings,
    "options": _options,
    "subcommands": _subcommands,
}


def written(page: str) -> str:
    """Return the text of a page with its tables as the code is now."""
    return _PLACE.sub(lambda found: f"{found[1]}\n{_table(TABLES[found[2]]())}\n\n{found[3]}", page)


def main() -> None:
    """Write the pages whose tables have changed."""
    for page in PAGES:
        text = page.read_text("utf-8")
        if (new := written(text)) != text:
            page.write_text(new, "utf-8")
            print(f"wrote {page.name}")


if __name__ == "__main__":
    main()
