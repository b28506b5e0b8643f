"""Structured answers: schemas of all kinds, JSON wherever it stands in an answer, and what is said of a bad one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, NotRequired, TypedDict

import pydantic
import pytest

from copilot_nb.errors import InputError
from copilot_nb.structured import schema_of, second_try


class Tone(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class Review:
    product: str
    stars: int
    tone: Tone | None = None


class Label(pydantic.BaseModel):
    label: Literal["spam", "ham"]
    sure: float = pydantic.Field(ge=0, le=1)


class Item(TypedDict):
    name: str
    price: NotRequired[float]


class Basket(TypedDict, total=False):
    items: list[Item]
    gift: Item | None
    note: Annotated[str, "of the customer"]


JSON_SCHEMA = {
    "title": "Label",
    "type": "object",
    "properties": {"label": {"enum": ["spam", "ham"]}, "sure": {"type": "number"}},
    "required": ["label"],
}


@pytest.mark.parametrize(
    ("kind", "answer", "value"),
    [
        (Label, '{"label": "spam", "sure": 0.5}', Label(label="spam", sure=0.5)),
        (Review, '{"product": "pen", "stars": 4, "tone": "good"}', Review("pen", 4, Tone.GOOD)),
        (Item, '{"name": "pen"}', {"name": "pen"}),
        (
            Basket,
            '{"items": [{"name": "pen", "price": 1}], "gift": null}',
            {"items": [{"name": "pen", "price": 1.0}], "gift": None},
        ),
        (JSON_SCHEMA, '{"label": "ham"}', {"label": "ham"}),
        (list[int], "[1, 2]", [1, 2]),
        (Literal["yes", "no"], '"yes"', "yes"),
    ],
)
def test_a_schema_of_each_kind_reads_an_answer(kind: object, answer: str, value: object) -> None:
    checked = schema_of(kind).read(answer)
    assert (checked.value, checked.error) == (value, "")


def test_the_instruction_holds_the_schema_and_the_type_name() -> None:
    schema = schema_of(Label)
    assert schema.name == "Label"
    assert '"spam"' in schema.instruction
    assert schema_of(schema) is schema


@pytest.mark.parametrize(
    "answer",
    [
        ' {"label": "ham"}\n',
        '```json\n{"label": "ham"}\n```',
        'Here it is:\n\n```\n{"label": "ham"}\n```\nAnything else?',
        'First I thought:\n```json\n{"label": "other"}\n```\nBut:\n```json\n{"label": "ham"}\n```',
        'The answer [1] is {"label": "ham"}, as {you} see.',
        '```json\n{"label": "ham"}',
    ],
)
def test_json_is_found_anywhere_in_an_answer(answer: str) -> None:
    checked = schema_of(JSON_SCHEMA).read(answer)
    assert (checked.value, checked.error) == ({"label": "ham"}, "")


@pytest.mark.parametrize(
    ("kind", "answer", "error"),
    [
        (JSON_SCHEMA, "ham", "the answer holds no JSON"),
        (JSON_SCHEMA, '{"label": "other"}', "label: 'other' is not one of ['spam', 'ham']"),
        (JSON_SCHEMA, '{"label": NaN}', "the answer holds no JSON"),
        (JSON_SCHEMA, 'As [1] says: {"label": "other"}', "label: 'other' is not one of"),
        (JSON_SCHEMA, "[" * 100_000, "the answer holds no JSON"),
        (Label, '{"label": "spam", "sure": 2}', "sure: Input should be less than or equal to 1"),
        (
            Basket,
            '{"items": [{"price": "x"}]}',
            "items.0.name: Field required; items.0.price: Input should be a valid number",
        ),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(kind: object, answer: str, error: str) -> None:
    checked = schema_of(kind).read(answer)
    assert checked.value is None
    assert checked.error.startswith(error)
    assert "\n" not in checked.error
    assert error in second_try(checked.error)


def test_many_faults_are_cut_short() -> None:
    checked = schema_of(list[int]).read('["a", "b", "c", "d", "e", "f", "g"]')
    assert checked.error.endswith("and 2 more faults")


@pytest.mark.parametrize("bad", ["Label", None, 3, [1], {"type": "nonsense"}, Review("pen", 4), "{}"])
def test_an_invalid_schema_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(InputError):
        schema_of(bad)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"label": str}, "this is not a JSON schema: Object of type type is not JSON serializable → "),
        ({"label": "spam or ham"}, "this is not a JSON schema: it has none of its keywords, only 'label' → "),
    ],
    ids=str,
)
def test_a_dict_of_names_is_no_schema(bad: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        schema_of(bad)


def test_a_schema_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of({"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(InputError, match="which is not in it"):
        schema.read("{}")


def test_a_json_schema_without_jsonschema_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(InputError, match="pip install jsonschema"):
        schema_of(JSON_SCHEMA)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (Label, ("label", "sure")),
        (Review, ("product", "stars", "tone")),
        (Item, ("name", "price")),
        (Basket, ()),
        (JSON_SCHEMA, ("label", "sure")),
        (Literal["yes", "no"], ("value",)),
        (list[int], ()),
        ({"type": "object"}, ()),
    ],
)
def test_a_flat_schema_has_columns(kind: object, columns: tuple[str, ...]) -> None:
    assert schema_of(kind).columns == columns


def test_the_columns_of_an_answer_are_plain_values() -> None:
    schema = schema_of(Review)
    assert schema.row(schema.read('{"product": "pen", "stars": "4", "tone": "bad"}')) == {
        "product": "pen",
        "stars": 4,
        "tone": "bad",
    }
    assert schema.row(schema.read("no")) == {"product": None, "stars": None, "tone": None}
    single = schema_of(int)
    assert single.row(single.read("4")) == {"value": 4}


def test_the_identity_follows_the_schema() -> None:
    other = {**JSON_SCHEMA, "required": ["label", "sure"]}
    assert schema_of(JSON_SCHEMA).identity != schema_of(other).identity
    assert schema_of(JSON_SCHEMA).identity == schema_of(dict(JSON_SCHEMA)).identity


@pytest.mark.parametrize(
    ("hidden", "answer"),
    [
        ({"pattern": "("}, '"a"'),
        ({"type": "text"}, '"a"'),
        ({"minLength": "two"}, '"a"'),
        ({"properties": 3}, "{}"),
        ({"$ref": "#"}, "{}"),
    ],
)
def test_a_wrong_schema_where_only_a_reference_leads_is_one_line(hidden: dict[str, object], answer: str) -> None:
    schema = schema_of({"hidden": hidden, "$ref": "#/hidden"})
    with pytest.raises(InputError, match=r"^the schema cannot be used: .+ → correct what its `\$ref` refers to$"):
        schema.read(answer)


def test_a_wrong_pattern_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InputError, match="pattern: '\\(' is not a 'regex'"):
        schema_of({"type": "object", "properties": {"x": {"type": "string", "pattern": "("}}})
