"""Install copilot-nb with an extra into this environment: `python .ci/install.py demo`, with signs of life.

pip itself says nothing for minutes or prints a line for each of 160 packages. What it says is shown when it fails. Run
before anything is installed, so it uses only those modules of the package that need nothing but Python.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from copilot_nb.console import accept_any_text, say
from copilot_nb.runtime.install.subprocesses import folder_size_mb, run_patiently

SIZES_MB = {"demo": 730, "dev": 1250}
TIMEOUT_S = 3600.0
SHOWN_LINES = 15


def main(extra: str) -> int:
    """Return pip's exit code."""
    accept_any_text(sys.stdout)
    prefix = Path(sys.prefix)
    size_mb = SIZES_MB[extra]
    say(f"Installing copilot-nb[{extra}] into {prefix.name} ({size_mb / 1000:g} GB)")
    with tempfile.TemporaryDirectory(prefix="pip-", dir=prefix) as downloads:  # in there: they count as progress

        def heartbeat(passed_s: float) -> None:
            say(f"… {passed_s:.0f} s, {min(folder_size_mb(prefix), size_mb):.0f} of about {size_mb} MB")

        options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "-c", "constraints.txt"]
        if extra == "demo":
            options.append("--no-compile")  # the demo imports little of it; the tests import most, in many processes
        argv = [sys.executable, "-m", "pip", "install", *options, "-e", f".[{extra}]"]
        done = run_patiently(argv, heartbeat, timeout_s=TIMEOUT_S, env=os.environ | {"TMPDIR": downloads})
    if done.returncode != 0:
        said = [*done.stdout.splitlines()[-SHOWN_LINES:], *done.stderr.splitlines()[-SHOWN_LINES:]]
        say("\n".join([f"pip could not install copilot-nb[{extra}]:", *said]), sys.stderr)
    return done.returncode


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)  # pip is ended on the way out


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
