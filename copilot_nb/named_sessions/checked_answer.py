"""The answer of a turn with a schema as a cell shows it: its value as JSON, with the figures of both attempts.

The session's history holds what was said: the prompt with the schema, the answer and, if that did not conform, a second
turn that names the error, with another answer. A cell shows both as one turn.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import Text, TurnState
from copilot_nb.render.inert import fenced

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.structured import Checked

_BEGINNINGS = ("{", "[", '"')


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts at an answer that conforms to a schema.

    Attributes
    ----------
    first : TurnRecord
        The turn.
    first_error : str
        What was wrong with its answer; ``""``: nothing, or it has not been checked yet.
    second : TurnRecord or None
        The turn that asked again.
    checked : Checked or None
        The answer that counts, once it has been checked.
    """

    first: TurnRecord
    first_error: str = ""
    second: TurnRecord | None = None
    checked: Checked | None = None

    def shown(self, *, is_html: bool) -> TurnRecord:
        """Return both attempts as one turn; in HTML, JSON is a block of code."""
        last = self.second or self.first
        text = last.text
        if self.checked is not None and not self.checked.error:
            text = json.dumps(self.checked.data, ensure_ascii=False, indent=2)
        if is_html and text.startswith(_BEGINNINGS):
            text = fenced(text, "json")
        others = [part for part in last.parts if not isinstance(part, Text)]
        answer = [Text("answer", text, complete=True)] if text else []
        return dataclasses.replace(self._joined(last), parts=(*others, *answer))

    def _joined(self, last: TurnRecord) -> TurnRecord:
        """Return the last attempt as the outcome of the first."""
        if self.checked is not None and self.checked.error:
            last = dataclasses.replace(last, state=TurnState.FAILED, error=does_not_fit(self.checked.error))
        if self.second is None:
            return last
        first = self.first
        usages = [turn.usage for turn in (first, last) if turn.usage]
        return dataclasses.replace(
            last,
            turn_id=first.turn_id,
            prompt=first.prompt,
            images=first.images,
            started_at=first.started_at,
            first_token_at=first.first_token_at,
            usage=sum(usages[1:], usages[0]) if usages else None,
            notes=(*first.notes, f"asked again: {self.first_error}", *last.notes),
        )


def does_not_fit(error: str) -> str:
    """Return the words for an answer that still does not conform to its schema."""
    return f"the answer does not fit the schema, asked twice: {error}"
