"""Our own cache folder: one installer at a time, and an installation appears there complete or not at all.

An installation is built in a folder named ``.incoming-…`` beside its destination and moved into place by one
`os.replace`, so a reader sees all of it or nothing. Such folders are only made under the lock. The holder of the lock
may delete every one that it finds: an installer that was killed has left it.

The lock is the operating system's own (`fcntl.flock`, `msvcrt.locking`) on a file that stays: the system releases
it when its holder ends in any way, so locks do not become stale. A package for this (filelock) would be one more
dependency for fifteen lines.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.system.paths import expanded

INCOMING = ".incoming-"
POLL_S = 0.1


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder: ``COPILOT_NB_CACHE``, else the platform's own place for caches."""
    named = environ.get("COPILOT_NB_CACHE", "")
    return expanded(named).absolute() if named else Path(user_cache_dir("copilot-nb", appauthor=False))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Translate an `OSError` from writing below `folder` into an error of one line.

    Raises
    ------
    RuntimeUnavailable
        If the system refuses: no permission, no space, a file in place of a folder.
    """
    try:
        yield
    except OSError as exc:
        raise RuntimeUnavailable(
            f"cannot write to the cache folder {folder}: {exc.strerror or exc}",
            "make room there, or set COPILOT_NB_CACHE to another folder",
        ) from exc


@contextmanager
def locked(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the installer's lock of `folder`, which is made if it is missing.

    Parameters
    ----------
    folder : Path
        The folder that only one process at a time may change.
    waiting : callable
        Called once if another process holds the lock, before this one waits for it.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with writing(folder):  # some network disks cannot lock
            _wait_for_lock(handle, waiting)
        yield
    finally:
        os.close(handle)  # which also releases the lock


def _wait_for_lock(handle: int, waiting: Callable[[], None]) -> None:
    if _try_lock(handle):
        return
    waiting()
    while not _try_lock(handle):
        time.sleep(POLL_S)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder in `folder` to build in, and delete its remains afterwards.

    Call it with the lock held: it first deletes the folders of killed installers.
    """
    with writing(folder):
        for stale in folder.glob(f"{INCOMING}*"):
            shutil.rmtree(stale, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=INCOMING, dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def publish(built: Path, target: Path, scrap: Path) -> None:
    """Move the folder `built` to `target` at once; an existing `target` is moved into the folder `scrap`."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.replace(scrap / "replaced")
        built.replace(target)
