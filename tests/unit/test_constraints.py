"""`constraints.txt`: every version in it can be installed on the lowest Python that pyproject.toml promises.

Read from what is installed here, so no registry is asked; the real installation is in
`tests/kernel/test_binder_postbuild.py`.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROMISED = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"])
LOWEST_PYTHON = f"{next(iter(PROMISED)).version}.0"
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")
)


def installed() -> dict[str, importlib.metadata.PackageMetadata]:
    """The metadata of the pinned packages that are installed (others belong to another Python or system)."""
    found = {}
    for name, version in PINS.items():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        assert distribution.version == version, f"{name} {distribution.version} is installed: run make check again"
        found[name] = distribution.metadata
    return found


def test_every_pin_admits_the_lowest_python_promised() -> None:
    packages = installed()
    assert len(packages) > 0.9 * len(PINS)
    needs = {name: metadata.get("Requires-Python") or "" for name, metadata in packages.items()}
    too_new = {name: need for name, need in needs.items() if LOWEST_PYTHON not in SpecifierSet(need)}
    assert too_new == {}, f"not for Python {LOWEST_PYTHON}: run make lock"
