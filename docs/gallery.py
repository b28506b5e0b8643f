"""Run the notebooks of the gallery, and keep them with their answers: `python -m docs.gallery [NAME…]`.

Each runs on the embedded model, in a folder and a home of its own, as the tests run it. What depends on the machine
stays out: timestamps, the state of widgets, the version of Python, the path of the home. The page for visitors
(`07_voila_app.ipynb`) is kept without outputs, because it asks nothing.

A name is the beginning of a file's name: ``python -m docs.gallery 02 05``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
APP = "07_voila_app.ipynb"
CELL_TIMEOUT_S = 600
PRIVATE = re.compile(r"COPILOT_(?!CLI_PATH$|NB_CACHE$)|GH_|GITHUB_|JUPYTERHUB_|OPENAI_|ANTHROPIC_|AZURE_")
"""Variables that would choose another model, another home or another user."""
SHOWN_HOME = "~/.copilot"


def main(names: list[str]) -> None:
    """Run the notebooks whose names begin so, all without a name."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if path.name != APP and path.name.startswith(tuple(names) or ""):
            print(f"{path.name} …", flush=True)
            path.write_text(as_kept(executed(path)), encoding="utf-8")


def executed(path: Path) -> Any:
    """Run a notebook where nothing else is, and return it."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not PRIVATE.match(name)}
        environment |= {"COPILOT_HOME": f"{folder}/home", "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_TIMEOUT_S,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
        return json.loads(json.dumps(notebook).replace(f"{folder}/home", SHOWN_HOME))


def as_kept(notebook: Any) -> str:
    """Return the file: what depends on this machine's Python is not in it."""
    notebook["metadata"]["language_info"] = {"name": "python"}
    return str(nbformat.writes(nbformat.from_dict(notebook))) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
