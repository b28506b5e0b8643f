"""The bytes that the kernel sends for the output of a cell while an answer streams.

The peer replaces the output ten times a second with the same renderings: the simplest way, whose cost grows with the
square of the answer's length. We send less, so updates become rarer as an answer grows; the longest time without an
update is therefore measured, too. The last update must arrive wherever a notebook is run: in nbclient and papermill
here, in JupyterLab in `page`.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from bench.answers import PIECES_PER_S, answer
from bench.kernel import Kernel, Message, fresh_kernel
from bench.report import Result

REPETITIONS = 2
LONG = (20_000, 15.0)
SHORT = (3_000, 10.0)
FAST = (20_000, 3.0)
LOAD = """\
%load_ext copilot_nb
import copilot_nb.testing as testing
from bench.answers import answer, piece_chars
"""
INSTALL = """\
testing.install(testing.ScriptedModel(
    answer({0}), chunk_chars=piece_chars({0}, {1}), chunk_delay_s=1 / {2}))
"""
NO_BUDGET = """
import copilot_nb.notebook.display as display
display.BYTES_PER_S = 10**12
"""
ASK = "%%copilot s1\nhello"


def setup(size_bytes: int, duration_s: float) -> str:
    """Return the cell that makes the model send answers of this size within this time."""
    return LOAD + INSTALL.format(size_bytes, duration_s, PIECES_PER_S)


def run() -> list[Result]:
    """Measure."""
    budgeted: list[list[Message]] = []
    fixed: list[list[Message]] = []
    short: list[list[Message]] = []
    for _ in range(REPETITIONS):
        budgeted.append(_updates(setup(*LONG)))
        fixed.append(_updates(setup(*LONG) + NO_BUDGET))
        short.append(_updates(setup(*SHORT)))
    lost = [_is_lost(execute) for execute in (_by_nbclient, _by_papermill)]
    return [
        Result("stream: bytes on iopub / bytes of a 20 kB answer", _multiples(budgeted), at_most=10),
        Result("stream: (the same, replaced at a fixed 10 Hz)", _multiples(fixed)),
        Result("stream: longest time without an update, 20 kB in 15 s", _longest_gaps_s(budgeted), "s", at_most=1),
        Result("stream: longest time without an update, 3 kB in 10 s", _longest_gaps_s(short), "s"),
        Result("stream: updates a second, 3 kB in 10 s", [len(updates) / SHORT[1] for updates in short], "/s"),
        Result("stream: last update lost in nbclient, in papermill", lost, "", at_most=0),
    ]


def _updates(load: str) -> list[Message]:
    with fresh_kernel() as kernel:
        kernel.run(load)
        return _displays(kernel)


def _displays(kernel: Kernel) -> list[Message]:
    return [message for message in kernel.watch(ASK) if message.is_display]


def _multiples(streams: list[list[Message]]) -> list[float]:
    return [sum(update.size_bytes for update in updates) / LONG[0] for updates in streams]


def _longest_gaps_s(streams: list[list[Message]]) -> list[float]:
    """Return the longest time between two updates, in each stream."""
    return [max(b.at_s - a.at_s for a, b in itertools.pairwise(updates)) for updates in streams]


def _is_lost(execute: Callable[[NotebookNode], NotebookNode]) -> int:
    """Run a notebook; 1 if its saved output is not the whole answer."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in (setup(*FAST), ASK)]
    (output,) = execute(notebook).cells[1].outputs
    return int(output["data"]["text/plain"] != answer(FAST[0]))


def _by_nbclient(notebook: NotebookNode) -> NotebookNode:
    return NotebookClient(notebook).execute()


def _by_papermill(notebook: NotebookNode) -> NotebookNode:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        from papermill import execute_notebook

        source, target = Path(folder, "in.ipynb"), Path(folder, "out.ipynb")
        nbformat.write(notebook, source)
        execute_notebook(source, target, progress_bar=False)
        return nbformat.read(target, as_version=4)
