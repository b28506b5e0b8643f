"""Makes the data classes of the SDK when they are first used, and not when it is imported.

Its generated modules have 1,855 data classes, of which a notebook uses about fifty. Python writes and compiles the
methods of each, three quarters of the second that ``import copilot`` takes. Here `dataclass` leaves, in the
place of each attribute that it would make, a descriptor that has the class made as soon as anything looks at one.

Why: docs/decisions/0052-make-sdk-classes-at-first-use.md.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T", bound=type)

MODULES = ("copilot.generated.rpc", "copilot.generated.session_events")
_MADE = (
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__"),
    *("__eq__", "__hash__", "__repr__", "__init__"),
)
"""What `dataclasses.dataclass` gives a class."""


def make_at_first_use() -> None:
    """Have the data classes of the SDK's generated modules made at their first use; call it before the import."""
    sys.meta_path.insert(0, _Finder())


def dataclass(cls: T | None = None, /, **options: Any) -> Any:
    """Take the place of `dataclasses.dataclass` in a module; with options, the class is made at once."""
    if cls is None or options:
        return dataclasses.dataclass(cls, **options)
    for name in _MADE:
        if name not in vars(cls):
            setattr(cls, name, _Later(cls, name))
    return cls


class _Later:
    """An attribute of a data class that is not made yet."""

    __slots__ = ("cls", "name")

    def __init__(self, cls: type, name: str) -> None:
        self.cls = cls
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        _make(self.cls)
        value = vars(self.cls)[self.name]
        return value.__get__(instance, owner) if hasattr(value, "__get__") else value


def _make(cls: type) -> None:
    """Make a data class, unless another thread has done so: make a twin, and give the class what the twin has got.

    Another thread may use the class meanwhile: until it has its `__init__`, the last of all, that thread waits here.
    """
    with _making():
        if not any(isinstance(value, _Later) for value in vars(cls).values()):
            return
        given = {name: value for name, value in _own(cls).items() if not isinstance(value, _Later)}
        names = {**given, "__annotations__": cls.__annotations__, "__qualname__": cls.__qualname__}
        made = _own(dataclasses.dataclass(type(cls)(cls.__name__, cls.__bases__, names)))
        for name in sorted(made, key=lambda name: name == "__init__"):
            if name not in given or given[name] is not made[name]:
                setattr(cls, name, made[name])
        for name in given.keys() - made.keys():  # the fields whose default is made by a function
            delattr(cls, name)


@functools.cache
def _making() -> threading.RLock:
    """Return the lock that is held while a class is made."""
    return threading.RLock()


_making()
if hasattr(os, "register_at_fork"):  # a forked child has no thread that would give the lock back
    os.register_at_fork(after_in_child=_making.cache_clear)


def _own(cls: type) -> dict[str, Any]:
    """Return the attributes of a class itself, but for those that Python gives to each class."""
    return {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}


class _Names(dict[str, Any]):
    """The names of a module while it is run: they go into the module, but for `dataclass`, which is ours."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self._module = vars(module)

    def __setitem__(self, name: str, value: Any) -> None:
        self._module[name] = dataclass if name == "dataclass" else value


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        code = self.get_code(module.__name__)
        assert code is not None
        exec(code, vars(module), _Names(module))  # noqa: S102 - as every loader does


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of `MODULES`; any other, and one that is in no file, is found and loaded as usual."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in MODULES else None
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        spec.loader = _Loader(fullname, spec.loader.path)
        return spec
