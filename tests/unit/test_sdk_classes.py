"""Data classes that are made at their first use: whatever comes first, they are as if made at once."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from copilot_nb.runtime import sdk_classes

SOURCE = '''
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Plain:
    """A class with all kinds of fields."""

    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list)

    @staticmethod
    def read(text: str) -> Plain:
        return Plain(int(text))


@dataclass
class Derived(Plain):
    d: bool = False


@dataclass
class OwnMethods:
    a: int

    def __init__(self) -> None:
        self.a = 1

    def __eq__(self, other: object) -> bool:
        return other == 1


@dataclass
class Empty:
    pass


@dataclass(frozen=True)
class Frozen:
    a: int = 0


class Other:
    pass
'''
CLASSES = ("Plain", "Derived", "OwnMethods", "Empty", "Frozen")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Load the module: ``later`` as one of the SDK's, ``at_once`` as any other."""
    for name in ("later", "at_once"):
        (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sdk_classes, "MODULES", ("later",))

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    for name in ("later", "at_once"):
        sys.modules.pop(name, None)


def is_made(cls: type) -> bool:
    return "_Later" not in {type(value).__name__ for value in vars(cls).values()}


def facts(cls: Any) -> dict[str, object]:
    """Return what can be seen of a data class, without the addresses of objects."""
    fields = [
        (f.name, f.type, f.default, f.default_factory, f.init, f.repr, f.compare) for f in dataclasses.fields(cls)
    ]
    own = {name: type(value).__name__ for name, value in vars(cls).items() if name != "__annotations__"}
    functions = {name: value.__qualname__ for name, value in vars(cls).items() if inspect.isfunction(value)}
    text = {name: getattr(cls, name) for name in ("__doc__", "__match_args__", "__qualname__", "__annotations__")}
    rest = (str(inspect.signature(cls)), repr(cls.__dataclass_params__), cls.__hash__ is None)
    return {"fields": str(fields).partition(" at 0x")[0], "own": own, "functions": functions, **text, "rest": rest}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_as_if_made_at_once(load: Callable[[str], ModuleType], name: str) -> None:
    later, at_once = (getattr(load(module), name) for module in ("later", "at_once"))
    assert is_made(later) == (name == "Frozen")
    assert facts(later) == facts(at_once)
    assert is_made(later)


def _derived(module: Any) -> object:
    class Mine(module.Derived):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(1, d=True)

    return Mine() == Mine(), dataclasses.astuple(Mine())


def _matched(module: Any) -> object:
    match module.Derived(1, "y"):
        case module.Derived(a, b, c, d):
            return a, b, c, d
    return None


def _bare(module: Any) -> object:
    made = module.Plain.__new__(module.Plain)
    vars(made).update(a=1, c=[])
    return repr(made), made == copy.deepcopy(made), made == module.Plain(1)


def _hashed(module: Any) -> object:
    with suppress(TypeError):
        return hash(module.Plain.__new__(module.Plain))
    return "unhashable"


FIRST_USES: list[Callable[[Any], object]] = [
    lambda module: repr(module.Derived(1, d=True)),
    lambda module: module.Plain.read("3") == module.Plain(3),
    lambda module: dataclasses.replace(module.Plain(1), b="z").b,
    lambda module: module.Plain(1).c is not module.Plain(1).c,
    lambda module: (module.OwnMethods().a, module.OwnMethods() == 1, repr(module.OwnMethods())),
    lambda module: [dataclasses.is_dataclass(each) for each in (module.Derived, module.Empty, module.Other)],
    lambda module: [each.name for each in dataclasses.fields(module.Derived)],
    _derived,
    _matched,
    _bare,
    _hashed,
]


@pytest.mark.parametrize("use", FIRST_USES)
def test_the_first_use_finds_what_every_use_finds(
    load: Callable[[str], ModuleType], use: Callable[[Any], object]
) -> None:
    assert use(load("later")) == use(load("at_once"))


def test_a_class_can_be_used_first_by_many_threads_at_once(load: Callable[[str], ModuleType]) -> None:
    cls = load("later").Derived
    ready, made = threading.Barrier(8), []

    def make() -> None:
        ready.wait()
        made.append(cls(1, d=True))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [cls(1, d=True)] * 8


def test_other_modules_keep_the_decorator_of_python(load: Callable[[str], ModuleType]) -> None:
    load("later")
    assert load("at_once").dataclass is dataclasses.dataclass
    assert is_made(load("at_once").Plain)


FORK = """
import os, sys, threading
from copilot_nb.runtime import sdk_classes
sdk_classes.MODULES = ("later",)
import later
with sdk_classes._making():
    if not (child := os.fork()):
        using = threading.Thread(target=lambda: os._exit(later.Plain(1).b != "x"))
        using.start()
        using.join(10)
        os._exit(2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_is_forked_while_a_class_is_made_can_make_it(tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text(SOURCE)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", FORK], env=environment, check=False).returncode == 0
