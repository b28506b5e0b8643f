"""Which variables the programs that copilot_nb starts get."""

from __future__ import annotations

import pytest

from copilot_nb.system.environment import LOGIN_TOKENS, small, without_keys

KEYS = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "MY_LLM_KEY",
    "my_token",
    "AWS_SECRET_ACCESS_KEY",
    "TOKEN",
    "DB_PASSWORD",
)
OTHERS = ("PATH", "HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "SSH_AUTH_SOCK", "KEYBOARD", "TOKENIZERS_PARALLELISM", "MONKEY")


def test_keys_are_left_out_by_their_name() -> None:
    environ = dict.fromkeys((*KEYS, *OTHERS), "x")
    assert tuple(without_keys(environ)) == OTHERS


def test_a_key_may_be_called_anything_and_a_login_stays() -> None:
    environ = dict.fromkeys(("MONKEY", "PATH", *LOGIN_TOKENS), "x")
    assert set(without_keys(environ, named=["MONKEY"], kept=LOGIN_TOKENS)) == {"PATH", *LOGIN_TOKENS}
    assert set(without_keys(environ)) == {"MONKEY", "PATH"}


@pytest.mark.parametrize("name", [*KEYS, *LOGIN_TOKENS, "MY_LLM", "PYTHONPATH", "NODE_OPTIONS", "LD_PRELOAD"])
def test_a_small_environment_holds_only_what_is_named(name: str) -> None:
    assert small({name: "x", "PATH": "/bin", "LC_ALL": "C"}) == {"PATH": "/bin", "LC_ALL": "C"}
