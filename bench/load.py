"""The cost of ``%load_ext`` in this process: prints the seconds for an extension, and what it imported."""

import json
import sys
import time

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

HEAVY = ("altair", "anywidget", "copilot", "httpx", "ipywidgets", "pandas", "pydantic", "scipy", "xllamacpp")

# The warm start runs in its own thread, which would be measured or not, by chance.
shell = InteractiveShell.instance(config=Config({"CopilotNB": {"warm_start": False}}))
shell.run_cell("pass")
before = set(sys.modules)
began_s = time.perf_counter()
result = shell.run_cell(f"%load_ext {sys.argv[1]}")
took_s = time.perf_counter() - began_s
result.raise_error()
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"took_s": took_s, "heavy": sorted(new & set(HEAVY))}))
