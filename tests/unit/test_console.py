"""What a terminal gets: text that its encoding may lack, and a last line that moves."""

from __future__ import annotations

import io

import pytest

from copilot_nb.console import accept_any_text, say


def printed(encoding: str, text: str) -> bytes:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    accept_any_text(stream)
    stream.write(text)
    stream.flush()
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", b"a -> b... ?? -"), ("latin-1", b"a -> b... ?\xe9 \xb7"), ("utf-8", "a → b… 你é ·".encode())],
)
def test_characters_that_an_encoding_lacks_are_replaced(encoding: str, expected: bytes) -> None:
    assert printed(encoding, "a → b… 你é ·") == expected


def test_a_stream_that_was_put_in_the_place_of_stdout_is_left_alone() -> None:
    accept_any_text(io.StringIO())
    accept_any_text(None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_moves_on_a_terminal_and_is_kept_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    lines = ["Installing", "… 3 s", "… 6 s", "Ready"]
    terminal, file = Terminal(), io.StringIO()
    for line in lines:
        say(line, terminal)
        say(line, file)
    assert terminal.getvalue() == "\r\033[KInstalling\n\r\033[K… 3 s\r\033[K… 6 s\r\033[KReady\n"
    assert file.getvalue().splitlines() == lines
