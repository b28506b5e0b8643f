"""Collects the secrets whose values this kernel holds, so that text which goes to a model can be searched for them.

They are the variables of the environment that are called like a secret, passwords in addresses, the same of ``.env``
files in the working folder and above it, the keys of providers, and what MCP servers are given. The system keyring is
not asked for a key that was not used yet: it may ask its user.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot_nb.agent.redaction import Redactor, is_distinctive, url_password
from copilot_nb.system.environment import is_secret_name
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from copilot_nb.providers.registry import Providers

DOTENV_NAMES = (".env", ".env.local", ".env.development", ".env.production", ".env.test")
MAX_DOTENV_BYTES = 100_000
MAX_FOLDERS_UP = 10
_AUTHORIZATION = frozenset({"authorization", "Authorization"})


def redactor(providers: Providers, mcp_servers: Mapping[str, Mapping[str, Any]] | None = None) -> Redactor:
    """Return what hides the secrets that this kernel holds, as they are now.

    Parameters
    ----------
    providers : Providers
        Hold keys.
    mcp_servers : mapping, optional
        The MCP servers by name, as in the setting.
    """
    known: dict[str, str] = {}
    sources = [os.environ, *map(_read_dotenv, _dotenv_files(Path.cwd())), *map(_given, (mcp_servers or {}).values())]
    found = [*providers.keys_at_hand().items(), *(pair for source in sources for pair in named_secrets(source))]
    for name, value in found:
        if is_distinctive(value) and not _is_path(value):
            known.setdefault(value, name)
    return Redactor(known)


def named_secrets(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each secret among variables: by its name, or as the password of an address."""
    for name, value in variables.items():
        if is_secret_name(name):
            yield name, value.strip()
        elif password := url_password(value):
            yield name, password


def dotenv(text: str) -> dict[str, str]:
    """Return the variables of a ``.env`` file, those of one line each."""
    pairs = (line.strip().removeprefix("export ").partition("=") for line in text.splitlines())
    return {name.strip(): _unquoted(value.strip()) for name, equals, value in pairs if equals}


def _given(server: Mapping[str, Any]) -> dict[str, str]:
    """Return what an MCP server is given: its variables, headers and options by name, and its address."""
    variables, headers, args = (server.get(key) or {} for key in ("env", "headers", "args"))
    found = {str(name): str(value) for name, value in {**variables, **headers, "url": server.get("url", "")}.items()}
    for name in _AUTHORIZATION & found.keys():
        found[f"{name}-token"] = found[name].rpartition(" ")[2]  # behind "Bearer"
    for option, value in itertools.pairwise([*map(str, args), ""]):
        name, equals, behind = option.partition("=")
        if name.startswith("-"):
            found[name.lstrip("-")] = behind if equals else value
    return found


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return value.partition(" #")[0].strip()


def _dotenv_files(folder: Path) -> Iterator[Path]:
    for each in (folder, *folder.parents)[:MAX_FOLDERS_UP]:
        yield from (each / name for name in DOTENV_NAMES)


def _read_dotenv(path: Path) -> dict[str, str]:
    with suppress(OSError, UnicodeDecodeError):
        if path.is_file() and path.stat().st_size <= MAX_DOTENV_BYTES:
            return dotenv(path.read_text("utf-8-sig"))
    return {}


def _is_path(value: str) -> bool:
    """Whether a value only says where a secret is."""
    with suppress(OSError, ValueError):
        return expanded(value).exists()
    return False
