"""Print the path of a Chromium for the browser tests; get one where there is none.

In this order: the one that `CHROMIUM` names, one on the PATH, Playwright's own (downloaded), Debian's package (as
root). A download that fails is not the end, so it is quiet; what is printed at the end is what to install. `make test`
runs this before it installs anything else, so Playwright is installed here where it is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

NAMES = ("chromium", "chromium-browser", "google-chrome")


def runs(path: str) -> bool:
    """Whether `path` is a browser that starts: one without its system libraries does not."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def named() -> str:
    """Return what `CHROMIUM` names."""
    return os.environ.get("CHROMIUM", "")


def on_path() -> str:
    """Return the first browser on the PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


def playwrights() -> str:
    """Return Playwright's own Chromium, downloaded if need be."""
    print("No Chromium on the PATH: taking Playwright's (a download of a minute or two)", file=sys.stderr)
    if not find_spec("playwright"):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", "constraints.txt"]
        if subprocess.run([*pip, "playwright"], stdout=sys.stderr, check=False).returncode != 0:
            return ""
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], capture_output=True, check=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def debians() -> str:
    """Return Chromium from Debian's or Ubuntu's packages, installed."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return ""
    print("Installing Debian's package chromium (a minute or two)", file=sys.stderr)
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *command], stdout=sys.stderr, env=quietly, check=False)
    return on_path()


WAYS: tuple[Callable[[], str], ...] = (named, on_path, playwrights, debians)


def main() -> str | None:
    """Print the path; return the error, if any, in one line."""
    if named() and not runs(named()):
        return f"CHROMIUM={named()} does not run: let it name a Chromium, or unset it"
    for way in WAYS:
        if (path := way()) and runs(path):
            print(path)
            return None
    return "The browser tests need Chromium: install chromium or google-chrome, or set CHROMIUM to its path"


if __name__ == "__main__":
    sys.exit(main())
