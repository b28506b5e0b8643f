"""Names of sessions that belong to users."""

from __future__ import annotations

import pytest
from traitlets import TraitError

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.users import check_user, name_for
from copilot_nb.settings import CopilotNB

TEMPLATE = "{user}-{name}"


@pytest.mark.parametrize(
    ("name", "user", "expected"),
    [
        ("chat", "alice", "alice-chat"),
        ("chat", "user-123", "user-123-chat"),
        (" chat ", " alice ", "alice-chat"),
        ("alice-chat", "alice", "alice-chat"),
        ("bob-chat", "alice", "alice-bob-chat"),
        ("alice-", "alice", "alice-alice-"),
        ("{user}", "bob", "bob-{user}"),
        ("chat", "{name}", "{name}-chat"),
        ("../../etc", "a/b", "a/b-../../etc"),
        ("cafe\u0301", "Zoe\u0308", "Zo\xeb-caf\xe9"),
    ],
)
def test_the_name_of_a_users_session(name: str, user: str, expected: str) -> None:
    assert name_for(name, user, TEMPLATE) == expected


def test_another_template() -> None:
    assert name_for("chat", "alice", "{name} of {user}") == "chat of alice"
    assert name_for("chat of alice", "alice", "{name} of {user}") == "chat of alice"
    for template in ("chat", "{user}", "{name}", "{user}{name}{name}"):
        with pytest.raises(TraitError):
            CopilotNB(user_template=template)


@pytest.mark.parametrize("user", ["", " ", "a" * 101, "a\nb", "a\0", "\ud800", "a\u2028b"])
def test_names_of_users_that_cannot_be_used(user: str) -> None:
    with pytest.raises(InputError):
        check_user(user)


def test_a_session_of_a_user_needs_a_name() -> None:
    with pytest.raises(InputError):
        name_for(" ", "alice", TEMPLATE)
