"""Times of the runtime: as the SDK reads them, but by Python's own parser."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from copilot.generated import rpc, session_events

from copilot_nb.runtime.sdk_times import MODULES, READER, read_times_as_iso

TIMES = [
    "2026-11-28T22:51:44.123Z",
    "2026-11-28T22:51:44Z",
    "2026-11-28T22:51:44.123456+02:00",
    "2026-11-28T22:51:44",
    "28 Nov 2026 22:51:44 GMT",
]


@pytest.fixture(autouse=True)
def _read_as_iso() -> None:
    read_times_as_iso()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_what_the_sdk_makes_of_it(module: Any, text: str) -> None:
    read = vars(module)[READER]
    ours, sdks = read(text), inspect.unwrap(read)(text)
    assert (ours, ours.utcoffset()) == (sdks, sdks.utcoffset())


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("text", [None, "yesterday"])
def test_what_is_no_time_is_the_same_error(module: Any, text: object) -> None:
    read = vars(module)[READER]
    with pytest.raises(Exception) as ours:  # noqa: PT011 - which one, the SDK decides
        read(text)
    with pytest.raises(type(ours.value)):
        inspect.unwrap(read)(text)


def test_no_time_of_an_event_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rpc, session_events):
        monkeypatch.setattr(module.dateutil.parser, "parse", lambda _text: pytest.fail("a time was guessed"))
    said = {"id": "00000000-0000-0000-0000-000000000001", "timestamp": TIMES[0], "type": "assistant.turn_start"}
    event = session_events.SessionEvent.from_dict({**said, "data": {"turnId": "0"}})
    assert event.timestamp.isoformat() == "2026-11-28T22:51:44.123000+00:00"


def test_the_readers_are_replaced_once() -> None:
    before = [vars(module)[READER].__wrapped__ for module in MODULES]
    read_times_as_iso()
    assert [vars(module)[READER].__wrapped__ for module in MODULES] == before
