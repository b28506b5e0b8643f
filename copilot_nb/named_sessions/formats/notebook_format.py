"""The notebook format of conversations: each prompt is a ``%%copilot`` cell, each answer is its output.

The outputs have the same form as those of the magic, so the notebook also renders on GitHub and in nbviewer. When the
notebook is run, it sends the same prompts to the same model, if the provider is available. The file is nbformat 4.5.
Exporting the same conversation again gives each turn the same cell id.

The first cell names the images that are missing. No cell attaches anything by such a name: it may be one that a visitor
gave, and another file or variable may have it where the notebook is run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from copilot_nb.characters import revealed_line
from copilot_nb.conversation.prompt import as_body
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.named_sessions.formats.json_format import Exported
from copilot_nb.render.escape import well_formed
from copilot_nb.render.turn import Label, images_text, turn_html, turn_metadata, turn_text
from copilot_nb.settings import DEFAULT_SYSTEM_MESSAGE

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def to_notebook(turns: Sequence[TurnRecord], facts: Exported) -> dict[str, Any]:
    """Return a conversation as a notebook, ready for `json.dumps`."""
    name = _word(facts.name)
    cells = [_cell("copilot-nb", "\n".join([_opening(facts), *_missing(turns)]))]
    for number, turn in enumerate(turns, 1):
        line = " ".join(["%%copilot", name, *(_flags(facts) if number == 1 else [])])
        cells.append(_cell(f"turn-{number}", f"{line}\n{as_body(well_formed(turn.prompt))}", _output(turn, facts)))
    return {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}


def _opening(facts: Exported) -> str:
    """Return the source of the first cell; it also sets a system message that does not fit into a flag."""
    load = "%load_ext copilot_nb"
    if not _has_own_system(facts) or _is_word(facts.system):
        return load
    pairs = (("provider", facts.provider), ("model", facts.model), ("system", facts.system))
    options = "".join(f", {key}={well_formed(value)!r}" for key, value in pairs if value)
    return f"{load}\nimport copilot_nb\n\ncopilot_nb.session({well_formed(facts.name)!r}{options});"


def _missing(turns: Sequence[TurnRecord]) -> Iterator[str]:
    """Yield a comment for each turn that was sent with images."""
    for number, turn in enumerate(turns, 1):
        if turn.images:
            yield f"# turn {number} was sent {revealed_line(images_text(turn))}; to attach it again: -a FILE"


def _flags(facts: Exported) -> list[str]:
    pairs = [("-p", facts.provider), ("-m", facts.model), ("-s", facts.system if _has_own_system(facts) else "")]
    return [f"{flag} {_word(value)}" for flag, value in pairs if value and _is_word(value)]


def _has_own_system(facts: Exported) -> bool:
    return facts.system not in ("", DEFAULT_SYSTEM_MESSAGE)


def _is_word(value: str) -> bool:
    """Whether `value` can follow a flag in the first line of a cell."""
    return value.isprintable() and not value.startswith(("-", "@"))


def _word(value: str) -> str:
    return shlex.quote(" ".join(well_formed(value).splitlines()))


def _output(turn: TurnRecord, facts: Exported) -> dict[str, Any]:
    label = Label(facts.name, facts.provider)
    return {
        "output_type": "display_data",
        "data": {"text/html": _lines(turn_html(turn, label)), "text/plain": _lines(turn_text(turn, label))},
        "metadata": turn_metadata(turn, label, facts.session_id),
    }


def _cell(cell_id: str, source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": {},
        "outputs": list(outputs),
        "source": _lines(source),
    }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
