r"""Structured answers: a schema as an instruction for the model, and the answer checked against it.

A schema is a JSON schema (a dict), a dataclass, a TypedDict, a pydantic model, or any other type that pydantic knows,
such as ``Literal["yes", "no"]``. No model is asked here: a caller sends `Schema.instruction` with the prompt, hands the
answer to `Schema.read`, and may ask once more with `second_try`.

>>> schema = schema_of({"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]})
>>> schema.read('```json\n{"label": "spam"}\n```').value
{'label': 'spam'}
>>> schema.read("It is spam.").error
'the answer holds no JSON'
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from copilot_nb.errors import InputError
from copilot_nb.render.markdown import code_blocks

_HINT = "use a JSON schema (a dict), a dataclass, a TypedDict or a pydantic model"
_SCALARS = {"string", "number", "integer", "boolean", "null"}
_MAX_STARTS = 20  # places at which JSON between other text is looked for
_MAX_FAULTS = 5
_NO_JSON = "the answer holds no JSON"
_SCHEMA_KEYS = {"$ref", "$schema", "anyOf", "const", "enum", "oneOf", "properties", "type"}


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was read.

    Attributes
    ----------
    value : object
        An instance of the schema's type; of a JSON schema the JSON value. ``None`` where there is an `error`.
    data : object
        The same as a JSON value, to be stored.
    error : str
        What is wrong with the answer, in one line; ``""`` where nothing is.
    """

    value: object = None
    data: object = None
    error: str = ""


@dataclass(frozen=True)
class Schema:
    """What an answer must look like; made by `schema_of`.

    Attributes
    ----------
    name : str
        The type's name, or the title of the JSON schema.
    json_schema : mapping
        The JSON schema that the model is told.
    columns : tuple of str
        The columns of a flat schema, for a table: the properties of an object without objects or lists in it, or
        ``("value",)`` for a single value. Empty where it is not flat.
    """

    name: str
    json_schema: Mapping[str, object]
    columns: tuple[str, ...]
    _check: Callable[[str], Checked] = field(repr=False)

    @property
    def instruction(self) -> str:
        """What to add to a prompt."""
        told = json.dumps(self.json_schema, ensure_ascii=False, indent=1)
        return (
            "Answer with one JSON value that conforms to the JSON schema below, and with nothing else: no explanation "
            f"and no code fence.\n\n{told}"
        )

    def asked_for(self, prompt: str) -> str:
        """Return a prompt with the instruction after it; an empty prompt stays empty."""
        return f"{prompt}\n\n{self.instruction}" if prompt.strip() else prompt

    @property
    def identity(self) -> str:
        """Changes with what the model is told and the answer is checked against, but for validators in Python."""
        told = json.dumps(self.json_schema, sort_keys=True)
        return f"{self.name}@{hashlib.sha256(told.encode()).hexdigest()[:16]}"

    def read(self, answer: str) -> Checked:
        """Return the value in an answer, bare, in a code fence or between other text, or what is wrong with it.

        The first JSON in it that conforms to the schema counts; where none does, the error is that of the longest.
        """
        failed, chars = Checked(error=_NO_JSON), 0
        for source in _candidates(answer):
            checked = self._check(source)
            if not checked.error:
                return checked
            if len(source) > chars:
                failed, chars = checked, len(source)
        return failed

    def row(self, checked: Checked) -> dict[str, object]:
        """Return the columns of an answer; ``None`` in each where it did not conform."""
        if self.columns == ("value",) and not isinstance(checked.data, dict):
            return {"value": checked.data}
        data = checked.data if isinstance(checked.data, dict) else {}
        return {column: data.get(column) for column in self.columns}


def read_json(answer: str) -> object:
    """Return the first JSON value in an answer, bare, in a code fence or between other text.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> read_json("The result is [1, 2].")
    [1, 2]
    """
    source = next(_candidates(answer), None)
    if source is None:
        raise ValueError(_NO_JSON)
    return json.loads(source)


def is_like_schema(value: object) -> bool:
    """Whether a variable is probably a schema: a JSON schema, a dataclass, a TypedDict or a pydantic model."""
    if isinstance(value, dict):
        return bool(_SCHEMA_KEYS & value.keys())
    is_described = isinstance(value, type) and (is_dataclass(value) or hasattr(value, "model_json_schema"))
    return is_described or typing.is_typeddict(value) or isinstance(value, Schema)


def second_try(error: str) -> str:
    """Return the prompt that asks for a corrected answer."""
    return f"Your answer cannot be used: {error}. Answer again, with the corrected JSON value and nothing else."


def schema_of(wanted: object) -> Schema:
    """Return the schema that `wanted` is or stands for.

    Raises
    ------
    InputError
        If it is none, or a JSON schema is given and jsonschema is not installed.
    """
    if isinstance(wanted, Schema):
        return wanted
    if isinstance(wanted, Mapping):
        return _of_json_schema(wanted)
    if not isinstance(wanted, type) and typing.get_origin(wanted) is None:
        raise InputError(f"{wanted!r} is not a schema", _HINT)
    return _of_type(wanted)


# --- types, by pydantic -----------------------------------------------------------------------------------------------


def _of_type(kind: object) -> Schema:
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    name = getattr(kind, "__name__", str(kind))
    try:
        adapter: TypeAdapter[object] = TypeAdapter(_known_to_pydantic(kind))
        told = adapter.json_schema()
    except (PydanticUserError, NameError, TypeError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"{name} cannot be used as a schema: {why}", _HINT) from error

    def check(source: str) -> Checked:
        try:
            value = adapter.validate_json(source)
        except ValidationError as error:
            faults = ((fault["loc"], fault["msg"]) for fault in error.errors(include_url=False, include_input=False))
            return Checked(error=_told(faults))
        except Exception as error:  # noqa: BLE001 - a validator of the user's own may raise anything
            return Checked(error=_told([((), f"a validator of {name} raised {type(error).__name__}: {error}")]))
        return Checked(value, json.loads(adapter.dump_json(value)))

    return Schema(name, told, _columns(told), check)


def _known_to_pydantic(kind: Any) -> Any:
    """Return `kind` with each ``typing.TypedDict`` in it as one of typing_extensions: pydantic needs it before 3.12."""
    if sys.version_info >= (3, 12):
        return kind
    if isinstance(kind, type) and typing.is_typeddict(kind) and type(kind).__module__ == "typing":
        return _extended(kind)
    parts = typing.get_args(kind)
    known = tuple(_known_to_pydantic(part) for part in parts)
    if known == parts or typing.get_origin(kind) is typing.Literal:
        return kind
    if isinstance(kind, types.UnionType):
        return functools.reduce(operator.or_, known)
    origin: Any = typing.get_origin(kind)
    return origin[known] if isinstance(kind, types.GenericAlias) else kind.copy_with(known)


def _extended(kind: type) -> Any:
    """Return a TypedDict of typing_extensions with the keys of `kind`."""
    from typing_extensions import TypedDict

    optional: frozenset[str] = getattr(kind, "__optional_keys__", frozenset())
    keys: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        marked = typing.get_origin(hint) in (typing.Required, typing.NotRequired)
        inner = _known_to_pydantic(typing.get_args(hint)[0] if marked else hint)
        is_optional = typing.get_origin(hint) is typing.NotRequired if marked else name in optional
        keys[name] = typing.NotRequired[inner] if is_optional else inner
    make: Any = TypedDict  # a call with keys that are not literal is none that mypy knows
    return make(kind.__name__, keys)


# --- JSON schemas, by jsonschema --------------------------------------------------------------------------------------


_UNUSABLE = (re.error, RecursionError, TypeError, AttributeError)
"""What a wrong schema raises that stands where only a ``$ref`` leads, so that `check_schema` does not see it."""


def _of_json_schema(schema: Mapping[str, object]) -> Schema:
    try:
        import jsonschema
        import referencing
    except ModuleNotFoundError as error:
        message = "jsonschema is not installed, and a JSON schema needs it"
        raise InputError(message, "type `%pip install jsonschema`, or give a dataclass or a pydantic model") from error
    kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    _check_keywords(schema, kind.VALIDATORS)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise InputError(f"this is not a JSON schema: {_at(error.absolute_path)}{error.message}", _HINT) from error
    # A registry of its own: by default jsonschema fetches what "$ref" points to from the network.
    validator = kind(schema, registry=referencing.Registry())

    def check(source: str) -> Checked:
        data = json.loads(source)
        try:
            faults = [(fault.absolute_path, fault.message) for fault in validator.iter_errors(data)]
        except referencing.exceptions.Unresolvable as error:
            raise InputError(
                f"the schema refers to {error.ref!r}, which is not in it", "put it into `$defs`"
            ) from error
        except (*_UNUSABLE, jsonschema.exceptions.UnknownType) as error:
            first = str(error).partition("\n")[0]
            raise InputError(f"the schema cannot be used: {first}", "correct what its `$ref` refers to") from error
        return Checked(error=_told(faults)) if faults else Checked(data, data)

    return Schema(str(schema.get("title", "value")), schema, _columns(schema), check)


def _check_keywords(schema: Mapping[str, object], known: Iterable[str]) -> None:
    """Check what a JSON schema permits and no answer can break: values that are not JSON, and no keyword at all."""
    try:
        json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this is not a JSON schema: {error}", _HINT) from error
    if schema and schema.keys().isdisjoint(known):
        names = ", ".join(map(repr, list(schema)[:_MAX_FAULTS]))
        hint = '{"type": "object", "properties": {…}}, a dataclass, a TypedDict or a pydantic model'
        raise InputError(f"this is not a JSON schema: it has none of its keywords, only {names}", hint)


# --- JSON in text -----------------------------------------------------------------------------------------------------


def _candidates(answer: str) -> Iterator[str]:
    """Yield what is JSON in an answer: all of it, else code blocks, else what stands between other text."""
    if _end_of_json(answer.strip(), 0) == len(answer.strip()):
        yield answer.strip()
        return
    blocks = [block.code.strip() for block in code_blocks(answer)]
    fenced = [block for block in blocks if _end_of_json(block, 0) == len(block)]
    yield from fenced
    if fenced:
        return
    start = 0
    for _ in range(_MAX_STARTS):
        start = min((place for sign in "{[" if (place := answer.find(sign, start)) >= 0), default=-1)
        if start < 0:
            return
        end = _end_of_json(answer, start)
        if end:
            yield answer[start:end]
        start = end or start + 1


def _end_of_json(text: str, start: int) -> int:
    """Return where the JSON value that begins at `start` ends; 0 where none begins."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return 0
    return end


def _refuse(constant: str) -> typing.NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


# --- wording and columns ----------------------------------------------------------------------------------------------


def _told(faults: Iterable[tuple[Iterable[str | int], str]]) -> str:
    lines = [_at(place) + " ".join(message.split()) for place, message in faults]
    more = f"; and {len(lines) - _MAX_FAULTS} more faults" if len(lines) > _MAX_FAULTS else ""
    return "; ".join(lines[:_MAX_FAULTS]) + more


def _at(place: Iterable[str | int]) -> str:
    path = ".".join(map(str, place))
    return f"{path}: " if path else ""


def _columns(schema: Mapping[str, object]) -> tuple[str, ...]:
    """Return the columns of a flat schema (see `Schema`)."""
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        return ("value",) if _is_scalar(schema, schema) else ()
    return tuple(map(str, properties)) if all(_is_scalar(one, schema) for one in properties.values()) else ()


def _is_scalar(schema: object, root: Mapping[str, object]) -> bool:
    """Whether all values of a JSON schema are single values, as far as it says so."""
    if not isinstance(schema, Mapping):
        return False
    if isinstance(ref := schema.get("$ref"), str):
        definitions = root.get("$defs")
        found = definitions.get(ref.removeprefix("#/$defs/")) if isinstance(definitions, Mapping) else None
        return found is not schema and isinstance(found, Mapping) and "$ref" not in found and _is_scalar(found, root)
    if isinstance(choices := schema.get("anyOf"), list):
        return all(_is_scalar(choice, root) for choice in choices)
    if "enum" in schema or "const" in schema:
        return not any(isinstance(value, dict | list) for value in schema.get("enum", [schema.get("const")]))
    kinds = schema.get("type")
    return bool(kinds) and set(kinds if isinstance(kinds, list) else [kinds]) <= _SCALARS
