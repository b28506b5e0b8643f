"""Checks the installation: what is there, what is missing, and what to type.

Nothing is sent anywhere and the SDK is not imported; the runtime is started once to ask for its version. The
findings are plain data: the command line prints them, and the notebook adds its own (front end, login).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from copilot_nb.errors import ProviderError, RuntimeUnavailable
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.providers.spec import from_environment, is_custom_named
from copilot_nb.runtime.home import check_user
from copilot_nb.runtime.install.find_runtime import DOCTOR_HINT, RuntimeLocation, check_runtime, find_runtime
from copilot_nb.runtime.install.sdk_pin import SDK, pinned_version, sdk_install_command
from copilot_nb.runtime.lab_extension import CHECKOUT, install_command, server_environment
from copilot_nb.settings import CopilotNB
from copilot_nb.system.paths import expanded

MINIMUM_PYTHON = (3, 11)
PROVIDERS = ("", "github", "local")
WAYS_HINT = "type %copilot in a notebook: it says whether you are logged in, and lists the ways to a model"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes
    ----------
    what : str
        The subject, in a word or two.
    ok : bool
        Whether it is as required.
    detail : str
        What was found.
    fix : str
        What to type; with `ok`, an optional improvement.
    """

    what: str
    ok: bool
    detail: str
    fix: str = ""

    @property
    def mark(self) -> str:
        """Return ``OK``, ``note`` for what may stay as it is, or ``FIX``."""
        if not self.ok:
            return "FIX"
        return "note" if self.fix else "OK"


def diagnose(settings: CopilotNB, of_kernel: Collection[str] = ()) -> list[Finding]:
    """Check everything that `copilot_nb` needs outside the notebook.

    `of_kernel` names the providers that a kernel has beside those that the settings and the environment name.
    """
    return [
        _python(),
        _own_version(),
        _sdk(),
        *_runtime(settings),
        _home(settings),
        *_local_model(settings),
        _provider(settings, of_kernel),
        *_lab_extension(),
    ]


def _python() -> Finding:
    enough = sys.version_info >= MINIMUM_PYTHON
    detail = f"{platform.python_version()} ({sys.executable})"
    return Finding("Python", enough, detail, "" if enough else "install Python 3.11 or newer")


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _own_version() -> Finding:
    version = _version_of("copilot-nb")
    return Finding(
        "copilot-nb",
        version is not None,
        version or "not installed",
        "" if version else f"pip install {CHECKOUT}",
    )


def _sdk() -> Finding:
    version, pin = _version_of(SDK), pinned_version()
    if version is None or pin is None:
        detail = f"{version}, which names no runtime version" if version else "not installed"
        return Finding("Copilot SDK", False, detail, sdk_install_command())
    return Finding("Copilot SDK", True, f"{version}, asks for runtime {pin}")


def _runtime(settings: CopilotNB) -> Iterator[Finding]:
    try:
        location = find_runtime(settings.runtime_path)
    except RuntimeUnavailable as exc:
        yield Finding("Copilot runtime", False, exc.message, exc.hint.removesuffix(DOCTOR_HINT).removeprefix("run: "))
        yield _npm()
        return
    try:
        yield _compared(check_runtime(location))
    except RuntimeUnavailable as exc:
        yield Finding("Copilot runtime", False, exc.message, exc.hint.removeprefix("run: "))


def _compared(location: RuntimeLocation) -> Finding:
    pin = pinned_version()
    detail = f"{location.version}, {location.path} ({location.source})"
    if location.version == pin:
        return Finding("Copilot runtime", True, detail)
    return Finding("Copilot runtime", True, f"{detail}; the SDK asks for {pin}", "copilot-nb install-runtime")


def _npm() -> Finding:
    """Only `install-runtime` may need npm, if GitHub cannot be reached: a note, never a fault."""
    npm = shutil.which("npm")
    return Finding("npm", True, npm or "not installed", "" if npm else "install Node.js, if GitHub cannot be reached")


def _home(settings: CopilotNB) -> Finding:
    home = expanded(settings.home)
    # the runtime makes its home itself, so the nearest existing folder has to be writable
    existing = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    try:
        check_user(settings.home)
        with tempfile.TemporaryFile(dir=existing):
            return Finding("Runtime home", True, str(home))
    except OSError as exc:
        why = f"{home} cannot be written to: {exc.strerror or exc}"
        return Finding("Runtime home", False, why, "%config CopilotNB.home = '…', or set COPILOT_HOME")


def _has_engine() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def _has_local_model(settings: CopilotNB) -> bool:
    try:
        find_local_model(settings.local_model_path)
    except ProviderError:
        return False
    return _has_engine()


def _local_model(settings: CopilotNB) -> Iterator[Finding]:
    needed = settings.provider == "local"
    fix = "copilot-nb install-model"
    engine = _has_engine()
    version = _version_of("xllamacpp") or "installed"
    detail = f"xllamacpp {version}" if engine else f"xllamacpp is not installed{'' if needed else ' (optional)'}"
    yield Finding("Model engine", engine or not needed, detail, "" if engine else fix)
    try:
        yield Finding("Embedded model", True, str(find_local_model(settings.local_model_path)))
    except ProviderError as exc:
        optional = not needed and not settings.local_model_path
        detail = exc.message + (" (optional)" if optional else "")
        yield Finding("Embedded model", optional, detail, exc.hint.removeprefix("run: "))


def _lab_extension() -> Iterator[Finding]:
    """JupyterLab works without the extension, so that it is missing is a note, never a fault."""
    if (server := server_environment()) is None:
        return
    own, install = _version_of("copilot-nb"), install_command(server.python)
    if not server.version:
        yield Finding("JupyterLab", True, f"without our extension: it is not where {server.python} looks", install)
    else:
        detail = f"extension {server.version}, of {server.python}"
        yield Finding("JupyterLab", True, detail, "" if server.version == own else install)


def _provider(settings: CopilotNB, of_kernel: Collection[str]) -> Finding:
    name = settings.provider
    if name not in (*PROVIDERS, *from_environment(), *settings.providers, *of_kernel):
        return Finding(
            "Provider", False, f"unknown: {name!r}", "%config CopilotNB.provider = 'github' (or 'local', or '')"
        )
    if name == "github" and settings.offline:
        detail = "'github', but the runtime is offline: no request leaves this machine"
        return Finding("Provider", False, detail, "unset COPILOT_OFFLINE, or: %config CopilotNB.offline = False")
    if name:
        return Finding("Provider", True, f"'{name}'")
    if is_custom_named() or _has_local_model(settings):
        return Finding("Provider", True, "chosen for each session (Copilot login, else the embedded model)")
    return Finding("Provider", True, "none is set: only a Copilot login can answer", WAYS_HINT)
