"""Take the pictures of the documentation: `python -m docs.screenshots [NAME…]`.

Each is taken of JupyterLab in Chromium, in its light and its dark theme, on the real runtime, with the server and the
browser of the tests (`tests/browser/conftest.py`). The embedded model answers in `conversations` and `compare-panel`;
elsewhere a `ScriptedModel`, and the picture says so, for it shows the model's name. It needs what `make test` installs.

A name is that of a file without its theme and ending: ``python -m docs.screenshots chat-panel``. Look at each picture
before you keep it: nothing compares them, because an answer of the embedded model may be another one next time.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import FloatRect

from tests.browser.chromium import browsing
from tests.browser.conftest import Lab, Notebook, Server, scripted, serving

ROOT = Path(__file__).parents[1]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SIDE_PX = 110
"""How much wider the side area is made."""
COLOURS = 128
"""Of a palette: letters stay smooth, and a file has a third of the size."""
EMBEDDED = '%load_ext copilot_nb\n%config CopilotNB.provider = "local"'
VENV = """Use `venv`, which comes with Python; nothing needs to be installed:

```python
import venv
venv.create("env", with_pip=True)
```"""
COST = """Making one costs $O(n)$ in the files that are copied, so it is quick. With $n$ packages of mean size
$\\\\bar{s}$, the time is about

$$t = t_0 + \\\\frac{1}{b} \\\\sum_{i=1}^{n} s_i \\\\approx t_0 + \\\\frac{n \\\\bar{s}}{b}$$

| tool | seconds | comes with Python |
|:--|--:|:-:|
| `venv` | 1.9 | yes |
| `virtualenv` | 0.6 | no |"""
SETUP = 'import copilot_nb as cp\n\nsetup = cp.session("setup")\n'
HOW = 'setup.ask("How do I create a virtual environment?")\n'
COST_OF_IT = 'setup.ask("How long does it take?")\n'
TIDY = """Two columns have gaps:

| column | missing |
|:--|--:|
| price | 12 |
| stock | 3 |

Fill `stock` with 0 and drop rows without a `price`."""
SESSIONS = """import copilot_nb as cp

TURNS = {"thesis, chapter 3": 9, "regex for dates": 2, "numpy broadcasting": 5, "unit tests": 3, "setup": 2}
for name, turns in TURNS.items():
    for number in range(turns):
        cp.session(name).ask(f"Question {number}")
working = cp.session("data cleaning").send("stall")
model.wait_for_stalled(1)"""
ANSWERS = 'lambda request: Reply("Once upon", stall_after_chars=9) if request.prompt == "stall" else "Fine."'


@dataclass(frozen=True)
class Picture:
    """A picture of a notebook.

    Attributes
    ----------
    path : str
        Where it is kept, without theme and ending.
    cells : tuple of str
        The notebook; all are run, the first is not seen.
    width, height : int
        Of the window, in CSS pixels.
    part : callable
        Returns what of the window is kept.
    prepare : callable or None
        Is called once, when all cells have run.
    scale : float
        Pixels of the picture for each CSS pixel.
    mode : str
        JupyterLab with all around the notebook (``lab``), or the notebook alone (``doc``).
    """

    path: str
    cells: tuple[str, ...]
    width: int
    height: int
    part: Callable[[Notebook], FloatRect]
    prepare: Callable[[Notebook], object] | None = None
    scale: float = 2
    mode: str = "doc"

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.path.rpartition("/")[2]


def cells(notebook: Notebook) -> FloatRect:
    """Return the place of all cells but the first."""
    last = len(notebook.sources()) - 1
    top, bottom = (notebook.cell(number).bounding_box() for number in (1, last))
    assert top
    assert bottom
    return {**top, "height": bottom["y"] + bottom["height"] - top["y"]}


def panel(notebook: Notebook) -> FloatRect:
    """Return the place of the panel that the last cell shows."""
    shown = notebook.page.locator(".cnb-panel:visible").last
    shown.wait_for()
    place = shown.bounding_box()
    assert place
    return place


def window(notebook: Notebook) -> FloatRect:
    """Return the place of the notebook and of what is beside it."""
    notebook.cell(1).evaluate("cell => cell.scrollIntoView()")
    main, size = notebook.page.locator("#jp-main-dock-panel").bounding_box(), notebook.page.viewport_size
    assert main
    assert size
    return {"x": main["x"], "y": main["y"], "width": size["width"] - main["x"], "height": main["height"]}


def vote(notebook: Notebook) -> None:
    """Vote for the second answer."""
    notebook.page.locator(".cnb-panel:visible").get_by_role("button", name="smollm2-135m:creative").last.click()
    notebook.page.get_by_text("1 of 1 round voted").last.wait_for()


def open_beside(notebook: Notebook) -> None:
    """Open the sessions beside the notebook, and one of them."""
    notebook.command("application:toggle-left-area").wait()
    notebook.command("copilot-nb:side").wait()
    edge = notebook.page.locator("#jp-main-split-panel > .lm-SplitPanel-handle:not(.lm-mod-hidden)").last
    edge.drag_to(notebook.cell(0), target_position={"x": notebook.cell(0).bounding_box()["width"] - SIDE_PX, "y": 40})
    side = notebook.page.locator(".copilot-nb-side")
    side.get_by_role("button", name="tidy", exact=True).click()
    side.locator(".cnb-chat").get_by_text("Two columns have gaps").wait_for()


PICTURES = (
    Picture(
        "notebooks/images/conversations",
        (
            EMBEDDED,
            "%%copilot session1\nYou are helping with a Python project. Write a function that adds two numbers.",
            "%%copilot session2\nYou are helping with a travel blog. Name three cities in Italy.",
            "%%copilot session1\nNow one that multiplies them.",
            "%%copilot session2\nWhich of them is the capital?",
            "%copilot ls",
        ),
        width=860,
        height=1400,
        part=cells,
        scale=1.5,
    ),
    Picture(
        "notebooks/images/compare-panel",
        (
            EMBEDDED,
            "import copilot_nb as cp\n\n"
            'panel = cp.ComparePanel(models=["smollm2-135m", "smollm2-135m:creative"], name="sea")\n'
            'cp.wait(panel.ask("Write one sentence about the sea.").turns)\npanel',
        ),
        width=800,
        height=1800,
        part=panel,
        prepare=vote,
    ),
    Picture(
        "notebooks/images/chat-panel",
        (scripted(f'["""{VENV}""", """{COST}"""]'), f"{SETUP}{HOW}{COST_OF_IT}cp.ChatPanel(setup)"),
        width=690,
        height=1800,
        part=panel,
    ),
    Picture(
        "notebooks/images/chat-panel-narrow",
        (scripted(f'"""{COST}"""'), f"{SETUP}{COST_OF_IT}cp.ChatPanel(setup)"),
        width=390,
        height=1800,
        part=panel,
    ),
    Picture(
        "notebooks/images/sessions-panel",
        (scripted(ANSWERS), f"{SESSIONS}\ncp.SessionsPanel()"),
        width=800,
        height=1800,
        part=panel,
    ),
    Picture(
        "docs/images/jupyterlab",
        (
            scripted(
                f'lambda request: """{TIDY}""" if "rows" in request.prompt else Reply("Once upon", stall_after_chars=9)'
            )
            + "\nrows = [0] * 214",
            "%%copilot tidy\nI have {{ len(rows) }} rows of *prices*. It's slow to clean them by hand:\n\n"
            "1. which columns have gaps?\n2. how do I fill them?",
            "%%copilot story -b\nTell me a story.",
            "mean = sum([]) / len([])",
        ),
        width=1200,
        height=780,
        part=window,
        prepare=open_beside,
        scale=1.25,
        mode="lab",
    ),
)


def main(names: list[str]) -> None:
    """Take the pictures of these names, all without one."""
    unknown = set(names) - {picture.name for picture in PICTURES}
    if unknown:
        sys.exit(f"there is no picture {min(unknown)}; there are: {', '.join(p.name for p in PICTURES)}")
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(PICTURES):
            if picture.name in names or not names:
                home = Path(folder, str(number))
                home.mkdir()
                with serving(home) as server:
                    take(picture, server, Path(folder, "chromium"))


def take(picture: Picture, server: Server, profile: Path) -> None:
    """Take a picture in each theme."""
    with browsing(profile) as browser:
        size = {"width": picture.width, "height": picture.height}
        with browser.new_context(viewport=size, device_scale_factor=picture.scale, reduced_motion="reduce") as context:
            notebook = opened(picture, Lab(server, context, picture.name))
            if picture.prepare:
                picture.prepare(notebook)
            for theme, name in THEMES.items():
                notebook.theme(name)
                notebook.page.mouse.move(0, 0)
                image = Image.open(BytesIO(notebook.page.screenshot(clip=picture.part(notebook))))
                path = ROOT / f"{picture.path}-{theme}.png"
                image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
                print(f"{path.relative_to(ROOT)}: {image.width} × {image.height}, {path.stat().st_size // 1000} kB")


def opened(picture: Picture, lab: Lab) -> Notebook:
    """Open the notebook and run it, and leave its first cell as the active one."""
    path = lab.server.notebooks / "demo.ipynb"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in picture.cells]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    page = lab.context.new_page()
    page.goto(lab.server.page_url(f"{picture.mode}/tree/{path.name}?reset"))
    shown = Notebook(page, path, lab.server)
    shown.wait_idle()
    for number in range(len(picture.cells)):
        shown.run(number)
    shown.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    return shown


if __name__ == "__main__":
    main(sys.argv[1:])
