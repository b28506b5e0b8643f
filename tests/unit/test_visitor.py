"""Who visits a page: what the browser tells, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from copilot_nb.panels.visitor import Visitor


class Heard(Visitor):
    """A visitor's widget that keeps what it sends."""

    def send(self, content: dict[str, Any], buffers: Any = None) -> None:  # noqa: ARG002
        self.sent = content


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)


def told(token: str) -> tuple[Heard, list[str]]:
    came: list[str] = []
    visitor = Heard(came.append)
    visitor._received(visitor, {"token": token}, [])
    return visitor, came


def test_a_browser_is_known_again_by_the_secret_it_was_given() -> None:
    first, came = told("")
    secret = first.sent["token"]
    assert came == [first.user]
    assert secret not in first.user
    again, _ = told(secret)
    assert (again.user, again.sent) == (first.user, {"token": secret})
    other, _ = told("")
    assert other.user != first.user
    first._received(first, {"token": other.sent["token"]}, [])  # it is not another visitor later
    assert (first.user, first.sent["token"], came) == (again.user, secret, [first.user])


@pytest.mark.parametrize("token", ["short", "visitor-" + "A" * 22, "A" * 44, "A" * 42 + "/"])
def test_what_cannot_be_a_secret_is_replaced(token: str) -> None:
    visitor, _ = told(token)
    assert visitor.sent["token"] != token


def test_jupyterhub_says_who_its_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    visitor, came = told("A" * 43)
    assert (visitor.user, came) == ("alice", ["alice"])
