"""Twenty visitors at once on the page of `notebooks/07_voila_app.ipynb`, with the embedded model.

Each visitor has a browser of their own in one Chromium, opens the page in real Voilà and asks something; all wait at
the same time. Memory is the proportional set size (Linux): what processes share is divided among them. Then the pages
are closed, and every kernel, runtime and model process must end.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from playwright.sync_api import Error, Page

from bench.page import opened_lab
from bench.report import Result
from copilot_nb.runtime.install.find_runtime import WRAPPER_NAME
from tests.browser.chromium import new_context
from tests.browser.conftest import Lab

APP = Path(__file__).parents[1] / "notebooks" / "07_voila_app.ipynb"
VISITORS = 20
PROMPT = "Say hello to the world in one short sentence."
FIELD, ANSWER = ".cnb-panel textarea", ".cnb-turn[data-state=done]"
NOTE = """(() => {
    window.shownAt = {};
    const look = () => {
        for (const selector of SELECTORS) {
            if (document.querySelector(selector)) window.shownAt[selector] ??= Date.now();
        }
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributeFilter: ["data-state"] });
})()"""
"""Has a page note when it first shows what fits a selector (ms)."""
WAIT_S = 180.0
"""How long pages may take to show their panels, and then their answers."""
GONE_GOAL_S, MEMORY_GOAL_MB = 30.0, 350.0
MB = 1e6


def run() -> list[Result]:
    """Measure."""
    with opened_lab() as lab, ExitStack() as visitors:
        shutil.copy(APP, lab.server.notebooks)
        before = _processes()
        browser = lab.context.browser
        assert browser is not None
        pages = [visitors.enter_context(new_context(browser, [])).new_page() for _ in range(VISITORS)]
        url = lab.server.page_url(f"voila/render/{APP.name}")
        began_s = time.time()
        for page in pages:
            page.add_init_script(NOTE.replace("SELECTORS", json.dumps([FIELD, ANSWER])))
            page.evaluate("url => { setTimeout(() => { location = url; }); }", url)
        ready_s = _shown(pages, FIELD, began_s)
        began_s = time.time()
        for page in ready_s:
            with suppress(Error):  # counted below
                page.locator(FIELD).fill(PROMPT)
                page.locator(FIELD).press("Enter")
        answered_s = _shown(list(ready_s), ANSWER, began_s)
        memory = _memory(_processes() - before)
        for page in pages:
            page.close(run_before_unload=True)
        gone_s = _gone(lab, before)
        left = _processes() - before
    return [
        Result(f"visitors: {VISITORS} pages opened at once are ready", list(ready_s.values()), "s"),
        Result("visitors: their answers are complete", list(answered_s.values()), "s"),
        *(Result(f"visitors: memory of {kind} each", [size / VISITORS], "MB") for kind, size in memory.items()),
        Result("visitors: memory of each visitor", [sum(memory.values()) / VISITORS], "MB", at_most=MEMORY_GOAL_MB),
        Result("visitors: all has ended after the pages were closed", [gone_s], "s", at_most=GONE_GOAL_S),
        Result("visitors: pages without an answer", [float(VISITORS - len(answered_s))], "", at_most=0),
        Result("visitors: processes left", [float(len(left))], "", at_most=0),
    ]


def _shown(pages: list[Page], selector: str, began_s: float) -> dict[Page, float]:
    """Return when each page showed something (s from `began_s`), without those that do not within `WAIT_S`."""
    shown_s: dict[Page, float] = {}
    while len(shown_s) < len(pages) and time.time() - began_s < WAIT_S:
        for page in pages:
            if page not in shown_s and (shown_ms := _noted(page, selector)):
                shown_s[page] = shown_ms / 1000 - began_s
        time.sleep(0.1)
    return shown_s


def _noted(page: Page, selector: str) -> float:
    """Return when a page first showed something (ms); 0: not yet."""
    with suppress(Error):  # the page is being loaded
        return float(page.evaluate("selector => window.shownAt?.[selector] ?? 0", selector))
    return 0.0


def _processes() -> set[psutil.Process]:
    """Return the kernels, runtimes and models that this process's JupyterLab has started."""
    return {each for each in psutil.Process().children(recursive=True) if _kind(each)}


def _kind(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        kinds = {"ipykernel_launcher": "kernels", WRAPPER_NAME: "runtimes", "llama_process": "models"}
        return next((kind for word, kind in kinds.items() if word in command), "")
    return ""


def _memory(processes: set[psutil.Process]) -> dict[str, float]:
    """Return the memory of each kind of process together (MB)."""
    sizes: dict[str, float] = {}
    for process in processes:
        kind = _kind(process)
        sizes[kind] = sizes.get(kind, 0.0) + process.memory_full_info().pss / MB
    return dict(sorted(sizes.items()))


def _gone(lab: Lab, before: set[psutil.Process]) -> float:
    """Wait until the kernels of closed pages have ended with all that they started, or for a minute."""
    began_s = time.perf_counter()
    while (lab.server.api("kernels") or _processes() - before) and time.perf_counter() - began_s < 60:
        time.sleep(0.1)
    return time.perf_counter() - began_s
