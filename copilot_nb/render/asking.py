"""Renders a request for permission, or a question of a model: one line that says what, and all of the text below it.

Nobody can allow what they cannot read, so nothing is shortened here, and invisible characters are written out.
"""

from __future__ import annotations

from copilot_nb.characters import revealed
from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.highlight import coloured_code, plain_code
from copilot_nb.render.links import is_safe

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
    shown = "\n".join(map(_line, revealed(well_formed(text)).split("\n")))
    return f"<p{_TITLE}><strong>{escape(revealed(title))}</strong></p><p{_TEXT}>{shown}</p>"


def _line(line: str) -> str:
    """Return a line of a question; one that is an address leads there."""
    if not (line.startswith(("http://", "https://")) and is_safe(line)):
        return escape(line)
    return f'<a href="{quote(line)}" target="_blank" rel="noopener noreferrer">{escape(line)}</a>'


def request_text(title: str, text: str) -> str:
    """Return a request or a question as plain text."""
    lines = "\n".join(f"    {line}" for line in revealed(well_formed(text)).splitlines())
    return f"{revealed(title)}\n{lines}\n"
