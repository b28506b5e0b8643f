"""What a provider may do in place of answering, in the wire formats of three APIs, behind the real runtime.

The runtime tries again after 1 s and more, six times in all; so the turns that end in vain run side by side, once for
all tests (16 s: an overloaded provider that does not say when to come back).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import CopilotNBError, ProviderError, TurnFailed, TurnInterrupted, TurnTimeout
from copilot_nb.named_sessions.manager import Manager, manager_of
from copilot_nb.named_sessions.session import Session
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.providers.spec import spec_of
from copilot_nb.settings import CopilotNB
from tests.loopback import (
    Fault,
    Loopback,
    cut,
    error_in_200,
    error_in_stream,
    hang_up,
    malformed,
    page,
    silent,
    stalled,
    status,
)

WIRES = {
    "completions": {"type": "openai-compatible"},
    "responses": {"type": "openai-compatible", "wire_api": "responses"},
    "messages": {"type": "anthropic"},
}
ELSEWHERE = "or choose another with --model or --provider"


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    manager = Manager(CopilotNB(home=str(tmp_path_factory.mktemp("faults")), offline=True))
    yield manager
    manager.close()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback("At last.") as running:
        yield running


def talk(manager: Manager, wire: str, server: Loopback, name: str) -> Session:
    """Begin a session with `server` as its provider, by a first turn that goes well."""
    suffix = "" if wire == "messages" else "/v1"
    manager.providers.add_own(spec_of(name, {"base_url": server.url + suffix, **WIRES[wire]}))
    session = manager.session(name, provider=name, model="m-1")
    session.ask("first")
    return session


def failure(turn: Turn) -> CopilotNBError:
    with pytest.raises(CopilotNBError) as caught:
        turn.wait()
    assert "\n" not in str(caught.value)
    assert turn.state is not TurnState.FAILED or turn.record.error == str(caught.value)  # what a panel shows
    return caught.value


AT_ONCE: dict[str, tuple[Fault, type[CopilotNBError], str]] = {
    "400": (
        status(400, "bad request"),
        TurnFailed,
        f"cannot answer (400): bad request → change the prompt, {ELSEWHERE}",
    ),
    "401": (
        status(401, "wrong key"),
        ProviderError,
        "needs a key (401): wrong key → give it one: %copilot provider add NAME --type TYPE --base-url URL --ask-key",
    ),
    "402": (
        status(402, "no money"),
        ProviderError,
        f"asks for payment (402): no money → check your account there, {ELSEWHERE}",
    ),
    "403": (
        status(403, "no rights"),
        ProviderError,
        "does not allow this (403): no rights → check what the key of provider 'NAME' may do (none needed), "
        f"{ELSEWHERE}",
    ),
    "404": (
        status(404, "no such model"),
        ProviderError,
        "has no model 'm-1', or not at this address (404): no such model → check --model, and the address of provider "
        "'NAME': URL",
    ),
    "404 page": (
        page(404),
        ProviderError,
        "has no model 'm-1', or not at this address (404): it sent a web page → check --model, and the address of "
        "provider 'NAME': URL",
    ),
    "no quota": (
        status(429, "You exceeded your current quota", kind="insufficient_quota"),
        ProviderError,
        f"has no quota left for this key (429): You exceeded your current quota → check your plan there, {ELSEWHERE}",
    ),
    "429 in an hour": (
        status(429, "later", retry_after_s=3600),
        TurnFailed,
        f"received too many requests (429): later → wait 3600 s and run the cell again, {ELSEWHERE}",
    ),
    "200 error": (
        error_in_200("something is wrong"),
        TurnFailed,
        f"answered with an error: something is wrong → run the cell again, {ELSEWHERE}",
    ),
    "301": (
        page(301),
        ProviderError,
        "has moved (301): it sent a web page → check the address of provider 'NAME': URL",
    ),
}


@pytest.mark.parametrize("fault", AT_ONCE)
@pytest.mark.parametrize("wire", WIRES)
def test_an_error_that_no_retry_can_help_is_reported_at_once(
    wire: str, fault: str, manager: Manager, server: Loopback
) -> None:
    name = f"{wire}-{fault}".replace(" ", "-")
    session = talk(manager, wire, server, name)
    meets, kind, line = AT_ONCE[fault]
    server.fail(meets)
    error = failure(session.send("second"))
    spec = manager.providers.own(name).spec
    line = line.replace("NAME", name).replace("TYPE", spec.api).replace("URL", spec.base_url)
    assert str(error) == f"{name} {line}"
    assert type(error) is kind
    assert len(server.asked) == 2
    assert session.ask("third").text == "At last."
    assert [turn.prompt for turn in session.history] == ["first", "second", "third"]


def test_a_provider_that_is_not_running_is_reported_at_once(manager: Manager) -> None:
    with Loopback() as server:
        session = talk(manager, "completions", server, "gone")
    began_s = time.monotonic()
    error = failure(session.send("hi"))
    assert time.monotonic() - began_s < 5
    assert str(error) == (
        f"gone is not running at {server.url}/v1 → start it, or check the address of provider 'gone' "
        "(it comes from the environment)"
    )


@dataclass(frozen=True)
class Spoilt:
    """A turn that failed for good, after the runtime had tried again."""

    error: CopilotNBError
    session: Session
    server: Loopback
    notes: tuple[str, ...]


IN_VAIN: dict[str, tuple[Fault, str]] = {
    "429": (
        status(429, "slow down", retry_after_s=0),
        "received too many requests (429, tried 6 times): slow down → "
        f"wait a little and run the cell again, {ELSEWHERE}",
    ),
    "500": (
        status(500, "boom", retry_after_s=0),
        f"has an internal error (500, tried 6 times): boom → run the cell again later, {ELSEWHERE}",
    ),
    "529": (
        status(529, "busy"),
        f"is overloaded (529, tried 6 times): busy → run the cell again later, {ELSEWHERE}",
    ),
    "malformed": (malformed, "broke off its answer (tried 6 times): "),
    "cut": (cut, "broke off its answer (tried 6 times): peer closed connection"),
    "hang up": (hang_up, "broke off its answer (tried 6 times): Server disconnected without sending a response. →"),
    "error in stream": (error_in_stream("overloaded"), "is overloaded (529, tried 6 times): overloaded →"),
}


@pytest.fixture(scope="module")
def spoilt(manager: Manager) -> Iterator[dict[tuple[str, str], Spoilt]]:
    """Every turn in vain, in each wire format, side by side."""
    with ExitStack() as stack:
        under_way: dict[tuple[str, str], tuple[Turn, Loopback]] = {}
        for wire in WIRES:
            for fault, (meets, _) in IN_VAIN.items():
                server = stack.enter_context(Loopback("At last."))
                session = talk(manager, wire, server, f"vain-{wire}-{fault}".replace(" ", "-"))
                server.fail(*[meets] * 6)
                under_way[wire, fault] = session.send("second"), server
        yield {
            key: Spoilt(failure(turn), turn.session, server, turn.record.notes)
            for key, (turn, server) in under_way.items()
        }


@pytest.mark.parametrize("fault", IN_VAIN)
@pytest.mark.parametrize("wire", WIRES)
def test_an_error_after_six_tries_comes_with_a_remedy(
    wire: str, fault: str, spoilt: dict[tuple[str, str], Spoilt]
) -> None:
    case = spoilt[wire, fault]
    assert str(case.error).startswith(f"{case.session.name} {IN_VAIN[fault][1]}")
    assert isinstance(case.error, TurnFailed)
    assert [asked.user_texts for asked in case.server.asked] == [["first"], *[["first", "second"]] * 6]
    assert [note[:9] for note in case.notes] == ["retry 5: "]
    assert case.session.ask("third").text == "At last."
    assert [turn.prompt for turn in case.session.history] == ["first", "second", "third"]


@pytest.mark.parametrize("wire", WIRES)
def test_a_retry_that_helps_leaves_one_turn_with_the_whole_answer(
    wire: str, manager: Manager, server: Loopback
) -> None:
    session = talk(manager, wire, server, f"helped-{wire}")
    server.fail(cut, status(429, "slow down", retry_after_s=1))
    turn = session.ask("second")
    assert turn.text == "At last."
    assert turn.record.notes == ("retry 2: too many requests (429): slow down",)
    assert [each.text for each in session.history] == ["At last.", "At last."]
    assert [asked.user_texts for asked in server.asked[1:]] == [["first", "second"]] * 3


@pytest.mark.parametrize("pause", [status(429, "slow down"), status(429, "slow down", retry_after_s=30)])
def test_a_pause_is_seen_and_can_be_interrupted(
    pause: Fault, manager: Manager, server: Loopback, request: pytest.FixtureRequest
) -> None:
    session = talk(manager, "completions", server, f"paused-{request.node.callspec.indices['pause']}")
    server.fail(pause)
    turn = session.send("second")
    until(turn, lambda: turn.record.notes == ("retry 1: too many requests (429): slow down",))
    began_s = time.monotonic()
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    assert time.monotonic() - began_s < 2
    assert session.ask("third").text == "At last."
    assert len(server.asked) == 3


def until(turn: Turn, is_so: Callable[[], bool]) -> None:
    """Wait until the turn is in a state; fail when it ends without."""
    deadline_s = time.monotonic() + 20
    while not is_so():
        assert not turn.done, f"{turn!r} ended: {turn.record}"
        assert time.monotonic() < deadline_s
        manager_of(turn.session).loop.blocking(manager_of(turn.session).client())


@pytest.mark.parametrize(("fault", "kept"), [(silent, ""), (stalled, "The beginning")])
def test_a_provider_that_falls_silent_is_given_up(fault: Fault, kept: str, manager: Manager, server: Loopback) -> None:
    session = talk(manager, "completions", server, f"mute-{len(kept)}")
    server.fail(fault)
    turn = session.send("second", timeout_s=1.0)
    with pytest.raises(TurnTimeout, match=rf"nothing came from m-1 \({session.name}\) for 1 s → run the cell again"):
        turn.wait()
    assert turn.text == kept
    server.release()
    assert session.ask("third").text == "At last."
    assert len(server.asked) == 3
