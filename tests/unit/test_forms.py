"""Forms: what a schema means, what a field takes, and how an answer is read from a line."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.agent.forms import Choice, DoesNotFit, Form, FormField, form_of, question_form

PERSON = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "As in your passport", "minLength": 2},
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "default": 30},
        "mail": {"type": "string", "format": "email"},
        "code": {"type": "string", "pattern": "^x+$"},
        "day": {"type": "string", "format": "date"},
        "ok": {"type": "boolean"},
        "colour": {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"], "default": "g"},
        "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1},
        "weight": {"type": "number"},
    },
}
FORM = form_of(PERSON)
FIELDS = {field.name: field for field in FORM.fields}


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("name", " Bo ", "Bo"),
        ("age", None, 30),
        ("age", "7", 7),
        ("weight", "1.5", 1.5),
        ("weight", "", None),
        ("mail", "ada@example.org", "ada@example.org"),
        ("code", "xx", "xx"),
        ("day", "2026-01-31", "2026-01-31"),
        ("ok", "Yes", True),
        ("ok", "n", False),
        ("ok", False, False),
        ("ok", None, None),
        ("colour", None, "g"),
        ("colour", "Red", "r"),
        ("size", "l", "l"),
        ("tags", "b", ["b"]),
        ("tags", [], None),
        ("tags", ["a"], ["a"]),
    ],
)
def test_what_a_field_takes(name: str, given: object, value: object) -> None:
    assert FIELDS[name].read(given) == value


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("name", "", "Name needs an answer."),
        ("name", "B", "Name takes at least 2 characters."),
        ("age", "", "age needs an answer."),
        ("age", "1.5", "age takes a whole number."),
        ("age", "-1", "age takes a whole number, at least 0 and at most 150."),
        ("weight", "nan", "weight takes a number."),
        ("weight", "1e999", "weight takes a number."),
        ("mail", "ada", "mail takes an address such as ada@example.org."),
        ("day", "31.1.2026", "day takes a date such as 2026-01-31."),
        ("ok", "maybe", "ok takes y or n."),
        ("colour", "3", "colour takes Red or Green."),
        ("tags", "a, b", "tags takes at most 1 of them."),
        ("tags", "a, c", "tags takes a or b."),
    ],
)
def test_what_it_does_not_take_is_said(name: str, given: object, message: str) -> None:
    with pytest.raises(DoesNotFit) as fault:
        FIELDS[name].read(given)
    assert (str(fault.value), fault.value.field) == (message, name)


def test_the_runtimes_own_questions_take_other_answers_too() -> None:
    form = form_of({"properties": {"n": {"type": "integer"}, "c": {"type": "string", "enum": ["a"]}}}, is_free=True)
    assert form.read({"n": "several", "c": "another"}) == {"n": "several", "c": "another"}
    only = form_of({"properties": {"c": {"type": "string", "enum": ["a"]}}}, is_free=True)
    assert only.is_plain
    with pytest.raises(DoesNotFit, match="needs an answer"):
        only.read({})


@pytest.mark.parametrize(
    ("form", "text", "answers"),
    [
        (question_form(), "a = b, and more", {"answer": "a = b, and more"}),
        (question_form(("red", "blue")), "2", {"answer": "blue"}),
        (FORM, 'name="Bo B" age=4', {"name": "Bo B", "age": 4, "colour": "g"}),
        (FORM, '{"name": "Bo", "tags": ["a"]}', {"name": "Bo", "age": 30, "colour": "g", "tags": ["a"]}),
        (FORM, "name=Bo colour=1 tags=2", {"name": "Bo", "age": 30, "colour": "r", "tags": ["b"]}),
        (question_form(), "{x} = 'y", {"answer": "{x} = 'y"}),
        (question_form(("5", "10")), "5", {"answer": "5"}),
        (Form(), "", {}),
    ],
)
def test_an_answer_in_one_line(form: Form, text: str, answers: dict[str, object]) -> None:
    assert form.read(form.typed(text)) == answers


@pytest.mark.parametrize("text", ["Bo", 'name="Bo', "{name}", "name=Bo what=x"])
def test_a_line_that_names_no_field(text: str) -> None:
    with pytest.raises(DoesNotFit, match="field"):
        FORM.read(FORM.typed(text))


def test_what_is_kept_of_an_answer() -> None:
    read = FORM.read({"name": "Bo", "ok": True, "tags": ["a"]})
    assert FORM.words(read) == "Name: Bo, age: 30, ok: yes, colour: g, tags: a"
    assert question_form().words({"answer": "blue"}) == "blue"
    assert Form((FormField(name="n"),)).words({}) == "nothing"
    assert Form().words({}) == "confirmed"


def test_the_fields_are_described_a_line_each() -> None:
    lines = FORM.lines()
    assert lines[0] == "name: Name; As in your passport; needed"
    assert lines[1] == "age: a whole number; otherwise 30"
    assert "colour: 1 Red, 2 Green; otherwise g" in lines
    assert question_form(("red", "blue")).lines() == ["1. red", "2. blue"]


KEYS = st.sampled_from(["type", "properties", "enum", "items", "oneOf", "const", "default", "pattern", "required", "x"])
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(SCHEMAS, st.sampled_from(["1", "y", "", None, ["a"]]))
def test_no_schema_of_a_server_breaks_anything(schema: Any, typed: object) -> None:
    form = form_of(schema if isinstance(schema, dict) else {"properties": {"x": schema}})
    for field in form.fields:
        with suppress(DoesNotFit):
            form.words(form.read({field.name: typed}))
    assert all(isinstance(line, str) for line in form.lines())


def test_a_pattern_is_shown_and_left_to_the_server() -> None:
    slow = FormField(name="x", pattern="^(a+)+$")
    assert slow.read("a" * 50 + "!")
    assert slow.line == "x: a text that fits ^(a+)+$"


def test_a_choice_is_known_by_its_value_before_its_title_and_its_number() -> None:
    field = FormField(name="x", kind="choice", choices=(Choice("1", "2"), Choice("2", "3"), Choice("c", "C")))
    assert [field.read(field.typed(line)) for line in ("1", "2", "3", "C", "c")] == ["1", "2", "2", "c", "c"]


def test_a_number_means_a_choice_only_where_it_is_typed_beside_the_numbers() -> None:
    form = question_form(("5", "10"))
    assert form.read({"answer": "2"}) == {"answer": "2"}  # a panel shows no numbers
    assert form.read(form.typed("2")) == {"answer": "10"}
    assert FormField(name="n", kind="integer").read("9" * 400) == int("9" * 400)


@pytest.mark.parametrize(
    ("kind", "limit", "said"),
    [
        ("integer", 2_147_483_647, "at most 2,147,483,647"),
        ("integer", 10**399, "at most 1,000,000,"),
        ("number", 0.1, "at most 0.1."),
        ("number", 1234567.5, "at most 1234567.5."),
    ],
    ids=["large", "larger than a float", "small", "with a fraction"],
)
def test_a_limit_is_said_as_it_is(kind: str, limit: float, said: str) -> None:
    field = form_of({"properties": {"n": {"type": kind, "maximum": limit}}}).fields[0]
    with pytest.raises(DoesNotFit, match=said):
        field.read(str(int(limit) + 1))
