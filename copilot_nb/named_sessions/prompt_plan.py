"""A prompt that is ready to be sent: whatever can be refused about it is refused when the plan is made.

`Session.send` makes a plan and sends it at once. A caller that opens or creates sessions for a prompt makes the plan
first (`Manager.plan`, `SendPlan`), so that a refused prompt leaves no session behind. Either way the session sends the
plan as it is: nothing is read, hidden or checked twice.

Why: docs/decisions/0038-plan-before-sending.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import require_text
from copilot_nb.named_sessions.attach import Attachable, attached
from copilot_nb.named_sessions.limits import check_prompt
from copilot_nb.structured import Schema, schema_of

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.engine import Engine


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """A prompt that has been checked.

    Attributes
    ----------
    prompt : str
        The prompt as it was typed.
    text : str
        The text to send: with what is attached before it, and what the schema asks for after it.
    images : tuple of Image
        The attached images.
    schema : Schema or None
        What the answer must conform to.
    """

    prompt: str
    text: str
    images: tuple[Image, ...] = ()
    schema: Schema | None = None


def plan_prompt(engine: Engine, prompt: str, attach: Attachable = (), schema: object = None) -> PromptPlan:
    """Return the plan of a prompt with its attachments and its schema.

    Raises
    ------
    InputError
        If the prompt is empty or too large, or it, an attachment or the schema cannot be used.
    """
    engine.loop.check_own()
    text, images = attached(require_text(prompt, "the prompt"), attach, engine.hide_secrets)
    wanted = None if schema is None else schema_of(schema)
    text = text if wanted is None else wanted.asked_for(text)
    return PromptPlan(prompt, check_prompt(text, images, engine.settings.max_prompt_bytes), images, wanted)
