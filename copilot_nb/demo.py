"""The demo: the first notebook, answered by the embedded model, in JupyterLab or printed here.

It writes into one folder, ``.demo`` beside the checkout's ``notebooks`` (a temporary one if that cannot be made)::

    notebooks/  copies to be changed and saved: of the notebook that JupyterLab opens, and of the others of the gallery
    originals/  the notebooks as they were when they were copied
    home/       the sessions of that copy
    settings/   JupyterLab's settings, made with its question about news answered
    headless/   the same three of a run that is printed: it meets no session that JupyterLab has open
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from copilot_nb.console import say
from copilot_nb.errors import InputError, TurnFailed
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nbclient import NotebookClient
    from nbformat import NotebookNode

FIRST_NOTEBOOK = "01_multiple_sessions.ipynb"
DEMO_HINT = "run: pip install 'copilot-nb[demo]'"
CELL_TIMEOUT_S = 600
SHOWN_SOURCE_LINES = 6


def run(named: Path | None, *, headless: bool) -> int:
    """Run the demo; return the exit code.

    Parameters
    ----------
    named : Path or None
        The notebook; None takes the first one of the checkout.
    headless : bool
        Run the notebook here and print its cells, where JupyterLab would be opened.

    Raises
    ------
    InputError
        If the notebook or what shows it is missing.
    RuntimeUnavailable, ProviderError
        If the Copilot runtime or the embedded model is not installed.
    TurnFailed
        If a cell of a headless run fails.
    """
    from copilot_nb.providers.local.model_file import find_local_model
    from copilot_nb.runtime.install.find_runtime import find_runtime

    notebook = find_notebook(named)
    find_runtime()
    find_local_model(os.environ.get("COPILOT_NB_LOCAL_MODEL", ""))
    folder = _folder(notebook)
    if not headless:
        _open(notebook, folder)
    return _run_headless(notebook, folder / "headless")


def find_notebook(named: Path | None) -> Path:
    """Return the notebook: the one that was named, else the first one of a checkout."""
    if named is not None:
        path = expanded(named).absolute()
        if not path.is_file():
            raise InputError(f"there is no notebook {path}", "name a file that ends in .ipynb")
        return path
    for folder in (Path.cwd(), Path.cwd().parent, Path(__file__).absolute().parents[1]):
        if (path := folder / "notebooks" / FIRST_NOTEBOOK).is_file():
            return path
    raise InputError(
        f"notebooks/{FIRST_NOTEBOOK} is not here", "run it in a checkout of copilot-nb, or name one: --notebook PATH"
    )


def _folder(notebook: Path) -> Path:
    """Return the demo's folder: ``.demo`` beside the folder ``notebooks``, else a temporary one."""
    if notebook.parent.name == "notebooks":
        folder = notebook.parent.parent / ".demo"
        with suppress(OSError):  # a checkout may be read-only
            folder.mkdir(exist_ok=True)
            return folder
    return Path(tempfile.mkdtemp(prefix="copilot-nb-demo-"))


def _environment(home: Path) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "COPILOT_HOME": str(home),
        "COPILOT_OFFLINE": "true",
        "COPILOT_NB_PROVIDER": "local",
    }


# In JupyterLab


def _others(notebook: Path) -> list[Path]:
    """Return the other notebooks of the gallery that `notebook` belongs to, and may name."""
    if notebook.parent.name != "notebooks":
        return []
    return [path for path in sorted(notebook.parent.glob("*.ipynb")) if path != notebook]


def working_copy(notebook: Path, folder: Path) -> Path:
    """Return the copy of `notebook` in `folder` to be changed and saved; a new one has no outputs.

    A copy that is already there is kept, with all that was changed in it. Where `notebook` has become another one
    since, that copy gets another name, and there is a new one.
    """
    copy = folder / "notebooks" / notebook.name
    is_same = _is_known(notebook, folder)
    if copy.exists():
        if is_same:
            return copy
        kept = next(path for n in count(1) if not (path := copy.with_stem(f"{copy.stem}~{n}")).exists())
        copy.rename(kept)
        say(f"{notebook.name} has changed since your copy was made. Your copy is kept as {kept}")
    copy.parent.mkdir(exist_ok=True)
    _write_without_outputs(notebook, copy)
    return copy


def _write_without_outputs(notebook: Path, copy: Path) -> None:
    import nbformat

    book = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(book, copy)  # type: ignore[no-untyped-call]


def _is_known(notebook: Path, folder: Path) -> bool:
    """Whether `notebook` is as it was the last time `folder` was asked for it."""
    original = folder / "originals" / notebook.name
    if original.exists() and filecmp.cmp(original, notebook, shallow=False):
        return True
    original.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(notebook, original)
    return False


def _open(notebook: Path, folder: Path) -> NoReturn:
    if find_spec("jupyterlab") is None:
        raise InputError("JupyterLab is not installed", DEMO_HINT)
    copy = working_copy(notebook, folder)
    for other in _others(notebook):
        working_copy(other, folder)
    say(f"JupyterLab opens {copy}, a copy that you may change and save. Ctrl+C ends it.")
    argv = [sys.executable, "-m", "jupyterlab", str(copy), *_lab_options(copy)]
    _exec(argv, _environment(folder / "home") | {"JUPYTERLAB_SETTINGS_DIR": str(_settings(folder / "settings"))})


def _settings(folder: Path) -> Path:
    """Return the folder of JupyterLab's settings; before anything else it would ask whether it may fetch news."""
    file = folder / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}), encoding="utf-8")
    return folder


def _lab_options(notebook: Path) -> list[str]:
    options = [
        f"--LabApp.default_url=/lab/tree/{quote(notebook.name)}",  # so the address it prints opens the notebook
        "--ServerApp.answer_yes=True",  # Ctrl+C ends it without a question
        "--log-level=ERROR",  # the address is printed all the same
        "--LabApp.log_level=ERROR",
    ]
    if _can_encrypt():  # else ipykernel warns of its open ports
        options.append("--KernelManager.transport_encryption=auto")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # in a container one often is; JupyterLab refuses otherwise
    return options


def _can_encrypt() -> bool:
    """Whether the connection between JupyterLab and a kernel can be encrypted."""
    import zmq

    return bool(zmq.has("curve"))


def _exec(argv: list[str], env: dict[str, str]) -> NoReturn:
    if sys.platform == "win32":  # exec there hands the terminal back at once
        sys.exit(subprocess.call(argv, env=env))  # noqa: S603 - JupyterLab of this Python
    os.execve(argv[0], argv, env)  # noqa: S606 - this process becomes JupyterLab: Ctrl+C and SIGTERM go to it


# Without a browser


def _run_headless(notebook: Path, folder: Path) -> int:
    """Run a copy of `notebook` and print its cells; the notebook itself is not written to."""
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as exc:
        raise InputError("nbclient is not installed", DEMO_HINT) from exc
    if not _is_known(notebook, folder):  # what another notebook asked is not its history
        shutil.rmtree(folder / "home", ignore_errors=True)
    env = _environment(folder / "home")
    copy = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    printer = _Printer()
    client = NotebookClient(
        copy,
        kernel_name="python3",  # of this environment, whatever the notebook was saved with
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(notebook.parent)}},
        on_cell_start=printer.source,
        on_cell_executed=printer.answers,
    )
    if _can_encrypt():
        client.create_kernel_manager().transport_encryption = "auto"
    stopped = _stopped_by_signals(client)
    try:
        client.execute(env=env)
    except CellExecutionError as exc:
        raise TurnFailed(f"{notebook.name}: {exc.ename}: {exc.evalue}") from exc
    except (CellTimeoutError, DeadKernelError) as exc:
        if stopped:
            raise KeyboardInterrupt from exc
        raise TurnFailed(f"{notebook.name}: {str(exc).splitlines()[0]}") from exc
    printer.later(copy)
    ran = folder / "notebooks" / notebook.name
    ran.parent.mkdir(exist_ok=True)
    nbformat.write(copy, ran)  # type: ignore[no-untyped-call]
    say(f"\nThe notebook as it ran: {ran}")
    return 0


def _stopped_by_signals(client: NotebookClient) -> list[bool]:
    """Have Ctrl+C and SIGTERM end `client` with its kernel; return a list that one of them fills."""
    stopped: list[bool] = []

    def stop(task: asyncio.Task[object]) -> None:
        stopped.append(True)
        client.shutdown_kernel = "immediate"
        task.cancel()

    client.on_notebook_start = lambda **_: _on_signals(stop)
    return stopped


def _on_signals(stop: Callable[[asyncio.Task[object]], None]) -> None:
    """Have signals call `stop` with the task that runs the notebook; nbclient's own handler ends in a traceback."""
    import asyncio
    import signal

    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt there
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, lambda: stop(task))


class _Printer:
    """Prints the cells of a notebook while it runs, and afterwards what a background turn added to one."""

    def __init__(self) -> None:
        self._printed: dict[int, str] = {}

    def source(self, cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type != "code":
            return
        lines = cell.source.splitlines()
        more = [f"… ({len(lines) - SHOWN_SOURCE_LINES} more lines)"] if len(lines) > SHOWN_SOURCE_LINES else []
        say("\n" + "\n".join(f"[{cell_index}] {line}" for line in [*lines[:SHOWN_SOURCE_LINES], *more]))

    def answers(self, cell: NotebookNode, cell_index: int, **_: object) -> None:
        self._printed[cell_index] = text = _plain_text(cell)
        if text:
            say(text)

    def later(self, notebook: NotebookNode) -> None:
        for index, printed in self._printed.items():
            if (text := _plain_text(notebook.cells[index])) != printed:
                say(f"\n[{index}] and then:\n{text}")


def _plain_text(cell: NotebookNode) -> str:
    """Return what a cell shows as plain text: its stdout and the text/plain of what it displays."""
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text if output.name == "stdout" else "")
        elif output.output_type in ("display_data", "execute_result"):
            texts.append(output.data.get("text/plain", ""))
    return "\n".join(text.rstrip("\n") for text in texts if text)
