"""A fingerprint of a Python function that changes when its result may change."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType

from copilot_nb.errors import InputError

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(function: Callable[..., object]) -> str:
    """Return 16 hexadecimal digits that follow what `function` does.

    They follow its code without comments and line numbers, its defaults, and the plain values and functions that it
    closes over or uses from its own module. They do not follow other modules, files, or objects without plain values.
    Python versions compile differently, so they differ between them.
    """
    digest = hashlib.sha256()
    for part in _parts(function, set()):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def _parts(value: object, seen: set[int]) -> Iterator[str]:
    """Yield what tells `value` apart; of what has been seen already, nothing but its type."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
        return
    yield type(value).__qualname__
    if id(value) in seen:
        return
    seen.add(id(value))
    match value:
        case FunctionType():
            yield from _function_parts(value, seen)
        case CodeType():
            yield from _code_parts(value, seen)
        case functools.partial():
            yield from _all_parts([value.func, value.args, value.keywords], seen)
        case list() | tuple():
            yield from _all_parts(value, seen)
        case set() | frozenset():
            yield from sorted("\0".join(_parts(item, seen)) for item in value)
        case dict():
            yield from _all_parts([item for pair in value.items() for item in pair], seen)
        case _ if inspect.ismethod(value):
            yield from _all_parts([value.__func__, value.__self__], seen)
        case _:
            yield from _object_parts(value, seen)


def _function_parts(function: FunctionType, seen: set[int]) -> Iterator[str]:
    yield from _parts(function.__code__, seen)
    yield from _all_parts([function.__defaults__, function.__kwdefaults__], seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
    names = (name for name in _names(function.__code__) if name in function.__globals__)
    for name in dict.fromkeys(names):
        value = function.__globals__[name]
        if isinstance(value, _PLAIN) or getattr(value, "__module__", None) == function.__module__:
            yield name
            yield from _parts(value, seen)


def _code_parts(code: CodeType, seen: set[int]) -> Iterator[str]:
    yield code.co_code.hex()
    yield from (*code.co_names, *code.co_varnames)
    yield from _all_parts(code.co_consts, seen)


def _object_parts(value: object, seen: set[int]) -> Iterator[str]:
    """Yield what tells a callable object or a class apart: the code of its class and its plain attributes."""
    kind = value if isinstance(value, type) else type(value)
    yield f"{kind.__module__}.{kind.__qualname__}"
    functions = [member for member in vars(kind).values() if isinstance(member, FunctionType)]
    attributes = [] if value is kind else list(getattr(value, "__dict__", {}).items())
    yield from _all_parts([*functions, *attributes], seen)


def _all_parts(values: Sequence[object], seen: set[int]) -> Iterator[str]:
    yield str(len(values))
    for value in values:
        yield from _parts(value, seen)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names that `code` and the functions in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def parameters_of(function: Callable[..., object], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which of the `known` parameters `function` has, and the names of others that it must be given.

    Its first parameter is neither. A callable that cannot be inspected (of C) has none.

    Raises
    ------
    InputError
        If it takes no positional parameter.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return [], []
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    if not parameters or parameters[0].kind not in positional:
        name = getattr(function, "__name__", type(function).__name__)
        raise InputError(f"the scorer {name} takes no answer", "its first parameter is the answer's text")
    rest = [p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    named = [p.name for p in rest if p.name in known and p.kind is not p.POSITIONAL_ONLY]
    return named, [p.name for p in rest if p.name not in named and p.default is p.empty]
