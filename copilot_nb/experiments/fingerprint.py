"""A fingerprint of a Python function that changes when its result may change."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType

from copilot_nb.errors import InputError

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_ADDRESS = " at 0x"
_MAX_REPR_CHARS = 10_000


def fingerprint(function: Callable[..., object]) -> str:
    """Return 16 hexadecimal digits that change when the behaviour of `function` may change.

    They depend on its code without comments and line numbers, its defaults, and the values that it closes over or uses
    from its module: numbers, texts, lists, sets, dicts, functions, classes and their objects, and other objects whose
    repr distinguishes them. They do not depend on the code of other modules, or on files. They differ between Python
    versions, which compile differently.
    """
    digest = hashlib.sha256()
    for part in _Parts(getattr(function, "__module__", None)).of(function):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


class _Parts:
    """Yields text that distinguishes values. Code is followed only within one module, the home."""

    def __init__(self, home: str | None) -> None:
        self._home = home
        self._seen: dict[int, tuple[int, object]] = {}  # keeps them alive: the id of a deleted object is reused

    def of(self, value: object) -> Iterator[str]:
        """Yield the parts of `value`; for an object already seen, only its type and its number."""
        yield type(value).__qualname__
        if isinstance(value, _PLAIN):
            yield repr(value)
            return
        if (seen := self._seen.get(id(value))) is not None:
            yield f"#{seen[0]}"
            return
        self._seen[id(value)] = len(self._seen), value
        match value:
            case list() | tuple():
                yield from self._of_all(value)
            case dict():
                yield from self._of_all([item for pair in value.items() for item in pair])
            case set() | frozenset():
                yield from self._of_all(sorted(value, key=self._alone))  # their own order differs between processes
            case functools.partial():
                yield from self._of_all([value.func, value.args, value.keywords])
            case MethodType():
                yield from self._of_all([value.__func__, value.__self__])
            case CodeType():
                yield from self._of_code(value)
            case FunctionType() if value.__module__ == self._home:
                yield from self._of_function(value)
            case type() if value.__module__ == self._home:
                yield from self._of_all(
                    [name_and_value for name_and_value in vars(value).items() if _is_own(*name_and_value)]
                )
            case type() | FunctionType() | ModuleType():
                yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
            case _:
                yield from self._of_object(value)

    def _alone(self, value: object) -> list[str]:
        """Return the parts of a value by themselves, whatever has been seen."""
        return list(_Parts(self._home).of(value))

    def _of_all(self, values: Sequence[object]) -> Iterator[str]:
        yield str(len(values))
        for value in values:
            yield from self.of(value)

    def _of_function(self, function: FunctionType) -> Iterator[str]:
        yield from self.of(function.__code__)
        yield from self._of_all([function.__defaults__, function.__kwdefaults__])
        yield from self._of_all([cell.cell_contents for cell in function.__closure__ or ()])
        for name in dict.fromkeys(_names(function.__code__)):
            if name in function.__globals__:
                yield name
                yield from self.of(function.__globals__[name])

    def _of_code(self, code: CodeType) -> Iterator[str]:
        yield code.co_code.hex()
        yield from (*code.co_names, *code.co_varnames)
        yield from self._of_all(code.co_consts)

    def _of_object(self, value: object) -> Iterator[str]:
        kind = type(value)
        yield f"{kind.__module__}.{kind.__qualname__}"
        if kind.__module__ == self._home:
            yield from self._of_all([kind, getattr(value, "__dict__", {})])
        elif _ADDRESS not in (shown := repr(value)):
            yield shown[:_MAX_REPR_CHARS]


def _is_own(name: str, value: object) -> bool:
    """Whether an attribute is defined in the class body: a method, or a plain value."""
    return isinstance(value, FunctionType) or (isinstance(value, _PLAIN) and not name.startswith("__"))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names that `code` and the functions in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def parameters_of(function: Callable[..., object], known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the `known` parameters that `function` has, and the names of its other required parameters.

    Neither list includes its first parameter. A callable that cannot be inspected (in C) has none.

    Raises
    ------
    InputError
        If it takes no positional parameter.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return [], []
    first = parameters[0] if parameters else None
    if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
        name = getattr(function, "__name__", type(function).__name__)
        raise InputError(f"the scorer {name} takes no answer", "its first parameter is the answer's text")
    rest = [p for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    named = [p.name for p in rest if p.name in known and p.kind is not p.POSITIONAL_ONLY]
    return named, [p.name for p in rest if p.name not in named and p.default is p.empty]
