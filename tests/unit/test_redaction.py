"""What counts as a secret in a text, and what does not."""

from __future__ import annotations

import json
import time
import urllib.parse

import pytest

from copilot_nb.agent.redaction import Redactor, hidden_count, is_distinctive, mark, revealed, url_password
from copilot_nb.system.environment import is_secret_name

TOKEN = "abcDEF123ghiJKL456mnoPQR789stuVWX012yz"
HEAD = "eyJhbGciOiJIUzI1NiJ9"
SHAPED = {
    "API key": f"sk-proj-{TOKEN}",
    "GitHub token": f"ghp_{TOKEN}",
    "GitLab token": "glpat-abc123DEF456ghi789jk",
    "AWS key": "AKIAIOSFODNN7EXAMPLE",
    "Slack token": "xoxb-1234567890-abcdef",
    "Google key": "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "Hugging Face token": f"hf_{TOKEN}",
    "Stripe key": f"k_live_{TOKEN}",
    "npm token": f"npm_{TOKEN[:36]}",
    "SendGrid key": f"SG.{TOKEN[:22]}.{TOKEN}abcde",
    "JSON Web Token": f"{HEAD}.eyJzdWIiOiIxMjM0In0.{TOKEN}",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC+/=\n-----END RSA PRIVATE KEY-----",
}
ASSIGNED = (
    ('password = "hunter22!"', 'password = "‹secret: password›"'),
    ("{'api_key': 'abc123def456'}", "{'api_key': '‹secret: api_key›'}"),
    (r"{\"token\": \"abc123def456\"}", r"{\"token\": \"‹secret: token›\"}"),
    ('os.environ["DB_PASSWORD"] = "hunter22!"', 'os.environ["DB_PASSWORD"] = "‹secret: DB_PASSWORD›"'),
    ("export MY_SECRET=abc123def456ghi", "export MY_SECRET=‹secret: MY_SECRET›"),
    ("https://a.b/?api_key=abc123def456&x=1", "https://a.b/?api_key=‹secret: api_key›&x=1"),
    ("postgres://user:hunter22@host/db", "postgres://user:‹secret: password›@host/db"),
    ("Authorization: Bearer abc123def456ghi7", "Authorization: Bearer ‹secret: bearer token›"),
    ("AccountKey=abc123def456ghi7==;x", "AccountKey=‹secret: AccountKey›;x"),
)
ORDINARY = (
    "The password is the key to the token; the secret: practice.",
    'key = "population"',
    "token = tokenizer.next_token2(text)",
    "token = token2_of_2nd_text",
    "api_key = os.environ['API_KEY']",
    'password = "password"',
    'password = "<your-password-1>"',
    'token = "{token_1_of_user}"',
    'key_path = "/home/me/keys/id_1.pub"',
    'secret = "/run/secrets/db1"',
    "df.groupby(key=lambda row: row.x1)",
    'sort(key="column_1_of_2")  # sk-learn, task-1234567890123456789012',
    "monkey='banana1234'; max_tokens=123456789012",
    "http://host:8080/a@b",
    "hash 3f786850e387550fdab836ed7e6dc881de23001b",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "Traceback (most recent call last):\n  KeyError: 'colour1234'",
)


@pytest.mark.parametrize(("name", "secret"), SHAPED.items())
def test_a_token_of_a_known_service_is_hidden(name: str, secret: str) -> None:
    assert Redactor().hide(f"a {secret}, b") == f"a ‹secret: {name}›, b"
    assert Redactor().hide(repr(secret)) == f"'‹secret: {name}›'"


@pytest.mark.parametrize(("text", "hidden"), ASSIGNED)
def test_what_follows_the_name_of_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert Redactor().hide(text) == hidden


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays(text: str) -> None:
    assert Redactor().hide(text) == text


@pytest.mark.parametrize("write", [str, repr, json.dumps, lambda value: urllib.parse.quote(value, safe="")])
def test_a_value_that_is_known_is_hidden_however_it_is_written(write: object) -> None:
    assert callable(write)
    secret = 'open"sesame\n/plain words'
    hidden = Redactor({secret: "MY_TOKEN", "sesame12": "OTHER"}).hide(f"a {write(secret)} b {write('sesame12')}")
    assert "sesame" not in hidden
    assert "‹secret: MY_TOKEN›" in hidden
    assert hidden_count(hidden) == 2


def test_of_two_values_the_longer_one_is_hidden_first() -> None:
    assert Redactor({"abcdefgh": "A", "abcdefgh1": "B"}).hide("abcdefgh1") == "‹secret: B›"


@pytest.mark.parametrize(
    "original",
    [
        'password = "hunter22!"; f(password)',
        f'a("{TOKEN}", "ghp_{TOKEN}")\nb("ghp_{TOKEN}")',
        f"sk-{TOKEN}",
        "no secret",
    ],
)
def test_code_that_was_made_of_a_hidden_text_gets_its_secrets_back(original: str) -> None:
    hidden = Redactor({TOKEN: "MINE"}).hide(original)
    assert revealed(f"new {hidden} ‹secret: OTHER›", hidden, original) == f"new {original} ‹secret: OTHER›"


def test_a_mark_of_several_secrets_stays() -> None:
    original = f"ghp_{TOKEN} ghp_{TOKEN[::-1]}"
    hidden = Redactor().hide(original)
    assert revealed(hidden, hidden, original) == hidden
    assert revealed(f"{mark('A')}{mark('B')}", f"{mark('A')}{mark('B')}", "ab") == f"{mark('A')}{mark('B')}"


def test_what_is_hidden_is_not_hidden_again() -> None:
    once = Redactor({"ghp_" + TOKEN: "GITHUB_TOKEN"}).hide(f'token = "ghp_{TOKEN}"; Bearer ghp_{TOKEN}')
    assert once == 'token = "‹secret: GITHUB_TOKEN›"; Bearer ‹secret: GITHUB_TOKEN›'
    assert Redactor().hide(once) == once


@pytest.mark.parametrize("name", ["API_KEY", "apiKey", "db_password_2", "PGPASSWORD", "MYSQL_PWD", "SECRET_KEY_BASE"])
def test_secrets_have_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "MONKEY", "KEYBOARD", "max_tokens", "token_count", "bypass", "path"])
def test_other_names_are_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(("value", "expected"), [("true", False), ("changeme", False), ("abc12345", True)])
def test_a_word_is_not_searched_for(value: str, expected: bool) -> None:
    assert is_distinctive(value) is expected


def test_the_password_of_an_address_is_found() -> None:
    assert url_password("postgres://me:hunter22@host/db") == "hunter22"
    assert url_password("https://host:8080/") == ""


@pytest.mark.parametrize(
    "piece", ["lorem ipsum ", "token", "eyJ", "key=", "key='", "://", "sk-", "-----BEGIN PRIVATE KEY-----", "a.b:"]
)
def test_time_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    redactor = Redactor({"value-of-secret-1": "A"})

    def duration_s(chars: int) -> float:
        text = (piece * (chars // len(piece) + 1))[:chars]
        start_s = time.process_time()
        redactor.hide(text)
        return time.process_time() - start_s

    assert duration_s(1_600_000) < 8 * max(duration_s(400_000), 0.01)  # the square would be 16 times
