"""The grammar of ``%%copilot`` and ``%copilot``: parsers whose help is the documentation.

A prompt is literal text: quotes, braces and dollars in it mean nothing. Only the words before it are split, by
`split_head`, which therefore has to know which options take a value.
"""

from __future__ import annotations

import argparse
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import FLAGS, Flag, Opening, SessionOptions
from copilot_nb.render.words import did_you_mean
from copilot_nb.system.paths import expanded

_LONG_WORD = re.compile(r"(?<![\w./-])(?=\S*\d)[\w./+=-]{20,}")
_KEY_OPTION = re.compile(r"--?(?:api[-_]?key|key|token|secret|password)(?:=.*)?", re.IGNORECASE | re.DOTALL)
FORMATS = ("markdown", "text", "code", "json")


class Parser(argparse.ArgumentParser):
    """A parser that raises an error of one line instead of leaving the process."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            add_help=False,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse words; a word that may be a key is refused and never repeated.

        Raises
        ------
        InputError
            If they are not valid.
        """
        options = words[: words.index("--")] if "--" in words else words
        if any(_KEY_OPTION.fullmatch(word) for word in options):
            raise InputError(
                "do not type a key into a cell: it would stay in the notebook and in the history",
                "delete it from the cell, then: %copilot provider add NAME --ask-key (or --api-key-env VAR)",
            )
        known, unknown = self.parse_known_args(words)
        if unknown:
            flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
            self._refuse(
                f"unrecognized arguments: {' '.join(flags or unknown)}",
                did_you_mean(flags[0], self._option_string_actions, "--") if flags else "",
            )
        return known

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse would print.

        Raises
        ------
        InputError
            Always.
        """
        self._refuse(message)

    def _refuse(self, message: str, advice: str = "") -> NoReturn:
        see = f"see %copilot help {self.prog.split()[-1].lstrip('%')}"
        raise InputError(f"{self.prog}: {masked(message)}", advice + see)


def masked(text: str) -> str:
    """Return `text` without its long words: a misplaced word may be a key."""
    return _LONG_WORD.sub("…", text)


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its flags, its help, and the name of its value (``""``: it takes none)."""

    flags: tuple[str, ...]
    help: str
    value: str = ""
    settings: tuple[tuple[str, Any], ...] = ()

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declare the option to a parser."""
        if self.value:
            parser.add_argument(*self.flags, metavar=self.value, help=self.help, **dict(self.settings))
        else:
            parser.add_argument(*self.flags, action="store_true", help=self.help, **dict(self.settings))


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"give a number of seconds above 0, not {value!r}")
    return seconds


def _of_flag(flag: Flag) -> Option:
    return Option(flag.names, flag.help, flag.value, (("choices", flag.choices),) if flag.choices else ())


SESSION_OPTIONS = (
    *map(_of_flag, FLAGS.values()),
    Option(
        ("--id",),
        "the id under which the runtime stores a new session, such as user-123-chat",
        "SESSION_ID",
        (("dest", "session_id"),),
    ),
    Option(("--new",), "start again with the session's own model and options; the earlier session is kept as NAME~1"),
    Option(
        ("--take-over",),
        "if another process has the session open: continue in a copy of it, NAME~1; NAME stays with the other process",
    ),
)
TURN_OPTIONS = (
    Option(
        ("-a", "--attach"),
        "attach a text file, an image, a figure or a table; may be repeated",
        "PATH|VARIABLE",
        (("action", "append"), ("default", [])),
    ),
    Option(("-q", "--quiet"), "show nothing"),
    Option(("-o", "--out"), "put the Turn (of several sessions: their list) into a variable", "VAR"),
    Option(
        ("-f", "--format"),
        "markdown: rendered; text: as it is; code: into a new cell; json: checked and shown",
        "FORMAT",
        (("choices", FORMATS), ("default", "markdown")),
    ),
    Option(
        ("--schema",),
        "what the answer must look like: the name of a dataclass, a TypedDict, a pydantic model or a JSON schema",
        "NAME",
    ),
    Option(
        ("--timeout",),
        "stop if the model sends nothing for this many seconds (default: the setting timeout_s)",
        "SECONDS",
        (("type", _seconds), ("default", 0.0), ("dest", "timeout_s")),
    ),
)
FAN_OPTIONS = (
    Option(
        ("--now",),
        "do not wait: stop the running answer (its text so far is kept), then send this prompt; the model is told what "
        "it had said",
    ),
    Option(("-b", "--background"), "return at once; the answer streams into this cell while others run"),
    Option(("--create",), "with several names: create those that are new"),
    Option(
        ("--models",),
        "one session for each model, named NAME@MODEL, side by side: a first comparison by eye",
        "MODEL,MODEL",
    ),
    Option(("--providers",), "one session for each provider, named NAME@PROVIDER, side by side", "PROVIDER,PROVIDER"),
)
ASK_OPTIONS = SESSION_OPTIONS + TURN_OPTIONS + FAN_OPTIONS


def cell_parser() -> Parser:
    """Return the parser of ``%%copilot``."""
    parser = Parser(
        "%%copilot",
        "Send the body of the cell to sessions, which are created if they are new and resumed if they exist.\n"
        r"The body is literal text; only {{ expression }} is replaced by its value (\{{ writes two braces).",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="the sessions, side by side; without a name: the one chosen by %%copilot use",
    )
    for option in ASK_OPTIONS:
        option.add_to(parser)
    return parser


def parse_cell(line: str) -> argparse.Namespace:
    """Parse the first line of a ``%%copilot`` cell.

    Raises
    ------
    InputError
        If it is not valid.
    """
    return cell_parser().parse(split_words(line))


def split_words(line: str) -> list[str]:
    """Split a line into words as a shell does.

    Raises
    ------
    InputError
        If a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InputError(f"cannot read {line.strip()[:60]!r}: {str(error).lower()}", "add the closing quote") from error


_WORD = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[^\s"'])+)""")


def split_head(text: str, options: Sequence[Option], names: int = 1) -> tuple[list[str], str]:
    """Split options and so many `names` off the beginning of `text`; return them and the rest, unchanged."""
    takes_value = {flag for option in options if option.value for flag in option.flags}
    head: list[str] = []
    while (match := _WORD.match(text)) is not None:
        is_value = bool(head) and head[-1] in takes_value
        is_name = not match[1].startswith("-") and not is_value
        if is_name and not names:
            break
        head += split_words(match[1])
        text = text[match.end() :]
        if is_name and not (names := names - 1):
            break
    return head, text.strip()


def options_of(args: argparse.Namespace) -> SessionOptions:
    """Return the options of a session that a line names.

    Raises
    ------
    InputError
        If one cannot be used, or its file cannot be read.
    """
    given = {name: value for name in FLAGS if (value := getattr(args, name)) is not None}
    return SessionOptions(**{name: _meant(FLAGS[name], value) for name, value in given.items()})


def listed(value: str | None) -> list[str]:
    """Return the words of a list such as ``a,b``, each once."""
    return list(dict.fromkeys(word.strip() for word in (value or "").split(",") if word.strip()))


def _meant(flag: Flag, value: str) -> str:
    if flag.may_be_file:
        value = text_of(value)
    return "" if value == flag.default_word else value


def opening_of(args: argparse.Namespace) -> Opening:
    """Return which session a line is for, beyond its name."""
    return Opening(session_id=args.session_id or "", new=args.new, take_over=args.take_over)


def text_of(value: str) -> str:
    """Return the text of a system message: `value`, or for ``@FILE`` what is in that file.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if not value.startswith("@"):
        return value
    path = value[1:]
    try:
        return expanded(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"cannot read the system message from {path}: {reason}") from error
