"""Finds the Copilot runtime and checks that it runs. Nothing here imports the SDK (1-2 s) or writes a file.

The runtime consists of two programs, and both speak the SDK's protocol:

- ``copilot``, the complete command line program: one file of 190 MB that unpacks itself (235 MB) the first
  time it is run. It also does what the SDK does not need, such as ``copilot login``.
- ``copilot-runtime``, the small program inside that unpacked package, which the SDK downloads by default. It
  starts in 0.02 s where ``copilot`` takes 0.5 s, answers a turn in half the time and takes 60 MB less.

So our own installation unpacks the first and starts the second. `find_runtime` only looks at files (about
5 ms), because it runs when a kernel starts; `check_runtime` asks the program itself.

The paths of the SDK's cache follow its `copilot/_cli_download.py`.

Why: docs/decisions/0001-start-copilot-runtime.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.foreign_json import parsed
from copilot_nb.runtime.install.cache import cache_root
from copilot_nb.runtime.install.sdk_pin import pinned_version, runtime_platform
from copilot_nb.system.environment import small
from copilot_nb.system.paths import expanded

INSTALL_HINT = "run: copilot-nb install-runtime"
DOCTOR_HINT = ", or in a notebook: %copilot doctor"
CHECK_TIMEOUT_S = 60.0  # the first run of `copilot` unpacks 235 MB
OWN_SOURCE = "copilot-nb install-runtime"
SDK_SOURCE = "the SDK's download"
NAMED_SOURCES = ("the setting runtime_path", "COPILOT_CLI_PATH")
# "GitHub Copilot CLI 1.0.102." or "1.0.102" from `copilot`, JSON from `copilot-runtime`
_VERSION = r'(?:"version":\s*"|\A(?:GitHub Copilot CLI )?)(\d+\.\d+\.\d+(?:-[\w.]*\w)?)'
_EXE = ".exe" if sys.platform == "win32" else ""
CLI_NAME = f"copilot{_EXE}"
WRAPPER_NAME = f"copilot-runtime{_EXE}"


@dataclass(frozen=True)
class RuntimeLocation:
    """A runtime that was found.

    Attributes
    ----------
    path : Path
        The executable.
    source : str
        What led to it, in words for the reader.
    version : str or None
        Its version as far as the files tell; `check_runtime` asks the program.
    """

    path: Path
    source: str
    version: str | None = None

    @property
    def cli(self) -> Path | None:
        """The complete command line program (for ``copilot login``), if this runtime has it."""
        if self.path.name != WRAPPER_NAME:
            return self.path
        # <folder>/pkg/<platform>/<version>/prebuilds/<platform>/copilot-runtime
        return next((p for p in (up / CLI_NAME for up in self.path.parents[5:6]) if p.is_file()), None)


# Finding it


def find_runtime(explicit: str = "", environ: Mapping[str, str] = os.environ) -> RuntimeLocation:
    """Find the runtime by looking at files only.

    In this order: `explicit`, ``COPILOT_CLI_PATH``, what the SDK has downloaded, what
    ``copilot-nb install-runtime`` has installed, and ``copilot`` on the ``PATH``. Never in the current folder: a
    program that came with somebody's files is not run because a notebook lies beside it.

    Parameters
    ----------
    explicit : str
        Path of the executable, if the reader has named one.
    environ : mapping
        The environment variables.

    Raises
    ------
    RuntimeUnavailable
        If there is none, or if the one that was named cannot be used.
    """
    if explicit:
        return _named(explicit, NAMED_SOURCES[0])
    if named := environ.get("COPILOT_CLI_PATH", ""):
        return _named(named, NAMED_SOURCES[1])
    for location in _found(environ):
        return location
    raise RuntimeUnavailable("the Copilot runtime is not installed", INSTALL_HINT + DOCTOR_HINT)


def _named(value: str, source: str) -> RuntimeLocation:
    path = expanded(value).absolute()
    location = RuntimeLocation(path, source)
    _require_executable(location)
    return replace(location, version=_version_beside(path))


def _found(environ: Mapping[str, str]) -> Iterator[RuntimeLocation]:
    version = pinned_version()
    if version:
        if downloaded := sdk_runtime(version, environ):
            yield downloaded
        if installed := own_runtime(version, environ):
            yield installed
    if on_path := shutil.which("copilot", path=_absolute_folders(environ.get("PATH", ""))):
        yield _installed_by_others(Path(on_path), "copilot on the PATH")


def _absolute_folders(path: str) -> str:
    """Return `path` without entries that mean the current folder, such as ``.`` or an empty one."""
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())


def sdk_runtime(version: str, environ: Mapping[str, str] = os.environ) -> RuntimeLocation | None:
    """Return the runtime of `version` that the SDK has downloaded."""
    override = environ.get("COPILOT_CLI_EXTRACT_DIR", "")
    folder = Path(override).absolute() if override else _sdk_cache(environ) / "cli" / version
    wrapper = folder / "prebuilds" / (runtime_platform() or "-") / WRAPPER_NAME
    if not all(_has_content(file) for file in (wrapper, wrapper.with_name("runtime.node"))):
        return None
    # a folder that the user names does not say which version it holds
    return RuntimeLocation(wrapper, SDK_SOURCE, None if override else version)


def _sdk_cache(environ: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "github-copilot-sdk"


def own_folder(version: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for our installation of `version`; a home may be shared by several platforms."""
    return cache_root(environ) / "runtime" / version / (runtime_platform() or "unknown")


def own_runtime(version: str, environ: Mapping[str, str] = os.environ) -> RuntimeLocation | None:
    """Return the runtime of `version` that ``copilot-nb install-runtime`` has installed."""
    path = entry_point(own_folder(version, environ))
    return RuntimeLocation(path, OWN_SOURCE, version) if path else None


def entry_point(folder: Path) -> Path | None:
    """Return the program to start in an installed package: ``copilot-runtime`` if it was unpacked, else ``copilot``."""
    for wrapper in sorted(folder.glob(f"pkg/*/*/prebuilds/*/{WRAPPER_NAME}")):
        if _has_content(wrapper) and _has_content(wrapper.with_name("runtime.node")):
            return wrapper
    return folder / CLI_NAME if _has_content(folder / CLI_NAME) else None


def _has_content(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _installed_by_others(path: Path, source: str) -> RuntimeLocation:
    """Return the program itself if `path` is npm's loader: one process less to start and to stop."""
    loader = path.resolve()
    if loader.name == "npm-loader.js":
        scopes = (loader.parent / "node_modules" / "@github", loader.parent.parent)
        programs = (scope / f"copilot-{runtime_platform()}" / CLI_NAME for scope in scopes)
        path = next((program for program in programs if _has_content(program)), path)
    return RuntimeLocation(path, source, _version_beside(path))


def _version_beside(path: Path) -> str | None:
    """Read the version in the package.json of the package that `path` is in, without running anything."""
    parents = path.resolve().parents
    for folder in (*parents[:1], *parents[2:3]):  # of `copilot`, and of prebuilds/<platform>/copilot-runtime
        try:
            package: Any = parsed((folder / "package.json").read_text(encoding="utf-8"))
            if str(package["name"]).startswith("@github/copilot"):
                return str(package["version"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


# Checking it


def check_runtime(location: RuntimeLocation, *, unpack_to: Path | None = None) -> RuntimeLocation:
    """Run the runtime once and return `location` with the version that it answers.

    A version other than the SDK's pin is not an error (adjacent versions work): compare with `pinned_version`.

    Parameters
    ----------
    location : RuntimeLocation
        What to check.
    unpack_to : Path, optional
        Where ``copilot`` unpacks itself, if not into its own cache.

    Raises
    ------
    RuntimeUnavailable
        If it is missing, not executable, made for another machine or C library, or another program.
    """
    _require_executable(location)
    argv, request = _question(location.path)
    with tempfile.TemporaryDirectory(prefix="copilot-nb-") as home:
        env = _quiet_environment(home, unpack_to)
        try:
            done = subprocess.run(  # noqa: S603 - a program that the user installed or named
                argv, input=request, capture_output=True, env=env, timeout=CHECK_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise _unusable(location, f"did not answer within {CHECK_TIMEOUT_S:g} s") from exc
        except OSError as exc:
            raise _unusable(location, _why_not_started(exc)) from exc
    return replace(location, version=_version_answered(done, location))


def _require_executable(location: RuntimeLocation) -> None:
    path, source = location.path, location.source
    hint = f"correct {source}, or leave it empty and {INSTALL_HINT}"
    if not path.exists():
        raise RuntimeUnavailable(f"there is no Copilot runtime at {path} ({source})", hint)
    if not path.is_file():
        raise RuntimeUnavailable(f"{path} ({source}) is not a file", hint)
    if path.suffix != ".js" and not os.access(path, os.X_OK):
        raise RuntimeUnavailable(f"{path} ({source}) is not executable", f"run: chmod +x {path}")


def _question(path: Path) -> tuple[list[str], bytes]:
    """Return how to ask `path` for its version; ``copilot-runtime`` knows no --version, but does answer requests."""
    if path.name != WRAPPER_NAME:
        return [*(["node"] if path.suffix == ".js" else []), str(path), "--version"], b""
    body = b'{"jsonrpc":"2.0","id":1,"method":"status.get","params":{}}'
    options = ["--headless", "--no-auto-update", "--log-level", "none", "--no-auto-login", "--stdio"]
    return [str(path), *options], b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _quiet_environment(home: str, unpack_to: Path | None) -> dict[str, str]:
    """Return a small environment in which the runtime makes no request and leaves nothing in the user's home."""
    caches = ("COPILOT_CACHE_HOME", "COPILOT_PKG_CACHE_HOME")
    env = small() | {name: value for name, value in os.environ.items() if name in caches}
    env |= {"COPILOT_HOME": home, "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
    # the offline mode asks for a provider; nothing is sent to this one
    env |= {"COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:9/v1", "COPILOT_MODEL": "none"}
    return env | ({"COPILOT_PKG_CACHE_HOME": str(unpack_to)} if unpack_to else {})


def _why_not_started(exc: OSError) -> str:
    if isinstance(exc, FileNotFoundError):  # of a file that is there: what is missing is what should run it
        return "needs an interpreter or a C library (glibc or musl) that is missing here"
    if isinstance(exc, PermissionError):
        return "may not be run (a folder or disk that forbids it?)"
    return f"is not a program for this machine ({exc.strerror or exc})"


def _version_answered(done: subprocess.CompletedProcess[bytes], location: RuntimeLocation) -> str:
    said = done.stdout.decode("utf-8", "replace").strip()
    if match := re.search(_VERSION, said):
        return match[1]
    errors = done.stderr.decode("utf-8", "replace").strip()
    complaint = (errors.splitlines()[-1:] or said.splitlines()[:1] or ["no answer"])[0][:200]
    if done.returncode in (126, 127):
        raise _unusable(location, f"cannot be run here: {complaint}")
    if done.returncode != 0:
        raise _unusable(location, f"stopped with exit code {done.returncode}: {complaint}")
    raise _unusable(location, f"is not the GitHub Copilot CLI: it answered {complaint!r}")


def _unusable(location: RuntimeLocation, why: str) -> RuntimeUnavailable:
    path, source = location.path, location.source
    hint = INSTALL_HINT
    if source in NAMED_SOURCES:  # an installation is not looked at as long as another one is named
        hint = f"correct {source}, or leave it empty and {INSTALL_HINT}"
    elif source == SDK_SOURCE:
        hint = f"delete {path.parent} and {INSTALL_HINT}"
    return RuntimeUnavailable(f"the Copilot runtime {path} ({source}) {why}", hint)
