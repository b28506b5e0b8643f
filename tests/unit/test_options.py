"""The options of a session: how they are merged, stored and written."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import copilot_nb as cp
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.options import FLAGS, OptionValues, SessionOptions
from copilot_nb.notebook.arguments import SESSION_OPTIONS

HAS = SessionOptions(model="gpt-5", provider="mine", system="Be brief.", effort="high", context="long", tools="read")


@pytest.mark.parametrize(
    ("changes", "merged"),
    [
        (SessionOptions(), HAS),
        (SessionOptions(effort="low"), dataclasses.replace(HAS, effort="low")),
        (SessionOptions(system=""), dataclasses.replace(HAS, system="")),
        (SessionOptions(model="gpt-5"), HAS),
        (
            SessionOptions(model="other"),
            SessionOptions(model="other", provider="mine", system="Be brief.", tools="read"),
        ),
        (SessionOptions(provider="local"), SessionOptions(provider="local", system="Be brief.", tools="read")),
        (SessionOptions(provider="mine"), SessionOptions(provider="mine", system="Be brief.", tools="read")),
        (SessionOptions(model="gpt-5", provider="mine"), HAS),
    ],
)
def test_another_model_begins_with_its_own_effort_and_window(changes: SessionOptions, merged: SessionOptions) -> None:
    assert HAS.merged_with(changes) == merged


def test_what_was_stored_is_read_back() -> None:
    assert SessionOptions.stored(HAS.to_store("x/"), "x/") == HAS
    assert SessionOptions.stored({}, "x/") == SessionOptions().settled()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"context": "huge"}, "no size 'huge' → one of: default, long"),
        ({"system": "x" * 16_001}, "longer than 16,000 bytes"),
        ({"model": "\ud800"}, "the model"),
    ],
)
def test_what_cannot_be_used_is_refused(options: OptionValues, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        SessionOptions(**options)


@pytest.mark.parametrize("call", [cp.session, cp.Session.send])
def test_every_option_is_a_flag_a_parameter_and_documented(call: object) -> None:
    names = [field.name for field in dataclasses.fields(SessionOptions)]
    assert [*OptionValues.__annotations__] == names == [*FLAGS]
    assert [option.flags for option in SESSION_OPTIONS[: len(names)]] == [flag.names for flag in FLAGS.values()]
    assert inspect.isroutine(call)
    assert set(names) < set(inspect.signature(call).parameters)
    assert "model: 'str' = '', provider: 'str' = ''" in str(inspect.signature(call))
    for name in names:
        assert f"{name} : str, optional\n" in (inspect.getdoc(call) or "")
