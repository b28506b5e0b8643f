"""Install copilot-nb with an extra into this environment: `python .ci/install.py demo`, with signs of life.

pip itself says nothing for minutes or prints a line for each of 160 packages. What it says is shown when it fails. Run
before anything is installed, so it uses only those modules of the package that need nothing but Python.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from copilot_nb.console import accept_any_text, say
from copilot_nb.runtime.install.subprocesses import folder_size_mb, run_patiently

SIZES_MB = {"demo": 610, "dev": 1200}
TIMEOUT_S = 3600.0
SHOWN_LINES = 15
SEPARATOR = r"[/\\]"
# Python 3.11 brings a pip that needs 25 s more to choose 210 versions. It stays, and this one runs from a temporary
# folder: a pip that is interrupted while it replaces itself is broken for good.
PIP = "pip==26.3"
# What is compiled, is compiled in the end, on all processors.
OPTIONS = ("--no-compile", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "-c", "constraints.txt")


def main(extra: str) -> int:
    """Return pip's exit code."""
    accept_any_text(sys.stdout)
    prefix = Path(sys.prefix)
    size_mb = SIZES_MB[extra]
    say(f"Installing copilot-nb[{extra}] into {prefix.name} ({size_mb / 1000:g} GB)")
    with tempfile.TemporaryDirectory(prefix="pip-", dir=prefix) as downloads:

        def heartbeat(passed_s: float) -> None:
            say(f"… {passed_s:.0f} s, {progress(prefix, Path(downloads), size_mb)}")

        def pip(*argv: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, *argv, *OPTIONS]
            return run_patiently(command, heartbeat, timeout_s=TIMEOUT_S, env=os.environ | {"TMPDIR": downloads})

        has_newer = pip("-m", "pip", "install", "--target", f"{downloads}/newer", PIP).returncode == 0
        newest = [f"{downloads}/newer/pip"] if has_newer else ["-m", "pip"]
        done = pip(*newest, "install", "-e", f".[{extra}]")
    if done.returncode != 0:
        said = [*done.stdout.splitlines()[-SHOWN_LINES:], *done.stderr.splitlines()[-SHOWN_LINES:]]
        say("\n".join([f"pip could not install copilot-nb[{extra}]:", *said]), sys.stderr)
    elif extra == "dev":  # the tests import most of it, in many processes; the demo little
        compile_packages(Path(sysconfig.get_path("purelib")))
    return done.returncode


def progress(prefix: Path, downloads: Path, size_mb: float) -> str:
    """Return how much is downloaded, and how much installed: pip keeps what it downloads until it has installed all."""
    folders = [each for each in prefix.iterdir() if each != downloads and not each.is_symlink()]
    installed_mb = min(sum(map(folder_size_mb, folders)), size_mb)
    return f"{folder_size_mb(downloads):.0f} MB downloaded, {installed_mb:.0f} of about {size_mb} MB installed"


def compile_packages(folder: Path) -> None:
    """Compile the packages in `folder` on all processors, but not their own tests, which nothing here imports.

    What cannot be compiled is left: packages contain templates of code, too.
    """
    tests = rf"^{re.escape(str(folder))}{SEPARATOR}(.*{SEPARATOR})?tests?{SEPARATOR}"
    argv = [sys.executable, "-m", "compileall", "-qq", "-j", "0", "-x", tests, str(folder)]
    run_patiently(argv, lambda passed_s: say(f"… {passed_s:.0f} s, compiling"), timeout_s=TIMEOUT_S)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)  # pip is ended on the way out


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
