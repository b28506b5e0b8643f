"""The command `copilot-nb`: what is done outside of a notebook.

Everything a command needs is imported inside it, so that ``copilot-nb --help`` is
instant. A command returns its exit code; what goes wrong is one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from copilot_nb.console import accept_any_text, say
from copilot_nb.errors import CopilotNBError, InputError, TurnFailed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from nbformat import NotebookNode

    from copilot_nb.runtime.doctor import Finding

FIRST_NOTEBOOK = "01_multiple_sessions.ipynb"
DEMO_HINT = "run: pip install 'copilot-nb[demo]'"
CELL_TIMEOUT_S = 600
SHOWN_SOURCE_LINES = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (one line says why), 2 (usage) or 130 (Ctrl-C)."""
    accept_any_text(sys.stdout)
    accept_any_text(sys.stderr)
    options = _parser().parse_args(argv)
    commands = {"install-runtime": _install_runtime, "install-model": _install_model, "doctor": _doctor, "demo": _demo}
    try:
        return commands[options.command](options)
    except CopilotNBError as exc:
        say(f"copilot-nb: {exc}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("copilot-nb: interrupted", sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("copilot-nb", description="Set up copilot_nb, look at the set-up, and try it out.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    runtime = commands.add_parser(
        "install-runtime", help="install the Copilot runtime (GitHub's software; 420 MB on disk)"
    )
    # the same names as runtime.install.METHODS; importing that here would cost more than all the rest
    runtime.add_argument(
        "--method",
        choices=["auto", "sdk", "npm"],
        default="auto",
        help="where from: GitHub (sdk), npm, or the first that works",
    )
    commands.add_parser(
        "install-model", help="install the very small embedded model, which needs no account (200 MB on disk)"
    )
    commands.add_parser("doctor", help="show what is installed and what is missing")
    demo = commands.add_parser("demo", help="open the first notebook, answered by the embedded model")
    demo.add_argument("--headless", action="store_true", help="run the notebook here and print its answers")
    demo.add_argument("--notebook", type=Path, metavar="PATH", help=f"another notebook than {FIRST_NOTEBOOK}")
    return parser


def _install_runtime(options: argparse.Namespace) -> int:
    from copilot_nb.runtime.install import install_runtime

    install_runtime(progress=say, method=options.method)
    return 0


def _install_model(_options: argparse.Namespace) -> int:
    from copilot_nb.runtime.install import install_local_model

    install_local_model(say)
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    from copilot_nb.runtime.doctor import diagnose
    from copilot_nb.settings import CopilotNB

    findings = diagnose(CopilotNB())
    for line in _table(findings):
        print(line)
    return 0 if all(finding.ok for finding in findings) else 1


def _table(findings: Sequence[Finding]) -> list[str]:
    """Return aligned lines: a mark, the thing, what was found, and below it what to type."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        mark = "OK" if finding.ok and not finding.fix else "note" if finding.ok else "FIX"
        lines.append(f"{mark:<5} {finding.what:<{width}}  {finding.detail}")
        if finding.fix:
            lines.append(f"{'':<5} {'':<{width}}  → {finding.fix}")
    return lines


# The demo


def _demo(options: argparse.Namespace) -> int:
    from copilot_nb.runtime.provision import find_local_model, find_runtime

    notebook = _notebook(options.notebook)
    find_runtime()
    find_local_model(os.environ.get("COPILOT_NB_LOCAL_MODEL", ""))
    folder = _demo_folder(notebook)
    env = os.environ | {
        "COPILOT_HOME": str(folder / "home"),
        "COPILOT_OFFLINE": "true",
        "COPILOT_NB_PROVIDER": "local",
    }
    return _run_headless(notebook, folder, env) if options.headless else _open(notebook, env)


def _notebook(named: Path | None) -> Path:
    """Find the notebook: the one that was named, else the first one of a checkout."""
    if named is not None:
        path = named.expanduser().absolute()
        if not path.is_file():
            raise InputError(f"there is no notebook {path}", "name a file that ends in .ipynb")
        return path
    for folder in (Path.cwd(), Path.cwd().parent, Path(__file__).absolute().parents[1]):
        if (path := folder / "notebooks" / FIRST_NOTEBOOK).is_file():
            return path
    raise InputError(
        f"notebooks/{FIRST_NOTEBOOK} is not here", "run it in a checkout of copilot-nb, or name one: --notebook PATH"
    )


def _demo_folder(notebook: Path) -> Path:
    """Return a place for the demo's sessions: ``.demo`` beside the folder ``notebooks``, else a temporary one."""
    if notebook.parent.name == "notebooks":
        folder = notebook.parent.parent / ".demo"
        with suppress(OSError):  # a checkout may be read-only
            (folder / "home").mkdir(parents=True, exist_ok=True)
            return folder
    folder = Path(tempfile.mkdtemp(prefix="copilot-nb-demo-"))
    (folder / "home").mkdir()
    return folder


def _exec(argv: list[str], env: dict[str, str]) -> NoReturn:
    os.execve(argv[0], argv, env)  # noqa: S606 - this process becomes JupyterLab, so that Ctrl-C is its own


def _open(notebook: Path, env: dict[str, str]) -> int:
    if find_spec("jupyterlab") is None:
        raise InputError("JupyterLab is not installed", DEMO_HINT)
    argv = [sys.executable, "-m", "jupyterlab", str(notebook)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        argv.append("--allow-root")  # in a container one often is; JupyterLab refuses otherwise
    if sys.platform == "win32":  # exec there hands the terminal back at once
        return subprocess.call(argv, env=env)  # noqa: S603 - JupyterLab of this Python
    _exec(argv, env)


def _run_headless(notebook: Path, folder: Path, env: dict[str, str]) -> int:
    """Run a copy of `notebook` and print its cells; the notebook itself is not written to."""
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as exc:
        raise InputError("nbclient is not installed", DEMO_HINT) from exc
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
    stopped: list[bool] = []

    def stop(task: asyncio.Task[object]) -> None:
        stopped.append(True)
        client.shutdown_kernel = "immediate"
        task.cancel()

    client.on_notebook_start = lambda **_: _on_ctrl_c(stop)
    try:
        client.execute(env=env)
    except CellExecutionError as exc:
        raise TurnFailed(f"{notebook.name}: {exc.ename}: {exc.evalue}") from exc
    except (CellTimeoutError, DeadKernelError) as exc:
        if stopped:
            raise KeyboardInterrupt from exc
        raise TurnFailed(f"{notebook.name}: {str(exc).splitlines()[0]}") from exc
    printer.later(copy)
    nbformat.write(copy, folder / notebook.name)  # type: ignore[no-untyped-call]
    say(f"\nThe notebook as it ran: {folder / notebook.name}")
    return 0


def _on_ctrl_c(stop: Callable[[asyncio.Task[object]], None]) -> None:
    """Have Ctrl-C call `stop` with the task that runs the notebook; nbclient's own handler ends in a traceback."""
    import asyncio
    import signal

    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt there
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: stop(task))


class _Printer:
    """Prints the cells of a notebook while it runs, and again what a background turn added to one afterwards."""

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


if __name__ == "__main__":
    sys.exit(main())
