"""Removes older Copilot runtimes from our cache folder, 420 MB each, when a newer one has been installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from copilot_nb.runtime.install.cache import incoming, writing
from copilot_nb.runtime.install.find_runtime import own_folder
from copilot_nb.runtime.install.subprocesses import folder_size_mb


def remove_older(version: str, progress: Callable[[str], None]) -> None:
    """Remove the installations of this platform that are older than `version`, except those that a process runs.

    Call it with the installer's lock held. An installation is moved away first, so no one finds half of it.

    Parameters
    ----------
    version : str
        The version that has just been installed.
    progress : callable
        Called with a line for each older installation: it was removed, or kept because it is running.
    """
    installed = own_folder(version)
    root = installed.parent.parent
    for folder in sorted(root.glob(f"*/{installed.name}")):
        old = folder.parent.name
        if not () < _numbers(old) < _numbers(version):
            continue
        if process_ids := sorted(_running_from(folder)):
            progress(f"Keeping the older Copilot runtime {old}: process {process_ids[0]} is using it")
            continue
        size_mb = folder_size_mb(folder)
        with incoming(root) as scrap, writing(root):
            folder.replace(scrap / old)
            if not any(folder.parent.iterdir()):  # else another platform's, in a home that several machines share
                folder.parent.rmdir()
        progress(f"Removed the older Copilot runtime {old} ({size_mb:.0f} MB)")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _running_from(folder: Path) -> Iterator[int]:
    """Yield the ids of the processes whose program, or whose script, is in `folder`."""
    import psutil

    for process in psutil.process_iter(["exe", "cmdline"]):
        paths = (process.info["exe"] or "", *(process.info["cmdline"] or ())[:2])
        if any(Path(path).is_relative_to(place) for path in paths for place in (folder, folder.resolve())):
            yield process.pid
