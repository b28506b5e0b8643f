"""JSON of others that is nested too deeply is wrong JSON, wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from copilot_nb.conversation.parts import ToolCall
from copilot_nb.foreign_json import MAX_DEPTH, parsed, parsed_beginning
from copilot_nb.providers import catalogue
from copilot_nb.providers.provider_error import MAX_TEXT_CHARS, read
from copilot_nb.render.calls import call_target

OPEN = "[" * 100_000
DEEP = "[" * 500 + "1" + "]" * 500
WRAPPED = '{"error": ' * (MAX_DEPTH + 1) + '"no"' + "}" * (MAX_DEPTH + 1)


@pytest.mark.parametrize("read_json", [parsed, parsed_beginning])
def test_a_depth_is_read_or_refused(read_json: Callable[[str], object]) -> None:
    most = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(read_json(most)) == most
    assert read_json('{"a": [1, {"b": "[[[[{{{{"}]}') == {"a": [1, {"b": "[[[[{{{{"}]}
    for text in (f"[{most}]", f'{{"a": {most}}}', DEEP, OPEN, OPEN.replace("[", '{"a":')):
        with pytest.raises(ValueError, match="nested too deeply"):
            read_json(text)


def test_bytes_are_read_as_well() -> None:
    assert parsed(b'{"a": "\xc3\xa9"}') == {"a": "é"}
    with pytest.raises(ValueError, match="nested too deeply"):
        parsed(DEEP.encode())


@pytest.mark.parametrize("body", [OPEN, DEEP, WRAPPED])
def test_a_provider_or_a_model_that_nests_too_deeply_says_nothing(body: str) -> None:
    assert read(400, body).text.startswith(body[:MAX_TEXT_CHARS])
    assert catalogue.parsed(f'{{"data": {body}}}') == []
    assert call_target(ToolCall("1", "describe", body)) == ""


def test_an_error_wrapped_in_errors_is_unwrapped_to_a_bound() -> None:
    words = "no"
    for _ in range(8):
        words = json.dumps({"error": json.dumps({"message": words})})
    assert read(500, words).text
