"""A function of the user's as a tool: its type hints are the schema of its arguments, its docstring describes it."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import typing
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model

from copilot_nb.agent.bounded import bounded
from copilot_nb.agent.tools import Arguments, CallContext, ToolFailure, ToolSpec
from copilot_nb.errors import InputError

MAX_DESCRIPTION_CHARS = 2_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PLAIN = (str, int, float, bool, list, dict, tuple, type(None))


def tool_of(function: Callable[..., Any], name: str = "", *, asks: bool = True) -> ToolSpec:
    """Return `function` as a tool.

    Parameters
    ----------
    function : callable
        A function, plain or ``async``, whose parameters have type hints.
    name : str
        The name of the tool; ``""`` for that of the function.
    asks : bool
        Whether each call needs permission.

    Raises
    ------
    InputError
        If it is not a function, or the name, a parameter or its type cannot be used.
    """
    given: object = function
    if not callable(given):
        example = given if isinstance(given, str) else "weather"
        raise InputError(f"a tool is a function, not {type(given).__name__}", f'to name it: @cp.tool(name="{example}")')
    name = name or str(getattr(function, "__name__", ""))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"a tool cannot be called {name!r}", "use letters, digits, - and _: @cp.tool(name=…)")
    model = _model_of(function, name)
    schema = model.model_json_schema()
    schema.pop("title", None)
    description = bounded(inspect.getdoc(function) or name.replace("_", " "), MAX_DESCRIPTION_CHARS)
    return ToolSpec(name, description, _runner(function, model), schema, asks=asks, is_data=True)


def _model_of(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """Return a model of the arguments of `function`."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {
            parameter.name: _field(parameter, hints, name)
            for parameter in inspect.signature(function).parameters.values()
        }
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except (NameError, PydanticUserError, TypeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{name} cannot be a tool: {first}", "use types that JSON has: str, int, list[str], …"
        ) from error


def _field(parameter: inspect.Parameter, hints: dict[str, Any], name: str) -> tuple[Any, Any]:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise InputError(f"{name} cannot be a tool: {parameter} has no name for the model", "give it a name and a type")
    if parameter.name not in hints:
        raise InputError(
            f"{name} cannot be a tool: its parameter {parameter.name!r} has no type",
            f"for example: {parameter.name}: str",
        )
    return hints[parameter.name], ... if parameter.default is parameter.empty else parameter.default


def _runner(function: Callable[..., Any], model: type[BaseModel]) -> Callable[[Arguments, CallContext], str]:
    def run(arguments: Arguments, _context: CallContext) -> str:
        try:
            checked = model.model_validate(dict(arguments))
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False))
            raise ToolFailure(f"the arguments are wrong: {'; '.join(faults)}") from error
        given = {name: getattr(checked, name) for name in model.model_fields}
        value = function(**given)
        return as_text(asyncio.run(value) if inspect.iscoroutine(value) else value)

    return run


def as_text(value: object) -> str:
    """Return the result of a function as text: JSON for plain data, else what `print` would show."""
    if isinstance(value, str):
        return value
    if isinstance(value, _PLAIN):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
