"""What tests do with a chat panel, wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page

if TYPE_CHECKING:
    from .conftest import Notebook

PANEL = "%copilot panel s1"
BEGINNING, REST = "The **first half** of it, ", "and then the rest."
HALF_THEN_REST = f"[Reply({BEGINNING + REST!r}, stall_after_chars={len(BEGINNING)}), 'Go on.']"
WHOLE_ANSWER = "The first half of it, and then the rest."


def panel(notebook: Notebook, cell: int = 1) -> Locator:
    """Return the chat panel of a cell, when it has heard from the kernel."""
    found = notebook.output(cell).locator(".cnb-chat")
    found.locator(".cnb-models option").first.wait_for(state="attached")
    return found


def say(shown: Locator, prompt: str) -> None:
    """Send a prompt."""
    shown.get_by_role("textbox", name="Prompt").fill(prompt)
    shown.get_by_role("textbox", name="Prompt").press("Enter")


def turn(shown: Locator, number: int, state: str = "done") -> Locator:
    """Return a turn, when it is in that state."""
    found = shown.locator(".cnb-turn").nth(number)
    shown.locator(f'.cnb-turn:nth-child({number + 1})[data-state="{state}"]').wait_for()
    return found


def notice(shown: Locator) -> Locator:
    """Return the line that tells of what went wrong, or was done."""
    return shown.get_by_role("alert")


def answers(shown: Locator) -> list[str]:
    """Return the text of all answers."""
    return shown.locator(".cnb-answer").all_inner_texts()


def focused(page: Page) -> str:
    """Return what the focused element is called."""
    return str(page.evaluate("() => { const e = document.activeElement; return e.ariaLabel || e.textContent; }"))
