"""`pyproject.toml` declares what the code imports, in the extra that brings it, and nothing else."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.documentation import ROOT
from tests.unit.test_structure import MODULES, Import, Module, imports_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS_OF = {
    "demo": ("demo",),
    "experiments": ("dask", "experiments", "plots"),
    "providers": ("hub", "keyring", "local"),
    "structured": ("experiments",),
}
"""The extras that a folder's imports may come from; without them it says what to install."""
OF_THE_USER = {"pandas"}
"""Used only on what a user has made with it, or asks for."""
NOT_IMPORTED = {
    "ipywidgets": "shows the widgets that anywidget makes",
    "websockets": "the SDK imports it",
}
DISTRIBUTIONS = packages_distributions()


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[\[<>=~!; ]", each)[0]) for each in requirements}


REQUIRED = names(PROJECT["dependencies"])
OPTIONAL = {extra: names(requirements) for extra, requirements in PROJECT["optional-dependencies"].items()}


def outside(module: Module) -> list[Import]:
    """Return the imports that need another distribution at run time."""
    found = (each for each in imports_of(module) if not each.typing_only and each.library != "copilot_nb")
    return [each for each in found if each.library in DISTRIBUTIONS]


def is_declared(found: Import, declared: set[str]) -> bool:
    return any(normalized(name) in declared for name in DISTRIBUTIONS[found.library])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.place)
def test_what_a_module_imports_is_declared(module: Module) -> None:
    declared = REQUIRED.union(OF_THE_USER, *(OPTIONAL[extra] for extra in EXTRAS_OF.get(module.folder, ())))
    assert not {each.library for each in outside(module) if not is_declared(each, declared)}


def test_what_is_declared_is_imported() -> None:
    libraries = {each.library for module in MODULES for each in outside(module)}
    used = {normalized(name) for library in libraries for name in DISTRIBUTIONS[library]}
    for_users = {
        name for extra in ("dask", "experiments", "hub", "keyring", "local", "plots") for name in OPTIONAL[extra]
    }
    assert (REQUIRED | for_users) - used == NOT_IMPORTED.keys()


def test_the_demo_has_what_its_notebooks_use() -> None:
    """`make demo` and Binder offer all of them."""
    wanted = "".join(path.read_text("utf-8") for path in (ROOT / "notebooks").glob("*.ipynb"))
    extras = {extra for named in re.findall(r"copilot-nb\[([\w,]+)\]", wanted) for extra in named.split(",")}
    (own,) = (each for each in PROJECT["optional-dependencies"]["demo"] if each.startswith("copilot-nb["))
    assert extras
    assert extras <= set(own[len("copilot-nb[") : -1].split(","))


def test_the_recipe_for_conda_names_the_same_version_and_dependencies() -> None:
    recipe = (ROOT / "conda" / "recipe.yaml").read_text("utf-8")
    assert f'  version: "{PROJECT["version"]}"\n' in recipe
    run = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    needed = {each.strip(" -").replace(" ", "").replace("_", "-") for each in run.splitlines()}
    assert needed == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}
