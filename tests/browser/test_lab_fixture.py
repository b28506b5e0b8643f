"""The fixture itself, in the front ends that the other tests rely on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .chromium import first_context, new_context
from .conftest import LABEXTENSION, Server

KEEP = "() => { localStorage.setItem('mine', '1'); document.cookie = 'mine=1; max-age=1000'; }"
KEPT = "() => localStorage.getItem('mine') ?? document.cookie"
SCRIPTS = list((LABEXTENSION / "scripts").glob("*.js"))
SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_notebook_can_be_driven(lab: Any, app: str) -> None:
    notebook = lab.open("1 + 1", SLOW, "1 / 0", app=app)
    notebook.run(0)
    assert notebook.outputs(0)[0]["data"]["text/plain"] == "2"

    running = notebook.start(1)
    notebook.output(1).get_by_text("begun").wait_for()
    notebook.interrupt()
    running.wait(10)
    assert notebook.errors(1) == ["KeyboardInterrupt: "]

    notebook.run(2)
    assert notebook.errors(2) == ["ZeroDivisionError: division by zero"]

    notebook.set_source(0, "3")
    notebook.restart()
    notebook.run(0)
    assert notebook.save().cells[0].outputs[0].data["text/plain"] == "3"

    notebook.reload()
    assert notebook.sources() == ["3", SLOW, "1 / 0"]
    notebook.output(0).get_by_text("3", exact=True).wait_for()
    assert not lab.refused


def test_voila_serves_a_notebook_and_our_extension_of_jupyterlab_is_quiet_there(lab: Any) -> None:
    said: list[str] = []
    loaded: list[str] = []

    def listen(page: Page) -> None:
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: loaded.append(request.url.partition("?")[0]))

    lab.on_page.append(listen)
    page = lab.visit(f"voila/render/{lab.write('print(6 * 7)').name}")
    page.get_by_text("42").wait_for()
    assert {path.name for path in SCRIPTS} <= {url.rpartition("/")[2] for url in loaded if "/copilot-nb/" in url}
    assert [text for text in said if "copilot" in text and not text.startswith("debug:")] == []


@pytest.mark.parametrize("url", ["http://payload.test/", "http://192.0.2.1/", "http://[2001:db8::1]/"])
def test_no_page_reaches_another_machine(browser: Browser, url: str) -> None:
    refused: list[str] = []
    with new_context(browser, refused) as context:
        page = context.new_page()
        with page.expect_event("requestfailed") as failed:
            page.evaluate("url => { fetch(url).catch(() => {}); }", url)
        assert failed.value.failure == "net::ERR_NAME_NOT_RESOLVED"
    assert refused == [url]


def test_a_test_finds_nothing_that_another_has_left_in_the_browser(browser: Browser, server: Server) -> None:
    pages = len(browser.contexts[0].pages)
    for _ in range(2):
        with first_context(browser, server.url, []) as context:
            assert len(context.pages) == pages
            page = context.new_page()
            page.goto(server.page_url("api/status"))
            assert page.evaluate(KEPT) == ""
            page.evaluate(KEEP)
            assert page.evaluate(KEPT) == "1"
