"""Installs the Copilot runtime, on request.

The runtime is GitHub's and comes from GitHub, in one of two ways: the SDK's own download (GitHub's releases),
or the npm package of this platform, for machines that reach a package registry but not GitHub. Of the
npm packages only ``@github/copilot-<platform>`` is fetched (129 MB): ``@github/copilot`` is a loader that
needs Node.js at every start, and depends on it. The package is unpacked, run once, and only then moved to
where `find_runtime` looks (see `cache` for how that survives a kill or a second installer).
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

from copilot_nb.errors import InputError, RuntimeUnavailable
from copilot_nb.runtime.install.cache import incoming, locked, publish, writing
from copilot_nb.runtime.install.find_runtime import (
    CLI_NAME,
    OWN_SOURCE,
    RuntimeLocation,
    check_runtime,
    entry_point,
    own_folder,
    own_runtime,
    sdk_runtime,
)
from copilot_nb.runtime.install.integrity import check_npm_package
from copilot_nb.runtime.install.remove_older import remove_older
from copilot_nb.runtime.install.sdk_pin import checksums_url, pinned_version, runtime_platform, sdk_install_command
from copilot_nb.runtime.install.subprocesses import (
    DOWNLOAD_TIMEOUT_S,
    Progress,
    error_line,
    folder_size_mb,
    run_patiently,
)
from copilot_nb.system.environment import without_keys

METHODS = ("auto", "sdk", "npm")
REACH_TIMEOUT_S = 10.0
FETCHED_MB = 320  # the package (190 MB) and npm's archive of it

NOTICE = (
    "The GitHub Copilot CLI {version} is GitHub's software, not part of copilot-nb. It comes under the "
    "“GitHub Copilot CLI License”, the LICENSE.md in https://www.npmjs.com/package/@github/copilot"
)

_NETWORK = {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"}
_NPM_REASONS = dict.fromkeys(_NETWORK, "no network: npm cannot reach its registry") | {
    "ENOSPC": "the disk is full",
    "EDQUOT": "the disk quota is used up",
    "EBADPLATFORM": "the package is not made for this platform",
}
_NPM_DISTRUST = re.compile(r"CERT|UNABLE_TO_VERIFY")
# no package.json, lock or "bin" links are needed, and no installation script may run
_NPM_OPTIONS = (
    "--no-save --no-package-lock --no-bin-links --ignore-scripts --no-audit --no-fund --global=false "
    "--install-strategy=hoisted --prefer-offline --loglevel=error --no-update-notifier "
    f"--fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-timeout={DOWNLOAD_TIMEOUT_S * 1000:.0f}"
).split()


def install_runtime(*, progress: Progress = print, method: str = "auto") -> RuntimeLocation:
    """Install the version of the Copilot runtime that the SDK asks for, for this user only.

    Parameters
    ----------
    progress : callable
        Called with each line of progress.
    method : {"auto", "sdk", "npm"}
        ``sdk``: the SDK's download from GitHub's releases. ``npm``: the package of this platform, by the
        machine's npm. ``auto``: the first of them that works.

    Raises
    ------
    RuntimeUnavailable
        If it could not be installed; nothing unfinished is left behind.
    """
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}", f"one of: {', '.join(METHODS)}")
    version, _ = _wanted()
    with locked(
        own_folder(version).parent.parent, lambda: progress("Another installation is running: waiting for it…")
    ):
        location = _installed(method, version, progress)
        if location is None:
            location = _install(method, version, progress)
            remove_older(version, progress)
    progress(f"The Copilot runtime {location.version} is ready: {location.path}")
    return location


def _wanted() -> tuple[str, str]:
    version, platform = pinned_version(), runtime_platform()
    if version is None:
        raise RuntimeUnavailable(
            "the Copilot SDK is not installed, or names no version of the runtime",
            f"run: {sdk_install_command()}",
        )
    if platform is None:
        raise RuntimeUnavailable(
            f"GitHub offers no Copilot runtime for this platform ({sys.platform})",
            "use Linux, macOS or Windows on x64 or arm64",
        )
    return version, platform


def _installed(method: str, version: str, progress: Progress) -> RuntimeLocation | None:
    """Return the installed runtime, if it works."""
    places = {"sdk": sdk_runtime, "npm": own_runtime}
    for name in places if method == "auto" else (method,):
        location = places[name](version)
        if location is None:
            continue
        try:
            return check_runtime(location)
        except RuntimeUnavailable as exc:
            progress(f"Not usable, installing again: {exc.message}")
    return None


def _install(method: str, version: str, progress: Progress) -> RuntimeLocation:
    progress(NOTICE.format(version=version))
    if method == "sdk":
        return _by_sdk(version, progress)
    if method == "npm":
        return _by_npm(version, progress)
    try:
        return _by_sdk(version, progress)
    except RuntimeUnavailable as exc:
        progress(f"{exc.message}; trying npm.")
        first = exc
    try:
        return _by_npm(version, progress)
    except RuntimeUnavailable as exc:
        raise RuntimeUnavailable(f"{exc.message} (before that: {first.message})", exc.hint) from exc


# The SDK's download


def _by_sdk(version: str, progress: Progress) -> RuntimeLocation:
    hint = "run: copilot-nb install-runtime --method npm"
    if os.environ.get("COPILOT_SKIP_CLI_DOWNLOAD", "").lower() in ("1", "true", "yes"):
        raise RuntimeUnavailable("the SDK's download is switched off by COPILOT_SKIP_CLI_DOWNLOAD", hint)
    _require_reachable(checksums_url(version), hint)
    progress("Downloading from GitHub, by the SDK…")
    argv = [sys.executable, "-P", "-m", "copilot", "download-runtime"]  # -P: not a copilot.py of the current folder
    done = run_patiently(argv, lambda s: progress(f"… {s:.0f} s"), timeout_s=DOWNLOAD_TIMEOUT_S, env=without_keys())
    location = sdk_runtime(version)
    if done.returncode != 0 or location is None:
        raise RuntimeUnavailable(f"the SDK's download failed: {error_line(done.stderr)}", hint)
    return check_runtime(location)


def _require_reachable(url: str, hint: str) -> None:
    """Fail in seconds where GitHub cannot be reached; the SDK alone tries three times, 30 s each."""
    try:
        with urllib.request.urlopen(url, timeout=REACH_TIMEOUT_S):  # noqa: S310 - the SDK's own address
            return
    except urllib.error.HTTPError as exc:
        exc.close()
        why = f"HTTP {exc.code}"
    except (OSError, http.client.HTTPException, ValueError) as exc:
        why = str(getattr(exc, "reason", exc))
    raise RuntimeUnavailable(f"GitHub's download cannot be reached: {why}", hint)


# npm


def _by_npm(version: str, progress: Progress) -> RuntimeLocation:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeUnavailable(
            "npm is not installed",
            "install Node.js from https://nodejs.org, or set COPILOT_CLI_PATH to a Copilot CLI that you have",
        )
    target = own_folder(version)
    with incoming(target.parent.parent) as folder:
        package = _fetch_by_npm(npm, version, folder, progress)
        _unpack(package, version, progress)
        publish(package, target, scrap=folder)
    progress(f"Its licence is in {target / 'LICENSE.md'}")
    location = own_runtime(version)
    assert location is not None
    return location


def _fetch_by_npm(npm: str, version: str, folder: Path, progress: Progress) -> Path:
    name = f"@github/copilot-{runtime_platform()}"
    progress(f"Downloading {name}@{version} by npm: 130 MB, on disk 420 MB…")

    def heartbeat(passed_s: float) -> None:
        progress(f"… {passed_s:.0f} s, {folder_size_mb(folder):.0f} of about {FETCHED_MB} MB")

    # The package.json makes the folder npm's project. With --prefix npm would pass over the machine's npmrc, with its
    # registry and its certificates: it looks for that file below the prefix.
    (folder / "package.json").write_text("{}")
    argv = [npm, "install", f"{name}@{version}", *_NPM_OPTIONS]
    env = _npm_environment(folder)
    done = run_patiently(argv, heartbeat, timeout_s=DOWNLOAD_TIMEOUT_S, cwd=folder, env=env)
    if done.returncode != 0:
        raise _npm_failure(done.stderr, name)
    check_npm_package(folder, name, version, str(runtime_platform()))
    package = folder / "node_modules" / name
    if not (package / CLI_NAME).is_file():
        raise RuntimeUnavailable(f"npm finished, but there is no {CLI_NAME} in {name}", "see: npm config list")
    return package


def _npm_environment(folder: Path) -> dict[str, str]:
    """Return npm's environment: its own settings and tokens, no other key, and a cache inside `folder`.

    The 130 MB would stay in npm's cache for nothing: the package is installed once. A cache that the environment names
    is used.
    """
    env = without_keys(kept=[name for name in os.environ if name.upper().startswith(("NPM_", "NODE_"))])
    if not any(name.lower() == "npm_config_cache" for name in env):
        env["NPM_CONFIG_CACHE"] = str(folder / "npm-cache")
    return env


def _npm_failure(stderr: str, package: str) -> RuntimeUnavailable:
    code = _npm_code(_npm_lines(stderr))
    if _NPM_DISTRUST.search(code):
        return RuntimeUnavailable(
            f"npm does not trust the certificate of its registry ({code})",
            "set NODE_EXTRA_CA_CERTS to the file with this site's certificate authority (.pem), and run it again",
        )
    return RuntimeUnavailable(f"npm failed: {_npm_reason(stderr)}", f"try by hand: npm view {package} version")


def _unpack(package: Path, version: str, progress: Progress) -> None:
    """Let ``copilot`` unpack itself inside `package`, and check that both programs run."""
    progress("Unpacking…")
    with writing(package):
        (package / CLI_NAME).chmod(0o755)
    found = check_runtime(RuntimeLocation(package / CLI_NAME, OWN_SOURCE), unpack_to=package)
    if found.version != version:
        raise RuntimeUnavailable(
            f"npm installed the Copilot CLI {found.version} instead of {version}", "see: npm config list"
        )
    entry = entry_point(package)
    if entry is None or entry.name == CLI_NAME:
        return
    try:
        check_runtime(RuntimeLocation(entry, OWN_SOURCE))
    except RuntimeUnavailable as exc:  # slower without it, but it works
        progress(f"Using the complete program instead: {exc.message}")
        shutil.rmtree(package / "pkg")


def _npm_lines(stderr: str) -> list[str]:
    return [line.split(maxsplit=2)[2] for line in stderr.splitlines() if re.match(r"npm (error|ERR!) \S", line)]


def _npm_code(lines: list[str]) -> str:
    return next((line.split()[1] for line in lines if re.match(r"code \S", line)), "")


def _npm_reason(stderr: str) -> str:
    lines = _npm_lines(stderr)
    if (code := _npm_code(lines)) in _NPM_REASONS:
        return _NPM_REASONS[code]
    said = [line for line in lines if not re.match(r"(code|errno|syscall|path|dest) |A complete log|at ", line)]
    return said[0][:200] if said else error_line(stderr)
