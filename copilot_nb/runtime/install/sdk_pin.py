"""The version of the runtime that the SDK asks for, and GitHub's name for this platform.

Both are in `copilot/_cli_version.py`, a file of the SDK that imports nothing but the standard library. It is
loaded by itself, because `import copilot` takes 0.3 s.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

SDK = "github-copilot-sdk"


@cache
def sdk_versions() -> ModuleType | None:
    """Return the SDK's module of versions and platforms, without importing the SDK; None if it has none."""
    package = importlib.util.find_spec("copilot")  # of a top-level name: imports nothing
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).with_name("_cli_version.py")
    spec = importlib.util.spec_from_file_location("copilot_nb_sdk_versions", file)
    if spec is None or spec.loader is None or not file.is_file():
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sdk_install_command() -> str:
    """Return the command that installs into this Python the SDK that this package needs."""
    try:
        needed = importlib.metadata.requires("copilot-nb") or []
    except importlib.metadata.PackageNotFoundError:
        needed = []
    sdk = next((each for each in needed if each.startswith(SDK)), SDK)
    return f"{sys.executable} -m pip install --force-reinstall {sdk}"


def pinned_version() -> str | None:
    """Return the version of the runtime that the SDK asks for."""
    version = getattr(sdk_versions(), "CLI_VERSION", None)
    return version if isinstance(version, str) else None


@cache
def runtime_platform() -> str | None:
    """Return GitHub's name for this platform, such as ``linux-x64``; None if there is no runtime for it."""
    module = sdk_versions()
    try:
        return str(module.get_runtime_platform()) if module else None
    except RuntimeError:
        return None


def checksums_url(version: str) -> str:
    """Return the address of the checksums that the SDK's download begins with."""
    module = sdk_versions()
    assert module is not None
    return str(module.get_checksums_url(version))
