"""What the administrator of a JupyterHub installs for all: a Python environment, the runtime, and people's accounts.

Where the tests run as root, and the packages and a Python for them are open to everybody, each person is a user of the
system, who is made for the test and removed after it (`Site.has_users`). Elsewhere they are one user of the system with
a home for each: that separates what copilot_nb keeps for them, but protects no file and no process of theirs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from copilot_nb.runtime.install.find_runtime import find_runtime, own_folder
from copilot_nb.runtime.install.sdk_pin import pinned_version
from tests.documentation import ROOT

NOBODY = 65534
FIRST_USER, USERS = 40_000, 20_000


@dataclass(frozen=True)
class Person:
    """Somebody with an account at the Hub."""

    name: str
    home: Path
    user_id: int


@dataclass(frozen=True)
class Site:
    """What the administrator has installed for all.

    Attributes
    ----------
    folder : Path
        Where everything is.
    environment : Path
        The Python environment of the servers and kernels.
    people : tuple of Person
        Who has an account.
    has_users : bool
        Whether each of them is a user of the system.
    """

    folder: Path
    environment: Path
    people: tuple[Person, ...]
    has_users: bool

    @property
    def cache(self) -> Path:
        """The runtime that all share."""
        return self.environment / "copilot"


@contextmanager
def site(count: int) -> Iterator[Site]:
    """Install everything for `count` people, and remove it."""
    with tempfile.TemporaryDirectory(prefix="cpnb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        python, has_users = _python_for_all()
        environment = folder / "all"
        _make_environment(environment, python)
        with _people(count, folder, has_users) as people:
            yield Site(folder, environment, people, has_users)


def _python_for_all() -> tuple[str, bool]:
    """Return a Python, and whether every user of the system can run it with the packages of this one."""
    own = str(getattr(sys, "_base_executable", sys.executable))
    system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if os.geteuid() == 0:
        for python in (own, system):
            if _nobody_can_run(python):
                return python, True
    return own, False


def _nobody_can_run(python: str) -> bool:
    packages = {"PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, _packages())])}
    command = [python, "-c", "import copilot_nb, ipykernel"]
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        done = subprocess.run(command, **user, env=packages, cwd="/", capture_output=True, check=False)
    except OSError:  # it is missing, or in a folder that is closed to others
        return False
    return done.returncode == 0


def _packages() -> list[Path]:
    return [Path(entry) for entry in sys.path if entry.endswith("site-packages")]


def _make_environment(folder: Path, python: str) -> None:
    """Make the environment for all: the packages of this Python, and the runtime that is installed."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    (place,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({str(packages)!r})" for packages in _packages()]
    (place / "all.pth").write_text("\n".join(lines))
    (folder / "share").symlink_to(Path(sys.prefix) / "share")
    pages = Path("etc", "jupyter", "jupyter_server_config.d", "jupyterlab.json")
    (folder / pages).parent.mkdir(parents=True)
    shutil.copy(Path(sys.prefix) / pages, folder / pages)
    _share_runtime(folder / "copilot")


def _share_runtime(cache: Path) -> None:
    """Put the runtime of the tests where `COPILOT_NB_CACHE` will find it, as ``copilot-nb install-runtime`` does."""
    version = pinned_version()
    assert version
    target = own_folder(version, {"COPILOT_NB_CACHE": str(cache)}) / "pkg" / "any" / version
    shutil.copytree(find_runtime().path.parents[2], target, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


@contextmanager
def _people(count: int, folder: Path, has_users: bool) -> Iterator[tuple[Person, ...]]:
    """Make so many people, each with a home that others may enter, as many systems make them."""
    (folder / "home").mkdir()
    made: list[Person] = []
    try:
        for letter in "abcdefgh"[:count]:
            name = f"cpnb-{secrets.token_hex(2)}-{letter}"
            # a number that nobody has had: what a removed user has left somewhere would be theirs
            number = FIRST_USER + secrets.randbelow(USERS) if has_users else os.getuid()
            person = Person(name, folder / "home" / name, number)
            if has_users:
                _add_user(person)
            else:
                person.home.mkdir()
            made.append(person)
        yield tuple(made)
    finally:
        for person in made if has_users else ():
            subprocess.run(["userdel", "--remove", person.name], check=True, capture_output=True)


def _add_user(person: Person) -> None:
    options = ["--uid", str(person.user_id), "--create-home", "--home-dir", str(person.home), "--shell", "/bin/sh"]
    subprocess.run(["useradd", *options, "--key", "HOME_MODE=0755", person.name], check=True)
