"""The rules of the house (CONTRIBUTING.md draws its map), read from the source with `ast`.

Imports inside functions count as those at the top do; those under ``if TYPE_CHECKING:`` count too, but for the one
exception in `TYPING_ONLY`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "copilot_nb"

LAYERS = {
    "console": 0,
    "characters": 0,
    "foreign_json": 0,
    "errors": 0.5,  # its lines show no control characters
    "frontend": 0,
    "settings": 0,
    "agent": 1,
    "conversation": 1,
    "render": 1,
    "structured": 1.5,  # reads code blocks by `render`
    "system": 0,
    "providers": 2,
    "runtime": 3,
    "named_sessions": 4,
    "testing": 4.5,  # plugs a model in below the sessions; no other folder imports it
    "experiments": 5,
    "notebook": 6,
    "panels": 6,
    "": 7,  # copilot_nb/__init__.py
    "demo": 6,
    "cli": 7,
}
# Types flow from the conversation to what shows it, never back.
SIDEWAYS = {
    ("render", "copilot_nb.agent.redaction"),  # how many secrets are hidden
    ("render", "copilot_nb.conversation.parts"),
    ("render", "copilot_nb.conversation.transcript"),
}
NOBODY_IMPORTS = {"testing", "cli"}

IMPORTERS = {
    "IPython": {"notebook", "panels"},
    "PIL": {"named_sessions"},
    "anywidget": {"panels"},
    "copilot": {"runtime", "testing"},
    "distributed": {"experiments"},
    "httpx": {"providers", "runtime", "testing"},
    "huggingface_hub": {"providers"},
    "inspect_ai": {"experiments"},
    "ipykernel": {"notebook"},
    "jsonschema": {"structured"},
    "jupyter_client": {"notebook"},
    "keyring": {"providers"},
    "latex2mathml": {"render"},
    "markdown_it": {"render"},
    "matplotlib": {"experiments"},
    "nbclient": {"demo"},
    "nbformat": {"demo"},
    "nh3": {"render"},
    "numpy": {"experiments"},
    "pandas": {"experiments", "named_sessions"},
    "platformdirs": {"runtime"},
    "pydantic": {"agent", "structured"},
    "psutil": {"runtime"},
    "pygments": {"render"},
    "rapidfuzz": {"experiments"},
    "referencing": {"structured"},
    "scipy": {"experiments"},
    "traitlets": {"settings", "notebook", "panels"},
    "typing_extensions": {"structured"},
    "xllamacpp": {"providers"},
    "zmq": {"demo"},
}
ONLY_IMPORTER = {
    "distributed": "copilot_nb.experiments.engines.dask_cluster",
    "huggingface_hub": "copilot_nb.providers.local.hugging_face",
    "PIL": "copilot_nb.named_sessions.attach",
    "keyring": "copilot_nb.providers.keys",
    "matplotlib": "copilot_nb.experiments.plots",
    "rapidfuzz": "copilot_nb.experiments.scorers",
    "xllamacpp": "copilot_nb.providers.local.llama_process",
}
TYPING_ONLY = {("", "IPython"), ("frontend", "IPython"), ("panels", "pandas")}

# The borders where anything may be raised: it is logged and shown there.
BROAD_EXCEPTS = {
    "experiments/scorers.py",  # a scorer of the user: its error is the cell's outcome
    "panels/base.py",  # what a page asked for
    "panels/chat.py",  # an expression of the user's own
    "panels/worker.py",  # a job of a panel's own thread, which must outlive it
    "runtime/gate.py",  # a hook: what it raises would let the call through
    "runtime/tools.py",  # a tool of the user's own: the model is told
    "runtime/connection.py",  # an event of the SDK, which swallows what a handler raises
    "system/main_thread.py",  # a job of another thread: its error goes to the caller that waits for it
    "structured.py",  # a validator of the user's own: its error is what is wrong with the answer
    "system/threads.py",  # a job of another thread: its error goes to the caller that waits for it
    "notebook/workspace.py",  # an expression of the user's own
}

# What these read as JSON, copilot_nb or the SDK wrote; all else is read by `foreign_json`, which bounds its depth.
READ_OWN_JSON = {
    "experiments/engines/worker.py",
    "experiments/round_store.py",
    "experiments/store.py",
    "providers/chat.py",
    "providers/incoming.py",
    "providers/local/llama.py",
    "providers/local/llama_process.py",
    "providers/relay.py",
    "runtime/composing.py",
    "structured.py",  # what its own decoder has read before
}

MAX_UNMAPPED_MODULES = 30
MAX_FUNCTION_LINES = 50
MAX_FILE_LINES = 500
MAX_LINE_CHARS = 120


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def place(self) -> str:
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def folder(self) -> str:
        return folder_of(self.name)

    @property
    def source(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)


@dataclass(frozen=True)
class Import:
    """One import: the full name of what is imported, and where."""

    target: str
    line: int
    typing_only: bool

    @property
    def library(self) -> str:
        return self.target.partition(".")[0]


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]
NAMES = {module.name for module in MODULES}
PAGES = sorted([*(PACKAGE / "panels" / "static").iterdir(), *(ROOT / "labextension" / "scripts").iterdir()])
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.place)


def folder_of(name: str) -> str:
    """Return the folder of a module, or the module itself if it is in no folder."""
    return f"{name}..".split(".")[1]


def imports(tree: ast.AST, package: str, typing_only: bool = False) -> Iterator[Import]:
    """Yield every import below `tree`, lazy ones too; `package` is what a relative one starts from."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, typing_only)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(target, node.lineno, typing_only) for target in from_targets(node, package))
        elif isinstance(node, ast.Call) and (name := named_import(node)):
            yield Import(name, node.lineno, typing_only)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(ast.Module(node.body, []), package, typing_only=True)
            yield from imports(ast.Module(node.orelse, []), package, typing_only)
            continue
        yield from imports(node, package, typing_only)


def from_targets(node: ast.ImportFrom, package: str) -> list[str]:
    """Return what ``from … import …`` imports: a module of ours by its own name, else the module it is from."""
    base = node.module or ""
    if node.level:
        start = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*start, *([node.module] if node.module else [])])
    named = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in NAMES else base for name in named]


def named_import(node: ast.Call) -> str:
    """Return the module of ``import_module("…")`` or ``__import__("…")``."""
    called = ast.unparse(node.func).rpartition(".")[2]
    first = node.args[0] if node.args else None
    if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
        return str(first.value)
    return ""


def imports_of(module: Module) -> list[Import]:
    """Return all imports of `module`."""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    return list(imports(module.tree, package))


def layer_fault(folder: str, target: str) -> str:
    """Return why a module of `folder` may not import our module `target`; ``""`` if it may."""
    other = folder_of(target)
    if other == folder or (folder, target) in SIDEWAYS:
        return ""
    if other in NOBODY_IMPORTS:
        return f"nobody imports {other}"
    if LAYERS[other] >= LAYERS[folder]:
        return f"{other or 'copilot_nb'} is not below {folder or 'copilot_nb'}"
    return ""


def importer_fault(module: str, found: Import) -> str:
    """Return why `module` may not import an outside library; ``""`` if it may."""
    folder = folder_of(module)
    if found.library not in IMPORTERS:
        return f"{found.library} is not listed: add it to IMPORTERS here and to the table in CONTRIBUTING.md"
    if found.typing_only and (folder, found.library) in TYPING_ONLY:
        return ""
    only = ONLY_IMPORTER.get(found.library, "")
    if folder not in IMPORTERS[found.library] or not f"{module}.".startswith(only):
        return f"{found.library} is imported only by {only or sorted(IMPORTERS[found.library])}"
    return ""


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return a circle of `graph`, which begins and ends with the same name; nothing if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function below `tree`."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines, from ``def`` to its end, the docstring among them."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def undocumented(node: ast.AST, prefix: str) -> Iterator[str]:
    """Yield the public classes and functions below `node` that have no docstring."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith("_"):
            continue
        name = f"{prefix}.{child.name}"
        if ast.get_docstring(child) is None and not documented_elsewhere(child):
            yield name
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, name)


def documented_elsewhere(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a docstring would only repeat another: an override, an overload, a property's setter."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("overload", "override", ".setter", ".deleter")) for name in decorators)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether `handler` catches everything and keeps it: one that ends with a bare ``raise`` only cleans up."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = ("" if kind is None else ast.unparse(kind).rpartition(".")[2] for kind in kinds)
    return any(name in ("", "Exception", "BaseException") for name in names)


@each_module
def test_a_module_is_in_a_known_folder(module: Module) -> None:
    assert module.folder in LAYERS, "a new folder: give it a layer here and a row in the table of CONTRIBUTING.md"


@each_module
def test_a_module_imports_only_from_lower_layers_or_its_own_folder(module: Module) -> None:
    ours = (found for found in imports_of(module) if found.library == "copilot_nb")
    faults = [f"line {f.line}: {why}" for f in ours if (why := layer_fault(module.folder, f.target))]
    assert not faults


@each_module
def test_an_outside_library_is_imported_only_where_it_is_listed(module: Module) -> None:
    outside = (f for f in imports_of(module) if f.library not in sys.stdlib_module_names | {"copilot_nb"})
    faults = [f"line {f.line}: {why}" for f in outside if (why := importer_fault(module.name, f))]
    assert not faults


@each_module
def test_everything_is_caught_only_at_the_named_borders(module: Module) -> None:
    handlers = (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler))
    broad = [f"line {handler.lineno}" for handler in handlers if is_broad(handler)]
    assert not broad or module.place in BROAD_EXCEPTS


def test_every_named_border_is_used() -> None:
    broad = {
        module.place
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    }
    assert broad == BROAD_EXCEPTS


def test_json_of_others_is_read_by_one_module() -> None:
    direct = {module.place for module in MODULES if "json.loads" in set(map(ast.unparse, ast.walk(module.tree)))}
    assert direct - {"foreign_json.py"} == READ_OWN_JSON


def test_the_home_of_an_unknown_user_raises_nowhere() -> None:
    assert [module.place for module in MODULES if ".expanduser()" in module.source] == []


def test_every_importer_imports_its_library() -> None:
    found = {(each.library, module.folder) for module in MODULES for each in imports_of(module)}
    listed = {(library, folder) for library, folders in IMPORTERS.items() for folder in folders}
    assert not {(library, folder) for library, folder in listed - found if folder not in NOBODY_IMPORTS}


@each_module
def test_public_names_are_documented(module: Module) -> None:
    assert ast.get_docstring(module.tree), "a module says what it is for"
    assert not list(undocumented(module.tree, module.name))


@pytest.mark.parametrize(
    "package", [each for each in MODULES if each.path.name == "__init__.py"], ids=lambda m: m.place
)
def test_a_large_folder_has_a_map_in_its_docstring(package: Module) -> None:
    modules = {path.stem for path in package.path.parent.glob("*.py")} - {"__init__"}
    named = set(re.findall(r"`(\w+)[`.]", ast.get_docstring(package.tree) or ""))
    if len(modules) > MAX_UNMAPPED_MODULES:
        assert not modules - named, f"say in {package.place} what they are for"


@each_module
def test_functions_and_files_are_short(module: Module) -> None:
    long = [f"{f.name}: {length(f)}" for f in functions(module.tree) if length(f) > MAX_FUNCTION_LINES]
    assert not long
    lines = module.source.count("\n")
    assert lines <= MAX_FILE_LINES


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Types count too: modules that know each other's types are changed together."""
    graph = {module.name: {f.target for f in imports_of(module) if f.target in NAMES} for module in MODULES}
    faces = {module.name for module in MODULES if module.path.name == "__init__.py" and not module.tree.body[1:]}
    assert not circle({name: targets - faces - {name} for name, targets in graph.items()})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_scripts_and_styles_of_the_page_are_short(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= MAX_FILE_LINES
    assert not [number for number, line in enumerate(lines, 1) if len(line) > MAX_LINE_CHARS]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("from copilot_nb.conversation import transcript", ["copilot_nb.conversation.transcript"]),
        ("from ..conversation.transcript import Text", ["copilot_nb.conversation.transcript"]),
        ("from . import nothing", ["copilot_nb.runtime"]),
        ("def f():\n  try:\n    import a\n  except ImportError:\n    from b import c", ["a", "b"]),
        ("import_module('a.b'); importlib.import_module('c')", ["a.b", "c"]),
        ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", ["a", "b"]),
    ],
)
def test_all_kinds_of_import_are_found(source: str, expected: list[str]) -> None:
    assert [found.target for found in imports(ast.parse(source), "copilot_nb.runtime")] == expected


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"a"}}) in (["a", "b", "a"], ["b", "a", "b"])


@pytest.mark.parametrize(
    ("folder", "target", "allowed"),
    [
        ("render", "copilot_nb.conversation.transcript", True),
        ("render", "copilot_nb.conversation.prompt", False),
        ("conversation", "copilot_nb.render.html", False),
        ("notebook", "copilot_nb.panels.chat", False),
        ("notebook", "copilot_nb.named_sessions.manager", True),
        ("notebook", "copilot_nb", False),
        ("testing", "copilot_nb.runtime.client", True),
        ("testing", "copilot_nb.named_sessions.session", True),
        ("named_sessions", "copilot_nb.testing", False),
        ("cli", "copilot_nb", False),
    ],
)
def test_the_layers_allow_and_forbid(folder: str, target: str, allowed: bool) -> None:
    assert (layer_fault(folder, target) == "") is allowed


@pytest.mark.parametrize(
    ("module", "library", "typing_only", "allowed"),
    [
        ("copilot_nb.providers.local.llama_process", "xllamacpp", False, True),
        ("copilot_nb.runtime.client", "xllamacpp", False, False),
        ("copilot_nb.named_sessions.session", "copilot", False, False),
        ("copilot_nb", "IPython", True, True),
        ("copilot_nb", "IPython", False, False),
        ("copilot_nb.notebook.magics", "requests", False, False),
    ],
)
def test_the_importers_allow_and_forbid(module: str, library: str, typing_only: bool, allowed: bool) -> None:
    assert (importer_fault(module, Import(library, 1, typing_only)) == "") is allowed


@pytest.mark.parametrize(
    ("clause", "broad"),
    [
        ("except:", True),
        ("except Exception:", True),
        ("except (ValueError, BaseException):", True),
        ("except builtins.Exception:", True),
        ("except ValueError:", False),
        ("except MyException:", False),
        ("except BaseException:\n  stop()\n  raise", False),
        ("except BaseException as error:\n  raise Ours from error", True),
    ],
)
def test_broad_excepts_are_found(clause: str, broad: bool) -> None:
    tree = ast.parse(f"try:\n  pass\n{clause}" + ("" if "\n" in clause else "\n  pass"))
    assert [is_broad(node) for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)] == [broad]
