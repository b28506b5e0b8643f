"""The subcommand ``compare``, as a line or as a cell: `copilot_nb.compare` without Python."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import InputError
from copilot_nb.experiments import scorers
from copilot_nb.experiments.judge import Judge
from copilot_nb.experiments.prompts import ATTACH, PROMPT, SUFFIXES, names_file
from copilot_nb.named_sessions.ages import parse_age
from copilot_nb.notebook.arguments import TURN_OPTIONS, Option, listed, masked, text_of
from copilot_nb.notebook.comparing import compare
from copilot_nb.notebook.subcommands.base import Subcommand
from copilot_nb.notebook.workspace import assign, attachable, check_variable, option_value
from copilot_nb.render.words import shortened
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext

SCORERS = {factory.__name__: factory for factory in scorers.FACTORIES}
"""The built-in scorers by their names."""
MAX_PATH_CHARS = 200


def compare_line(context: MagicContext, args: argparse.Namespace) -> object:
    """Compare the answers to the prompt of a line, or to a table of prompts, and return the result to show."""
    check_variable(args.out)
    if not args.prompt and not args.over:
        raise InputError("there is no prompt to compare answers to", "%copilot compare --models a,b PROMPT")
    prompts, template = _prompts(context, args)
    options = _options(context, args)
    if not args.over and not _compares(options):
        raise InputError(
            "there is nothing to compare: this is one prompt to one model",
            "name others before the prompt: %copilot compare --models a,b PROMPT",
        )
    result = compare(prompts, template, **options)
    if args.out:
        assign(context.shell, args.out, result)
    if args.plan:
        return result.plan()
    return None if args.quiet else result


def compare_cell(context: MagicContext, args: argparse.Namespace, body: str, evaluate: Callable[[str], str]) -> object:
    """Compare the answers to the prompt below the first line of a cell; with ``--over`` it is a template."""
    if body.strip():
        if args.prompt:
            raise InputError(
                f"%%copilot compare does not know {masked(repr(args.prompt.split()[0]))}",
                "the first line has only options; see %copilot help compare",
            )
        args.prompt = body if args.over else interpolate(body, evaluate)
    return compare_line(context, args)


def _compares(options: Mapping[str, Any]) -> bool:
    """Whether a single prompt is sent more than once, to other models or with other options."""
    named = [options.get(name) for name in ("models", "providers", "efforts", "systems")]
    several = (isinstance(values, Sized) and not isinstance(values, str) and len(values) > 1 for values in named)
    return (options["repeats"] or 1) > 1 or any(several)


def _prompts(context: MagicContext, args: argparse.Namespace) -> tuple[object, str]:
    """Return the prompts and the template of a line."""
    if not args.over:
        attached = {name: attachable(context.shell, name) for name in args.attach}
        return [{PROMPT: args.prompt, **({ATTACH: attached} if attached else {})}], ""
    if args.attach:
        raise InputError("--attach and --over cannot be combined", f"attach by a column {ATTACH!r} of the table")
    return _table(context, args.over), args.prompt


def _table(context: MagicContext, over: str) -> object:
    """Return the table of ``--over``: the path of a file, or the value of a variable."""
    path = expanded(over)
    if path.is_file():
        return path
    is_of_variable = over.partition(".")[0] in context.shell.user_ns  # `data.arrow` may be an attribute
    if names_file(over) and not is_of_variable:
        raise InputError(f"--over: there is no file {shortened(over, MAX_PATH_CHARS)}", _TABLES)
    return option_value(context.shell, "--over", over, hint=_TABLES)


def _options(context: MagicContext, args: argparse.Namespace) -> Mapping[str, Any]:
    """Return the options of a line as those of `compare`; ``None`` leaves one at its default."""
    if args.system and args.systems:
        raise InputError("--system and --systems cannot be combined", "put all system messages into the variable")
    by_name = {name: listed(getattr(args, name)) or None for name in ("models", "providers", "efforts")}
    as_typed = {name: getattr(args, name) for name in _AS_TYPED}
    values = {
        name: option_value(context.shell, f"--{name}", word)
        for name in ("systems", "schema")
        if (word := getattr(args, name))
    }
    return {
        **by_name,
        **as_typed,
        **({"systems": [text_of(text) for text in args.system]} if args.system else {}),
        **values,
        "scorers": [_scorer(context, word) for word in args.scorers],
        "judge": _judge(context, args.judge) if args.judge else None,
        "keep": "sessions" if args.keep_sessions else "answers",
        "max_age": parse_age(args.max_age) if args.max_age else None,
        "ask": not args.plan,
        "on_progress": _silent if args.quiet else None,
    }


def _silent(_progress: object) -> None:
    """Show no progress."""


def _judge(context: MagicContext, word: str) -> Any:
    """Return the judge of ``--judge``: a `Judge` in a variable, or else the name of a model."""
    found = context.shell.user_ns.get(word)
    return found if isinstance(found, Judge) else word


def _scorer(context: MagicContext, word: str) -> Any:
    """Return the scorer of ``--scorer``: a built-in one may be named without its parentheses."""
    found = option_value(context.shell, "--scorer", word, SCORERS)
    is_bare = any(found is factory for factory in SCORERS.values())
    return option_value(context.shell, "--scorer", f"{word}()", SCORERS) if is_bare else found


_TABLES = f"name a file that ends with {', '.join(SUFFIXES)}, or a variable that holds a table"
_AS_TYPED = ("repeats", "cluster", "seed", "store", "max_cost", "max_tokens", "retries", "confirm")

COMPARE_OPTIONS = (
    Option(("--over",), "a table of prompts, whose columns are the {{ column }} of the prompt", "VARIABLE|FILE"),
    Option(("--models",), "the models to compare; PROVIDER/MODEL names the provider, too", "MODEL,MODEL"),
    Option(("--providers",), "the providers to compare", "PROVIDER,PROVIDER"),
    Option(("--efforts",), "the reasoning efforts to compare", "EFFORT,EFFORT"),
    Option(
        ("-s", "--system"),
        "a system message; several of them are compared",
        "TEXT|@FILE",
        (("action", "append"), ("default", [])),
    ),
    Option(("--systems",), "the system messages to compare: a text, a list, or a dict with their names", "VARIABLE"),
    Option(("--repeats",), "how often each prompt is sent to each variant", "N", (("type", int),)),
    Option(
        ("--scorer",),
        "score the answers: contains, numeric(tolerance=0.1) or a function of yours; may be repeated",
        "SCORER",
        (("action", "append"), ("default", []), ("dest", "scorers")),
    ),
    Option(("--judge",), "a model that compares each two answers, in both orders; or a Judge", "MODEL|VARIABLE"),
    Option(("--schema",), "the schema of the answers", "VARIABLE"),
    Option(("--cluster",), "the column that groups prompts; the statistics treat each group as one", "COLUMN"),
    Option(("--seed",), "the seed of the order of prompts and variants", "N", (("type", int),)),
    Option(("--store",), "the file of the answers; by default a file next to the notebook", "FILE"),
    Option(("--keep-sessions",), "keep the session of each answer, to continue the conversation"),
    Option(("--max-age",), "ask again for answers that are older than this: 30d, 12h, 45m, 2w", "AGE"),
    Option(("--max-cost",), "request no more answers at this cost, in the runtime's unit", "COST", (("type", float),)),
    Option(("--max-tokens",), "request no more answers at this number of tokens", "N", (("type", int),)),
    Option(("--retries",), "how often a failed answer is requested again", "N", (("type", int),)),
    Option(("--confirm",), "allow more than 10,000 answers, or a file that holds only other comparisons"),
    Option(("--plan",), "request nothing; show how many answers are kept and what the rest may cost"),
    *(option for option in TURN_OPTIONS if {"--attach", "--quiet"} & set(option.flags)),
    Option(("-o", "--out"), "put the result into this variable", "VAR"),
)
COMPARE = Subcommand(
    "compare",
    "Compare models, providers or system messages, each answer in its own session; also a cell: %%copilot compare.",
    compare_line,
    options=COMPARE_OPTIONS,
    prompt="PROMPT",
)
COMMANDS = (COMPARE,)
