"""What the runtime says of a turn that failed, in words for a user; the texts are those of the runtime 1.0.102."""

from __future__ import annotations

import asyncio

import pytest

from copilot_nb.conversation.transcript import ONLY_REASONING
from copilot_nb.errors import ProviderError, RuntimeUnavailable, TurnFailed
from copilot_nb.runtime.sdk_errors import translate, translated, turn_error, unusable_login
from copilot_nb.system.environment import LOGIN_TOKENS

EXPIRED = "Authorization error. Your credentials may be expired or invalid."
REFUSED = "Copilot does not accept the login: it has expired, or may not use Copilot"


def test_an_expired_login_says_how_to_renew_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LOGIN_TOKENS:
        monkeypatch.delenv(name, raising=False)
    error = turn_error(EXPIRED, "gpt-5 (github)")
    assert isinstance(error, ProviderError)
    assert str(error) == f"{REFUSED} → log in again: %copilot login"


def test_an_expired_token_says_which_variable_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "gho_a")
    monkeypatch.setenv("GH_TOKEN", "gho_b")
    assert str(turn_error(EXPIRED, "")) == (
        f"{REFUSED} → it comes from the environment variable GH_TOKEN: renew or unset that, then %copilot restart"
    )


def test_a_login_that_cannot_be_checked_is_the_networks_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "gho_b")
    said = "Failed to fetch PAT user login: network fetch failed: request failed: error sending request for url (u)"
    assert str(unusable_login(said)) == (
        f"Copilot cannot use the login in GH_TOKEN: {said}"
        " → check the network, and HTTPS_PROXY where a proxy leads out of it"
    )
    assert str(unusable_login("Failed to fetch PAT user login: 401")).endswith(
        ": 401 → it comes from the environment variable GH_TOKEN: renew or unset that, then %copilot restart"
    )


def test_the_error_of_a_killed_runtime_is_clear() -> None:
    error = translate(RuntimeError("CLI process exited with code -9"), "sending to a")
    assert isinstance(error, RuntimeUnavailable)
    assert str(error) == "sending to a: the Copilot runtime was ended by signal 9 → run the cell again"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "Execution failed: Failed to get response from the AI model; retried 5 times (total retry wait time: 5.00 "
            "seconds) Last error: Failed native model HTTP request: 502 Bad Gateway",
            "gpt-5 (github) did not answer: 502 Bad Gateway (tried 6 times) → run the cell again, or choose another "
            "model",
        ),
        (
            "No response was returned. Send your message again to retry.",
            "gpt-5 (github) did not answer: nothing came → run the cell again, or choose another model",
        ),
        (
            ONLY_REASONING,
            "gpt-5 (github) did not answer: only its reasoning came → run the cell again, or choose another model",
        ),
        ("400 too long", "gpt-5 (github) did not answer: 400 too long → run the cell again, or choose another model"),
    ],
)
def test_other_failures_are_one_line(said: str, line: str) -> None:
    error = turn_error(said, "gpt-5 (github)")
    assert isinstance(error, TurnFailed)
    assert str(error) == line


def test_a_call_that_the_runtime_does_not_answer_ends() -> None:
    async def call() -> None:
        async with translated("listing sessions", timeout_s=0.01):
            await asyncio.Event().wait()

    with pytest.raises(RuntimeUnavailable, match=r"did not answer within 0.01 s → %copilot restart"):
        asyncio.run(call())
