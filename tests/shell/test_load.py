"""What ``%load_ext copilot_nb`` costs: no heavy import.

The time (at most 50 ms over a bare IPython) depends on the machine, so it is measured in `bench`, not asserted here;
what is imported does not, and is what makes the time.
"""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "anywidget",
    "copilot",
    "httpx",
    "ipywidgets",
    "jsonschema",
    "matplotlib",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "xllamacpp",
}
LOAD = """
import json
import sys

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

# The warm start imports and starts the runtime, on a thread of its own: here it would hide what loading itself imports.
shell = InteractiveShell.instance(config=Config({"CopilotNB": {"warm_start": False}}))
before = set(sys.modules)
result = shell.run_cell("%load_ext copilot_nb")
result.raise_error()
loaded = "copilot" in shell.magics_manager.magics["line"]
print(json.dumps({"loaded": loaded, "new": sorted({name.partition(".")[0] for name in set(sys.modules) - before})}))
"""


def test_load_ext_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["loaded"]
    assert not HEAVY & set(said["new"])


def test_the_python_interface_is_found_without_the_sdk() -> None:
    # The SDK is imported on the loop's thread, while the kernel goes on: here it would hold up the cell.
    code = """
import sys
import copilot_nb as cp
for name in ("compare", "session", "wait"):
    getattr(cp, name)
print("copilot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_few_of_the_sdks_classes_are_made_to_import_it() -> None:
    # Each takes half a millisecond, and there are two thousand.
    code = """
import dataclasses
made = []
make = dataclasses.dataclass
dataclasses.dataclass = lambda *args, **options: made.append(args) or make(*args, **options)
import copilot_nb.runtime.client
from copilot.generated import rpc, session_events
print(len(made), len(vars(rpc)) + len(vars(session_events)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    made, named = map(int, done.stdout.split())
    assert made < 400
    assert named > 2_000
