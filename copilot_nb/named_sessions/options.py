"""The options of a session (model, provider, system message, …), which each call can change.

To add an option, add a field to `SessionOptions` and a key of the same name to `OptionValues`, and apply it where the
engine loads a session (`Engine.loaded`). The flag of the magics, the signature and documentation of the Python calls,
and the stored metadata are derived from the field.

Why: docs/decisions/0034-options-in-one-place.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypedDict, TypeVar

from copilot_nb.agent.tools import LEVELS
from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import InputError
from copilot_nb.providers.base import CONTEXTS

MAX_SYSTEM_BYTES = 16_000
"""The runtime stores at most 16 KiB in one entry of a session's metadata."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Flag:
    """The command-line flag of an option, and its documentation.

    Attributes
    ----------
    names : tuple of str
        The short and long form of the flag.
    help : str
        Its description in the help of the magics.
    about : str
        Its description in the Python documentation.
    value : str
        The placeholder for its value in a help text.
    choices : tuple of str
        The allowed values; empty to allow any.
    default_word : str
        The word to type for ``""``.
    may_be_file : bool
        Whether ``@FILE`` reads the value from a file.
    """

    names: tuple[str, ...]
    help: str
    about: str
    value: str
    choices: tuple[str, ...] = ()
    default_word: str = ""
    may_be_file: bool = False


def _option(unset: str | None, flag: Flag, *, is_of_model: bool = False) -> Any:
    """Declare an option; with `is_of_model`, it is reset to its default when the model changes."""
    return dataclasses.field(default=unset, metadata={"flag": flag, "is_of_model": is_of_model})


class OptionValues(TypedDict, total=False):
    """The options as keyword arguments: ``def send(prompt, **options: Unpack[OptionValues])``."""

    model: str
    provider: str
    system: str | None
    effort: str | None
    context: str | None
    tools: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The options of a session; an unset field means the session's value, else that of the settings.

    Raises
    ------
    InputError
        If the context window has no such size, or a text is too long or cannot be encoded.
    """

    model: str = _option(
        "",
        Flag(
            ("-m", "--model"),
            "the model that answers; an existing session switches to it from this turn on",
            'The model that answers; an existing session switches to it with its next turn. ``""``: as before.',
            "MODEL",
        ),
        is_of_model=True,
    )
    provider: str = _option(
        "",
        Flag(
            ("-p", "--provider"),
            "where the model comes from: github, openai, anthropic, azure, ollama, local or one you added",
            'Where the model comes from: ``"github"``, ``"local"`` or a provider of your own. ``""``: as before.',
            "PROVIDER",
        ),
    )
    system: str | None = _option(
        None,
        Flag(
            ("-s", "--system"),
            "the system message, or @FILE to read it from",
            "The system message; ``\"\"``: none. ``None``: the session's own, else the settings'.",
            "TEXT|@FILE",
            may_be_file=True,
        ),
    )
    effort: str | None = _option(
        None,
        Flag(
            ("--effort",),
            f"how hard the model reasons, until the model is switched: {', '.join(EFFORTS)}; default: as usual",
            'How hard the model reasons, such as ``"high"``; ``""``: its default. ``None``: as before.',
            "EFFORT",
            ("default", *EFFORTS),
            default_word="default",
        ),
        is_of_model=True,
    )
    context: str | None = _option(
        None,
        Flag(
            ("--context",),
            "the size of the context window, for models that offer two: default or long",
            'The size of the model\'s window, where it has two: ``"default"`` or ``"long"``. ``None``: as before.',
            "SIZE",
            tuple(CONTEXTS),
        ),
        is_of_model=True,
    )
    tools: str | None = _option(
        None,
        Flag(
            ("-t", "--tools"),
            f"what the model may do from this turn on: {', '.join(LEVELS)} or default",
            'What the model may do: ``"none"``; ``"read"``: look at variables and cells; ``"kernel"``: also run code, '
            'if you allow it; ``"all"``: also use a shell and files. ``""``: the settings\'. ``None``: as before.',
            "LEVEL",
            ("default", *LEVELS),
            default_word="default",
        ),
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.default == "":
                object.__setattr__(self, field.name, "")  # None is as if it was not given
            elif value is not None:
                sendable(value, f"the {field.name}" if field.name != "system" else "the system message")
        if self.tools and self.tools not in LEVELS:
            raise InputError(f"there are no tools {self.tools!r}", f"one of: {', '.join(LEVELS)}")
        if self.context and self.context not in CONTEXTS:
            raise InputError(f"a model's window has no size {self.context!r}", f"one of: {', '.join(CONTEXTS)}")
        if len((self.system or "").encode()) > MAX_SYSTEM_BYTES:
            raise InputError(f"the system message is longer than {MAX_SYSTEM_BYTES:,} bytes")

    @classmethod
    def stored(cls, entries: Mapping[str, str], prefix: str) -> SessionOptions:
        """Return the options from metadata entries written by `to_store`; missing entries become ``""``."""
        return cls(**{name: entries.get(f"{prefix}{name}", "") for name in FLAGS})

    def to_store(self, prefix: str) -> dict[str, str]:
        """Return the options as metadata entries of a session."""
        return {f"{prefix}{name}": value or "" for name, value in self._items()}

    def merged_with(self, changes: SessionOptions) -> SessionOptions:
        """Return these options with `changes` applied.

        The model is not kept when the provider changes, nor are the effort and the context size when the model changes.
        """
        if changes == UNSET:
            return self
        is_other = any(getattr(changes, name) not in ("", getattr(self, name)) for name in ("model", "provider"))
        has_new_model = is_other or bool(changes.provider and not changes.model)
        kept = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if not (has_new_model and field.metadata["is_of_model"])
        }
        return SessionOptions(**kept | changes.said())

    def said(self) -> dict[str, Any]:
        """Return the options that are set."""
        return {name: value for name, value in self._items() if value != getattr(UNSET, name)}

    @property
    def label(self) -> str:
        """The model and its provider, for display: ``"gpt-5 (github)"``."""
        return model_label(self.provider, self.model)

    def needs_reload(self, loaded: SessionOptions) -> bool:
        """Whether a session loaded with `loaded` must be loaded again for these options.

        The effort needs no reload, and the tools only where `Toolkit.needs_reload` says so.
        """
        return any(value != getattr(loaded, name) for name, value in self._items() if name not in ("effort", "tools"))

    def settled(self) -> SessionOptions:
        """Return the same options with ``""`` for each unset one."""
        if all(value is not None for _, value in self._items()):
            return self
        return SessionOptions(**{name: value or "" for name, value in self._items()})

    def _items(self) -> list[tuple[str, str | None]]:
        return [(name, getattr(self, name)) for name in FLAGS]


FLAGS: Mapping[str, Flag] = {field.name: field.metadata["flag"] for field in dataclasses.fields(SessionOptions)}
UNSET = SessionOptions()
"""Options of which none is set."""


def model_label(provider: str, model: str) -> str:
    """Return a model and its provider, for display: ``"gpt-5 (github)"``."""
    return f"{model or 'the default model'} ({provider})"


def takes_options(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """List the ``**options`` of a function in its signature, and in place of ``{options}`` in its docstring."""
    signature = inspect.signature(call)
    by_name = inspect.Parameter.KEYWORD_ONLY
    given = list(signature.parameters.values())
    hints = {name: getattr(hint, "__forward_arg__", hint) for name, hint in OptionValues.__annotations__.items()}
    options = [
        inspect.Parameter(name, by_name, default=getattr(UNSET, name), annotation=hint) for name, hint in hints.items()
    ]
    others = [each for each in given if each.kind is by_name]
    placed = [each for each in given if each.kind not in (by_name, inspect.Parameter.VAR_KEYWORD)]
    vars(call)["__signature__"] = signature.replace(parameters=[*placed, *options, *others])
    call.__doc__ = re.sub(r"^( *)\{options\}$", _documented, call.__doc__ or "", flags=re.MULTILINE)
    return call


def _documented(place: re.Match[str]) -> str:
    lines = "\n".join(f"{name} : str, optional\n    {flag.about}" for name, flag in FLAGS.items())
    return textwrap.indent(lines, place[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to open a session, in addition to its name and options.

    Attributes
    ----------
    session_id : str
        The id of a new session in the runtime; ``""`` to derive it from the name.
    new : bool
        Start a new session even if one of that name exists.
    take_over : bool
        Continue in a copy if another process has the session open.
    user : str
        The user the session must belong to; a new session is assigned to this user. ``""`` to skip the check.
    """

    session_id: str = ""
    new: bool = False
    take_over: bool = False
    user: str = ""
