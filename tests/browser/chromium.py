"""The Chromium of the tests: it reaches nothing but this machine, and does not compile JupyterLab for each test.

The scripts of JupyterLab are 5 MB, and compiling them is half of what opening it costs. Chromium keeps what it has
compiled for the context that it starts with, and for no other one; and it keeps nothing where requests are intercepted.
So the tests of JupyterLab take turns with that context (`first_context`), and what is asked of other machines fails
because no name and no address but this machine's is resolved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

HERE = ("127.0.0.1", "localhost")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND, " + ", ".join(f"EXCLUDE {name}" for name in HERE),
)
LOOK: dict[str, Any] = {"viewport": {"width": 1200, "height": 1000}, "reduced_motion": "reduce"}
# of an origin: all that is not what Chromium has fetched and compiled
STORAGE = "cookies,file_systems,indexeddb,local_storage,service_workers,cache_storage"


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Run Chromium, the one that `CHROMIUM` names or the system's, with its profile in a directory."""
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        first = playwright.chromium.launch_persistent_context(profile, executable_path=path, args=FLAGS, **LOOK)
        assert first.browser
        yield first.browser
        first.close()


@contextmanager
def first_context(
    browser: Browser, origin: str, refused: list[str], kept: Sequence[Page] = ()
) -> Iterator[BrowserContext]:
    """Lend the context that keeps what it has compiled; afterwards no cookie or item of `origin` is left in it.

    Whatever its pages ask of other machines is added to `refused`. Its new pages are closed afterwards, those in `kept`
    excepted.
    """
    context = browser.contexts[0]
    before = context.pages  # at least one: without any page, the browser would end
    with _listing(context, refused):
        yield context
        for page in context.pages:
            if page not in before and page not in kept:
                page.close()
    context.clear_cookies()
    devtools = context.new_cdp_session(before[0])
    devtools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORAGE})
    devtools.detach()


@contextmanager
def new_context(browser: Browser, refused: list[str]) -> Iterator[BrowserContext]:
    """Make a context in which nothing is, and close it; what it asks of other machines is added to `refused`."""
    with browser.new_context(**LOOK) as context, _listing(context, refused):
        yield context


def look_as_ever(page: Page) -> None:
    """Give a page the size and the media of a new one."""
    page.set_viewport_size(LOOK["viewport"])
    page.emulate_media(reduced_motion=LOOK["reduced_motion"], forced_colors="none")


@contextmanager
def _listing(context: BrowserContext, refused: list[str]) -> Iterator[None]:
    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in (*HERE, None):
            refused.append(request.url)

    context.on("request", note)
    yield
    context.remove_listener("request", note)
