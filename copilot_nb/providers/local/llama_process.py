"""The process that a model is loaded in: llama.cpp's server, by xllamacpp, on a Unix socket that the kernel names.

A process of its own, because xllamacpp holds the interpreter's lock while it loads (0.4 s for 100 MB: nothing else
would run in the kernel), because llama.cpp ends the whole process where it fails, and because only so all of a model's
memory is given back. It says on its standard output that it is ready, or why not, and ends, taking its socket along,
when its standard input closes: at `LlamaServer.close`, or when the kernel dies.

It is run as a file, and imports nothing of ours, to start in 0.1 s.

Why: docs/decisions/0012-embedded-model-process.md.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

MISSING = "missing"
READY = "ready"


def load(wanted: dict[str, Any]) -> Any:
    """Load the model file and serve it.

    Raises
    ------
    ImportError
        Where xllamacpp is not installed.
    RuntimeError
        Where the file cannot be loaded.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = wanted["path"]
    params.hostnames = [wanted["socket"]]
    params.verbosity = -1
    params.ui = params.endpoint_slots = params.fit_params = False
    params.n_ctx, params.n_parallel, params.kv_unified = wanted["context_tokens"], wanted["parallel"], True
    params.n_batch = params.n_ubatch = wanted["batch_tokens"]
    params.cache_ram_mib = wanted["prompt_cache_mib"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = wanted["threads"]
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until the standard input closes."""
    wanted = json.loads(sys.argv[1])
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what llama.cpp prints is no answer
        try:
            server = load(wanted)
        except ImportError:
            print(MISSING, file=answer)
            return
        except RuntimeError as error:
            print(str(error), file=answer)
            return
        print(READY, file=answer)
    sys.stdin.read()
    assert server is not None
    shutil.rmtree(Path(wanted["socket"]).parent, ignore_errors=True)
    os._exit(0)  # answers in progress are not waited for


if __name__ == "__main__":
    main()
