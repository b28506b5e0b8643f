"""Many panels in one page, and one with a thousand turns: each is right to the end, and one can type meanwhile."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, expect

from copilot_nb.panels.deltas import PAGE_TURNS
from copilot_nb.render.markdown import markdown_to_html

from .conftest import Lab, Notebook, open_gate, scripted
from .panel_page import PanelPage
from .traffic import Frame, Traffic, most_in_a_second

PANELS = 5
NAMES = [f"s{number}" for number in range(PANELS)]
# without formulae: MathJax, which typesets those of the cell at each update, is not what is tested here
SECTION = """
## Step {n}

Some *words* about `it`.

```python
def step_{n}(x):
    return x + {n}  # and no more
```

| quantity | value |
|---|--:|
| step | {n}.5 |

1. One *thing*,
2. and [another](https://numpy.org/doc/stable/).
"""
ANSWER = "".join(SECTION.format(n=n) for n in range(30))
TURNS = 3 * PAGE_TURNS
HELD_CHARS = len(ANSWER) - 1000
OPEN = f"import copilot_nb as cp\nfor name in {NAMES}:\n    display(cp.ChatPanel(name))"
ASK_OTHERS = f"turns = [cp.session(name).send('All of it') for name in {NAMES[1:]}]"
ASK_BESIDE = f"%%copilot {NAMES[0]}\nAll of it"

# what an answer is, without what the page adds: buttons, frames, and what a screen reader wants to know
ANSWERED = """node => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll('.cnb-code-bar').forEach(each => each.remove());
    copy.querySelectorAll('.cnb-code').forEach(each => each.replaceWith(...each.childNodes));
    for (const each of copy.querySelectorAll('*')) {
        const added = each.getAttributeNames().filter(name => !['class', 'href', 'style'].includes(name));
        added.forEach(name => each.removeAttribute(name));
    }
    return copy.innerHTML;
}"""
PARSED = f"html => {{ const box = document.createElement('div'); box.innerHTML = html; return ({ANSWERED})(box); }}"
PLACE = "node => node.getBoundingClientRect().top"
# the keys that one has typed into a field, once the page has painted again
TYPED = """node => {
    window.typed = [];
    node.addEventListener('keydown', event => requestAnimationFrame(() => window.typed.push(event.key)));
}"""


def news_by_panel(frames: list[Frame]) -> dict[str, list[float]]:
    """Return when each panel told its page something new."""
    told: dict[str, list[float]] = {}
    for frame in frames:
        if frame.said.get("kind") == "news":
            told.setdefault(frame.content["comm_id"], []).append(frame.at_s)
    return told


def opened(lab: Lab, gate: Path) -> tuple[Notebook, list[Locator]]:
    """Open a notebook with the panels; return it with them, when each has heard from the kernel.

    The end of each answer waits for the gate, however long the test takes before.
    """
    replies = f"lambda asked: Reply(LONG, stall_after_chars={HELD_CHARS})"
    model = scripted(replies, gate, chunk_chars=50, chunk_delay_s=0.04)
    notebook = lab.open(f"LONG = {ANSWER!r}", model, OPEN, ASK_OTHERS, ASK_BESIDE)
    for cell in range(3):
        notebook.run(cell)
    shown = [notebook.output(2).locator(".cnb-chat").nth(number) for number in range(PANELS)]
    for panel in shown:
        panel.locator(".cnb-models option").first.wait_for(state="attached")
    return notebook, shown


def test_five_panels_and_a_cell_stream_at_once(lab: Lab, tmp_path: Path) -> None:
    traffic = Traffic()
    lab.on_page.append(traffic.listen)
    gate = tmp_path / "gate"
    notebook, shown = opened(lab, gate)
    page = notebook.page
    field = shown[2].get_by_role("textbox", name="Prompt")
    field.evaluate(TYPED)
    notebook.run(3)
    running = notebook.start(4)
    for panel in shown:
        panel.locator('.cnb-turn[data-state="working"] .cnb-answer > *').first.wait_for()
    field.press_sequentially("a draft")
    page.wait_for_function("() => window.typed.join('') === 'a draft'")
    assert shown[2].locator('.cnb-turn[data-state="working"]').count() == 1, "it was typed while answers came"
    open_gate(gate, PANELS)
    for panel in shown:
        panel.locator('.cnb-turn[data-state="done"]').wait_for()
    running.wait()

    expected = page.evaluate(PARSED, markdown_to_html(ANSWER, maths="mathml"))
    assert [panel.locator(".cnb-answer").evaluate(ANSWERED) for panel in shown] == [expected] * PANELS
    (output,) = notebook.outputs(4)
    assert markdown_to_html(ANSWER) in "".join(output["data"]["text/html"])
    assert output["data"]["text/plain"] == ANSWER
    told = news_by_panel(traffic.frames)
    assert len(told) == PANELS
    assert max(most_in_a_second(times_s) for times_s in told.values()) <= 12
    assert field.input_value() == "a draft"
    assert notebook.js_errors == []


def test_earlier_turns_come_page_by_page_and_leave_what_is_read_in_its_place(panel_page: PanelPage) -> None:
    panel_page.answer("Said.\n\n" * 20)
    session = panel_page.manager.session("long")
    for number in range(1, TURNS + 1):
        session.ask(f"ask {number}")
    shown = panel_page.chat("long")
    turns, earlier = shown.locator(".cnb-turn"), shown.get_by_role("button", name="Earlier turns")
    expect(turns).to_have_count(PAGE_TURNS)
    for left in (TURNS - PAGE_TURNS, TURNS - 2 * PAGE_TURNS):
        expect(earlier).to_have_text(f"Earlier turns ({left})")
        first = turns.first
        first.scroll_into_view_if_needed()
        key, before = first.get_attribute("data-key"), first.evaluate(PLACE)
        earlier.evaluate("node => node.click()")  # which does not scroll to it
        expect(turns).to_have_count(TURNS - left + PAGE_TURNS)
        assert abs(shown.locator(f'[data-key="{key}"]').evaluate(PLACE) - before) <= 1
    expect(earlier).to_be_hidden()
    assert shown.locator(".cnb-prompt").all_text_contents() == [f"ask {n}" for n in range(1, TURNS + 1)]
    skipped = turns.evaluate_all(
        "all => all.filter(each => !each.firstChild.checkVisibility({contentVisibilityAuto: true}))"
    )
    assert len(skipped) > PAGE_TURNS, "what cannot be seen costs nothing"
