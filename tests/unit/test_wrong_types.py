"""What Python code passes by mistake (a number, a path, a list, one turn) is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import copilot_nb as cp
from copilot_nb.conversation.prompt import sendable
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.experiments.targets import one_each
from copilot_nb.named_sessions.formats.export import Exported, export, load
from copilot_nb.named_sessions.history import History
from copilot_nb.named_sessions.limits import check_timeout
from copilot_nb.named_sessions.listing import SessionList
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.names import check_id, check_name
from copilot_nb.named_sessions.options import FLAGS, SessionOptions
from copilot_nb.named_sessions.session import Session, send_planned
from copilot_nb.named_sessions.state import SessionState
from copilot_nb.named_sessions.toolbox import ToolBox
from copilot_nb.named_sessions.users import check_user, name_for
from copilot_nb.named_sessions.waiting import as_completed, wait

NO_TEXT = [0, 5, 1.5, True, b"x", ["a"], {}, Path("x"), object()]
NONE: Any = object()  # a manager that is not asked
Call = Callable[[Any], object]


@pytest.mark.parametrize("value", NO_TEXT)
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda value: sendable(value, "the prompt"), "the prompt"),
        (check_name, "a session's name"),
        (check_id, "a session's id"),
        (check_user, "a user's name"),
        (lambda value: name_for(value, "ada", "{user}-{name}"), "a session's name"),
        (History("a", "p", [TurnRecord("t", "x")]).search, "the search text"),
        *((lambda value, name=name: SessionOptions(**{name: value}), "the ") for name in FLAGS),
    ],
)
def test_what_is_no_text(call: Call, what: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{what}.* is text, not {type(value).__name__} → "):
        call(value)


def test_none_is_as_if_an_option_was_not_given() -> None:
    assert SessionOptions(**dict.fromkeys(FLAGS)) == SessionOptions()  # type: ignore[arg-type]


@pytest.mark.parametrize("turns", [None, 5, "session1", b"x", ["session1"], [None], TurnRecord("t", "x")])
@pytest.mark.parametrize("call", [wait, lambda turns: list(as_completed(turns))])
def test_what_is_no_list_of_turns(call: Call, turns: object) -> None:
    with pytest.raises(InputError, match=r"^a list of turns is needed, not \w+ → \[turn\], or turn.wait\(\)$"):
        call(turns)


@pytest.mark.parametrize("timeout_s", ["5", None, -1, float("nan")])
def test_what_is_no_time(timeout_s: Any) -> None:
    with pytest.raises(InputError, match="timeout_s is a number of seconds from 0, not "):
        check_timeout(timeout_s)


@pytest.mark.parametrize("call", [lambda time: wait([], time), lambda time: list(as_completed([], time))])
def test_what_is_no_time_to_wait(call: Call) -> None:
    with pytest.raises(InputError, match=r"^timeout_s is a number of seconds, not str → "):
        call("5")


@pytest.mark.parametrize("timeout_s", [0, 5, 0.5, float("inf")])
def test_a_time(timeout_s: float) -> None:
    assert check_timeout(timeout_s) == timeout_s


@pytest.mark.parametrize("path", [None, 5, b"x", ["x"], object()])
@pytest.mark.parametrize("call", [load, lambda path: export([], Exported("a", "a", "p", "m"), path)])
def test_what_is_no_path(call: Call, path: object) -> None:
    with pytest.raises(InputError, match=rf"^a file's path is text or a Path, not {type(path).__name__} → "):
        call(path)


@pytest.mark.parametrize("kind", ["pattern", "model", "notebook"])
def test_what_sessions_cannot_be_filtered_by(kind: str) -> None:
    with pytest.raises(InputError, match=f"^the {kind} is text, not int → "):
        SessionList().filter(**{kind: 5})  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [5, None, [1]])
def test_what_is_no_time_span(span: Any) -> None:
    with pytest.raises(InputError, match=f"^older_than is a time span, not {type(span).__name__} → "):
        SessionList().filter(older_than=span)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda value: wait([], on_update=value), "on_update is a function, not list"),
        (SessionList().sorted_by, "sessions cannot be sorted by "),
        (History("a", "p", [TurnRecord("t", "x")]).turn, "the number of a turn is a whole number, not list"),
    ],
)
def test_what_is_no_function_no_order_and_no_number(call: Call, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        call(["x"])


ONE_TURN = History("a", "p", [TurnRecord("t", "x")])
SESSION = Session(SessionState(name="s1", session_id="s1-id"), NONE, NONE)
ONE_SESSION = SessionList([StoredSession("a", "a")])


@pytest.mark.parametrize("place", ["x", None, 1.5, [0], (0, 1), slice("a", "b")])
@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ONE_TURN, r"a history is indexed by whole numbers and slices, not \w+ → history\[-1\] is the last turn"),
        (ONE_SESSION, r"a list of sessions is indexed by whole numbers and slices, not \w+ → to open a session by its"),
    ],
)
def test_what_is_no_place_in_a_list(found: Any, said: str, place: object) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        found[place]


@pytest.mark.parametrize("found", [ONE_TURN, ONE_SESSION])
def test_a_list_is_still_a_sequence(found: Any) -> None:
    assert found[0] is found[-1] is found[np.int64(0)] is next(iter(found))
    assert type(found[:1]) is type(found)
    assert len(found[1:]) == 0
    with pytest.raises(IndexError):
        found[1]


def test_a_whole_number_may_come_from_a_table() -> None:
    assert ONE_TURN.turn(np.int64(1)) is ONE_TURN[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ONE_SESSION.of_user, "a user's name is text, not int → "),
        (lambda value: ONE_SESSION.of_user("ada", [value]), "the number of sessions is a whole number, not list → "),
        (ONE_SESSION.state, "the session of a list is a StoredSession, not int → to open a session by its name: "),
        (ONE_SESSION.marked_ready, "session_ids is a list of texts, not int → "),
        (lambda value: send_planned(SESSION, NONE, cell=value), "the cell is text, not int → "),
        (lambda value: one_each("a", models=value), "models is a list of texts, not int → models="),
        (lambda value: one_each("a", providers=[value]), "each of providers is text, not int → "),
        (lambda value: cp.ComparePanel(models=value, manager=NONE), "models is a list of texts, not int → "),
        (lambda value: cp.ChatPanel(NONE, models=value), "models is a list of texts, not int → "),
        (lambda value: cp.ChatPanel(NONE, evaluate=value), "evaluate is a function, not int → "),
        (lambda value: ToolBox().add(NONE, value), "the session of a tool is named by text, not int → session="),
        (lambda value: ToolBox().remove("f", value), "the session of a tool is named by text, not int → session="),
    ],
)
def test_what_is_no_name_and_no_list_of_names(call: Call, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        call(5)


def test_a_text_is_no_list_of_models() -> None:
    with pytest.raises(InputError, match=r"^models is a list of texts, not str → models=\["):
        cp.ChatPanel(NONE, models="gpt-5")


@pytest.mark.parametrize(
    ("limit", "said"),
    [("alice", "is a whole number, not str"), (1.5, "is a whole number, not float"), (-1, "is at least 0")],
)
def test_what_is_no_number_of_sessions(limit: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"^the number of sessions {said}"):
        cp.sessions(limit)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (cp.SessionsPanel, "a SessionsPanel shows all sessions of a Manager, not int → SessionsPanel"),
        (lambda value: cp.ComparePanel(value, manager=NONE), "a comparison needs two sessions, models or providers → "),
        (lambda value: cp.ComparePanel([value, [value]], manager=NONE), "a session's name is text, not "),
        (cp.Visitor, "a Visitor calls a function, not int → "),
    ],
)
def test_what_a_panel_cannot_show(call: Call, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        call(5)
