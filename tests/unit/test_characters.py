"""What others wrote steers no terminal, in whatever way it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.characters import visible, without_controls
from copilot_nb.conversation.parts import Text, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import ProviderError
from copilot_nb.providers.catalogue import parsed
from copilot_nb.render.history import Extract, history_markdown
from copilot_nb.render.inert import fenced, inert, literal
from copilot_nb.render.table import Card, Table
from copilot_nb.render.turn import Label, footer_text, turn_text

STEERING = "a\x1b]52;c;eA==\x07\x9b2J\x7f\rb"
CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {"\t", "\n"}


def test_controls_are_symbols() -> None:
    assert visible(STEERING) == "a␛]52;c;eA==␇\ufffd2J␡␍b"
    assert visible("a\tb\r\nc\n") == "a\tb\r\nc\n"
    assert visible("日本 é \u200f\U0001f600") == "日本 é \u200f\U0001f600"
    assert without_controls("\x1b[1mm\t1\n") == "[1mm1"


@given(st.text(alphabet=st.characters(max_codepoint=0xA0)))
def test_nothing_that_steers_is_left(text: str) -> None:
    assert not CONTROLS & set(visible(text).replace("\r\n", "\n"))


@pytest.mark.parametrize("state", TurnState)
def test_every_text_that_is_shown(state: TurnState) -> None:
    turn = TurnRecord(STEERING, STEERING, (Text("t", STEERING),), state, STEERING, error=STEERING, notes=(STEERING,))
    label = Label(STEERING, STEERING, STEERING)
    shown = [
        str(ProviderError(STEERING, STEERING)),
        *(turn_text(turn, label), footer_text(turn, label)),
        history_markdown(Extract(label, ((1, turn),), 1)),
        *(each(STEERING) for each in (inert, literal, fenced)),
        *(str(Table((STEERING,), ((STEERING,),), STEERING)), str(Table((), (), empty=STEERING))),
        str(Card(STEERING, ((STEERING, STEERING),))),
        *(model.model_id for model in parsed('{"data": [{"id": "m\\u001b[2J"}]}')),
    ]
    assert [text for text in shown if CONTROLS & set(text)] == []
