"""Model files from Hugging Face: ``owner/repository``, with a file or a part of its name if there are several.

`huggingface_hub` is optional. It keeps its downloads in its own cache, where other programs find them; in
the offline mode only that cache is used.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterable

_REFERENCE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+?)(?:[:/](?P<file>.+))?")
_USUAL = "Q4_K_M"
_MAX_NAMED = 8

Progress = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: `part` is its name or a part of it, ``""`` leaves the choice."""

    repository: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.repository}:{self.part}" if self.part else self.repository


def parse(reference: str) -> HubFile | None:
    """Read ``hf:owner/repo/file.gguf`` or ``owner/repo[:file]``; ``None`` if it is neither."""
    bare = reference.removeprefix("hf:")
    if bare == reference and bare.lower().endswith(".gguf") and ":" not in bare:
        return None  # a path
    match = _REFERENCE.fullmatch(bare)
    return HubFile(match["repository"], match["file"] or "") if match else None


def choose(names: Iterable[str], wanted: HubFile) -> str:
    """Choose the GGUF file; if none is named, the one of the usual size.

    Raises
    ------
    ProviderError
        Where there is none, or more than one.
    """
    files = sorted(name for name in names if name.lower().endswith(".gguf") and "mmproj" not in name.lower())
    if wanted.part in files:
        return wanted.part
    part = (wanted.part or _USUAL).lower()
    found = [name for name in files if part in name.lower()]
    if not wanted.part and len(found) != 1:
        found = files[:1]
    if len(found) != 1:
        raise _not_one(files, found, wanted)
    return found[0]


def _not_one(files: Sequence[str], found: Sequence[str], wanted: HubFile) -> ProviderError:
    if not files:
        return ProviderError(f"{wanted.repository} on Hugging Face has no GGUF file", "name a repository that has one")
    named = ", ".join((found or files)[:_MAX_NAMED])
    number = f"{len(found)} files" if found else "no file"
    return ProviderError(f"{wanted} names {number} on Hugging Face", f"name one: {wanted.repository}:FILE, of {named}")


def require(wanted: HubFile) -> None:
    """Check, before anything is loaded, that a download is possible.

    Raises
    ------
    ProviderError
        Where `huggingface_hub` is not installed.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ProviderError(f"{wanted} is on Hugging Face, for which huggingface_hub is missing", _INSTALL_HINT)


_INSTALL_HINT = "type `%pip install huggingface_hub`, or name a GGUF file on this machine"


def fetch(wanted: HubFile, *, offline: bool, progress: Progress) -> Path:
    """Return the file, downloaded if necessary; blocks. `progress` is called with the progress.

    Raises
    ------
    ProviderError
        Where there is no such file, or it cannot be downloaded.
    """
    require(wanted)
    from huggingface_hub import errors

    try:
        return _cached(wanted) if offline else _downloaded(wanted, progress)
    except (OSError, ValueError, errors.HTTPError) as error:
        if offline:
            hint = "%config CopilotNB.offline = False (or unset COPILOT_OFFLINE), then %copilot restart"
            raise ProviderError(f"{wanted} has not been downloaded, and this is the offline mode", hint) from error
        why = str(error).partition("\n")[0]
        hint = "check the name and the connection, or name a GGUF file on this machine"
        raise ProviderError(f"{wanted} cannot be downloaded from Hugging Face: {why}", hint) from error


def _cached(wanted: HubFile) -> Path:
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(wanted.repository, allow_patterns="*.gguf", local_files_only=True))
    return folder / choose((file.relative_to(folder).as_posix() for file in folder.rglob("*.gguf")), wanted)


def _downloaded(wanted: HubFile, progress: Progress) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    name = choose(HfApi().list_repo_files(wanted.repository), wanted)
    label = f"downloading {wanted.repository}/{name}"
    progress(f"{label} …")
    return Path(hf_hub_download(wanted.repository, name, tqdm_class=_progress_bar(label, progress)))


def _progress_bar(label: str, progress: Progress) -> type[Any]:
    """Return a class of progress bars that call `progress` instead of drawing."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # the library is optional
        def __init__(self, *args: Any, **options: Any) -> None:
            self._bytes, self._all_bytes = int(options.get("initial") or 0), int(options.get("total") or 0)
            super().__init__(*args, **options | {"disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self._bytes += int(n or 0)
            progress(f"{label}: {self._bytes // 10**6} of {self._all_bytes // 10**6} MB …")
            return None

    return Bar
