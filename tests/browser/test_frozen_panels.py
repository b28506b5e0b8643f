"""What a saved notebook with panels shows: the transcript, wherever it is opened, and nothing broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import nh3
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import Page

from tests.browser.conftest import Lab, Notebook, scripted
from tests.forked_kernels import FORKED

REPLY = "Blue, **not** green. <script>window.hacked = true</script>"
CHAT = "import copilot_nb as cp\ncp.ChatPanel('a')"
ALL_PANELS = (
    scripted(repr([REPLY] * 3 + ["Red.", REPLY])),
    CHAT,
    "panel = cp.ComparePanel(['left', 'right'], blind=True)\npanel",
    "%%copilot a\nWhich colour?",
    "for turn in panel.ask('Which colour?').turns: turn.wait()",
    "cp.SessionsPanel()",
    "cp.ChatPanel('b')",
    "cp.session('b').ask('Which colour?')",  # runs after the page was reloaded
)
DEAD = ("model not found", "Loading widget", "missing state", "Error displaying")
GITHUB_TAGS = {
    "div",
    "p",
    "ul",
    "li",
    "details",
    "summary",
    "pre",
    "code",
    "strong",
    "em",
    "span",
    "time",
    "table",
    "tr",
}


def shown(page: Page) -> list[str]:
    """The texts of the outputs that can be seen."""
    script = (
        "() => [...document.querySelectorAll('.jp-OutputArea-child')].filter(e => e.offsetHeight).map(e => e.innerText)"
    )
    texts: list[str] = page.evaluate(script)
    return [" ".join(text.split()) for text in texts]


def wait_static(page: Page, text: str) -> None:
    """Wait until the static transcript can be seen, with `text` in it."""
    page.wait_for_function(
        "t => [...document.querySelectorAll('.cnb-static')].some(e => e.offsetHeight && e.textContent.includes(t))",
        arg=text,
    )


def static_html(notebook: Any, cell: int) -> str:
    """The transcript that is saved below the panel of a cell."""
    panel, transcript = notebook.cells[cell].outputs
    assert "application/vnd.jupyter.widget-view+json" in panel.data
    assert set(transcript.data) == {"text/html", "text/plain"}
    return str(transcript.data["text/html"])


# saves whatever is unsaved, as JupyterLab does by itself, until a cell shows the answer and nothing is unsaved
SAVE = """async cell => {
    const {context, content} = window.jupyterapp.shell.currentWidget;
    const isKept = () => JSON.stringify(content.widgets[cell].model.outputs.toJSON()).includes('Blue');
    while (context.model.dirty || !isKept()) {
        if (context.model.dirty) await context.save();
        await new Promise(requestAnimationFrame);
    }
}"""


# opens another notebook in the page, on the kernel of the first
BESIDE = """async path => {
    const {commands, shell} = window.jupyterapp;
    const {id} = shell.currentWidget.sessionContext.session.kernel;
    const opened = await commands.execute('docmanager:open', {path, factory: 'Notebook', kernel: {id}});
    await opened.context.ready;
    await opened.sessionContext.ready;
}"""

# has MathJax typeset something beside the notebook, after all that it was given before
TYPESET = """async text => {
    const beside = document.body.appendChild(document.createElement('div'));
    beside.textContent = text;
    window.jupyterapp.shell.currentWidget.content.rendermime.latexTypesetter.typeset(beside);
    while (!beside.querySelector('mjx-container')) await new Promise(requestAnimationFrame);
}"""


def saved(nb: Notebook, cell: int = 1) -> Any:
    """Return the notebook once it is saved with the transcript of the last answer to the panel of a cell."""
    nb.page.evaluate(SAVE, cell)
    return nbformat.read(nb.path, as_version=4)


def assert_nothing_is_dead(page: Page) -> None:
    """Check that no output tells of a widget that is gone."""
    assert not [text for text in shown(page) for dead in DEAD if dead in text]


@pytest.mark.parametrize("app", ["lab", "notebook"])
@pytest.mark.usefixtures("used_page")
def test_panels_are_kept_with_their_notebook(lab: Lab, tmp_path: Path, app: str) -> None:
    """In one page, which is reloaded twice."""
    used, lab.kept = lab.kept, None
    nb = lab.open(*ALL_PANELS, app=app)
    for cell in range(len(ALL_PANELS) - 1):
        nb.run(cell)
    assert_the_transcript_comes_by_itself(nb)
    assert_the_others_leave_a_table_and_rounds(saved(nb, 2))
    notebook = saved(nb)
    reload_with_widgets(nb)
    assert_it_goes_on(nb)
    nb.restart()
    nb.save()
    nb.reload()
    for text in ("Which colour?", "And now?"):
        wait_static(nb.page, text)
    nb.output(2).locator(".cnb-static").get_by_text("Blue").first.wait_for()
    assert len([text for text in shown(nb.page) if "as of" in text]) == 4
    assert_nothing_is_dead(nb.page)
    lab.kept = [nb.page] if app == "lab" else used
    assert_it_is_read_elsewhere(notebook, nb.path, lab, tmp_path)


def reload_with_widgets(nb: Notebook) -> None:
    """Reload the page, and once more where JupyterLab has lost the kernel's widgets.

    Its widget manager then says "model not found" in place of every widget, until the next reload. That happened in one
    of seven reloads of a page that the browser had slowed down eight times.
    """
    lost = nb.output(1).get_by_text(DEAD[0])
    nb.reload()
    nb.output(1).locator(".cnb-panel .cnb-turn").or_(lost).first.wait_for(state="attached")
    if lost.count():
        nb.reload()


def assert_the_transcript_comes_by_itself(nb: Notebook) -> None:
    """It comes after a pause, and a draft outlives it."""
    nb.output(1).locator(".cnb-panel .cnb-turn").wait_for()
    assert not any("as of" in text for text in shown(nb.page)), "the living panel hides it"
    draft = nb.output(1).locator(".cnb-panel textarea")
    draft.fill("half a thought")
    nb.page.wait_for_function(
        "() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON())"
        ".includes('Blue')"
    )
    html = static_html(nb.save(), 1)
    assert "Blue, <strong>not</strong> green." in html
    assert "<script" not in html
    assert draft.input_value() == "half a thought"


def assert_the_others_leave_a_table_and_rounds(notebook: Any) -> None:
    rounds, sessions = static_html(notebook, 2), static_html(notebook, 5)
    assert rounds.count("Blue") == 2
    assert "scripted" not in rounds
    assert "<table>" in sessions


def assert_it_goes_on(nb: Notebook) -> None:
    """A reloaded page shows the living panels, and keeps what is said afterwards."""
    nb.output(1).locator(".cnb-panel .cnb-turn").wait_for()
    for transcript in nb.page.locator(".cnb-static").all():
        transcript.wait_for(state="hidden")  # the kernel lives, so the panel does
    later = nb.output(6).locator(".cnb-panel textarea")
    later.wait_for()
    nb.run(7)
    later.fill("And now?")
    later.press("Enter")
    html = static_html(saved(nb, 6), 6)
    assert "Red." in html
    assert "And now?" in html


@pytest.mark.usefixtures("used_page")
def test_formulae_are_typeset_when_they_can_be_seen(lab: Lab) -> None:
    chat = "import copilot_nb as cp\nchat = cp.ChatPanel('a')\nchat"
    nb = lab.open(scripted("['It is $x^2$, and Blue.']"), chat, "chat.close()")
    nb.run(0)
    nb.run(1)
    nb.page.locator(".cnb-panel textarea").fill("How much?")
    nb.page.keyboard.press("Enter")
    nb.page.wait_for_selector(".cnb-turn[data-state=done] math")
    saved(nb)
    nb.page.evaluate(TYPESET, "$y$")
    static = nb.page.locator(".cnb-static")
    assert "$x^2$" in str(static.text_content())
    assert static.locator("mjx-container").count() == 0
    nb.run(2)
    static.locator("mjx-container").wait_for()
    assert "$x^2$" not in static.inner_text()


@pytest.mark.usefixtures("used_page")
def test_a_panel_that_is_shown_in_two_cells_is_kept_in_both(lab: Lab) -> None:
    chat = "import copilot_nb as cp\nchat = cp.ChatPanel('a')\nchat"
    nb = lab.open(scripted(repr([REPLY])), chat, "chat", "cp.session('a').ask('Which colour?')")
    nb.run_all()
    nb.page.wait_for_selector(".cnb-panel .cnb-turn")
    notebook = saved(nb)
    assert all("Blue" in static_html(notebook, cell) for cell in (1, 2))


@pytest.mark.usefixtures("used_page")
def test_a_kernel_that_ends_before_the_transcript_came_leaves_a_notebook_that_can_be_saved(lab: Lab) -> None:
    nb = lab.open(scripted(repr([REPLY])), CHAT)
    nb.run_all()
    nb.page.wait_for_selector(".cnb-panel textarea")
    nb.restart()
    nb.page.locator(".cnb-notice").get_by_text("The kernel was restarted").wait_for()
    is_dirty = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
    for _ in range(2):  # the first save is when it learns that nothing comes any more
        nb.save()
    assert nb.page.evaluate(is_dirty) is False


@pytest.mark.usefixtures("used_page")
def test_two_notebooks_on_one_kernel_keep_their_own_panels(lab: Lab) -> None:
    first = lab.open(scripted(repr([REPLY])), CHAT)
    first.run_all()
    first.page.wait_for_selector(".cnb-panel textarea")
    path = lab.write("cp.session('b').ask('Which colour?')", "cp.ChatPanel('b')")
    first.page.evaluate(BESIDE, path.name)
    second = Notebook(first.page, path, lab.server)
    second.run_all()
    saved(second)
    assert "Blue" in static_html(second.save(), 1)


def assert_it_is_read_elsewhere(notebook: Any, path: Path, lab: Lab, folder: Path) -> None:
    notebook.cells[0].source += "\n# changed, so that it is not trusted"
    notebook.cells[1].outputs[1].data["text/html"] += " "
    other = path.with_name(f"untrusted-{path.name}")
    nbformat.write(notebook, other)
    stranger = lab.open_file(other)
    assert any("Which colour?" in text for text in shown(stranger.page))
    assert_nothing_is_dead(stranger.page)
    (folder / "page.html").write_text(HTMLExporter().from_notebook_node(notebook)[0])  # type: ignore[no-untyped-call]
    page = lab.visit((folder / "page.html").as_uri())
    assert any("Which colour?" in text for text in shown(page))
    assert_nothing_is_dead(page)
    classic = HTMLExporter(template_name="classic").from_notebook_node(notebook)[0]  # type: ignore[no-untyped-call]
    (folder / "classic.html").write_text(classic)
    page = lab.visit((folder / "classic.html").as_uri())
    wait_static(page, "Which colour?")
    line = page.locator(".output_area", has_text="<ChatPanel of 'a'>")
    assert line.count() == 1
    assert line.is_hidden()
    # a viewer that runs nothing and takes styles away shows the best of what it knows of each output
    bare = nh3.clean(static_html(notebook, 1), tags=GITHUB_TAGS, attributes={})
    assert "Which colour?" in bare
    assert "cnb-static{" not in bare
    text = "<ChatPanel of 'a'>: to use it here, trust this notebook, or run this cell"
    assert notebook.cells[1].outputs[0].data["text/plain"] == text


def test_a_notebook_that_was_run_without_a_page(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COPILOT_OFFLINE", "true")
    notebook = nbformat.read(lab.write(scripted(repr([REPLY])), CHAT, "%%copilot a\nWhich colour?"), as_version=4)
    NotebookClient(notebook, kernel_name=FORKED, timeout=120).execute()
    assert "Which colour?" in static_html(notebook, 1)
    (tmp_path / "page.html").write_text(HTMLExporter().from_notebook_node(notebook)[0])  # type: ignore[no-untyped-call]
    page = lab.visit((tmp_path / "page.html").as_uri())
    wait_static(page, "Blue")
