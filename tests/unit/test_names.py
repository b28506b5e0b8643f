from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import COMMANDS, MAX_NAME_CHARS, check_id, check_name, id_for, title_for
from copilot_nb.notebook.subcommands import SUBCOMMANDS

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,250}")
NAMES = st.text(min_size=1, max_size=40)


@settings(max_examples=100)
@given(NAMES)
def test_an_id_is_legal_and_stable(name: str) -> None:
    assert LEGAL.fullmatch(id_for(name))
    assert id_for(name) == id_for(name)
    assert check_id(id_for(name)) == id_for(name)


@settings(max_examples=100)
@given(NAMES, NAMES)
def test_different_names_have_different_ids(one: str, other: str) -> None:
    assert (id_for(one) == id_for(other)) == (one == other)


@pytest.mark.parametrize("name", ["session1", "user-123-chat", "A_b", "x" * 250])
def test_a_name_that_is_a_legal_id_is_its_own(name: str) -> None:
    assert id_for(name) == name


@pytest.mark.parametrize("names", [("a b", "a-b"), ("é", "e"), ("é", "è"), ("日本", "中国"), ("x" * 251, "x" * 252)])
def test_similar_names_have_different_ids(names: tuple[str, str]) -> None:
    assert id_for(names[0]) != id_for(names[1])


def test_an_id_can_be_read() -> None:
    assert id_for("Séance du 3 mai").startswith("Seance-du-3-mai-")
    assert id_for("日本語").startswith("session-")


@settings(max_examples=100)
@given(NAMES)
def test_a_checked_name_is_checked_for_good(name: str) -> None:
    try:
        checked = check_name(name)
    except InputError:
        return
    assert check_name(checked) == checked
    assert checked == unicodedata.normalize("NFC", checked).strip()
    assert 1 <= len(title_for(checked)) <= 100
    assert '"' not in title_for(checked)


def test_both_ways_to_write_an_accent_are_one_name() -> None:
    assert check_name("e\u0301te\u0301") == check_name("\u00e9t\u00e9")


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "-m", "%x", "a\nb", "a\0b", "\ud800", "x" * (MAX_NAME_CHARS + 1), *COMMANDS),
        *("a\u202eb", "a\u2066b", "a\u200bb", "a\ufeffb", "a\u200db", "a\xadb"),
    ],
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_name(name)


@pytest.mark.parametrize("name", ["می\u200cخواهم", "\U0001f469\u200d\U0001f52c", "日本", "שלום", "é"])
def test_names_in_any_script(name: str) -> None:
    assert check_name(name) == name


def test_every_subcommand_is_reserved() -> None:
    assert set(SUBCOMMANDS) == set(COMMANDS)


@pytest.mark.parametrize("session_id", ["", "a b", "a/b", "..", "é", "x" * 251, "a\n", "a.b"])
def test_ids_that_are_refused(session_id: str) -> None:
    with pytest.raises(InputError, match="is not a session id"):
        check_id(session_id)
