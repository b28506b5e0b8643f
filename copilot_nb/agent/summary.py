"""Describes one value at length, like `describe` without running code of its class, and without reading all of it.

Of what is large only a sample is read, evenly spread: 1 GB takes some milliseconds and no copy. A figure from a sample
says so. All of it may run in any thread while a cell changes the value: then some figures are missing.
"""

from __future__ import annotations

import inspect
import itertools
import linecache
import math
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from copilot_nb.agent.bounded import bounded
from copilot_nb.agent.describe import CHANGED, IN_ONE_LINE, Describer, library_type, type_name

SAMPLE = 10_000
"""How many values of an array or of a column are read (count)."""
SLOW_SAMPLE = 1_000
"""How many are read one by one in Python (count)."""
COLUMNS, ROWS, ITEMS = 60, 5, 20
TEXT_CHARS, READ_CHARS = 4_000, 100_000
SOURCE_CHARS = 6_000
DOC_CHARS = 1_500
METHODS = 40
_NUMBERS = "iufb"


def summary(name: str, value: Any, describer: Describer) -> str:
    """Return a variable in some lines: what it is, how large, and what it holds."""
    lines = [f"{name}: {describer.describe(value)}"]
    try:
        lines += _details(value, describer)
    except CHANGED:
        lines.append("(it was changed while it was read)")
    return "\n".join(lines)


def _details(value: Any, describer: Describer) -> Iterator[str]:
    kind = type(value)
    read = _DETAILS.get(library_type(kind))
    if read is not None:
        yield from read(value, describer)
    elif kind is types.FunctionType:
        yield from _function(value, describer)
    elif kind is str:
        yield bounded(describer.hide(value[:READ_CHARS]), TEXT_CHARS)
    elif id(kind) in _CONTAINERS:
        yield from _items(value, describer)
    elif any(each is type for each in type.__dict__["__mro__"].__get__(kind)):
        yield from _class(value)
    elif library_type(kind)[0] != "builtins" and library_type(kind) not in IN_ONE_LINE:
        yield from _object(value, describer)


_CONTAINERS = frozenset(map(id, (list, tuple, set, frozenset, dict)))
"""By their ids: to compare a class with another may call its metaclass."""


def _items(value: Any, describer: Describer) -> Iterator[str]:
    if type(value) is dict:
        pairs = itertools.islice(value.items(), ITEMS)
        yield from (f"  {describer.describe(key)}: {describer.describe(each)}" for key, each in list(pairs))
    else:
        yield from (f"  {describer.describe(each)}" for each in list(itertools.islice(value, ITEMS)))
    if len(value) > ITEMS:
        yield f"  … {len(value) - ITEMS:,} more"


def _function(function: types.FunctionType, describer: Describer) -> Iterator[str]:
    source = _source(function.__code__)
    if source:
        yield bounded(describer.hide(source), SOURCE_CHARS)
    elif type(function.__doc__) is str:
        yield bounded(function.__doc__, DOC_CHARS)


def _source(code: types.CodeType) -> str:
    """Return the source of a function as Python has cached it for tracebacks; `inspect.getsource` imports modules."""
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    return "".join(inspect.getblock(lines)) if lines else ""


def _class(kind: type) -> Iterator[str]:
    names: Any = type.__dict__["__dict__"].__get__(kind)
    bases = [type_name(base) for base in type.__dict__["__bases__"].__get__(kind)]
    yield f"  bases: {', '.join(bases)}"
    if type(names.get("__doc__")) is str:
        yield bounded(names["__doc__"], DOC_CHARS)
    for name in itertools.islice((each for each in names if not each.startswith("_")), METHODS):
        if type(names[name]) is types.FunctionType:
            code = names[name].__code__
            yield f"  {name}({', '.join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])})"


def _object(value: object, describer: Describer) -> Iterator[str]:
    """Yield the attributes that an object holds, not those that its class would compute."""
    for kind in type.__dict__["__mro__"].__get__(type(value)):
        holder = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if type(holder) is types.GetSetDescriptorType:
            held: dict[str, object] = holder.__get__(value)
            yield from (
                f"  .{describer.named(name, held[name])}"
                for name in itertools.islice(list(held), ITEMS)
                if type(name) is str
            )
            break
    yield from _class(type(value))


def _array(array: Any, describer: Describer) -> Iterator[str]:
    yield f"  {array.nbytes:,} bytes"
    if array.dtype.kind in _NUMBERS:
        yield f"  {_statistics(_sampled(array), array.size)}"
    elif array.size:
        yield f"  values: {describer.values(array.flat[:ITEMS].tolist())}"


def _sampled(array: Any) -> Any:
    """Return a sample of an array, as an array; an array that lies in one piece is not copied first."""
    step = max(1, array.size // SAMPLE)
    return array.ravel()[::step] if array.flags.c_contiguous else array.flat[::step]


def _statistics(sample: Any, size: int) -> str:
    """Return minimum, mean and maximum of numbers, and how many are missing."""
    numpy = sys.modules["numpy"]
    if not sample.size:
        return "no values"
    is_missing = numpy.isnan(sample) if sample.dtype.kind == "f" else numpy.zeros(sample.shape, bool)
    known = sample[~is_missing].astype(float)
    missing = f"{int(is_missing.sum()):,} missing"
    said = f"min {known.min():g}, mean {known.mean():g}, max {known.max():g}, {missing}" if known.size else missing
    return said if sample.size == size else f"{said} (of a sample of {sample.size:,})"


def _frame(frame: Any, describer: Describer) -> Iterator[str]:
    rows, columns = frame.shape
    yield f"  about {int(frame.memory_usage(deep=False).sum()):,} bytes, not counting texts"
    yield f"  index: {describer.describe(frame.index)}"
    for place in range(min(columns, COLUMNS)):
        yield f"  {describer.values([frame.columns[place]])}: {_column(frame.iloc[:, place], describer)}"
    if columns > COLUMNS:
        yield f"  … {columns - COLUMNS:,} more columns"
    yield from _first_rows(frame, min(rows, ROWS), min(columns, COLUMNS), describer)


def _first_rows(frame: Any, rows: int, columns: int, describer: Describer) -> Iterator[str]:
    if not rows:
        return
    yield f"  first {rows} rows:"
    first = frame.iloc[:rows, :columns]
    read = [first.iloc[:, place].tolist() if _is_known(first.iloc[:, place].dtype) else [] for place in range(columns)]
    for row in range(rows):
        yield "  " + " | ".join(describer.values([values[row]]) if values else "?" for values in read)


def _column(column: Any, describer: Describer) -> str:
    """Return a column of a table: its type, and what a sample of it says."""
    dtype, size = column.dtype, len(column)
    if not _is_known(dtype):
        return type_name(type(dtype))
    step = max(1, size // SAMPLE)
    sample = column.iloc[::step]
    if getattr(dtype, "kind", "O") in _NUMBERS and type_name(type(dtype)).startswith("numpy."):
        return f"{dtype}, {_statistics(sample.to_numpy(), size)}"
    values = sample.iloc[:: max(1, len(sample) // SLOW_SAMPLE)].tolist()
    missing = sum(map(_is_missing, values))
    distinct = len({value for value in values if type(value) is str})
    seen = f" (of a sample of {len(values):,})" if len(values) < size else ""
    texts = f", {distinct:,} different texts" if distinct else ""
    return f"{dtype}, {missing:,} missing{texts}{seen}, such as {describer.values(values[:3])}"


def _is_known(dtype: Any) -> bool:
    return type_name(type(dtype)).startswith(("numpy.", "pandas."))


def _is_missing(value: object) -> bool:
    if type(value) is float:
        return math.isnan(value)
    return value is None or library_type(type(value)) in (("pandas", "NaTType"), ("pandas", "NAType"))


def _series(series: Any, describer: Describer) -> Iterator[str]:
    yield f"  {_column(series, describer)}"
    yield f"  index: {describer.describe(series.index)}"


def _polars(frame: Any, describer: Describer) -> Iterator[str]:
    yield f"  about {frame.estimated_size():,} bytes"
    missing = frame.null_count().row(0) if frame.shape[1] else ()
    for (name, dtype), nulls in itertools.islice(zip(frame.schema.items(), missing, strict=False), COLUMNS):
        yield f"  {describer.values([name])}: {dtype}, {nulls:,} missing"
    rows: Sequence[tuple[object, ...]] = frame.head(ROWS).rows()
    if rows:
        yield f"  first {len(rows)} rows:"
        yield from ("  " + " | ".join(describer.values([value]) for value in row[:COLUMNS]) for row in rows)


_DETAILS: dict[tuple[str, str], Callable[[Any, Describer], Iterator[str]]] = {
    ("numpy", "ndarray"): _array,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("polars", "DataFrame"): _polars,
}
