"""The cost of writing a prompt in JupyterLab, over a Markdown cell with the same text.

The cell holds 100 lines, once without and once with a hundred expressions ``{{ … }}``. It is a prompt and a Markdown
cell in turns, each first in every other round, and letters are typed at the end of its middle line, one a frame; each
time that line is first as long as it was. Counted are the functions that the page calls for a letter, which no load of
the machine changes much, and the processor time of its main thread: one round's ratio is off by up to a fifth, so there
are many.
"""

from __future__ import annotations

from playwright.sync_api import CDPSession

from bench.page import opened_lab, worked_s
from bench.report import Result, ratios
from tests.browser.conftest import Lab, Notebook

ROUNDS, LETTERS, LINES = 24, 30, 100
LINE = "It's the *third* time that this happens, and `the code` is {}, as [the page](http://a.b) says."
TYPE = """letters => new Promise(done => {
    const next = left => {
        if (!left) return done();
        document.execCommand("insertText", false, "e");
        requestAnimationFrame(() => next(left - 1));
    };
    next(letters);
})"""
TO_THE_MIDDLE = """text => {
    const { content } = window.jupyterapp.shell.currentWidget;
    content.mode = "edit";
    const { editor } = content.activeCell.editor;
    const { from, to } = editor.state.doc.line(50);
    editor.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length } });
    editor.focus();
}"""


def run() -> list[Result]:
    """Measure."""
    with opened_lab() as lab:
        return [*_compared(lab, "100 lines", "the same"), *_compared(lab, "100 {{ }}", "{{ value }}")]


def _compared(lab: Lab, name: str, value: str) -> list[Result]:
    line = LINE.format(value)
    notebook = lab.open("\n".join(["%%copilot session1", *[line] * LINES]))
    devtools = lab.context.new_cdp_session(notebook.page)
    devtools.send("Profiler.enable")
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    taken: dict[str, list[tuple[float, float]]] = {"markdown": [], "code": []}
    _typed(notebook, devtools, "code", line)  # what is loaded and compiled at first is no letter's
    for number in range(ROUNDS):
        for kind in list(taken)[:: 1 if number % 2 else -1]:
            taken[kind].append(_typed(notebook, devtools, kind, line))
    notebook.page.close()
    name = f"keystrokes: {name}: prompt / Markdown cell,"
    (markdown_calls, markdown_ms), (prompt_calls, prompt_ms) = (zip(*each, strict=True) for each in taken.values())
    return [
        ratios(f"{name} functions called", prompt_calls, markdown_calls, 1.05),
        ratios(f"{name} processor time", prompt_ms, markdown_ms, 1.05),
        Result(f"{name} (processor time of a letter and its frame)", prompt_ms, "ms"),
    ]


def _typed(notebook: Notebook, devtools: CDPSession, kind: str, line: str) -> tuple[float, float]:
    """Type into the cell, and return what a letter takes: calls of functions, and processor time (ms)."""
    notebook.command(f"notebook:change-cell-to-{kind}", 0).wait()
    if kind == "code":
        notebook.cell(0).locator('.copilot-nb-prompt [data-language="markdown"]').wait_for()
    notebook.page.evaluate(TO_THE_MIDDLE, line)
    notebook.page.evaluate(TYPE, LETTERS // 3)
    before_s = worked_s(devtools)
    notebook.page.evaluate(TYPE, LETTERS)
    took_ms = (worked_s(devtools) - before_s) / LETTERS * 1000
    devtools.send("Profiler.startPreciseCoverage", {"callCount": True})
    notebook.page.evaluate(TYPE, LETTERS)
    scripts = devtools.send("Profiler.takePreciseCoverage")["result"]
    devtools.send("Profiler.stopPreciseCoverage")
    calls = sum(each["ranges"][0]["count"] for script in scripts for each in script["functions"])
    return calls / LETTERS, took_ms
