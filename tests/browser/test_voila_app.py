"""The notebook of the dashboard in real Voilà: two visitors, each with conversations of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from copilot_nb.runtime.install.find_runtime import WRAPPER_NAME
from tests.browser.chromium import new_context
from tests.browser.conftest import Lab, scripted

APP = Path(__file__).parents[2] / "notebooks" / "07_voila_app.ipynb"
# anywidget then finds each module slow to load, as on a busy machine, and holds the messages back for good
SLOWLY_LOADED = """AbortSignal.timeout = () => {
    const late = new AbortController();
    queueMicrotask(() => late.abort());
    return late.signal;
}"""


@pytest.fixture
def app(lab: Lab) -> str:
    """Put the notebook where the server finds it, with a scripted model in place of the embedded one."""
    notebook = nbformat.read(APP, as_version=4)
    (provider,) = [cell for cell in notebook.cells if "CopilotNB.provider" in cell.source]
    provider.source = scripted("")
    notebook.metadata.kernelspec.name = lab.kernel
    path = lab.server.notebooks / f"{lab.name}.ipynb"
    nbformat.write(notebook, path)
    return f"voila/render/{path.name}"


@pytest.fixture
def elsewhere(lab: Lab) -> Iterator[Lab]:
    """Another visitor's browser."""
    assert lab.context.browser is not None
    with new_context(lab.context.browser, lab.refused) as context:
        yield Lab(lab.server, context, lab.name)


def kernels(lab: Lab) -> set[str]:
    return {kernel["id"] for kernel in lab.server.api("kernels")}


def runtimes() -> set[psutil.Process]:
    return {each for each in psutil.Process().children(recursive=True) if each.name() == WRAPPER_NAME}


def secret_of(page: Page) -> str:
    """What the page's browser keeps."""
    secret = str(page.evaluate("() => localStorage.getItem('copilot_nb.visitor')"))
    assert len(secret) == 43
    return secret


def come(lab: Lab, url: str) -> Page:
    lab.on_page[:] = [lambda page: page.add_init_script(SLOWLY_LOADED)]
    page = lab.visit(url)
    page.locator(".cnb-panel textarea").wait_for()
    return page


def ask(page: Page, prompt: str) -> None:
    box = page.locator(".cnb-panel textarea")
    box.fill(prompt)
    box.press("Enter")
    answered(page, prompt)


def answered(page: Page, prompt: str) -> None:
    page.locator(".cnb-turn[data-state=done]", has_text=f"You said: {prompt}").wait_for()


def conversations(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Conversation")


def names(page: Page) -> list[str]:
    return conversations(page).locator("option").all_inner_texts()


def test_each_visitor_has_conversations_of_their_own(lab: Lab, elsewhere: Lab, app: str) -> None:
    before, others = kernels(lab), runtimes()
    first = come(lab, app)
    ask(first, "I am the first.")
    second = come(elsewhere, f"{app}?visitor={secret_of(first)}")  # a link does not say who visits
    assert secret_of(second) != secret_of(first)
    assert len(kernels(lab) - before) == 2
    ask(second, "I am the second.")
    assert names(first) == names(second) == ["chat"]
    for page, other in ((first, "the second"), (second, "the first")):
        assert other not in page.locator(".cnb-panel").inner_text()
    second.get_by_placeholder("name of a new one").fill("garden")
    second.get_by_role("button", name="New", exact=True).click()
    second.wait_for_function("() => document.querySelectorAll('.cnb-turn').length === 0")
    ask(second, "Roses? {{ 6 * 7 }}")
    assert names(second) == ["chat", "garden"]
    conversations(second).select_option("chat")
    answered(second, "I am the second.")
    second.get_by_role("button", name="Delete", exact=True).click()
    answered(second, "Roses? {{ 6 * 7 }}")
    assert names(second) == ["garden"]

    first.reload()
    first.locator(".cnb-panel textarea").wait_for()
    answered(first, "I am the first.")
    assert names(first) == ["chat"]
    ask(first, "Still here.")  # the kernel of the page that was reloaded has ended, and lets go of the session
    expect(first).to_have_title("Conversations")
    assert first.locator(".cnb-name").inner_text() == "chat"
    told = first.locator("body").inner_text() + first.url
    stored = [path.name for path in (lab.server.copilot_home / "session-state").glob("visitor-*")]
    assert len(stored) == 2
    assert not [name for name in stored if name.removesuffix("-chat") in told]
    assert not [name for name in stored if secret_of(first) in name]
    started = runtimes() - others
    assert started
    first.close(run_before_unload=True)
    second.close(run_before_unload=True)
    deadline = time.monotonic() + 30
    while kernels(lab) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kernels(lab) == before
    assert psutil.wait_procs(started, timeout=30)[1] == []
