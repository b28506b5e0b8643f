"""Prompts with a schema: the checked value, the one more question, and what the history then holds."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import Literal

import pydantic
import pytest

from copilot_nb.errors import InputError, TurnFailed, TurnInterrupted
from copilot_nb.named_sessions.cells import cell_key
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Event
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.runtime.connection import Connection
from copilot_nb.testing import Reply, ScriptedModel

from .conftest import script


@dataclass
class Label:
    label: Literal["spam", "ham"]


class Sure(pydantic.BaseModel):
    sure: float = pydantic.Field(ge=0, le=1)

    @pydantic.field_validator("sure")
    @classmethod
    def _looked_up(cls, sure: float) -> float:
        return {0.5: 0.5}[sure]


BAD, GOOD = "It is spam.", '```json\n{"label": "spam"}\n```'


def prompts(manager: Manager, name: str) -> list[str]:
    return [turn.prompt.partition("\n")[0] for turn in manager.session(name).history]


def test_an_answer_that_fits_is_the_value_of_its_turn(manager: Manager) -> None:
    model = script(manager, ScriptedModel([GOOD, "[1, 2]", "as you like"]))
    session = manager.session("fits")
    turn = session.ask("Classify: buy now", schema=Label)
    assert turn.value == Label("spam")
    assert (turn.json(), turn.text) == ({"label": "spam"}, GOOD)
    assert model.requests[0].prompt.startswith("Classify: buy now\n\nAnswer with one JSON value")
    assert '"ham"' in model.requests[0].prompt
    assert session.ask("Two numbers", schema={"type": "array", "items": {"type": "integer"}}).value == [1, 2]
    assert session.ask("Anything").value is None
    assert len(session.history) == 3


def test_an_answer_that_does_not_fit_is_asked_for_once_more(manager: Manager) -> None:
    model = script(manager, ScriptedModel([BAD, GOOD, "after"]))
    session = manager.session("once-more")
    seen: list[str] = []

    def note(event: Event) -> None:
        if event.session is session and event.turn is not None:
            seen.append(event.turn.prompt[:4])

    forget = manager.events.add(note)
    first, after = session.send("Classify: buy now", schema=Label), session.send("Go on")
    assert first.wait().value == Label("spam")
    after.wait()
    forget()
    assert "the answer holds no JSON" in model.requests[1].prompt
    assert model.requests[1].user_texts[0].startswith("Classify")
    assert [line[:11] for line in prompts(manager, "once-more")] == ["Classify: b", "Your answer", "Go on"]
    assert first.text == BAD
    assert first.correction is not None
    assert first.correction.text == GOOD
    assert "Your" in seen
    html = first._repr_mimebundle_()[0]["text/html"]
    assert "asked again: the answer holds no JSON" in html
    assert first._repr_mimebundle_()[0]["text/plain"] == '{\n  "label": "spam"\n}'
    kept = pickle.loads(pickle.dumps(first))
    assert kept.value == Label("spam")
    assert kept._repr_mimebundle_() == first._repr_mimebundle_()


def test_an_answer_that_still_does_not_fit_is_one_line_and_is_kept(manager: Manager) -> None:
    model = script(manager, ScriptedModel([BAD, '{"label": "egg"}', GOOD]))
    session = manager.session("unfit")
    turn = session.send("Classify: an egg", schema=Label)
    with pytest.raises(TurnFailed, match=r"^the answer does not fit the schema, asked twice: label: Input") as got:
        turn.wait()
    assert "\n" not in str(got.value)
    assert (turn.value, len(model.requests), len(session.history)) == (None, 2, 2)
    shown = turn._repr_mimebundle_()[0]["text/plain"]
    assert shown.startswith('{"label": "egg"}\n\n[unfit: failed: the answer does not fit')
    assert session.ask("Classify: spam", schema=Label).value == Label("spam")


def test_a_validator_that_raises_is_an_answer_that_does_not_fit(manager: Manager) -> None:
    model = script(manager, ScriptedModel(['{"sure": 0.1}', '{"sure": 0.5}']))
    assert manager.session("validator").ask("How sure?", schema=Sure).value == Sure(sure=0.5)
    assert "a validator of Sure raised KeyError: 0.1" in model.requests[1].prompt


def test_a_cell_that_is_run_again_replaces_both_questions(manager: Manager) -> None:
    script(manager, ScriptedModel([BAD, GOOD, "later", GOOD, "later", BAD, GOOD]))
    session, cells = manager.session("rerun"), [cell_key("nb", each) for each in ("one", "two")]
    for schemas in ((Label, None), (Label, None), (Label,)):
        for cell, schema in zip(cells, schemas, strict=False):
            session.ask(f"Ask {cell}", cell=cell, schema=schema)
    assert [line[:8] for line in prompts(manager, "rerun")] == [f"Ask {cells[0]}"[:8], "Your ans"]


def test_stop_reaches_the_second_question(manager: Manager) -> None:
    model = script(manager, ScriptedModel([BAD, Reply(GOOD, stall_after_chars=8), "next"]))
    session = manager.session("stopped-twice")
    turn = session.send("Classify", schema=Label)
    model.wait_for_stalled(1)
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    model.release()
    assert turn.value is None
    assert "Interrupted" in turn._repr_mimebundle_()[0]["text/html"]
    assert session.ask("Next").text == "next"


def test_an_invalid_schema_is_refused_before_anything_is_sent(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    with pytest.raises(InputError, match="is not a schema"):
        manager.session("refused-schema").send("Classify", schema=3)
    with pytest.raises(InputError, match="empty"):
        manager.session("refused-schema").send("  ", schema=Label)
    assert not model.requests


def test_a_second_question_can_be_withdrawn_before_it_is_sent(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = script(manager, ScriptedModel([BAD, "next"]))
    session, loaded = manager.session("withdrawn-second"), manager.engine.loaded

    async def stopped(state: SessionState) -> Connection:
        for turn in state.pending[1:]:
            turn.stop()
            await asyncio.wrap_future(turn.ended)
        return await loaded(state)

    monkeypatch.setattr(manager.engine, "loaded", stopped)
    with pytest.raises(TurnInterrupted):
        session.ask("Classify", schema=Label)
    assert session.ask("Next").text == "next"
    assert len(model.requests) == 2
