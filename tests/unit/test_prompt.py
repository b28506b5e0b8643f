from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copilot_nb.conversation.prompt import interpolate, sendable
from copilot_nb.errors import InputError

VALUES = {"x": 3, "d": {"k": {"v": 1}}, "s": "a}}b", "braces": "{{ x }}"}


def interpolated(body: str) -> str:
    return interpolate(body, lambda expression: eval(expression, dict(VALUES)))


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ("{{ x }}{{x}}", "33"),
        ("{{ d['k']['v'] }}", "1"),
        ("{{ {'a': {'b': x}} }}", "{'a': {'b': 3}}"),
        ("{{ '}}' + s }}", "}}a}}b"),
        ("{{ f'{x}' }}!", "3!"),
        ("{{ [n\n for n in range(x)] }}", "[0, 1, 2]"),
        ("{{ braces }}", "{{ x }}"),
        (r"\{{ x }}", "{{ x }}"),
        (r"\{{ {{ x }}", "{{ 3"),
        ("{{ never closed", "{{ never closed"),
        ("{x} {} }} { {", "{x} {} }} { {"),
        ("{{ x }} {{", "3 {{"),
        ("$x ${x} %x `x`", "$x ${x} %x `x`"),
        ("{{{ x }}}", "{3}"),
        ("", ""),
    ],
)
def test_only_expressions_in_double_braces_are_replaced(body: str, prompt: str) -> None:
    assert interpolated(body) == prompt


@pytest.mark.parametrize("body", ["{{ }}", "{{ 1 + }}", "{{ x = 1 }}", "{{ for }}", "{{ a\n\nb }}", "{{ x\0 }}"])
def test_what_is_no_expression_is_refused(body: str) -> None:
    with pytest.raises(InputError, match="is not a Python expression → for literal braces write") as caught:
        interpolated(body)
    assert "\n" not in str(caught.value)


def test_errors_of_the_expression_are_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        interpolated("{{ 1 / 0 }}")


def never(expression: str) -> object:
    raise AssertionError(expression)


@settings(max_examples=100)
@example("{ {")
@given(st.text(alphabet=st.sampled_from("{}\\$ ax\n'\""), max_size=30).filter(lambda text: "{{" not in text))
def test_text_without_double_braces_is_unchanged(text: str) -> None:
    assert interpolate(text, never) == text


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from("{}$ ax\n'\""), max_size=30))
def test_any_text_can_be_written_with_escapes(text: str) -> None:
    assert interpolate(text.replace("{{", "\\{{"), never) == text


@settings(max_examples=100)
@given(st.text(max_size=20), st.text(max_size=20).filter(lambda text: "{" not in text and not text.endswith("\\")))
def test_a_value_is_taken_as_it_is(value: str, around: str) -> None:
    assert interpolate(f"{around}{{{{ value }}}}{around}", lambda _expression: value) == f"{around}{value}{around}"


def test_the_halves_of_a_character_are_joined() -> None:
    assert sendable("a \ud83d\ude00 b", "the prompt") == "a 😀 b"


@pytest.mark.parametrize("text", ["a \ud83d b", "\ude00\ud83d", "caf\udce9.txt"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^the prompt holds half a character, '.+', which cannot be sent → replace"):
        sendable(text, "the prompt")
