"""A question with fields, which the user answers as a form: what each field takes, and whether an answer fits.

A server's form is a JSON schema of a few kinds (the Model Context Protocol allows no others): text, numbers, yes or no,
one of several choices, several of them. A plain question is a form with one field of text. A question without fields
asks to confirm something, for example that the user has opened a page.

Front ends send what was typed; `Form.read` is the only place that checks it.

Why: docs/decisions/0055-a-question-is-a-form.md.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from copilot_nb.characters import revealed, revealed_line
from copilot_nb.foreign_json import parsed

Value = str | int | float | bool | list[str]
"""An answer to one field."""
FieldKind = Literal["text", "integer", "number", "boolean", "choice", "choices"]
MAX_FIELDS = 50
_YES, _NO = ("y", "yes", "true"), ("n", "no", "false")
_NUMBERS: Mapping[FieldKind, tuple[type[int] | type[float], str]] = {
    "integer": (int, "a whole number"),
    "number": (float, "a number"),
}


class DoesNotFit(ValueError):
    """An answer that a field does not take; the message says what it takes, and begins with a capital letter.

    Attributes
    ----------
    field : str
        The name of the field.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of a field: the value that is sent, and what is shown for it."""

    value: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a form.

    Attributes
    ----------
    name : str
        Its name in the answer.
    title, description : str
        What is shown for it; ``""`` where there is nothing.
    kind : FieldKind
        What it takes; ``choice``: one of `choices`, ``choices``: any of them.
    choices : tuple of Choice
        What can be chosen.
    is_free : bool
        Whether it also takes any other text.
    is_required : bool
        Whether it needs an answer.
    default : Value or None
        The answer if nothing is typed; ``None``: there is none.
    minimum, maximum : float or None
        Limits of a number, of the characters of a text, or of the count of choices.
    pattern : str
        A regular expression that the server will look for. It is shown and not tried: an expression can be written so
        that Python's `re` never comes to an end.
    text_format : str
        The format of a text: ``email``, ``uri``, ``date`` or ``date-time``.
    """

    name: str
    title: str = ""
    description: str = ""
    kind: FieldKind = "text"
    choices: tuple[Choice, ...] = ()
    is_free: bool = False
    is_required: bool = False
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    text_format: str = ""

    @property
    def label(self) -> str:
        """What the field is called for the user."""
        return self.title or revealed_line(self.name)

    @property
    def takes(self) -> str:
        """What the field takes, in words; ``""``: any text."""
        if self.choices:
            offered = ", ".join(f"{number} {each.title}" for number, each in enumerate(self.choices, 1))
            return f"any of {offered}" if self.kind == "choices" else offered
        words = {"integer": "a whole number", "number": "a number", "boolean": "y or n"}
        pattern = f"a text that fits {revealed_line(self.pattern)}" if self.pattern else ""
        return words.get(self.kind, "") or _FORMATS.get(self.text_format, "") or pattern

    @property
    def line(self) -> str:
        """The field in one line: its name, what it is, and what it takes."""
        facts = [self.title if self.title != self.name else "", self.description, self.takes]
        facts.append("" if self.default is None else f"otherwise {shown(self.default)}")
        facts.append("needed" if self.is_required and self.default is None else "")
        return f"{revealed_line(self.name)}: {'; '.join(fact for fact in facts if fact) or 'a text'}"

    def read(self, given: object) -> Value | None:
        """Return the answer to what was typed or chosen; ``None``: the field has none.

        Parameters
        ----------
        given : object
            What was typed, or chosen in a form; ``None``: nothing, so that the default counts.

        Raises
        ------
        DoesNotFit
            If the field does not take it.
        """
        if given is None and self.default is not None:
            return self.default
        if given is None or given == [] or (isinstance(given, str) and not given.strip()):
            if self.is_required:
                raise DoesNotFit(self.name, f"{self.label} needs an answer.")
            return None
        return self._read(given)

    def _read(self, given: object) -> Value:
        if self.kind == "choices":
            return self._several(given)
        if self.kind == "boolean" and not isinstance(given, str):
            return given is True
        text = str(given).strip()
        if self.kind == "choice":
            return self._one(text)
        if self.kind == "boolean":
            return self._yes_or_no(text)
        return self._number(text) if self.kind in _NUMBERS else self._text(text)

    def _several(self, given: object) -> list[str]:
        parts = given if isinstance(given, list) else str(given).split(",")
        found = list(dict.fromkeys(self._one(str(part).strip()) for part in parts if str(part).strip()))
        self._within(len(found), "takes {}", " of them")
        return found

    def _one(self, text: str) -> str:
        """Return the value of the choice that was named by its value or its title."""
        if (named := self._named(text)) is not None:
            return named
        if self.is_free:
            return text
        raise DoesNotFit(self.name, f"{self.label} takes {listed([choice.title for choice in self.choices])}.")

    def _named(self, text: str) -> str | None:
        named = {choice.title: choice.value for choice in reversed(self.choices)}
        named |= {choice.value: choice.value for choice in self.choices}
        return named.get(text)

    def typed(self, line: str) -> object:
        """Return what a line says for `read`: where choices are shown with numbers, a number means a choice."""
        if self.kind == "choices":
            return [self._numbered(part.strip()) for part in line.split(",") if part.strip()] or None
        return (self._numbered(line.strip()) if self.kind == "choice" else line.strip()) or None

    def _numbered(self, text: str) -> str:
        is_number = self._named(text) is None and text.isdecimal() and 0 < int(text) <= len(self.choices)
        return self.choices[int(text) - 1].value if is_number else text

    def _yes_or_no(self, text: str) -> Value:
        if text.lower() in (*_YES, *_NO):
            return text.lower() in _YES
        if self.is_free:
            return text
        raise DoesNotFit(self.name, f"{self.label} takes y or n.")

    def _number(self, text: str) -> Value:
        kind, words = _NUMBERS[self.kind]
        number = _finite(kind, text)
        if number is None:
            if self.is_free:
                return text
            raise DoesNotFit(self.name, f"{self.label} takes {words}.")
        self._within(number, f"takes {words}, {{}}", "")
        return number

    def _text(self, text: str) -> str:
        self._within(len(text), "takes {}", " characters")
        if self.text_format and not _has_format(text, self.text_format):
            raise DoesNotFit(self.name, f"{self.label} takes {_FORMATS[self.text_format]}.")
        return text

    def _within(self, number: float, words: str, unit: str) -> None:
        low, high = self.minimum, self.maximum
        if (low is None or number >= low) and (high is None or number <= high):
            return
        limits = [f"at least {_limit(low)}"] if low is not None else []
        limits += [f"at most {_limit(high)}"] if high is not None else []
        raise DoesNotFit(self.name, f"{self.label} {words.format(' and '.join(limits))}{unit}.")


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a question."""

    fields: tuple[FormField, ...] = ()

    @property
    def only(self) -> FormField | None:
        """The field of a question that has just one; ``None``: it has several, or none."""
        return self.fields[0] if len(self.fields) == 1 else None

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain question: one text, or one choice, that needs no label of its own."""
        return self.only is not None and self.only.kind in ("text", "choice") and not self.only.default

    def read(self, answers: Mapping[str, object]) -> dict[str, Value]:
        """Return the answers as they are sent, without the fields that have none.

        Raises
        ------
        DoesNotFit
            If one does not fit; the first one.
        """
        if unknown := next((name for name in answers if all(name != field.name for field in self.fields)), ""):
            raise DoesNotFit(unknown, f"There is no field {unknown}; the fields are {listed(self.names)}.")
        read = {field.name: field.read(answers.get(field.name)) for field in self.fields}
        return {name: value for name, value in read.items() if value is not None}

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [field.name for field in self.fields]

    def typed(self, text: str) -> dict[str, object]:
        """Return what a line says for `read`: the answer to the only field; of several ``name=value …``, or JSON.

        Raises
        ------
        DoesNotFit
            If the text says it in none of these ways.
        """
        if self.only is not None:
            return {self.only.name: self.only.typed(text)}
        if text.startswith("{"):
            with suppress(ValueError):
                return dict(parsed(text))
        lines = dict(map(_pair, _words(text)))
        if "" in lines:
            example = " ".join(f"{name}=…" for name in self.names)
            raise DoesNotFit("", f"The answer has fields: {example or 'leave it empty'}.")
        fields = {field.name: field for field in self.fields}
        return {name: fields[name].typed(line) if name in fields else line for name, line in lines.items()}

    def lines(self) -> list[str]:
        """Return what the fields take, a line for each; of a plain question its choices, numbered."""
        if self.only is not None and self.is_plain:
            about = [self.only.description] if self.only.description else []
            return [*about, *(f"{number}. {each.title}" for number, each in enumerate(self.only.choices, 1))]
        return [field.line for field in self.fields]

    def words(self, answers: Mapping[str, Value]) -> str:
        """Return answers in one line: ``"Name: Bo, Age: 30"``; of a plain question only the answer."""
        if not self.fields:
            return "confirmed"
        said = {field.label: shown(answers[field.name]) for field in self.fields if field.name in answers}
        if self.is_plain:
            return next(iter(said.values()), "nothing")
        return ", ".join(f"{label}: {value}" for label, value in said.items()) or "nothing"


def _finite(kind: type[int] | type[float], text: str) -> int | float | None:
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if isinstance(number, int) or math.isfinite(number) else None


def _limit(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.15g}"  # an integer may be too large for a float


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation mark without its partner
        return [""]


def _pair(word: str) -> tuple[str, str]:
    """Return the two sides of ``name=value``; the first is empty where it is none."""
    name, equals, value = word.partition("=")
    return (name, value) if equals else ("", word)


def question_form(choices: Sequence[str] = (), *, is_free: bool = True) -> Form:
    """Return the form of a plain question."""
    kind: FieldKind = "choice" if choices else "text"
    offered = tuple(Choice(choice, revealed_line(choice)) for choice in choices)
    return Form(
        (FormField(name="answer", title="Your answer", kind=kind, choices=offered, is_free=is_free, is_required=True),)
    )


def form_of(schema: Mapping[str, Any], *, is_free: bool = False) -> Form:
    """Return the form for a JSON schema; what cannot be read in it limits nothing.

    Parameters
    ----------
    schema : mapping
        An object whose properties are the fields.
    is_free : bool
        Whether the fields also take other answers (the runtime's own `ask_user`).
    """
    properties = schema.get("properties")
    required = schema.get("required")
    found = properties if isinstance(properties, dict) else {}
    names = required if isinstance(required, list) else []
    is_only = is_free and len(found) == 1
    fields = [
        _field(str(name), each if isinstance(each, dict) else {}, is_required=is_only or name in names, is_free=is_free)
        for name, each in list(found.items())[:MAX_FIELDS]
    ]
    return Form(tuple(fields))


def _field(name: str, schema: Mapping[str, Any], *, is_required: bool, is_free: bool) -> FormField:
    kind = schema.get("type")
    items = schema.get("items")
    is_several = kind == "array" and isinstance(items, dict)
    choices = _choices(items if is_several and isinstance(items, dict) else schema)
    of_type: FieldKind = kind if kind in ("integer", "number", "boolean") else "text"
    field_kind: FieldKind = "choices" if is_several else "choice" if choices else of_type
    suffix = {"choices": "Items", "text": "Length", "choice": "Length"}.get(field_kind, "imum")
    field = FormField(
        name=name,
        title=revealed_line(_text_of(schema, "title")),
        description=revealed(_text_of(schema, "description")),
        kind=field_kind,
        choices=choices,
        is_free=is_free or (is_several and not choices),
        is_required=is_required,
        minimum=_number_of(schema, f"min{suffix}"),
        maximum=_number_of(schema, f"max{suffix}"),
        pattern=_text_of(schema, "pattern"),
        text_format=_text_of(schema, "format") if _text_of(schema, "format") in _FORMATS else "",
    )
    return _with_default(field, schema.get("default"))


def _with_default(field: FormField, default: object) -> FormField:
    """Return the field with its default, unless it does not fit."""
    if default is None:
        return field
    try:
        value = field.read(default)
    except DoesNotFit:
        return field
    return FormField(**{name: getattr(field, name) for name in field.__slots__} | {"default": value})


def _choices(schema: Mapping[str, Any]) -> tuple[Choice, ...]:
    values = schema.get("enum")
    if isinstance(values, list):
        titles = schema.get("enumNames")
        named = titles if isinstance(titles, list) and len(titles) == len(values) else values
        return tuple(Choice(str(value), revealed_line(str(title))) for value, title in zip(values, named, strict=True))
    titled = schema.get("oneOf") or schema.get("anyOf")
    each = [one for one in titled if isinstance(one, dict) and "const" in one] if isinstance(titled, list) else []
    return tuple(Choice(str(one["const"]), revealed_line(str(one.get("title", one["const"])))) for one in each)


def _text_of(schema: Mapping[str, Any], key: str) -> str:
    value = schema.get(key)
    return value.strip() if isinstance(value, str) else ""


def _number_of(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def shown(value: Value) -> str:
    """Return an answer as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: ``"red, green or blue"``."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


_FORMATS: Mapping[str, str] = {
    "email": "an address such as ada@example.org",
    "uri": "an address such as https://example.org",
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T12:00:00",
}


def _has_format(text: str, text_format: str) -> bool:
    if text_format == "email":
        return re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None
    if text_format == "uri":
        return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", text) is not None
    try:
        (date if text_format == "date" else datetime).fromisoformat(text)
    except ValueError:
        return False
    return True
