"""Renders a request for permission, or a question of a model: one line that says what, and all of the text below it.

Nobody can allow what they cannot read, so nothing is shortened here, and invisible characters are written out.
"""

from __future__ import annotations

from copilot_nb.characters import revealed
from copilot_nb.render.escape import escape, well_formed
from copilot_nb.render.highlight import coloured_code, plain_code

_TITLE = ' style="margin:.4em 0"'
_TEXT = ' style="margin:.4em 0;white-space:pre-wrap;overflow-wrap:anywhere"'


def request_html(title: str, text: str, language: str) -> str:
    """Render a request for permission.

    Parameters
    ----------
    title : str
        What is asked for, in one line.
    text : str
        All that will run or be written.
    language : str
        The language of `text`; ``""``: none.
    """
    shown = revealed(well_formed(text))
    code = coloured_code(shown, language) if language else plain_code(shown, framed=True)
    return f"<p{_TITLE}><strong>{escape(revealed(title))}</strong></p>{code}"


def question_html(title: str, text: str) -> str:
    """Render a question of a model: its text is not code."""
    shown = escape(revealed(well_formed(text)))
    return f"<p{_TITLE}><strong>{escape(revealed(title))}</strong></p><p{_TEXT}>{shown}</p>"


def request_text(title: str, text: str) -> str:
    """Return a request or a question as plain text."""
    lines = "\n".join(f"    {line}" for line in revealed(well_formed(text)).splitlines())
    return f"{revealed(title)}\n{lines}\n"
