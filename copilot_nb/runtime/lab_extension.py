"""Looks for our extension of JupyterLab (labextension/) where its server does: in the server's environment.

A kernel does not hear of its server, but is started by it, so that the server is the parent process.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import psutil

from copilot_nb.foreign_json import parsed
from copilot_nb.system.paths import expanded

_PLACE = Path("labextensions", "copilot-nb", "package.json")
_USER_FOLDERS = ("~/.local/share/jupyter", "~/Library/Jupyter")
CHECKOUT = ". (in a checkout)"
_SERVERS = ("jupyter", "notebook", "voila")


@dataclass(frozen=True, slots=True)
class ServerEnvironment:
    """The environment of a Jupyter server.

    Attributes
    ----------
    python : Path
        Its Python.
    version : str
        The version of our extension there; ``""``: it is not there.
    """

    python: Path
    version: str


def server_environment() -> ServerEnvironment | None:
    """Return the environment of the Jupyter server that started this kernel; ``None`` if that cannot be known."""
    if "JPY_SESSION_NAME" not in os.environ:  # it is set by Jupyter's server
        return None
    with suppress(psutil.Error):
        server = psutil.Process(os.getppid())
        return environment_of(server.cmdline(), server.environ())
    return None


def environment_of(argv: Sequence[str], environ: Mapping[str, str]) -> ServerEnvironment | None:
    """Return the environment of a Jupyter server by its command line and its variables; ``None`` for others.

    Parameters
    ----------
    argv : sequence of str
        The command line: a Python and what it runs.
    environ : mapping of str to str
        The variables, which may name the user's folder of Jupyter.
    """
    if not any(name in Path(word).name for word in argv[1:] for name in _SERVERS):
        return None
    python = shutil.which(argv[0], path=environ.get("PATH"))
    if python is None or not (shared := Path(python).parents[1] / "share" / "jupyter").is_dir():
        return None
    own = environ.get("JUPYTER_DATA_DIR")
    folders = [shared, *([Path(own)] if own else [expanded(folder) for folder in _USER_FOLDERS])]
    return ServerEnvironment(Path(python), next(filter(None, map(_version_in, folders)), ""))


def install_command(python: Path) -> str:
    """Return the command that installs the extension into the environment of `python`, in the version of this kernel.

    It names what pip has installed this package from: a folder, a file, a repository (PEP 610), or the package index.
    """
    try:
        own = importlib.metadata.distribution("copilot-nb")
        origin = parsed(own.read_text("direct_url.json") or "{}")
        source = _source(origin) if origin else f"copilot-nb=={own.version}"
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        source = CHECKOUT
    return f"{python} -m pip install --no-deps {source}"


def _source(origin: Mapping[str, Any]) -> str:
    url = str(origin["url"])
    if "vcs_info" in origin:
        return shlex.quote(f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}")
    if not url.startswith("file:"):
        return shlex.quote(url)
    path = Path(url2pathname(urlsplit(url).path))
    return shlex.quote(str(path)) if path.exists() else CHECKOUT


def _version_in(folder: Path) -> str:
    with suppress(OSError, ValueError):
        return str(parsed((folder / _PLACE).read_text("utf-8"))["version"])
    return ""
