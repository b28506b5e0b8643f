"""The notebook of the dashboard in real Voilà: two visitors, each with conversations of their own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page

from tests.browser.conftest import Lab, scripted

APP = Path(__file__).parents[2] / "notebooks" / "02_voila_app.ipynb"


@pytest.fixture
def app(lab: Lab) -> str:
    """Put the notebook where the server finds it, with a scripted model in place of the embedded one."""
    notebook = nbformat.read(APP, as_version=4)
    (provider,) = [cell for cell in notebook.cells if "CopilotNB.provider" in cell.source]
    provider.source = scripted("")
    path = lab.server.notebooks / f"{lab.name}.ipynb"
    nbformat.write(notebook, path)
    return f"voila/render/{path.name}"


def come(lab: Lab, url: str) -> Page:
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


def test_each_visitor_has_conversations_of_their_own(lab: Lab, app: str) -> None:
    first, second = come(lab, app), come(lab, app)
    ask(first, "I am the first.")
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

    back = first.get_by_role("link", name="Come back to these conversations").get_attribute("href")
    assert back is not None
    first.close()
    again = come(lab, app + back)
    answered(again, "I am the first.")
    assert names(again) == ["chat"]
    stored = [path.name for path in (lab.server.copilot_home / "session-state").glob("visitor-*")]
    assert len(stored) == 2
