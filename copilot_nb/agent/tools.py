"""What a tool is, for this package: a name, a schema, and a function that returns text for the model.

`runtime.tools` gives the specifications to the runtime, hides secrets in each result, shortens it, and asks for
permission before each call that needs it. A `Workspace` is what the tools that look at the notebook read; the notebook
implements it, so nothing here knows IPython.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from copilot_nb.agent.policy import HARMLESS, Call, Kind

Level = Literal["none", "read", "kernel", "all"]
"""Which tools a session has: none; those that look at the notebook; also those that run code in the kernel; also the
runtime's own (a shell, files, MCP servers). The user's own tools come with each level but ``none``."""
LEVELS: tuple[Level, ...] = ("none", "read", "kernel", "all")
MAX_RESULT_BYTES = 16_000
"""The longest result (bytes of UTF-8): beyond 20,480 the runtime writes it to a file and gives the model the path."""

Arguments = Mapping[str, Any]


class ToolFailure(Exception):
    """Raised by a tool to tell the model, in its message, why it could not do what was asked."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """Where a call comes from.

    Attributes
    ----------
    session, session_id : str
        The session's name and its id in the runtime.
    call_id : str
        The runtime's id of the call.
    """

    session: str
    session_id: str
    call_id: str


@dataclass(frozen=True, slots=True)
class ToolImage:
    """An image in a result."""

    mime_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """A result that is more than a text.

    Attributes
    ----------
    text : str
        The text.
    images : tuple of ToolImage
        The images; a model that sees none gets the text only.
    succeeded : bool
        Whether the tool did what was asked.
    """

    text: str
    images: tuple[ToolImage, ...] = ()
    succeeded: bool = True


Run = Callable[[Arguments, CallContext], "str | ToolOutput | Awaitable[str | ToolOutput]"]


@dataclass(frozen=True, slots=True, eq=False)
class ToolSpec:
    """A tool that this package gives to a model.

    Attributes
    ----------
    name, description : str
        What the model knows it by, and when to use it.
    run : callable
        Called with the arguments and a `CallContext`; returns the result for the model, a text or a `ToolOutput`. A
        plain function runs in a thread of its own pool and may block; a coroutine function runs on the event loop and
        must not. An exception reaches the model as one line; raise `ToolFailure` for an error that is only a message.
    parameters : mapping
        The JSON schema of the arguments, an object (see `schema_of`); empty: it takes none.
    kind : Kind
        What it does, for the rules of `policy`.
    targets : callable
        Returns what a call acts on, for the rules and for the one line about a call.
    text : callable
        Returns all that will run, shown before it is allowed; default: the arguments as JSON.
    language : str
        The language of `text`.
    why : callable
        Returns what a call is for, in the model's words; ``""``: it does not say.
    asks : bool
        Whether a call needs permission where no rule says otherwise; the kinds in `policy.HARMLESS` never do.
    is_data : bool
        Whether the result is data from the notebook, which is marked as such for the model.
    """

    name: str
    description: str
    run: Run
    parameters: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "tool"
    targets: Callable[[Arguments], tuple[str, ...]] = lambda _arguments: ()
    text: Callable[[Arguments], str] = lambda arguments: as_json(arguments)  # noqa: PLW0108 - defined below
    language: str = "json"
    why: Callable[[Arguments], str] = lambda _arguments: ""
    asks: bool = True
    is_data: bool = True

    def call(self, call_id: str, arguments: Arguments) -> Call:
        """Return a call of this tool, for the rules and for the person who is asked."""
        return Call(
            call_id=call_id,
            kind=self.kind,
            tool=self.name,
            targets=self.targets(arguments),
            text=self.text(arguments),
            language=self.language,
            why=self.why(arguments),
            is_harmless=self.is_harmless,
        )

    @property
    def is_harmless(self) -> bool:
        """Whether it needs no permission where no rule says otherwise."""
        return self.kind in HARMLESS or not self.asks


@dataclass(frozen=True, slots=True)
class CellRecord:
    """A cell of the notebook.

    Attributes
    ----------
    number : int
        Its execution count; 0: it has not run.
    source : str
        Its code.
    output : str
        What it printed and returned, as text; ``""``: nothing, or not known.
    state : {"ran", "failed", "running", "saved"}
        ``"saved"``: it has not run in this kernel, and is read from the notebook's file as it was last saved.
    """

    number: int
    source: str
    output: str = ""
    state: Literal["ran", "failed", "running", "saved"] = "ran"


class Workspace(Protocol):
    """The notebook, as far as a tool may look at it. All methods are thread-safe, also while a cell runs."""

    def variables(self) -> Mapping[str, object]:
        """Return the user's variables, without those of IPython; a copy."""

    def cells(self) -> Sequence[CellRecord]:
        """Return the cells that ran, oldest first, and those that are only in the notebook's file."""

    def last_error(self) -> str:
        """Return the last error with its traceback, the cell, and the variables it names; ``""``: no cell failed."""


def schema_of(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object; a property that has no default is required.

    Examples
    --------
    >>> schema_of(name={"type": "string"}, last={"type": "integer", "default": 10})["required"]
    ['name']
    """
    required = [name for name, facts in properties.items() if "default" not in facts]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def as_json(arguments: Arguments) -> str:
    """Return arguments as indented JSON; a value that JSON does not know becomes its text."""
    return json.dumps(dict(arguments), ensure_ascii=False, indent=2, default=str)


def argument(arguments: Arguments, name: str, kind: type, default: object = None) -> Any:
    """Return an argument of the right type: the runtime does not check arguments against the schema.

    Raises
    ------
    ToolFailure
        If it is missing and there is no default, or it has another type.
    """
    value = arguments.get(name, default)
    if value is None:
        raise ToolFailure(f"the argument {name!r} is missing")
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ToolFailure(f"the argument {name!r} must be a {kind.__name__}")
    return value
