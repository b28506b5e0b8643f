"""Describes a value in one line, without running code of its class.

`repr`, `isinstance`, `hasattr`, even ``type(x).__name__`` and ``type(x) == list`` may call methods of a user's class,
which may print, hang or fail. So types are compared by ``is``: objects of Python, NumPy, pandas and polars types are
read; for any other object the description is only the name of its type.
"""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from copilot_nb.agent.redaction import mark
from copilot_nb.system.environment import is_secret_name

MAX_CHARS = 300
"""The longest description (characters)."""
READ_CHARS = 2_000
"""How much of a text is searched for secrets before it is cut (characters)."""
TEXT_CHARS = 160
ITEMS, DEEPER_ITEMS, MAX_DEPTH = 8, 3, 2
COLUMNS = 30
MAX_INT_BITS = 256
_PLAIN = (bool, float, complex, types.NoneType, range, types.EllipsisType)
_BRACES = ("{", "}")
_CONTAINERS = {
    id(list): ("[", "]"),
    id(tuple): ("(", ")"),
    id(set): _BRACES,
    id(frozenset): _BRACES,
    id(dict): _BRACES,
}


CHANGED = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What reading a value raises that another thread changes, or that is damaged."""
_ONLY_INSTANCES = {"NaTType": "NaT", "NAType": "NA"}
"""Types of pandas that are known by their only instance."""
_OTHER_MEANINGS = frozenset({"key", "token"})
"""Names of secrets that are also common names of other variables."""


@dataclass(frozen=True, slots=True)
class Describer:
    """Describes values.

    Attributes
    ----------
    hide : callable
        Returns a text with its secrets hidden.
    hides_by_name : bool
        Whether to hide any text in a variable whose name looks like a secret's.
    """

    hide: Callable[[str], str] = str
    hides_by_name: bool = True

    def describe(self, value: object) -> str:
        """Return a value in one line: its type, its size, and its beginning where that is safe."""
        try:
            return self._line(value, 0)[:MAX_CHARS]
        except CHANGED:
            return type_name(type(value))

    def is_secret(self, name: str, value: object) -> bool:
        """Whether a variable is a text whose name is that of a secret."""
        is_named_so = is_secret_name(name) and name.lower() not in _OTHER_MEANINGS
        return self.hides_by_name and is_named_so and type(value) is str

    def named(self, name: str, value: object) -> str:
        """Return a variable in one line; a secret is hidden."""
        return f"{name} = {mark(name) if self.is_secret(name, value) else self.describe(value)}"

    def _line(self, value: Any, depth: int) -> str:
        kind = type(value)
        if any(kind is plain for plain in _PLAIN):
            return repr(value)
        if kind is int:
            return repr(value) if value.bit_length() <= MAX_INT_BITS else f"int of {value.bit_length():,} bits"
        if kind is str or kind is bytes:
            return self._text(value)
        if id(kind) in _CONTAINERS:
            return self._container(value, depth)
        if kind is types.FunctionType:
            code = value.__code__
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            return f"function {code.co_name}({', '.join(names)})"
        if kind is types.ModuleType:
            return self._module(value)
        if kind is type:
            return f"class {type_name(value)}"
        if (read := _LIBRARIES.get(library_type(kind))) is not None:
            return read(self, value)
        return f"object of type {type_name(kind)}"

    def _text(self, value: str | bytes) -> str:
        text = self.hide(repr(value[:READ_CHARS]))
        size = "" if len(value) <= TEXT_CHARS else f"{type(value).__name__} of length {len(value):,}: "
        return f"{size}{text if len(text) <= TEXT_CHARS else f'{text[:TEXT_CHARS]}…'}"

    def _container(self, value: Any, depth: int) -> str:
        kind, size = type(value), len(value)
        opening, closing = _CONTAINERS[id(kind)]
        if depth > MAX_DEPTH:
            return f"{kind.__name__} of {size:,}"
        number = ITEMS if depth == 0 else DEEPER_ITEMS
        items = value.items() if kind is dict else ((each,) for each in value)
        shown = [": ".join(self._line(each, depth + 1) for each in item) for item in itertools.islice(items, number)]
        more = ["…"] if size > number else []
        return f"{kind.__name__} of {size:,}: {opening}{', '.join(shown + more)}{closing}"

    def _module(self, module: types.ModuleType) -> str:
        version = vars(module).get("__version__")
        named = vars(module).get("__name__")
        return f"module {named if type(named) is str else ''} {version if type(version) is str else ''}".rstrip()

    def values(self, values: Iterable[object]) -> str:
        """Return some values of a column or an array."""
        return ", ".join(self._line(value, MAX_DEPTH) for value in values)


def type_name(kind: type) -> str:
    """Return the full name of a type without calling its metaclass."""
    module = _module_of(kind)
    return _name_of(kind) if module in ("", "builtins", "__main__") else f"{module}.{_name_of(kind)}"


def library_type(kind: type) -> tuple[str, str]:
    """Return the library and the name of a type, if it is one of the library's own; else two empty texts.

    A user's type of the same name, or one that only says that it is of the library, is none.
    """
    library, name = _module_of(kind).partition(".")[0], _name_of(kind)
    return (library, name) if _is_of(kind, library) else ("", "")


def _name_of(kind: type) -> str:
    return str(type.__dict__["__qualname__"].__get__(kind))


def _module_of(kind: type) -> str:
    try:
        module = type.__dict__["__module__"].__get__(kind)
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def _is_of(kind: type, library: str) -> bool:
    """Whether a type belongs to the library, and is not a user's type of the same name."""
    module = sys.modules.get(library)
    if type(module) is not types.ModuleType:
        return False
    if (only := _ONLY_INSTANCES.get(_name_of(kind))) is not None:
        return type(vars(module).get(only)) is kind
    return vars(module).get(_name_of(kind)) is kind


def _array(describer: Describer, array: Any) -> str:
    shown = describer.values(array.flat[:ITEMS].tolist()) if array.dtype.kind in "biufcmMUS" else "…"
    return f"numpy.ndarray of shape {array.shape}, {array.dtype}: {shown}{', …' if array.size > ITEMS else ''}"


def _frame(describer: Describer, frame: Any) -> str:
    rows, columns = frame.shape
    names = [
        f"{describer.values([frame.columns[place]])} {_dtype(frame.dtypes.iloc[place])}"
        for place in range(min(columns, COLUMNS))
    ]
    more = ["…"] if columns > COLUMNS else []
    return f"pandas.DataFrame of {rows:,} rows and {columns:,} columns: {', '.join(names + more)}"


def _series(describer: Describer, series: Any) -> str:
    is_plain = type_name(type(series.dtype)).startswith("numpy.")
    first = describer.values(series.iloc[:DEEPER_ITEMS].tolist() if is_plain else [])
    label = f"pandas.Series {describer.values([series.name])} of {len(series):,}, {_dtype(series.dtype)}"
    return f"{label}: {first}, …" if first else label


def _index(describer: Describer, index: Any) -> str:
    return f"pandas.{_name_of(type(index))} of {len(index):,}, {_dtype(index.dtype)}: " + describer.values(
        index[:ITEMS].tolist() if type_name(type(index.dtype)).startswith("numpy.") else []
    )


def _dtype(dtype: Any) -> str:
    name = type_name(type(dtype))
    return str(dtype) if name.startswith(("numpy.", "pandas.")) else name


def _polars(describer: Describer, frame: Any) -> str:
    rows, columns = frame.shape
    shown = [f"{describer.values([name])} {dtype}" for name, dtype in itertools.islice(frame.schema.items(), COLUMNS)]
    return f"polars.DataFrame of {rows:,} rows and {columns:,} columns: {', '.join(shown)}"


def _number(_: Describer, number: Any) -> str:
    return repr(number)


_LIBRARIES: dict[tuple[str, str], Callable[[Describer, Any], str]] = {
    ("numpy", "ndarray"): _array,
    **{("numpy", f"{kind}{bits}"): _number for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)},
    **{("pandas", name): _number for name in ("Timestamp", "Timedelta", "Period", "Interval", "NaTType", "NAType")},
    **{("datetime", name): _number for name in ("datetime", "date", "time", "timedelta")},
    ("decimal", "Decimal"): _number,
    ("fractions", "Fraction"): _number,
    ("uuid", "UUID"): _number,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _index,
    ("pandas", "RangeIndex"): _index,
    ("polars", "DataFrame"): _polars,
}
IN_ONE_LINE = frozenset(_LIBRARIES)
"""The types of libraries that are read, as `library_type` names them."""
